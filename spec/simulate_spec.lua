-- The simulator (make simulate): many seeds are run, and a seed can be had again bit for bit.
local simulate = require "spec.simulate.run"
local support = require "spec.support"

local under_sanitizers = os.getenv "MOONWIRE_SAN" == "1"
local SEEDS = under_sanitizers and 400 or 20000
local PARTS = 4

-- What must have happened often enough, so that the seeds say something.
local EVENTS = {
    "on used connections", "sent again", "sent again without Expect", "waited for the pool",
    "cancelled", "whole", "failed closed", "failed timeout", "failed cancelled", "failed body",
    "failed limit", "failed connect", "failed system", "server eof", "server reset",
    "server discard", "server stall", "after poison", "after late_poison", "after hidden_poison",
    "after timeout_408",
    "forget", "part", "close", "dialed for", "gave up a dial", "took what was dialed for it",
    "took what was freed", "took what was freed, and lost a dial", "took another's dial",
    "a dial that nobody waited for succeeded", "left", "left, and cut something short",
    "preconnected", "lost what was kept for it",
}

describe("the simulator", function()
    local sum = {}

    for part = 1, PARTS do
        it(("sees every promise kept in part %d of %d of its seeds"):format(part, PARTS), function()
            local count = SEEDS / PARTS
            local failed, counts = simulate.seeds((part - 1) * count + 1, count)
            assert(not failed, failed and simulate.report(failed))
            for name, n in pairs(counts) do
                sum[name] = (sum[name] or 0) + n
            end
        end)
    end

    it("has seen all that may happen, and often", function()
        for _, name in ipairs(EVENTS) do
            assert.is_true((sum[name] or 0) >= SEEDS / 1000, name .. ": " .. (sum[name] or 0))
        end
    end)

    it("shows a seed again bit for bit, in another process and without compiled traces", function()
        local command = "%s %s tools/simulate.lua 1 %d"
        for _, seed in ipairs { 17, 715, 1364, 2377 } do
            local here = table.concat(simulate.one(seed).transcript, "\n") .. "\n"
            assert.is_true(#here > 200, here)
            for _, option in ipairs { "", "-e 'jit.off()'" } do
                local code, output = support.run(command:format(support.luajit(), option, seed))
                assert.equal(0, code)
                assert.equal(here, output)
            end
        end
    end)
end)
