-- Opens many requests at once against spec/load/server.c, which answers when all are open:
--     luajit spec/load/many.lua URL COUNT
-- What came of it is printed.

local http = require "moonwire.http"
local moonwire = require "moonwire"

local url, count = arg[1], tonumber(arg[2])

-- The most bytes that this process has had in memory.
local function peak()
    local file = assert(io.open "/proc/self/status")
    local kib = file:read "*a":match "VmHWM:%s*(%d+) kB"
    file:close()
    return tonumber(kib) * 1024
end

local client = http.client {
    pool = {
        max_total = count, max_per_origin = count, idle_total = count, idle_per_origin = count,
    },
    timeout = { total = 120, connect = 60, headers = 120 },
}
local answered, failed = 0, {}

local function request()
    local response, err = client:get(url .. "/hold")
    local text = response and response:text()
    if text == "ok" then
        answered = answered + 1
    else
        local reason = tostring(err or text)
        failed[reason] = (failed[reason] or 0) + 1
    end
end

moonwire.run(function()
    local before = peak()
    local began, cpu = moonwire.now(), os.clock()
    moonwire.scope(function(scope)
        for _ = 1, count do
            scope:spawn(request)
        end
    end)
    local seconds, used = moonwire.now() - began, os.clock() - cpu
    local stats = client:stats()
    print(("%d answered of %d, %d connections opened, %d active"):format(answered, count,
        stats.opened, stats.active + stats.opening + stats.reserved + stats.waiting))
    print(("%.2f s, %.2f s of them computing; %.1f KiB of memory for each"):format(seconds, used,
        (peak() - before) / 1024 / count))
    for reason, times in pairs(failed) do
        print(times .. " failed: " .. reason)
    end
    print(assert(client:get(url .. "/most")):text() .. " open at the same time")
    client:close()
end)
