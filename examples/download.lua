-- Downloads files side by side, each with a bar; run it again to go on with what broke off:
--   moonwire examples/download.lua http://127.0.0.1:8080/a.iso http://127.0.0.1:8080/b.iso
local http = require "moonwire.http"
local moonwire = require "moonwire"
local server = require "moonwire.testing.server"

local urls, folder, loopback = arg, ".", nil
if #urls == 0 then -- a server that breaks each connection off after 400 kB
    loopback = assert(server.start())
    urls = {}
    for i = 1, 3 do
        urls[i] = ("%s/range/%d?cut=400000"):format(loopback.url, i * 500000)
    end
    folder = os.getenv "TMPDIR" or "/tmp"
end

local results = moonwire.map(urls, function(url)
    local done, err = http.download(url, folder, {
        resume = true, progress = true, overwrite = loopback ~= nil,
    })
    if done and loopback then
        os.remove(done.path)
    end
    return done and ("%s: %d bytes, %d requests"):format(done.path, done.bytes, done.attempts)
        or tostring(err)
end, { concurrency = 4 })

for _, line in ipairs(results) do
    print(line)
end
if loopback then
    loopback:close()
end
