-- Pipes a download into an upload; neither is ever whole in memory.
-- moonwire examples/pipe.lua [FROM TO]
local http = require "moonwire.http"
local server = require "moonwire.testing.server"

local loopback = not arg[2] and assert(server.start())
local from = arg[2] and arg[1] or loopback.url .. "/bytes/20000000"
local to = arg[2] or loopback.url .. "/upload"

local source = assert(http.get(from))
local res = assert(http.post(to, { body = source })) -- a response is a body like any other
io.write(assert(res:text()))

if loopback then
    loopback:close()
end
