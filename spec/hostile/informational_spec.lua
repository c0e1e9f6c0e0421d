-- Informational responses before the final one: rows 17 and 18.
local kit = require "spec.hostile.kit"

local FINAL = kit.reply("Content-Length: 2", "hi")

local function informational(status, lines)
    return kit.reply(lines or "", "", "HTTP/1.1 " .. status .. " Info")
end

local function passed(row, sentence, bytes, statuses, more)
    local case = { sentence, row = row, reply = bytes .. FINAL, body = "hi",
        informational = statuses }
    for name, value in pairs(more or {}) do
        case[name] = value
    end
    return case
end

kit.rows(describe, it, "informational responses", {
    passed(17, "100, then 200: the hook is called, 200 is delivered", informational(100), { 100 }),
    passed(17, "102, then 200", informational(102), { 102 }),
    passed(17, "103 with fields, then 200", informational(103, "Link: </a>; rel=preload"), { 103 }),
    passed(17, "100, 102 and 103, then 200",
        informational(100) .. informational(102) .. informational(103), { 100, 102, 103 }),
    passed(17, "104 with a length has no body", informational(104, "Content-Length: 5"), { 104 }),
    passed(17, "104 with chunked has no body", informational(104, "Transfer-Encoding: chunked"),
        { 104 }),
    passed(17, "199 with a length has no body", informational(199, "Content-Length: 64"), { 199 }),
    passed(17, "100 with a length has no body", informational(100, "Content-Length: 5"), { 100 }),
    passed(17, "103 for HEAD, then 200", informational(103), { 103 },
        { method = "HEAD", body = "",
            reply = informational(103) .. kit.reply "Content-Length: 2" }),
    passed(18, "100 with Connection: close, then 200: it is delivered, then closed",
        informational(100, "Connection: close"), { 100 }, { reason = "close_header" }),
    passed(18, "103 with Connection: close, then 200: it is delivered, then closed",
        informational(103, "Connection: close"), { 103 }, { reason = "close_header" }),
    {
        "an informational response and then the end is no response", row = 17,
        reply = informational(100), after = "eof", informational = { 100 }, reason = "peer_closed",
        error = { kind = "closed", code = "EH1_TRUNCATED", phase = "headers" },
    },
})
