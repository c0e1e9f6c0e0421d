-- The specs of connections and clients that were written for the mock, on real sockets, on the
-- backend that this process has: ev or ngx. Both have to do the same.
local originals = require "spec.support.originals"
local untranslated = require "spec.ngx.untranslated"

local place = ... ---@type spec.Place

for _, file in ipairs(untranslated.files) do
    describe(file .. ":", function()
        local tests, left_out = originals.read(file, place), untranslated[file] or {}

        teardown(function()
            tests:finish()
        end)

        -- some files declare out of a table without an order, and the two hosts go by number
        table.sort(tests.tests, function(one, two)
            return one.name < two.name
        end)
        for _, test in ipairs(tests.tests) do
            if not left_out[test.name] then
                it(test.name, function()
                    local ok, problem = tests:run(test)
                    if not ok then
                        error(problem, 0)
                    end
                end)
            end
        end
    end)
end
