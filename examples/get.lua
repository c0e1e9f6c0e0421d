-- Prints a page while it arrives:  moonwire examples/get.lua http://127.0.0.1:8080/
local http = require "moonwire.http"
local server = require "moonwire.testing.server"

local loopback = not arg[1] and assert(server.start())

local res = assert(http.get(arg[1] or loopback.url .. "/stream/3", { timeout = 10 }))
for chunk in res:chunks() do
    io.write(chunk)
end

if loopback then
    loopback:close()
end
