-- Header fields that are no header fields: rows 12 to 14.
local kit = require "spec.hostile.kit"

local reply, chunked = kit.reply, kit.chunked

local function refused(row, sentence, line)
    return kit.refused(row, sentence .. " is refused", "EH1_HEADER",
        reply({ line, "Content-Length: 5" }, "hello"))
end

kit.rows(describe, it, "field values", {
    refused(12, "LF at the end of a field", "A: b\nC: d"),
    refused(12, "CR at the end of a field", "A: b\rC: d"),
    refused(12, "CR CR LF at the end of a field", "A: b\r"),
    refused(12, "NUL in a value", "A: b\0c"),
    refused(12, "0x01 in a value", "A: b\1c"),
    refused(12, "DEL in a value", "A: b\127c"),
    refused(12, "a value that begins with LF", "A: \nTransfer-Encoding: chunked"),
    kit.refused(12, "a head that ends with LF LF is refused", nil,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\n\nhello"),
    kit.refused(12, "a head that ends with CR CR is refused", nil,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\rhello"),
    kit.refused(12, "a status line that ends with LF is refused", "EH1_SYNTAX",
        "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello"),
    kit.refused(12, "NUL in the reason phrase is refused", "EH1_SYNTAX",
        reply("Content-Length: 5", "hello", "HTTP/1.1 200 O\0K")),
    kit.refused(12, "NUL in a trailer field is refused", "EH1_HEADER",
        chunked "5\r\nhello\r\n0\r\nA: b\0c\r\n\r\n", { phase = "body" }),
    kit.refused(12, "LF at the end of a trailer field is refused", "EH1_HEADER",
        chunked "5\r\nhello\r\n0\r\nA: b\nC: d\r\n\r\n", { phase = "body" }),
})

kit.rows(describe, it, "field names", {
    refused(13, "a space before the colon", "Content-Type : text/plain"),
    refused(13, "a tab before the colon", "Content-Type\t: text/plain"),
    refused(13, "an empty name", ": b"),
    refused(13, "a line without a colon", "nonsense"),
    refused(13, "0xE9 in a name", "X-\233: b"),
    refused(13, "a NUL in a name", "X\0A: b"),
    refused(13, "a quote in a name", "X\"A: b"),
    refused(13, "a space in a name", "X A: b"),
    kit.refused(13, "a space before the first field is refused", "EH1_HEADER",
        reply({ " A: b", "Content-Length: 5" }, "hello")),
})

kit.rows(describe, it, "folded fields", {
    refused(14, "a folded value", "A: b\r\n c"),
    refused(14, "a value folded with a tab", "A: b\r\n\tc"),
    refused(14, "a value that begins on the next line", "A:\r\n b"),
    kit.refused(14, "a folded length is refused", "EH1_HEADER",
        reply("Content-Length:\r\n 5", "hello")),
    kit.refused(14, "a folded Transfer-Encoding is refused", "EH1_HEADER",
        reply("Transfer-Encoding:\r\n chunked", "5\r\nhello\r\n0\r\n\r\n")),
    kit.refused(14, "a folded trailer field is refused", "EH1_HEADER",
        chunked "5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n", { phase = "body" }),
})

local COMPAT = { compat = { obs_fold = true } }

local function joined(sentence, lines, body, value)
    return {
        sentence, row = 14, client = COMPAT, reply = reply(lines, body), body = body,
        check = function(result)
            assert(result.response.headers:get "A" == value, tostring(result.response.headers))
        end,
    }
end

kit.rows(describe, it, "folded fields with compat", {
    joined("a folded value is joined with one space",
        { "A: b \r\n\t c\r\n d", "Content-Length: 5" }, "hello", "b c d"),
    joined("a folded value that looks like a field is none",
        { "A: b\r\n Content-Length: 500", "Content-Length: 5" }, "hello", "b Content-Length: 500"),
    kit.refused(14, "a folded length is refused", "EH1_HEADER",
        reply("Content-Length:\r\n 5", "hello"), { client = COMPAT }),
    kit.refused(14, "a folded Transfer-Encoding is refused", "EH1_HEADER",
        reply("Transfer-Encoding:\r\n chunked", "5\r\nhello\r\n0\r\n\r\n"), { client = COMPAT }),
    kit.refused(14, "a folded Connection is refused", "EH1_HEADER",
        reply({ "Connection: keep-alive,\r\n close", "Content-Length: 5" }, "hello"),
        { client = COMPAT }),
    kit.refused(14, "a control byte on a folded line is refused", "EH1_HEADER",
        reply({ "A: b\r\n \1", "Content-Length: 5" }, "hello"), { client = COMPAT }),
    kit.refused(14, "a fold before any field is refused", "EH1_HEADER",
        reply({ " A: b", "Content-Length: 5" }, "hello"), { client = COMPAT }),
})
