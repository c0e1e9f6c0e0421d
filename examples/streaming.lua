-- Streams both ways: an upload from a generator that waits between its chunks, then a download that
-- is counted while it arrives.  moonwire examples/streaming.lua [URL of a loopback server]
local http = require "moonwire.http"
local moonwire = require "moonwire"
local server = require "moonwire.testing.server"

local loopback = not arg[1] and assert(server.start())
local url = arg[1] or loopback.url

-- A generator may wait: here between chunks, as a slow source would make it.
local lines = coroutine.wrap(function()
    for i = 1, 4 do
        moonwire.sleep(0.05)
        print("sending line " .. i)
        coroutine.yield(("line %d\n"):format(i))
    end
end)

-- /echo sends back what comes, as it comes: the answer is read while the upload goes on.
local res = assert(http.post(url .. "/echo", { body = lines }))
for line in res:lines() do
    print("back came " .. line)
end

local pieces, bytes = 0, 0
for chunk in assert(http.get(url .. "/bytes/5000000")):chunks() do
    pieces, bytes = pieces + 1, bytes + #chunk
end
print(("%d bytes, never more than one piece of them in memory"):format(bytes))
assert(pieces > 1)

if loopback then
    loopback:close()
end
