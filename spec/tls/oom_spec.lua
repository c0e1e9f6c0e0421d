-- Out of memory is an ordinary error of TLS as well: spec/support/tls_oom_cases.lua, run on a core
-- whose memory, and OpenSSL's, fails.

local support = require "spec.support"
local wrapped = require "spec.support.wrapped"

describe("out of memory in TLS", function()
    it("is told or at least harmless, wherever it happens", function()
        local status, output = wrapped.run_specs("failing_alloc",
            { support.root .. "/spec/support/tls_oom_cases.lua" })
        assert.equal(0, status, output)
        assert.matches(" passed, 0 failed\n$", output)
    end)
end)
