-- lua-curl, one easy handle, in sequence:  lua_curl.lua PORT N

local common = require "bench.peers.common"
local curl = require "curl"

local port, n = tonumber(arg[1]), tonumber(arg[2])
local bytes = 0
local handle = curl.easy_init()

handle:setopt(curl.OPT_URL, ("http://127.0.0.1:%d/s"):format(port))
handle:setopt(curl.OPT_WRITEFUNCTION, function(first, second)
    local data = type(first) == "string" and first or second
    bytes = bytes + #data
    return #data
end)
for _ = 1, n do
    assert(handle:perform())
end
assert(bytes == n * common.size)
common.report(n)
