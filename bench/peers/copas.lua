-- Copas, one green thread for each connection, HTTP written by hand:  copas.lua PORT CONNECTIONS N

local common = require "bench.peers.common"
local copas = require "copas"
local socket = require "socket"

local port, connections, n = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])
local request = common.request(port)
local sent, running = 0, connections

for _ = 1, connections do
    copas.addthread(function()
        local plain = socket.tcp()
        assert(copas.connect(plain, "127.0.0.1", port))
        plain:setoption("tcp-nodelay", true)
        local wrapped = copas.wrap(plain)
        while sent < n do
            sent = sent + 1
            common.exchange(wrapped, request)
        end
        running = running - 1
        if running == 0 then -- the loop of this version waits on for closed sockets
            common.report(n)
            os.exit(0)
        end
    end)
end
copas.loop()
