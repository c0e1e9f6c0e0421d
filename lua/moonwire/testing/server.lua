-- A small loopback HTTP/1.1 server on the codec's server role, for examples and tests. It serves
-- whenever the loop runs: inside tasks, and while plain code waits for something.
local backends = require "moonwire.backend"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local exchanges = require "moonwire.testing.server.exchange"
local raw = require "moonwire.testing.server.raw"
local routes = require "moonwire.testing.server.routes"
local tls = require "moonwire.backend.tls"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local DRAIN_SECONDS = 2
local LINGER_BYTES = 4 * 1024 * 1024 -- dropped before a close, so that no RST eats the answer
local RETRY_SECONDS = 0.05 -- after an accept that failed, with no fds left for instance
local CLOSE_SECONDS = 5
local TLS_SECONDS = 10 -- for a handshake

---@class moonwire.testing.Server
---@field url string "http://127.0.0.1:PORT", "https:" with TLS, without a slash at the end
---@field host string
---@field port integer
---@field requests integer how many requests have come
---@field connections integer how many connections have come
---@field last_error any what the last handler that failed raised, with its traceback
---@field last_tls_error moonwire.Error? why the last handshake that failed did
---@field private backend moonwire.Backend
---@field private tls moonwire.TlsServerContext?
---@field private listener moonwire.Listener
---@field private handlers table<string, function>
---@field private handler function?
---@field private idle_timeout number
---@field private streams table<moonwire.Stream, boolean> open
---@field private threads table<moonwire.Thread, boolean> alive
---@field private alive integer how many
---@field private closer moonwire.Thread? waits in close()
local methods = {}
local Server = { __index = methods, __name = "moonwire.testing.Server" }

-- Threads: daemons of the backend, so that a script may end while they wait ----------------------

local function start(self, fn, ...)
    local thread
    self.alive = self.alive + 1
    thread = self.backend:start(function(...)
        local ok, problem = xpcall(fn, errors.handler, self, ...)
        self.alive = self.alive - 1
        self.threads[thread] = nil
        if self.alive == 0 and self.closer then
            self.backend:wake(self.closer, 0)
        end
        if not ok then
            error(problem, 0)
        end
    end, ...)
    self.threads[thread] = true
end

--- Waits, in a handler: ends at once when the server is closed.
---@param seconds number
function methods:sleep(seconds)
    if seconds > 0 then
        local backend = self.backend
        local code = backend:wait(backend:now() + seconds)
        if code ~= core.ETIMEOUT then
            error(errors.from_code(code, nil, "the server's sleep"), 0)
        end
    end
end

-- One connection -------------------------------------------------------------------------------

local function deadline_in(self, seconds)
    return seconds == math.huge and seconds or self.backend:now() + seconds
end

-- Reads what still comes for a while: a close with unread bytes would be a reset.
local function linger(self, stream)
    local deadline, left = deadline_in(self, DRAIN_SECONDS), LINGER_BYTES
    if not stream:shutdown(deadline) then
        return
    end
    while left > 0 do
        local piece = stream:read(65536, deadline)
        if not piece then
            return
        end
        left = left - #piece
    end
end

-- Waits for the next request's head; false when none comes.
local function next_head(self, h1, stream)
    local deadline = deadline_in(self, self.idle_timeout)
    while true do
        local event, code = h1:next()
        if event == "head" then
            return true
        elseif event == "need_data" then
            local _, err = stream:fill(h1, deadline)
            if err then
                return false
            end
        else
            local kind = event == nil and core.error_kind(code)
            if kind == "protocol" or kind == "limit" then
                raw.refuse(stream, kind == "limit" and 431 or 400,
                    h1:error_detail() or core.error_text(code))
                linger(self, stream)
            end
            return false
        end
    end
end

-- Who answers: the user's handler of that path, the user's handler for all, the routes.
local function answer(self, request, respond)
    local handler = self.handlers[request.path]
    if not handler then
        handler = self.handler
    end
    if handler then
        handler(request, respond, self)
    end
    if not respond:has_begun() then
        routes.answer(self, request, respond)
    end
end

-- Runs a handler; false when the connection can't go on.
local function handle(self, exchange, request, respond)
    local ok, problem = xpcall(answer, errors.handler, self, request, respond)
    if ok and not exchange.raw then
        ok, problem = pcall(respond.finish, respond)
    elseif ok then
        return false
    end
    if ok then
        return true
    elseif exchange.broken then
        return false -- the client's doing
    end
    self.last_error = problem
    if not exchange.begun then
        pcall(respond, 500, { error = tostring(problem) }, nil, { close = true })
        linger(self, exchange.stream)
    end
    return false
end

local function serve(self, stream, number)
    local h1 = core.h1("server")
    while not self.listener:is_closed() and next_head(self, h1, stream) do
        self.requests = self.requests + 1
        local exchange, request, respond = exchanges.new(h1, stream, number)
        if not handle(self, exchange, request, respond) then
            break
        elseif not exchanges.drain(exchange, deadline_in(self, DRAIN_SECONDS)) then
            linger(self, stream)
            break
        elseif not h1:reusable() then
            break
        end
        h1:restart()
    end
end

local function secure_and_serve(self, stream, number)
    if self.tls then
        local ok, err = stream:accept_tls(self.tls, deadline_in(self, TLS_SECONDS))
        if not ok then
            self.last_tls_error = err
            return linger(self, stream)
        end
    end
    serve(self, stream, number)
end

local function serve_and_close(self, stream, number)
    self.streams[stream] = true
    local ok, problem = xpcall(secure_and_serve, errors.handler, self, stream, number)
    self.streams[stream] = nil
    stream:close()
    if not ok then
        error(problem, 0)
    end
end

local function accept_all(self)
    while not self.listener:is_closed() do
        local stream, err = self.listener:accept(math.huge)
        if stream then
            self.connections = self.connections + 1
            start(self, serve_and_close, stream, self.connections)
        elseif err.kind ~= "closed" then
            if err.kind == "cancelled" then
                return
            end
            self:sleep(RETRY_SECONDS)
        end
    end
end

-- What a test says to it -----------------------------------------------------------------------

--- Answers a path by a function: `handler(request, respond)`, where `respond(status, body,
--- headers)` sends a whole answer (see moonwire.testing.server.exchange for the rest).
---@param path string decoded, without the query
---@param handler fun(request: moonwire.testing.Request, respond: moonwire.testing.Respond)
function methods:on(path, handler)
    errors.check(2, "path", "string", path)
    errors.check(2, "handler", "function", handler)
    self.handlers[path] = handler
end

--- Answers a path by bytes as they are, right or wrong, then closes: a string, or a list of steps
--- {send = bytes}, {delay = seconds}, {close = true}, {reset = true}. The request is read first.
---@param path string
---@param answer_bytes string|table[]
function methods:raw(path, answer_bytes)
    errors.check(2, "path", "string", path)
    local steps = raw.check(answer_bytes, 3)
    self.handlers[path] = function(request, respond)
        raw.play(self, request, respond, steps)
    end
end

--- Stops: closes every socket, ends every handler's wait, and returns when all of it has ended.
--- Twice is harmless.
function methods:close()
    self.listener:close()
    for stream in each(self.streams) do
        stream:close()
    end
    local backend = self.backend
    for thread in each(self.threads) do
        backends.cancel(thread)
    end
    if self.closer or self.threads[backends.thread()] then
        return -- a handler that closes its own server can't wait for itself
    end
    local deadline = backend:now() + CLOSE_SECONDS
    self.closer = backends.thread()
    while self.alive > 0 and backend:wait(deadline) >= 0 do
        -- each thread that ends last wakes us
    end
    self.closer = nil
end

local KNOWN = { host = true, port = true, handler = true, idle_timeout = true, tls = true }

local M = {}

---@class moonwire.testing.ServerOptions
---@field host string? numeric address to listen on, "127.0.0.1"
---@field port integer? 0: any free one
---@field handler? fun(request: moonwire.testing.Request, respond: moonwire.testing.Respond) is
---  asked first; when it doesn't answer, the server's own routes do
---@field idle_timeout number? seconds a connection may wait for its next request; none
---@field tls moonwire.TlsServerOptions? speak TLS: { cert = "cert.pem", key = "key.pem" }

--- Starts a server.
---@param opts moonwire.testing.ServerOptions?
---@return moonwire.testing.Server? server, moonwire.Error? err
function M.start(opts)
    opts = opts or {}
    errors.check(2, "opts", "table", opts)
    for name in each(opts) do
        if not KNOWN[name] then
            error(("unknown option '%s' (known: handler host idle_timeout port tls)"):format(
                tostring(name)), 2)
        end
    end
    local host = opts.host or "127.0.0.1"
    if host == "localhost" then
        host = "127.0.0.1"
    end
    local is_ipv6 = host:find(":", 1, true) ~= nil
    local backend = backends.current()
    local context, problem
    if opts.tls ~= nil then
        context, problem = tls.server_context(opts.tls, 2)
        if not context then
            error(problem.message, 2)
        end
    end
    local listener, err = backend:listen {
        family = is_ipv6 and "ipv6" or "ipv4",
        address = host,
        port = opts.port or 0,
    }
    if not listener then
        return nil, err
    end
    local port = listener:address().port
    local self = setmetatable({
        url = ("%s://%s:%d"):format(context and "https" or "http",
            is_ipv6 and "[" .. host .. "]" or host, port),
        host = host,
        port = port,
        requests = 0,
        connections = 0,
        backend = backend,
        tls = context,
        listener = listener,
        handlers = {},
        handler = opts.handler,
        idle_timeout = opts.idle_timeout or math.huge,
        streams = {},
        threads = {},
        alive = 0,
    }, Server)
    start(self, accept_all)
    return self
end

return M
