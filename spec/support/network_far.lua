-- The far machine of spec/io/network_spec.lua: a server on port 80 of all its addresses, which
-- sends a long body, one byte every 20 ms.
local moonwire = require "moonwire"
local net = require "moonwire.net"

local HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"

local function serve(stream)
    if stream:read_until "\r\n\r\n" then
        stream:write(HEAD)
        while stream:write "x" do
            moonwire.sleep(0.02)
        end
    end
    stream:close()
end

moonwire.run(function()
    moonwire.scope(function(s)
        for _, address in ipairs { "192.0.2.2", "2001:db8::2", "fe80::2%far" } do
            s:spawn(net.serve, assert(net.listen(address, 80)), serve)
        end
        io.stdout:write "ready\n"
        io.stdout:flush()
    end)
end)
