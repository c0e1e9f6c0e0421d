-- The simulator finds what is broken on purpose.
local faults = require "spec.simulate.faults"
local simulate = require "spec.simulate.run"

local MOST = 6000 -- seeds in which a fault has to be found

describe("the simulator", function()
    for _, fault in ipairs(faults) do
        it("finds out when " .. fault.what, function()
            local failed = faults.with(fault, simulate.seeds, 1, MOST)
            assert.is_truthy(failed)
            assert.is_true(#failed.violations > 0)
            assert.is_truthy(simulate.report(failed):find("make simulate SEED=" .. failed.seed,
                1, true))
        end)
    end
end)
