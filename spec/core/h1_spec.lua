-- The golden traces: every one of them gives the same events however its bytes are cut.

local trace_of = require "spec.support.trace"

local function compare(trace, how, segments, max, joined, past)
    local expected = table.concat(trace.expected, "\n")
    local got = table.concat(trace_of.replay(trace, segments, max, joined, past), "\n")
    if got ~= expected then -- building the message for each of many cuts takes too long
        assert.equal(expected, got, how)
    end
end

describe("golden traces", function()
    local files = trace_of.files()

    it("are many", function()
        assert.is_true(#files >= 60)
    end)

    for _, path in ipairs(files) do
        local trace = trace_of.read(path)
        it(trace.name .. " (" .. path:match "([^/]+)%.txt$" .. ")", function()
            for how, segments in trace_of.cuts(trace) do
                compare(trace, how, segments)
                compare(trace, how .. ", several steps at once", segments, nil, true)
                compare(trace, how .. ", past the codec", segments, nil, false, math.huge)
            end
            for how, segments in trace_of.cuts(trace) do
                compare(trace, how .. ", read by 3", segments, 3)
                compare(trace, how .. ", past the codec by 3", segments, nil, false, 3)
                if how == "byte by byte" then
                    break -- the cuts bring nothing more
                end
            end
        end)
    end
end)
