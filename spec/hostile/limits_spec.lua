-- Responses without end where an end is due: rows 9 to 11 and 19. What meets a large limit meets a
-- small one too, so that it can be cut at every place.
local kit = require "spec.hostile.kit"

local ROOM = 600000 -- bytes that may be on their way when a limit is met

-- Sends the beginning, then the unit for as long as the client takes it.
local function endless(beginning, unit)
    return function(peer)
        peer:send(beginning)
        return not peer:send_endless(unit)
    end
end

-- A case with the default limit, and the same with a small one.
local function pair(row, sentence, code, phase, beginning, unit, words, limits)
    local function check(limit)
        return function(result)
            assert.is_true(result.err.bytes_received < limit + ROOM)
        end
    end
    local small = next(limits)
    return kit.refused(row, sentence, code, endless(beginning, unit), {
        kind = "limit", phase = phase, match = words, bulky = true, length = 70000,
        check = check(70000),
    }), kit.refused(row, sentence .. " (" .. small .. " = " .. limits[small] .. ")", code,
        endless(beginning, unit), {
            kind = "limit", phase = phase, match = words, client = { limits = limits },
            length = limits[small] + #beginning + 50,
            check = check(limits[small]),
        })
end

local function rows(title, list)
    local cases = {}
    for _, fields in ipairs(list) do
        local large, small = pair(unpack(fields))
        cases[#cases + 1] = large
        cases[#cases + 1] = small
    end
    kit.rows(describe, it, title, cases)
end

local CHUNKED = kit.chunked ""
local HEAD = "HTTP/1.1 200 OK\r\n"

rows("chunk framing", {
    { 9, "one-byte chunks with 4 KiB extensions are stopped at the overhead limit",
        "EH1_CHUNK_OVERHEAD", "body", CHUNKED, "1;" .. ("x"):rep(4096) .. "\r\na\r\n",
        "chunk overhead", { chunk_overhead = 100 } },
    { 9, "one-byte chunks with short extensions are stopped at the overhead limit",
        "EH1_CHUNK_OVERHEAD", "body", CHUNKED, "1;a=b\r\na\r\n",
        "chunk overhead", { chunk_overhead = 100 } },
    { 9, "one-byte chunks alone are stopped at the overhead limit",
        "EH1_CHUNK_OVERHEAD", "body", CHUNKED, "1\r\na\r\n",
        "chunk overhead", { chunk_overhead = 100 } },
    { 9, "a chunk extension without end is stopped at the overhead limit",
        "EH1_CHUNK_OVERHEAD", "body", CHUNKED .. "5;a=", "b",
        "chunk overhead", { chunk_overhead = 100 } },
    { 10, "zeros without end in a chunk size are stopped at the overhead limit",
        "EH1_CHUNK_OVERHEAD", "body", CHUNKED, "0",
        "chunk overhead", { chunk_overhead = 100 } },
    { 11, "trailers without end are stopped at their limit",
        "EH1_TRAILER", "body", CHUNKED .. "2\r\nhi\r\n0\r\n", "X-A: " .. ("b"):rep(500) .. "\r\n",
        "trailer.*more than %d+ bytes", { trailer_bytes = 100 } },
    { 11, "one trailer field without end is stopped at the limit",
        "EH1_TRAILER", "body", CHUNKED .. "2\r\nhi\r\n0\r\nX-A: ", "b",
        "trailer.*more than %d+ bytes", { trailer_bytes = 100 } },
    { 11, "too many trailer fields are stopped at their number",
        "EH1_TRAILER", "body", CHUNKED .. "2\r\nhi\r\n0\r\n", "X: y\r\n",
        "trailer.*more than %d+ trailer fields", { trailer_count = 5 } },
})

rows("heads", {
    { 10, "empty lines without end before the response are stopped at the head's limit",
        "EH1_HEAD_BYTES", "headers", "", "\r\n", "header section.*more than %d+ bytes",
        { head_bytes = 100 } },
    { 10, "a reason phrase without end is stopped at the head's limit",
        "EH1_HEAD_BYTES", "headers", "HTTP/1.1 200 O", "K", "header section.*more than %d+ bytes",
        { head_bytes = 100 } },
    { 11, "a field of 1 MiB is stopped at the head's limit",
        "EH1_HEAD_BYTES", "headers", HEAD .. "X-A: ", "b", "header section.*more than %d+ bytes",
        { head_bytes = 100 } },
    { 11, "a field name without end is stopped at the head's limit",
        "EH1_HEAD_BYTES", "headers", HEAD, "x", "header section.*more than %d+ bytes",
        { head_bytes = 100 } },
    { 11, "large fields without end are stopped at the head's limit",
        "EH1_HEAD_BYTES", "headers", HEAD, "X-A: " .. ("b"):rep(1000) .. "\r\n",
        "header section.*more than %d+ bytes", { head_bytes = 100 } },
    { 11, "small fields without end are stopped at their number",
        "EH1_HEADER_COUNT", "headers", HEAD, "X: y\r\n", "more than %d+ header fields",
        { header_count = 10 } },
})

local function processing(count)
    local list = {}
    for i = 1, count do
        list[i] = 102
    end
    return list
end

local PROCESSING = "HTTP/1.1 102 Processing\r\n\r\n"

kit.rows(describe, it, "informational responses", {
    kit.refused(19, "102 without end is stopped at 32", "EH1_INFORMATIONAL",
        endless("", PROCESSING),
        { kind = "limit", match = "1xx.*more than 32", informational = processing(32),
            length = #PROCESSING * 34 }),
    kit.refused(19, "10 000 x 102, then 200, is stopped at 32", "EH1_INFORMATIONAL",
        PROCESSING:rep(10000) .. kit.reply("Content-Length: 0"),
        { kind = "limit", match = "1xx.*more than 32", informational = processing(32),
            bulky = true }),
    kit.refused(19, "32 x 102 with large heads are stopped at the budget that all heads share",
        "EH1_HEAD_BYTES",
        ("HTTP/1.1 102 Processing\r\nX-A: " .. ("b"):rep(9000) .. "\r\n\r\n"):rep(31)
            .. kit.reply("Content-Length: 0"),
        { kind = "limit", match = "header section", informational = processing(7), bulky = true }),
    { "32 x 102, then 200, is delivered", row = 19, informational = processing(32), body = "hi",
        reply = PROCESSING:rep(32) .. kit.reply("Content-Length: 2", "hi") },
})
