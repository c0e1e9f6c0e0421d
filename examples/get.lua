-- Prints a page while it arrives:  moonwire examples/get.lua http://127.0.0.1:8080/
local http = require "moonwire.http"

local url = arg[1] or error("which page?  moonwire examples/get.lua URL", 0)
local res = assert(http.get(url, { timeout = 10 }))
for chunk in res:chunks() do
    io.write(chunk)
end
