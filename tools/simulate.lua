-- Simulates what may happen between moonwire and servers:  luajit tools/simulate.lua [SEEDS [SEED]]
-- Without SEED it runs so many seeds (20000) and stops at the first that breaks a promise; with
-- SEED it runs that one, and says step by step what happens.

local build = os.getenv("MOONWIRE_BUILD") or "build"
package.path = "./?.lua;lua/?.lua;lua/?/init.lua;" .. package.path
package.cpath = build .. "/?.so;" .. package.cpath

local simulate = require "spec.simulate.run"

local function number(text, default)
    if text == nil or text == "" then
        return default
    end
    return tonumber(text) or error("not a number: " .. text, 0)
end

local function leave(failed)
    if failed then
        io.stderr:write(simulate.report(failed), "\n")
        os.exit(1, true)
    end
    os.exit(0, true)
end

local function show_one(seed)
    local world = simulate.one(seed)
    print(table.concat(world.transcript, "\n"))
    io.stdout:flush()
    leave(#world.violations > 0 and world)
end

local function run_all(count)
    local started = os.clock()
    local failed, counts = simulate.seeds(1, count)
    for _, name in ipairs(simulate.names(counts)) do
        print(("%9d  %s"):format(counts[name], name))
    end
    if not failed then
        print(("%d seeds in %.1f s: every promise was kept"):format(count, os.clock() - started))
    end
    io.stdout:flush()
    leave(failed)
end

local seed = number(arg[2])
if seed then
    show_one(seed)
else
    run_all(number(arg[1], 20000))
end
