-- dial.lua - from a host and a port to a connected stream: whose addresses they are, which of them
-- may be used, and what to say when none of them answered. It speaks no protocol.

local bounded = require "moonwire.dial.bounded"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local guard = require "moonwire.dial.guard"
local names = require "moonwire.dial.names"
local options = require "moonwire.dial.options"
local race = require "moonwire.dial.race"
local streams = require "moonwire.backend.stream"
local threads = require "moonwire.backend.thread"

local WINNERS_MOST = 256 -- hosts and ports whose better family is remembered
local WINNER_LASTS = 600 -- seconds
local TOLD_MOST = 8 -- attempts, or addresses, in one line of text

local dial = {}

-- The transcript ----------------------------------------------------------------------------------

local function note(format, ...)
    local trace = core.state.trace
    if trace then
        trace:note(format, ...)
    end
end

local function note_addresses(host, addresses)
    if not core.state.trace then
        return
    end
    local texts = {}
    for i = 1, math.min(#addresses, TOLD_MOST) do
        texts[i] = addresses[i].address
    end
    local rest = #addresses - #texts
    note("%s is at %s%s", host, table.concat(texts, ", "),
        rest > 0 and (" and %d more"):format(rest) or "")
end

-- The end of dialing: what it took is kept with the stream.
local function opened(backend, stream, started, resolved)
    stream.timing = { dns = resolved - started, connect = backend:now() - resolved }
    if core.state.trace then
        local address, port, family = stream:peer()
        note("connected to %s%s", tostring(address),
            family ~= "unix" and " port " .. tostring(port) or "")
    end
    return stream
end

local function failed(err)
    if not err.attempts then -- which were told one by one
        note("%s", err.message)
    end
    return nil, err
end

-- What is remembered of a backend -----------------------------------------------------------------

---@class moonwire.dial.Memory
---@field names moonwire.dial.Names
---@field winners moonwire.dial.Bounded "host:port" -> {family, expires}

---@param backend moonwire.Backend
---@return moonwire.dial.Memory
local function memory_of(backend)
    local memory = backend.dialing
    if not memory then
        memory = { names = names.new(backend), winners = bounded.new(WINNERS_MOST) }
        backend.dialing = memory
    end
    return memory
end

local function preferred_family(memory, place, now)
    local winner = memory.winners:get(place)
    return winner and now < winner.expires and winner.family or nil
end

-- Who may be tried --------------------------------------------------------------------------------

-- Those that this side's address can reach.
local function usable(opts, addresses)
    local family = opts and opts.local_family
    if not family then
        return addresses
    end
    local list = {}
    for _, address in ipairs(addresses) do
        if address.family == family then
            list[#list + 1] = address
        end
    end
    return list
end

-- The addresses of a name that nobody has to be asked for.
local function known_addresses(backend, opts, host, port, deadline)
    local given = opts and opts.resolve and opts.resolve[options.place(host, port)]
    if given then
        note_addresses(host, given)
        return (options.addresses(given))
    end
    local numeric = options.numeric(host)
    if numeric then
        return { numeric }
    end
    local name = "." .. host:lower():gsub("%.$", "")
    if name:find "%.localhost$" or host:find(":", 1, true) then
        return backend:resolve(host, deadline)
    end
end

-- What to say when nobody answered ----------------------------------------------------------------

local function all_failed(host, port, attempts)
    local last = attempts[#attempts]
    if #attempts == 1 and last.address == host then
        last.attempts = { last }
        return last
    end
    local texts = {}
    for i, err in ipairs(attempts) do
        if i <= TOLD_MOST then
            texts[i] = race.tell(err, port)
        end
        last = err.kind == "timeout" and err or last
    end
    if #attempts > TOLD_MOST then
        texts[TOLD_MOST + 1] = ("and %d more"):format(#attempts - TOLD_MOST)
    end
    return errors.new {
        kind = last.kind, phase = "connect", code = last.code, errno = last.errno, cause = last,
        attempts = attempts,
        message = ("connecting to %s:%d: %s"):format(host, port, table.concat(texts, "; ")),
    }
end

local function none_usable(host, port, opts)
    return errors.new {
        kind = "connect", phase = "connect", code = "EAFNOSUPPORT",
        message = ("connecting to %s:%d: no address of the family of local_address %s"):format(
            host, port, opts.local_address),
    }
end

-- Dialing -----------------------------------------------------------------------------------------

---@class moonwire.dial.Call
---@field backend moonwire.Backend
---@field memory moonwire.dial.Memory
---@field host string
---@field port integer
---@field place string "host:port"
---@field deadline number
---@field opts moonwire.dial.Options?
---@field pool moonwire.HostPool?
---@field started number
---@field resolved number? when there was the first address to connect to

-- Connects to one of the addresses, and of those the lookup may still give.
local function connect_to(call, addresses, lookup)
    local backend, memory, opts = call.backend, call.memory, call.opts
    call.resolved = backend:now()
    local list = usable(opts, addresses)
    local is_asking = lookup ~= nil and lookup.asking > 0
    if #list == 0 and not is_asking then
        return nil, none_usable(call.host, call.port, opts)
    end
    local target = {
        place = call.place, port = call.port, deadline = call.deadline,
        from = opts and opts.local_address, pool = call.pool,
        preferred = preferred_family(memory, call.place, backend:now())
            or list[1] and list[1].family,
        lookup = lookup,
        usable = function(more)
            return usable(opts, more)
        end,
    }
    local stream, err, attempts, family
    if #list == 1 and not is_asking then
        stream, err, attempts = race.single(backend, target, list[1])
    else
        stream, err, attempts, family = race.run(backend, target, list)
    end
    if stream then
        if family then
            memory.winners:set(call.place,
                { family = family, expires = backend:now() + WINNER_LASTS })
        end
        return stream
    elseif err then
        return nil, err
    end
    memory.winners:remove(call.place)
    if #attempts == 0 then
        return nil, errors.from_code(core.ETIMEOUT, "connect",
            ("connecting to %s:%d"):format(call.host, call.port))
    end
    return nil, all_failed(call.host, call.port, attempts)
end

-- Waits for both families, but not for ever for the other one.
local function look_up_whole(call, lookup)
    local ok, err = lookup:wait(call.deadline)
    if not ok then
        return nil, err
    end
    local addresses = lookup:addresses()
    note_addresses(call.host, addresses)
    return addresses
end

-- Connects as soon as there is something to begin with.
local function look_up_and_connect(call, lookup)
    local preferred = preferred_family(call.memory, call.place, call.backend:now())
    local ok, err = lookup:wait(call.deadline, preferred or "ipv6")
    if not ok then
        return nil, err
    end
    local addresses = lookup:addresses()
    note_addresses(call.host, addresses)
    return connect_to(call, addresses, lookup)
end

-- Calls fn with a lookup that the calling thread is a part of meanwhile.
local function with_lookup(call, fn)
    threads.check(call.backend) -- raises before anything is changed
    local me, lookup = threads.of(call.backend), call.memory.names:lookup(call.host)
    lookup:join(me)
    if lookup.asking > 0 then
        note("resolving %s", call.host)
    end
    local ok, result, err = xpcall(fn, errors.handler, call, lookup)
    lookup:leave(me)
    if not ok then
        error(result, 0)
    end
    return result, err
end

local function connect_checked(call, addresses)
    local hook = call.opts and call.opts.on_resolve
    if not hook then
        return connect_to(call, addresses)
    end
    local host = call.host:gsub("%.$", "") -- so that a hook knows the names it lists
    local allowed, err = guard.addresses(hook, call.backend, host, addresses, call.deadline)
    if allowed then
        return connect_to(call, allowed)
    end
    return nil, err
end

-- Connects where the host looks names up by itself.
local function connect_to_name(call)
    local opts = call.opts
    if opts and opts.on_resolve then
        return nil, errors.new {
            kind = "resolve", phase = "resolve", code = "ERESOLVE",
            message = ("on_resolve can't be asked about %s: here the host looks names up while it "
                .. "connects, and shows no address. Give the addresses with resolve"):format(
                call.host),
        }
    end
    call.resolved = call.backend:now()
    note("trying %s port %d", call.host, call.port)
    return call.backend:connect({
        family = "name", address = call.host, port = call.port,
        from = opts and opts.local_address, pool = call.pool,
    }, call.deadline)
end

-- The name and its addresses, and a connection to one of them.
local function resolve_and_connect(call)
    local opts = call.opts
    local known, err = known_addresses(call.backend, opts, call.host, call.port, call.deadline)
    if known then
        return connect_checked(call, known)
    elseif err then
        return nil, err
    elseif call.backend.capabilities.connects_to_names then
        return connect_to_name(call)
    end
    local stream
    if opts and opts.on_resolve then
        known, err = with_lookup(call, look_up_whole)
        if known then
            stream, err = connect_checked(call, known)
        end
    else
        stream, err = with_lookup(call, look_up_and_connect)
    end
    if not stream and err.attempts then
        call.memory.names:forget(call.host)
    end
    return stream, err
end

--- Connects to a host's port. The addresses are tried side by side, each a moment after the one
--- before; the error has all attempts, in its message and as `err.attempts`.
---@param backend moonwire.Backend
---@param host string a name or a numeric address
---@param port integer
---@param deadline number
---@param opts moonwire.dial.Options?
---@param pool moonwire.HostPool? where the host keeps connections: from where one may be taken
---@return moonwire.Stream? stream
---@return moonwire.Error? err kind "resolve", "connect", "timeout" or "cancelled"
function dial.connect(backend, host, port, deadline, opts, pool)
    local call = {
        backend = backend, memory = memory_of(backend), host = host, port = port,
        place = options.place(host, port), deadline = deadline, opts = opts, pool = pool,
        started = backend:now(),
    }
    local stream, err = resolve_and_connect(call)
    if not stream then
        return failed(err)
    end
    return opened(backend, stream, call.started, call.resolved)
end

--- Connects to a unix socket.
---@param backend moonwire.Backend
---@param path string
---@param deadline number
---@param opts moonwire.dial.Options? of them on_resolve matters
---@param pool moonwire.HostPool?
---@return moonwire.Stream? stream
---@return moonwire.Error? err kind "resolve" (on_resolve), "connect", "timeout" or "cancelled"
function dial.connect_path(backend, path, deadline, opts, pool)
    local hook, started = opts and opts.on_resolve, backend:now()
    if hook then
        local ok, err = guard.path(hook, backend, path, deadline)
        if not ok then
            return failed(err)
        end
    end
    local resolved = backend:now()
    note("trying %s", path)
    local stream, err = backend:connect({ family = "unix", address = path, pool = pool },
        deadline)
    if not stream then
        return failed(err)
    end
    return opened(backend, stream, started, resolved)
end

--- A place on this machine that needs neither a lookup nor anybody's consent: a numeric loopback
--- address, or the path of a unix socket.
---@param host string
---@param port integer
---@param path string?
---@param opts moonwire.dial.Options?
---@return table|false place for connect_now; false: it is no such place
function dial.near(host, port, path, opts)
    if opts and (opts.on_resolve or opts.resolve) then
        return false
    end
    local place = path and { family = "unix", address = path } or options.numeric(host)
    if not place then
        return false
    elseif not path then
        local is_loopback = place.address == "::1" or place.address:find "^127%."
        if not is_loopback or opts and opts.local_family and opts.local_family ~= place.family then
            return false
        end
        place.port, place.from = port, opts and opts.local_address
    end
    place.label = streams.label(place)
    return place
end

--- Connects to it, if that needs no wait; it says nothing to the transcript, so with one it doesn't
--- try.
---@param backend moonwire.Backend
---@param place table
---@param now number
---@return moonwire.Stream? stream
---@return number? now
function dial.connect_now(backend, place, now)
    if core.state.trace or not backend.connect_now then
        return nil
    end
    local stream = backend:connect_now(place)
    if stream then
        local connected = backend:now()
        stream.timing = { dns = 0, connect = connected - now }
        return stream, connected
    end
end

--- Counts of the lookups of all who dial on a backend: dns_hits and dns_negative (answered out of
--- what is kept, a failure the latter), dns_merged (with one under way), dns_misses, and how many
--- are under way: dns_running.
---@param backend moonwire.Backend? nil: nobody has dialed
---@param stats table<string, integer> the counts are put into this
function dial.stats(backend, stats)
    local counts = backend and memory_of(backend).names.counts or {}
    for _, name in ipairs { "hits", "negative", "merged", "misses", "running" } do
        stats["dns_" .. name] = counts[name] or 0
    end
end

-- The addresses of a host, for who doesn't connect to them.
local function look_up(backend, host, port, deadline, opts)
    local addresses, err = known_addresses(backend, opts, host, port, deadline)
    if addresses or err then
        return addresses, err
    elseif backend.capabilities.connects_to_names then
        return backend:resolve(host, deadline) -- which says what to do instead
    end
    return with_lookup({
        backend = backend, memory = memory_of(backend), host = host, deadline = deadline,
    }, look_up_whole)
end

--- Looks a host name up.
---@param backend moonwire.Backend
---@param host string a name or a numeric address
---@param deadline number
---@return {family: string, address: string}[]? addresses in the order to try them
---@return moonwire.Error? err kind "resolve", "timeout" or "cancelled"
function dial.resolve(backend, host, deadline)
    return look_up(backend, host, 0, deadline)
end

--- The addresses of a host's port that somebody else, a proxy, may connect to in our stead:
--- `resolve` and `on_resolve` count as for connect().
---@param backend moonwire.Backend
---@param host string
---@param port integer
---@param deadline number
---@param opts moonwire.dial.Options?
---@return {family: string, address: string}[]? addresses
---@return moonwire.Error? err kind "resolve", "timeout" or "cancelled"
function dial.addresses(backend, host, port, deadline, opts)
    local list, err = look_up(backend, host, port, deadline, opts)
    if list and opts and opts.on_resolve then
        return guard.addresses(opts.on_resolve, backend, host, list, deadline)
    end
    return list, err
end

return dial
