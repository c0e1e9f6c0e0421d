-- A raw peer on a real socket, for specs: a function speaks for it, byte by byte as it likes, on
-- each connection that a client or a connection under test opens.

local clients = require "moonwire.client"
local connections = require "moonwire.connection"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local relayed = require "spec.support.relayed"
local support = require "spec.support"

---@class spec.Raw
---@field place spec.Place? where it has to listen by way of the relay
local M = {}

--- Reads a request's head; nil at the end of the stream.
---@param stream moonwire.Stream
---@return string?
function M.head(stream)
    return (stream:read_until("\r\n\r\n"))
end

local function with_peer(handler, body)
    local run = M.place and relayed.run or support.in_loop
    run(function()
        local listener = M.place and relayed.listen(M.place) or assert(net.listen("127.0.0.1", 0))
        local log = { accepted = 0, port = listener:address().port }
        local open = {} -- those that a host keeps have to end here
        moonwire.scope(function(s)
            s:spawn(net.serve, listener, function(stream)
                log.accepted = log.accepted + 1
                open[stream] = true
                handler(stream, log.accepted, log)
                open[stream] = nil
            end)
            body(log, s)
            listener:close()
            for stream in pairs(M.place and open or {}) do
                stream:close()
            end
        end)
        moonwire.sleep(M.place and 0.002 or 0) -- whoever was woken by that goes
    end)
end

--- Runs `body(client, log, scope)` with a client whose base URL is the peer's.
---@param handler fun(stream: moonwire.Stream, number: integer, log: table) one connection
---@param body fun(client: moonwire.Client, log: table, scope: moonwire.Scope)
---@param opts moonwire.ClientOptions?
function M.client(handler, body, opts)
    with_peer(handler, function(log, s)
        local own = { base_url = "http://127.0.0.1:" .. log.port }
        for name, value in pairs(opts or {}) do
            own[name] = value
        end
        local client = clients.new(own)
        body(client, log, s)
        client:close()
        assert(client:stats().total == 0)
    end)
end

--- Runs `body(connection, log, scope)` with one connection to the peer.
---@param handler fun(stream: moonwire.Stream, number: integer, log: table)
---@param body fun(connection: moonwire.Connection, log: table, scope: moonwire.Scope)
---@param opts moonwire.connection.Options?
function M.connection(handler, body, opts)
    with_peer(handler, function(log, s)
        local connection = connections.new(assert(net.connect("127.0.0.1", log.port)), opts)
        body(connection, log, s)
        connection:close()
    end)
end

--- Waits until a condition holds; raises when it does not within two seconds.
---@param condition fun(): any
function M.eventually(condition)
    local ends = moonwire.now() + 2
    while not condition() do
        if moonwire.now() > ends then
            error("it never came about", 2)
        end
        moonwire.sleep(0.002)
    end
end

return M
