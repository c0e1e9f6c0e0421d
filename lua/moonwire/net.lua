-- net.lua - plain byte streams by name: connect, listen, resolve. It never speaks HTTP.

local backends = require "moonwire.backend"
local errors = require "moonwire.error"
local scope = require "moonwire.scope"

local huge, max, min = math.huge, math.max, math.min

local CONNECT_TIMEOUT = 10 -- seconds, names included
local LEAST_SHARE = 2 -- seconds an address gets before the next one is tried
local PAUSE = 0.1 -- seconds without accepting when the process has run out of something

local net = {}

---@class moonwire.net.Address
---@field family "ipv4"|"ipv6"|"unix"
---@field address string numeric, or a socket's path
---@field port integer? not of a unix socket

---@class moonwire.net.ConnectOptions
---@field timeout number? seconds for all of it, names included; 10 when nothing is given
---@field deadline number? the same as a time of moonwire.now()
---@field path string? of a unix socket
---@field host string?
---@field port integer?

local OPTIONS = { host = true, port = true, path = true, timeout = true, deadline = true,
    backlog = true }

local function check_options(opts, level)
    if opts == nil then
        return
    elseif type(opts) ~= "table" then
        errors.argument(level + 1, "opts", "table", opts)
    end
    for name, value in pairs(opts) do
        if not OPTIONS[name] then
            error(("unknown option '%s' (known: backlog deadline host path port timeout)"):format(
                tostring(name)), level + 1)
        elseif (name == "timeout" or name == "deadline" or name == "backlog")
            and (type(value) ~= "number" or value ~= value) then
            errors.argument(level + 1, name, "number", value)
        end
    end
end

-- host, port and options out of (host, port, opts) or of one table.
local function arguments(host, port, opts, level)
    if type(host) == "table" then
        opts = host
        host, port = opts.host, opts.port
    end
    check_options(opts, level + 1)
    local path = opts and opts.path
    if path ~= nil then
        errors.check(level + 1, "path", "string", path)
        return nil, nil, opts
    end
    errors.check(level + 1, "host", "string", host)
    if type(port) ~= "number" or port < 0 or port > 65535 or port % 1 ~= 0 then
        errors.argument(level + 1, "port", "number from 0 to 65535", port)
    end
    return host, port, opts or {}
end

local function deadline_of(backend, opts, default)
    local deadline = opts.deadline or huge
    local seconds = opts.timeout or (opts.deadline == nil and default)
    if seconds then
        deadline = min(deadline, backend:now() + seconds)
    end
    return deadline
end

-- The addresses of a host; a numeric one needs no resolver.
local function find_addresses(backend, host, deadline)
    if host:find(":", 1, true) then
        return { { family = "ipv6", address = host } }
    elseif host:find "^%d+%.%d+%.%d+%.%d+$" then
        return { { family = "ipv4", address = host } }
    end
    return backend:resolve(host, deadline)
end

-- What went wrong with one address, without the words that all attempts share.
local function attempt_text(address, port, err)
    local at = address.family == "ipv6" and "[" .. address.address .. "]" or address.address
    local prefix = ("connecting to %s:%d: "):format(at, port)
    local message = err.message
    if message:sub(1, #prefix) == prefix then
        message = message:sub(#prefix + 1)
    end
    return at .. ": " .. message
end

local function all_failed(host, port, addresses, attempts)
    local last = attempts[#attempts]
    if #addresses == 1 and addresses[1].address == host then
        last.attempts = { last }
        return last
    end
    local texts = {}
    for i, err in ipairs(attempts) do
        texts[i] = attempt_text(addresses[i], port, err)
    end
    return errors.new {
        kind = last.kind, phase = "connect", code = last.code, errno = last.errno, cause = last,
        attempts = attempts,
        message = ("connecting to %s:%d: %s"):format(host, port, table.concat(texts, "; ")),
    }
end

-- Tries the addresses in turn; each gets its share of the time, so that one that never answers
-- doesn't use up the time of the others.
local function connect_to_any(backend, host, port, addresses, deadline)
    local attempts = {}
    for i, address in ipairs(addresses) do
        local limit = deadline
        if deadline ~= huge then
            local now = backend:now()
            local share = max((deadline - now) / (#addresses - i + 1), LEAST_SHARE)
            limit = min(deadline, now + share)
        end
        local stream, err = backend:connect(
            { family = address.family, address = address.address, port = port }, limit)
        if stream then
            return stream
        elseif err.kind == "cancelled" then
            return nil, err
        end
        attempts[i] = err
        if backend:now() >= deadline then
            break
        end
    end
    return nil, all_failed(host, port, addresses, attempts)
end

--- Connects to a host's port, or to a unix socket: net.connect("localhost", 80),
--- net.connect{path = "/run/x.sock"}. A host's addresses are tried in turn; the error has them all,
--- in its message and as `err.attempts`.
---@param host string|table a name or a numeric address; or all in one table
---@param port integer?
---@param opts moonwire.net.ConnectOptions?
---@return moonwire.Stream? stream
---@return moonwire.Error? err kind "resolve", "connect", "timeout" or "cancelled"
function net.connect(host, port, opts)
    host, port, opts = arguments(host, port, opts, 2)
    local backend = backends.current()
    local deadline = deadline_of(backend, opts, CONNECT_TIMEOUT)
    if opts.path then
        return backend:connect({ family = "unix", address = opts.path }, deadline)
    end
    local addresses, err = find_addresses(backend, host, deadline)
    if not addresses then
        return nil, err
    end
    return connect_to_any(backend, host, port, addresses, deadline)
end

--- Listens on a host's port (0: a free one, see listener:address()), or on a unix socket:
--- net.listen{path = ...}. `listener:accept()` gives one stream after the other.
---@param host string|table a name or a numeric address; or all in one table
---@param port integer?
---@param opts? {backlog: integer?, path: string?, host: string?, port: integer?}
---@return moonwire.Listener? listener
---@return moonwire.Error? err
function net.listen(host, port, opts)
    host, port, opts = arguments(host, port, opts, 2)
    local backend = backends.current()
    if opts.path then
        return backend:listen({ family = "unix", address = opts.path }, opts.backlog)
    end
    local addresses, err = find_addresses(backend, host, deadline_of(backend, opts))
    if not addresses then
        return nil, err
    end
    local first = addresses[1]
    return backend:listen({ family = first.family, address = first.address, port = port },
        opts.backlog)
end

local OUT_OF = { EMFILE = true, ENFILE = true, ENOBUFS = true, ENOMEM = true, ECONNABORTED = true }

local function handle(handler, stream)
    local ok, problem = xpcall(handler, errors.handler, stream)
    stream:close()
    if not ok then
        error(problem, 0)
    end
end

--- Accepts connections and runs `handler(stream)` as a task for each, until the listener is closed
--- and all of them have ended. The stream is closed behind its handler; a handler that raises ends
--- the others too, and net.serve raises the same.
---@param listener moonwire.Listener
---@param handler fun(stream: moonwire.Stream)
---@return true? ok
---@return moonwire.Error? err kind "cancelled", or why no further connection could be accepted
function net.serve(listener, handler)
    if type(listener) ~= "table" or type(listener.accept) ~= "function" then
        errors.argument(2, "listener", "listener", listener)
    end
    errors.check(2, "handler", "function", handler)
    local backend = backends.current()
    return scope.open(function(s)
        while true do
            local stream, err = listener:accept()
            if stream then
                s:spawn(handle, handler, stream)
            elseif err.kind == "closed" and listener:is_closed() then
                return true
            elseif OUT_OF[err.code] then
                backend:wait(backend:now() + PAUSE)
            else
                return nil, err
            end
        end
    end)
end

--- Looks a host name up.
---@param host string
---@param opts? {timeout: number?, deadline: number?}
---@return {family: string, address: string}[]? addresses in the order to try them
---@return moonwire.Error? err kind "resolve", "timeout" or "cancelled"
function net.resolve(host, opts)
    errors.check(2, "host", "string", host)
    check_options(opts, 2)
    local backend = backends.current()
    return find_addresses(backend, host, deadline_of(backend, opts or {}, CONNECT_TIMEOUT))
end

return net
