-- Soaks moonwire:  luajit tools/soak.lua REQUESTS [VARIANT]
-- Sends so many requests, says what was there before and after, and fails when something has grown.
-- Without a variant each of spec/load/soak.lua has its turn, in a process of its own: the plain one
-- with all the requests, those with errors, with a connection for each request and with TLS with a
-- tenth of them, that with a handshake for each with a hundredth.

local build = os.getenv("MOONWIRE_BUILD") or "build"
package.path = "./?.lua;lua/?.lua;lua/?/init.lua;" .. package.path
package.cpath = build .. "/?.so;" .. package.cpath

local PARTS = { { "plain", 1 }, { "errors", 10 }, { "new", 10 }, { "tls", 10 }, { "tls-new", 100 } }

local requests = assert(tonumber(arg[1]), "how many requests?")

local function run_one(variant)
    local soak = require "spec.load.soak"
    local flat, report = soak.run(variant, requests)
    print(report)
    io.stdout:flush()
    os.exit(flat and 0 or 1, true)
end

local function run_all()
    local first, all_flat = -1, true
    while arg[first - 1] do
        first = first - 1
    end
    for _, part in ipairs(PARTS) do
        local count = math.ceil(requests / part[2])
        local status = os.execute(("%s tools/soak.lua %d %s"):format(arg[first], count, part[1]))
        all_flat = all_flat and (status == 0 or status == true)
    end
    os.exit(all_flat and 0 or 1, true)
end

if arg[2] then
    run_one(arg[2])
else
    run_all()
end
