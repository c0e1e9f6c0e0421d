-- One connection by hand, without client and pool, and the states it goes through.
local connection = require "moonwire.connection"
local net = require "moonwire.net"
local request = require "moonwire.request"
local server = require "moonwire.testing.server"

local loopback = assert(server.start())

local stream = assert(net.connect("127.0.0.1", loopback.port))
local conn = connection.new(stream)
print("made:            " .. conn.state)

local get = request.new { method = "GET", url = loopback.url .. "/stream/1000" }
local res = assert(conn:request(get))
print("head has come:   " .. conn.state, res.status)
local bytes = #assert(res:text())
print("body was read:   " .. conn.state, bytes .. " bytes")

local post = request.new {
    method = "POST",
    url = loopback.url .. "/post",
    headers = { ["Content-Type"] = "text/plain" },
    body = "hello, moon",
}
for n = 1, 2 do -- a request is a value: it may be sent as often as you like
    res = assert(conn:request(post))
    print(("POST number %d:   "):format(n) .. conn.state, assert(res:json()).data)
end

conn:close()
print("closed by us:    " .. conn.state)
local _, err = conn:request(get)
print("one more GET:    " .. tostring(err))
print(("%d requests, %d connection"):format(conn:stats().requests, loopback.connections))
loopback:close()
