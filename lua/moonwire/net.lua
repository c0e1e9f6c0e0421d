-- net.lua - plain byte streams by name: connect, listen, resolve. It never speaks HTTP.

local backends = require "moonwire.backend"
local dial = require "moonwire.dial"
local dial_options = require "moonwire.dial.options"
local errors = require "moonwire.error"
local scope = require "moonwire.scope"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local huge, min = math.huge, math.min

local CONNECT_TIMEOUT = 10 -- seconds, names included
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
---@field resolve table<string, string[]>? "host:port" -> numeric addresses, instead of a lookup
---@field on_resolve (fun(host: string, addresses: moonwire.net.Address[]): any, string?)?  is
---  asked before anything is connected, numeric hosts included: it returns true, or a list of the
---  addresses that may be used, or nil and why none may (an error of kind "resolve")
---@field local_address string? numeric, of this side

local OPTIONS = { host = true, port = true, path = true, timeout = true, deadline = true,
    backlog = true, resolve = true, on_resolve = true, local_address = true }

local function check_options(opts, level)
    if opts == nil then
        return
    elseif type(opts) ~= "table" then
        errors.argument(level + 1, "opts", "table", opts)
    end
    for name, value in each(opts) do
        if not OPTIONS[name] then
            error(("unknown option '%s' (known: backlog deadline host local_address on_resolve"
                .. " path port resolve timeout)"):format(tostring(name)), level + 1)
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
        dial_options.check_path("path", path, level + 1)
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

--- Connects to a host's port, or to a unix socket: net.connect("localhost", 80),
--- net.connect{path = "/run/x.sock"}. A host's addresses are tried side by side, each a moment
--- after the one before (RFC 8305); the error has all attempts, in its message and as
--- `err.attempts`, each with its `address` and `elapsed`.
---@param host string|table a name or a numeric address; or all in one table
---@param port integer?
---@param opts moonwire.net.ConnectOptions?
---@return moonwire.Stream? stream
---@return moonwire.Error? err kind "resolve", "connect", "timeout" or "cancelled"
function net.connect(host, port, opts)
    host, port, opts = arguments(host, port, opts, 2)
    local dialing = dial_options.check(opts, nil, 2)
    local backend = backends.current()
    local deadline = deadline_of(backend, opts, CONNECT_TIMEOUT)
    if opts.path then
        return dial.connect_path(backend, opts.path, deadline, dialing)
    end
    return dial.connect(backend, host, port, deadline, dialing)
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
    local addresses, err = dial.resolve(backend, host, deadline_of(backend, opts))
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

--- Looks a host name up. Answers are kept for as long as their TTL says, 30 s at most; equal
--- lookups that run at the same time are one.
---@param host string
---@param opts? {timeout: number?, deadline: number?}
---@return {family: string, address: string}[]? addresses in the order to try them
---@return moonwire.Error? err kind "resolve", "timeout" or "cancelled"
function net.resolve(host, opts)
    errors.check(2, "host", "string", host)
    check_options(opts, 2)
    local backend = backends.current()
    return dial.resolve(backend, host, deadline_of(backend, opts or {}, CONNECT_TIMEOUT))
end

return net
