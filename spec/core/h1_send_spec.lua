-- The golden traces of sending: what goes out, byte for byte, and what is refused before a byte is
-- sent, however much of it is sent at once.

local trace_of = require "spec.support.send_trace"

describe("golden traces of sending", function()
    local files = trace_of.files()

    it("are many", function()
        assert.is_true(#files >= 50)
    end)

    for _, path in ipairs(files) do
        local trace = trace_of.read(path)
        it(trace.name .. " (" .. path:match "([^/]+)%.txt$" .. ")", function()
            for _, step in ipairs { 1e6, 1, 2, 3, 7 } do
                trace_of.replay(trace, step)
            end
        end)
    end
end)
