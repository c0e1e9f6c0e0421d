-- The same answers for moonwire, curl and undici: see spec/differential.md.

local cases = require "spec.differential.cases"
local differential = require "spec.support.differential"
local reasons = require "spec.differential.reasons"
local support = require "spec.support"

describe("moonwire beside curl and undici", function()
    local curl, undici = differential.versions()
    local results, text, unexplained

    setup(function()
        results = differential.run(cases)
        text, unexplained = differential.report(results, reasons, curl, undici)
    end)

    it("is shown some hundreds of answers, and gives a verdict on each", function()
        assert.is_true(#results >= 500)
        for _, result in ipairs(results) do
            assert.not_equal("no answer", result.moonwire)
        end
    end)

    it("has a peer to differ from", function()
        assert.is_string(curl)
        for _, result in ipairs(results) do
            assert.not_equal("no answer", result.curl)
        end
    end)

    it("has a reason for each disagreement", function()
        assert.equal("", table.concat(unexplained, "\n"))
    end)

    it("has them listed in spec/differential.md", function()
        local file = assert(io.open(support.root .. "/spec/differential.md"))
        local listed = file:read "*a"
        file:close()
        local versions = ("curl %s and to Node's\nundici %s,"):format(curl, undici or "(none)")
        if listed:find(versions, 1, true) then
            assert.is_true(listed == text, "it is out of date: run make differential")
        else -- other versions see other things; the reasons above hold for them too
            assert.is_truthy(listed:find "^# Where moonwire, curl and undici disagree\n")
        end
    end)
end)
