-- Fetches many URLs, a few at a time:  moonwire examples/parallel.lua [URL...]
local http = require "moonwire.http"
local moonwire = require "moonwire"
local server = require "moonwire.testing.server"

local loopback = not arg[1] and assert(server.start())
local urls = { ... }
for i = 1, loopback and 12 or 0 do
    urls[i] = ("%s/delay/0.%d"):format(loopback.url, i % 3 + 1)
end

local started = moonwire.now()
local results = moonwire.map(urls, function(url)
    local res, err = http.get(url, { timeout = 10 })
    if not res then
        return { url = url, text = tostring(err) } -- one that fails doesn't stop the others
    end
    return { url = url, text = ("%d, %d bytes"):format(res.status, #assert(res:text())) }
end, { concurrency = 4 })

for _, result in ipairs(results) do
    print(result.url .. ": " .. result.text)
end
print(("%d requests, 4 at a time, %.1f s"):format(#urls, moonwire.now() - started))

if loopback then
    loopback:close()
end
