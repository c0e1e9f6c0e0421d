-- LuaSocket, in sequence:  luasocket.lua HOW PORT N
-- HOW is "get", one connection and HTTP by hand (socket.http keeps none), or "close", socket.http.

local common = require "bench.peers.common"
local http = require "socket.http"
local socket = require "socket"

local how, port, n = arg[1], tonumber(arg[2]), tonumber(arg[3])

if how == "get" then
    local connection = assert(socket.connect("127.0.0.1", port))
    connection:setoption("tcp-nodelay", true)
    local request = common.request(port)
    for _ = 1, n do
        common.exchange(connection, request)
    end
else
    for _ = 1, n do
        local body, status = http.request(("http://127.0.0.1:%d/s"):format(port))
        assert(status == 200 and #body == common.size)
    end
end
common.report(n)
