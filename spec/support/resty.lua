-- A server and a client of moonwire.resty for it, on real sockets or on the mock; what either
-- leaves open fails the spec.

local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local resty = require "moonwire.resty"
local server = require "moonwire.testing.server"
local support = require "spec.support"

local M = {}

local function with_server(f, opts, ...)
    local s = assert(server.start(opts))
    local httpc = resty.new()
    local ok, problem = xpcall(f, debug.traceback, httpc, s, ...)
    httpc:close()
    resty.close_idle()
    s:close()
    moonwire.sleep(0) -- whoever was woken by that goes
    assert(ok, problem)
end

--- Runs f(httpc, server) on real sockets.
---@param f function
---@param opts moonwire.testing.ServerOptions?
function M.real(f, opts)
    support.in_loop(with_server, f, opts)
end

--- Runs f(httpc, server, mock) on the mock.
---@param f function
---@param opts moonwire.testing.ServerOptions?
function M.mock(f, opts)
    local m = mock.new()
    m:run(with_server, f, opts, m)
    collectgarbage()
    for name, count in pairs(m:stats()) do
        assert(count == 0, ("the spec left %d of %s"):format(count, name))
    end
end

--- Runs body(port) with a peer that speaks byte by byte: handler(stream, number) for each
--- connection.
---@param handler fun(stream: moonwire.Stream, number: integer)
---@param body fun(port: integer)
function M.peer(handler, body)
    local listener = assert(net.listen("127.0.0.1", 0))
    local count = 0
    local task = moonwire.spawn(net.serve, listener, function(stream)
        count = count + 1
        handler(stream, count)
    end)
    body(listener:address().port)
    resty.close_idle()
    listener:close()
    task:cancel()
    task:join()
end

--- What connect() takes for a server.
---@param s moonwire.testing.Server
---@param more table? further options
---@return table
function M.place(s, more)
    local options = { scheme = s.url:match "^%a+", host = "127.0.0.1", port = s.port }
    for name, value in pairs(more or {}) do
        options[name] = value
    end
    return options
end

--- A handler that says in headers what it was sent.
function M.echo(request, respond)
    respond(200, request:text(), {
        ["X-Method"] = request.method, ["X-Target"] = request.target,
        ["X-Length"] = request.headers:get "content-length" or "none",
        ["X-Coding"] = request.headers:get "transfer-encoding" or "none",
        ["X-Host"] = request.headers:get "host", ["X-Kind"] = request.headers:get "content-type",
    })
end

--- A handler whose body comes in two pieces, a second apart.
---@param s moonwire.testing.Server
function M.two_pieces(s)
    return function(_, respond)
        respond:begin(200, nil, "chunked")
        respond:write "one"
        s:sleep(1)
        respond:write "two"
        respond:finish()
    end
end

return M
