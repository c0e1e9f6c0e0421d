-- Stands in for moonwire.testing.mock on real sockets, by way of the relay, so that a spec written
-- for the mock runs on the backend that this process has: ev or ngx. Servers are at the addresses
-- and names that the spec gives them; a second of its waits is a fiftieth of one, a second of
-- moonwire's own limits is a second. What only a mock can do raises.
local backends = require "moonwire.backend"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local moonwire = require "moonwire"
local peers = require "spec.support.stand_in_peer"
local relayed = require "spec.support.relayed"
local scope = require "moonwire.scope"
local stream = require "moonwire.backend.stream"

local SECOND = 0.02
local LONGEST = 20 -- of the spec's seconds in one wait: who waits longer waits for all to end
local TURN = 0.002 -- seconds in which what is under way on this machine has come
local PLACES = 12 -- of many, where a spec does the same at each place
local PATIENCE = 2 -- seconds for what has to come
local OVERRIDDEN = { "connect", "connect_now", "resolve" }

---@class spec.StandIn
---@field private place spec.Place
---@field private places table<string, table> who answers, by label
---@field private names table<string, string[]>
---@field private streams table who answers to stream()
---@field private peers spec.StandInPeer[] of this run
---@field private listeners spec.Listening[] of this run
---@field private scope moonwire.Scope? of the peers' tasks, in a run
---@field private backend moonwire.Backend?
local methods = {}
local StandIn = { __index = methods }

local worlds, running = 0, 0

-- Waits in real time.
local function rest(self, seconds)
    return self.backend:wait(self.backend:now() + seconds)
end

-- Waits for seconds of the spec.
local function pass(self, seconds)
    return rest(self, math.min(seconds, LONGEST) * SECOND)
end

local function await(self, what, holds)
    local ends = self.backend:now() + PATIENCE
    while not holds() do
        if self.backend:now() > ends then
            error("this did not happen: " .. what, 0)
        elseif rest(self, 0.001) ~= core.ETIMEOUT then
            return -- whoever waits was cancelled
        end
    end
end

-- Listens for an address that somebody answers at.
local function listen(self, at)
    local listener = relayed.listen(self.place)
    at.port, at.accepted, at.asked = listener:address().port, 0, 0
    self.listeners[#self.listeners + 1] = listener
    at.run = self.run_number
    self.scope:spawn(function()
        for accepted in function() return (listener:accept()) end do
            local answer = at.answer
            local is_script = type(answer) == "table"
            local peer = peers.new(self, accepted, is_script and answer or nil)
            self.peers[#self.peers + 1] = peer
            if not is_script then
                answer(peer)
            end
            at.peer, at.accepted = peer, at.accepted + 1
        end
    end)
end

-- Connects to who answers at an address, and waits until he has begun.
local function connect_to(self, at, address, deadline)
    if at.run ~= self.run_number then
        listen(self, at)
    end
    local pool = address.pool
    local own, err = self.connecting(self.backend, {
        family = "ipv4", address = "127.0.0.1", port = at.port, from = address.from,
        pool = pool and { name = pool.name .. " " .. self.number, size = pool.size,
            queue = pool.queue },
    }, deadline)
    if own and own:reused_times() == 0 then
        at.asked = at.asked + 1
        local number = at.asked
        await(self, "the peer accepts", function()
            return at.accepted >= number
        end)
    end
    return own, err
end

local function fail(code, phase, doing)
    return nil, errors.from_code(code, phase, doing)
end

-- Takes as long as the spec says; a code below 0: there was no time for that.
local function take_time(self, seconds, deadline)
    local ends = self.backend:now() + (seconds or 0) * SECOND
    local code = self.backend:wait(math.min(ends, deadline or math.huge))
    return code == core.ETIMEOUT and self.backend:now() >= ends and 0 or code
end

local overrides = {}

function overrides.connect(self)
    return function(backend, address, deadline)
        if address.port == self.place.relay and address.address == "127.0.0.1" then
            return self.connecting(backend, address, deadline)
        end
        local hosts = self.names[(address.address:gsub("%.$", ""))]
        local label = stream.label(address)
        if address.family == "name" and not hosts then
            return fail(core.codes.ENOTFOUND, "resolve", "connecting to " .. label)
        end
        local at
        for _, host in ipairs(hosts or { address.address }) do
            local family = address.family == "name" and (host:find(":", 1, true) and "ipv6"
                or "ipv4") or address.family
            at = at or self.places[stream.label { family = family, address = host,
                port = address.port }]
        end
        if address.family == "name" and self.name_delay then
            take_time(self, self.name_delay, deadline)
        end
        if at and at.delay then
            local code = take_time(self, at.delay, deadline)
            if code < 0 then
                return fail(code, "connect", "connecting to " .. label)
            end
        elseif not at then
            return fail(core.error_code "connection refused", "connect", "connecting to " .. label)
        end
        return connect_to(self, at, address, deadline)
    end
end

function overrides.connect_now()
    return function() end
end

function overrides.resolve(self)
    return function(backend, host, deadline, family)
        if not self.names[host] then
            return self.resolving(backend, host, deadline, family)
        end
        local code, list = take_time(self, self.name_delay, deadline), {}
        if code < 0 then
            return fail(code, "resolve", "looking up " .. host)
        end
        for _, address in ipairs(self.names[host]) do
            local own = address:find(":", 1, true) and "ipv6" or "ipv4"
            if not family or family == own then
                list[#list + 1] = { family = own, address = address }
            end
        end
        if #list == 0 then
            return fail(core.codes.ENODATA, "resolve", "looking up " .. host)
        end
        return list
    end
end

local function take_over(self, backend)
    running = running + 1
    self.backend = backend
    self.connecting, self.resolving = backend.connect, backend.resolve
    for _, name in ipairs(OVERRIDDEN) do
        rawset(backend, name, overrides[name](self))
    end
end

local function give_back(self)
    running = running - 1
    for _, name in ipairs(OVERRIDDEN) do
        rawset(self.backend, name, nil)
    end
    for _, peer in ipairs(self.peers) do
        peer.stream:close()
    end
    for _, listener in ipairs(self.listeners) do
        listener:close()
    end
    self.backend:wait(self.backend:now()) -- whoever was woken by that goes
end

-- The spec has a scope of its own: its tasks are waited for, and those of the peers are ended.
local function play(self, fn, ...)
    local args, results, count = { n = select("#", ...), ... }, nil, 0
    take_over(self, backends.current())
    local ok, problem = xpcall(moonwire.scope, errors.handler, function(s)
        self.scope = s
        local function keep(...)
            results, count = { ... }, select("#", ...)
        end
        moonwire.scope(function()
            keep(fn(unpack(args, 1, args.n)))
        end)
        s:cancel()
    end)
    self.scope = nil
    give_back(self)
    if not ok then
        error(problem, 0)
    end
    return unpack(results or {}, 1, count)
end

function methods:run(fn, ...)
    self.run_number = self.run_number + 1
    self.peers, self.listeners = {}, {}
    return relayed.run(play, self, fn, ...)
end

function methods:now() -- luacheck: ignore 212
    return moonwire.now()
end

--- Waits, and until all that was said has come.
function methods:advance(seconds)
    pass(self, seconds)
    for _, peer in ipairs(self.peers) do
        peer:settle()
    end
    rest(self, TURN)
end

function methods:stream(script)
    self.streams.answer = script or {}
    peers.check(script or {})
    local own = assert(connect_to(self, self.streams, {}))
    rest(self, script and script[1] and not script[1].expect and TURN or 0)
    return own, self.streams.peer
end

function methods:listen_at(address, port, answer, opts)
    local family = not port and "unix" or address:find(":", 1, true) and "ipv6" or "ipv4"
    if type(answer) == "table" then
        peers.check(answer)
    end
    self.places[stream.label { family = family, address = address, port = port }] = {
        answer = answer, delay = opts and opts.delay,
    }
end

function methods:hosts(names, opts)
    for name, addresses in pairs(names) do
        self.names[name] = addresses
    end
    self.name_delay = opts and opts.delay or self.name_delay
end

function methods:suspend() -- luacheck: ignore 212
    error("a real machine does not sleep for a spec", 2)
end

--- Nothing: what is left open is looked for when the run has ended.
function methods:stats() -- luacheck: ignore 212
    return { threads = 0, watchers = 0, tcp = 0, lookups = 0 }
end

-- For its peers ---------------------------------------------------------------------------------

function methods:spawn(fn)
    self.scope:spawn(fn)
end

function methods:after(seconds, fn)
    self.scope:spawn(function()
        if pass(self, seconds) == core.ETIMEOUT then
            fn()
        end
    end)
end

methods.rest, methods.pass = rest, pass

local M = {}

-- Seconds of the spec that runs, or real ones where it has no world.
local function scale(seconds)
    return running > 0 and seconds < math.huge and seconds * SECOND or seconds
end

-- A module with some of its functions replaced.
local function over(module, functions)
    return setmetatable(functions, { __index = module })
end

--- What a spec gets that requires these modules: the waits that it makes itself are a world's.
---@type table<string, table>
M.modules = {
    ["moonwire"] = over(moonwire, {
        sleep = function(seconds)
            return moonwire.sleep(scale(seconds))
        end,
        timeout = function(seconds, ...)
            return moonwire.timeout(scale(seconds), ...)
        end,
    }),
    ["moonwire.scope"] = over(scope, {
        timeout = function(seconds, ...)
            return scope.timeout(scale(seconds), ...)
        end,
    }),
    ["moonwire.backend"] = over(backends, {
        current = function()
            local backend = backends.current()
            return over(backend, {
                wait = function(_, deadline)
                    local now = backend:now()
                    return backend:wait(now + scale(deadline - now))
                end,
            })
        end,
    }),
}

--- What a spec gets that requires the mock.
---@param place spec.Place
---@return {new: fun(): spec.StandIn, sparse: integer}
function M.mock(place)
    return {
        sparse = PLACES,
        new = function()
            worlds = worlds + 1
            return setmetatable({
                place = place, places = {}, names = {}, streams = {}, peers = {}, listeners = {},
                number = worlds, run_number = 0, hosted = place.host == "nginx",
            }, StandIn)
        end,
    }
end

return M
