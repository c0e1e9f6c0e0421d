-- The head of the exchange before is known and isn't parsed again: whatever came before, the same
-- bytes give the same events.

local core = require "moonwire.core"
local trace_of = require "spec.support.trace"

local function whole(trace)
    local segments = {}
    for i, segment in ipairs(trace.segments) do
        segments[i] = { segment }
    end
    return segments
end

local function exchange(h1, method, reply)
    local headers = core.headers()
    headers:add("Host", "h")
    assert(h1:send_request(core.request_head(method, "/", headers)))
    h1:output_sent(#h1:output())
    h1:feed(reply)
    local results
    repeat
        results = { h1:next_answer() }
    until results[1] ~= "informational"
    return unpack(results, 1, 8)
end

local function reply(fields, body)
    return ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s"):format(#body, fields, body)
end

-- What a second head gives behind a first one, and whether it was known.
local function second(first_method, first, method, text)
    local h1 = core.h1 "client"
    local one = select(5, exchange(h1, first_method, first))
    assert.is_true((h1:finish()))
    local event, status, _, _, headers, body, behind = exchange(h1, method, text)
    return event, status, body, behind, rawequal(one, headers), headers
end

describe("a head behind others", function()
    local first, then_any = {}, {}
    for _, path in ipairs(trace_of.files()) do
        local trace = trace_of.read(path)
        if trace.role == "client" and next(trace.limits or {}) == nil
            and next(trace.compat or {}) == nil and trace.requests[1] then
            then_any[#then_any + 1] = trace
            if trace.expected[#trace.expected] == "reuse yes" then
                first[#first + 1] = trace
            end
        end
    end

    it("gives what it gives on a new codec, whatever the exchange before was", function()
        assert.is_true(#first >= 30 and #then_any >= 100, #first .. " " .. #then_any)
        for _, before in ipairs(first) do
            for _, trace in ipairs(then_any) do
                local _, h1 = trace_of.replay(before, whole(before))
                assert(h1:restart())
                local got = trace_of.replay(trace, whole(trace), nil, false, nil, h1)
                if table.concat(got, "\n") ~= table.concat(trace.expected, "\n") then
                    assert.same(trace.expected, got, trace.name .. " behind " .. before.name)
                end
            end
        end
    end)

    it("is known when it is the same, however its body ends", function()
        local text = reply("X-A: b\r\n", "hello")
        local event, status, body, behind, known = second("GET", text, "GET", text)
        assert.same({ "head", 200, "hello", "end", true }, { event, status, body, behind, known })
        event, status, body, behind, known = second("GET", text, "GET", text:sub(1, -3))
        assert.same({ "head", 200, "hel", "need_data", true },
            { event, status, body, behind, known })
        event, status, body, behind, known = second("GET", text, "HEAD", text:sub(1, -6))
        assert.same({ "head", 200, nil, "end", true }, { event, status, body, behind, known })
        event, status, body, behind, known = second("HEAD", text:sub(1, -6), "GET", text)
        assert.same({ "head", 200, "hello", "end", true },
            { event, status, body, behind, known })
    end)

    it("isn't known when a byte is another, is missing, or follows", function()
        local text = reply("X-A: b\r\n", "hello")
        for _, other in ipairs { text:gsub("b", "c"), text:gsub("X%-A", "X-B"),
            text:gsub("OK", "Ok"), reply("X-A: b\r\nX-C: d\r\n", "hello"), reply("", "hello"),
            reply("X-A: b\r\n", "hello!") } do
            if type(other) == "string" then
                local event, _, body, behind, known, headers = second("GET", text, "GET", other)
                assert.same({ "head", "end", false }, { event, behind, known })
                assert.equal(other:match "\r\n\r\n(.*)$", body)
                assert.equal(other:match "X%-%a: (%a)", headers:get "x-a" or headers:get "x-b")
            end
        end
    end)

    it("isn't known behind an informational one, or behind chunks", function()
        local text = reply("", "hello")
        assert.is_false((select(5, second("GET", "HTTP/1.1 103 E\r\n\r\n" .. text, "GET", text))))
        local chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        local _, _, body, behind, known = second("HEAD", chunked, "GET",
            chunked .. "5\r\nhello\r\n0\r\n\r\n")
        assert.same({ "hello", "end", false }, { body, behind, known })
    end)

    it("keeps nothing of a long one", function()
        local text = reply("X-A: " .. ("b"):rep(10000) .. "\r\n", "hello")
        local event, _, body, behind, known = second("GET", text, "GET", text)
        assert.same({ "head", "hello", "end", false }, { event, body, behind, known })
    end)
end)
