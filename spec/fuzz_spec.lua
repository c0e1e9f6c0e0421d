-- The fuzz targets, for a few seconds each.

local support = require "spec.support"

local SECONDS = 4

describe("make fuzz", function()
    for _, target in ipairs { "client", "server", "split", "pair", "coding" } do
        it("finds nothing: " .. target, function()
            local command = ("make -C %s BUILD=%s SECONDS=%d run-fuzz-%s"):format(
                support.quote(support.root), support.quote(support.build), SECONDS, target)
            local status, output, errors = support.run("env -u ASAN_OPTIONS -u UBSAN_OPTIONS "
                .. "-u LSAN_OPTIONS " .. command, { timeout = 200 })
            assert.equal(0, status, output .. errors)
            assert.matches("fuzz: " .. target .. ": nothing found in 4 s", output, 1, true)
        end)
    end
end)
