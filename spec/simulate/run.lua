-- spec/simulate/run.lua - many seeds, one after the other: counts what happened, and stops at the
-- first seed in which a promise was broken.

local world = require "spec.simulate.world"

local simulate = {}

local BETWEEN_COLLECTIONS = 40 -- seeds

local function add(sum, counts)
    for name, count in pairs(counts) do
        sum[name] = (sum[name] or 0) + count
    end
end

--- What is said about a seed that failed.
---@param failed moonwire.simulate.World
---@return string
function simulate.report(failed)
    return ("seed %d breaks a promise:\n  %s\nmake simulate SEED=%d shows it again, step by step")
        :format(failed.seed, table.concat(failed.violations, "\n  "), failed.seed)
end

--- Runs seeds until one fails.
---@param first integer
---@param count integer
---@return moonwire.simulate.World? failed nil: all promises were kept
---@return table<string, integer> counts
function simulate.seeds(first, count)
    jit.opt.start("hotloop=200", "hotexit=100") -- no seed is like another: less is worth compiling
    -- OpenResty's limits: the stock LuaJIT throws all away at 1000 traces and compiles it anew,
    -- for four times the system's time
    jit.opt.start("maxtrace=8000", "maxmcode=40960")
    local sum = {}
    for seed = first, first + count - 1 do
        local one = world.run(seed)
        add(sum, one.counts)
        if #one.violations > 0 then
            return one, sum
        end
        if seed % BETWEEN_COLLECTIONS == 0 then
            collectgarbage()
        end
    end
    return nil, sum
end

--- The names of what was counted, in order.
---@param counts table<string, integer>
---@return string[]
function simulate.names(counts)
    local names = {}
    for name in pairs(counts) do
        names[#names + 1] = name
    end
    table.sort(names)
    return names
end

--- Runs one seed and says all that happened in it.
---@param seed integer
---@return moonwire.simulate.World world with its transcript
function simulate.one(seed)
    return world.run(seed, true)
end

return simulate
