-- Out of memory is an ordinary error: spec/support/oom_cases.lua, run on a core whose memory fails.

local support = require "spec.support"
local wrapped = require "spec.support.wrapped"

describe("out of memory", function()
    it("is told, costs no memory and never more than the exchange, wherever it happens", function()
        local status, output = wrapped.run_specs("failing_alloc",
            { support.root .. "/spec/support/oom_cases.lua" })
        assert.equal(0, status, output)
        assert.matches(" passed, 0 failed\n$", output)
    end)
end)
