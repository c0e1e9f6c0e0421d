-- Responses whose length can be read in two ways, or in none: rows 1 to 8, and response versions.
local kit = require "spec.hostile.kit"

local reply, chunked, refused = kit.reply, kit.chunked, kit.refused

local function refused_chunk(row, sentence, bytes)
    return refused(row, sentence, "EH1_CHUNK", chunked(bytes), { phase = "body" })
end

local HELLO = "5\r\nhello\r\n0\r\n\r\n"

kit.rows(describe, it, "both framings", {
    refused(1, "a length, then chunked, is refused", "EH1_FRAMING",
        reply({ "Content-Length: 5", "Transfer-Encoding: chunked" }, HELLO)),
    refused(1, "chunked, then a length, is refused", "EH1_FRAMING",
        reply({ "Transfer-Encoding: chunked", "Content-Length: 5" }, HELLO)),
    refused(1, "both with another field between them are refused", "EH1_FRAMING",
        reply({ "TRANSFER-ENCODING: chunked", "X: y", "content-length: 15" }, HELLO)),
})

local lengths = {}
for sentence, lines in pairs {
    ["two differing lengths"] = { "Content-Length: 5", "Content-Length: 6" },
    ["two equal lengths"] = { "Content-Length: 5", "Content-Length: 5" },
    ["a list of two lengths"] = "Content-Length: 5, 6",
    ["a list of two equal lengths"] = "Content-Length: 5, 5",
    ["a length with a plus sign"] = "Content-Length: +5",
    ["a length with a minus sign"] = "Content-Length: -5",
    ["a hexadecimal length"] = "Content-Length: 0x5",
    ["a length with a space in it"] = "Content-Length: 5 5",
    ["an empty length"] = "Content-Length:",
    ["a length with a fraction"] = "Content-Length: 5.0",
} do
    lengths[#lengths + 1] = refused(2, sentence .. " is refused", "EH1_LENGTH",
        reply(lines, "hello"))
end
for sentence, digits in pairs {
    ["2^53"] = "9007199254740992",
    ["2^64"] = "18446744073709551616",
    ["2^64 + 5"] = "18446744073709551621",
    ["30 digits"] = ("9"):rep(30),
} do
    lengths[#lengths + 1] = refused(3, "a length of " .. sentence .. " is refused and doesn't wrap",
        "EH1_LENGTH", reply("Content-Length: " .. digits, "hello"))
end
lengths[#lengths + 1] = {
    "a length of 2^53 - 1 takes no memory in advance", row = 3, after = "eof",
    reply = reply("Content-Length: 9007199254740991", "hello"),
    opts = { max_body = 1e16 }, reason = "peer_closed",
    error = { kind = "closed", code = "EH1_TRUNCATED", phase = "body" },
}
kit.rows(describe, it, "lengths", lengths)

local codings = {}
for sentence, lines in pairs {
    ["chunked, gzip"] = "Transfer-Encoding: chunked, gzip",
    ["gzip, chunked"] = "Transfer-Encoding: gzip, chunked",
    ["xchunked"] = "Transfer-Encoding: xchunked",
    ["identity"] = "Transfer-Encoding: identity",
    ["chunked twice in one line"] = "Transfer-Encoding: chunked, chunked",
    ["chunked twice in two lines"] = { "Transfer-Encoding: chunked", "Transfer-Encoding: chunked" },
    ["chunked with a parameter"] = "Transfer-Encoding: chunked;q=1",
    ["no coding"] = "Transfer-Encoding:",
    ["chunked behind a vertical tab"] = "Transfer-Encoding: \11chunked",
} do
    codings[#codings + 1] = refused(4, "Transfer-Encoding with " .. sentence .. " is refused",
        nil, reply(lines, HELLO))
end
codings[#codings + 1] = refused(5, "chunked on HTTP/1.0 is refused", "EH1_CODING",
    reply("Transfer-Encoding: chunked", HELLO, "HTTP/1.0 200 OK"))
codings[#codings + 1] = refused(5, "chunked on HTTP/1.0 with keep-alive is refused", "EH1_CODING",
    reply({ "Connection: keep-alive", "Transfer-Encoding: chunked" }, HELLO, "HTTP/1.0 200 OK"))
kit.rows(describe, it, "codings", codings)

kit.rows(describe, it, "chunks", {
    refused_chunk(6, "a chunk size of 0x5 is refused", "0x5\r\nhello\r\n0\r\n\r\n"),
    refused_chunk(6, "a chunk size with a space is refused", "5 \r\nhello\r\n0\r\n\r\n"),
    refused_chunk(6, "a chunk size with a tab is refused", "\0095\r\nhello\r\n0\r\n\r\n"),
    refused_chunk(6, "a negative chunk size is refused", "-1\r\nhello\r\n0\r\n\r\n"),
    refused_chunk(6, "a chunk size with a plus sign is refused", "+5\r\nhello\r\n0\r\n\r\n"),
    refused_chunk(6, "a chunk size of 17 digits is refused", "10000000000000005\r\nhello\r\n"),
    refused_chunk(6, "a chunk size that wraps to 5 is refused", "ffffffffffffffff5\r\nhello\r\n"),
    refused_chunk(6, "a chunk of 2^53 bytes is refused", "20000000000000\r\nhello"),
    refused_chunk(6, "an empty chunk size is refused", "\r\nhello\r\n0\r\n\r\n"),
    refused_chunk(6, "an extension in place of a chunk size is refused", ";a=b\r\nhello\r\n"),
    refused_chunk(7, "XX behind chunk data is refused", "5\r\nhelloXX0\r\n\r\n"),
    refused_chunk(7, "a chunk that is longer than its size is refused", "5\r\nhello!\r\n0\r\n\r\n"),
    refused_chunk(7, "LF alone behind chunk data is refused", "5\r\nhello\n0\r\n\r\n"),
    refused_chunk(8, "LF alone behind a chunk size is refused", "5\nhello\r\n0\r\n\r\n"),
    refused_chunk(8, "CR alone behind a chunk size is refused", "5\rhello\r\n0\r\n\r\n"),
    refused_chunk(8, "LF in a chunk extension is refused", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
    refused_chunk(8, "LF in a quoted extension is refused", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"),
    refused_chunk(8, "CR in a chunk extension is refused", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
    refused_chunk(8, "LF alone behind the last chunk is refused", "5\r\nhello\r\n0\n\n"),
})

local NONE = "Content-Length: 0"
kit.rows(describe, it, "status lines", {
    refused("versions", "HTTP/2.0 is refused", "EH1_VERSION", reply(NONE, "", "HTTP/2.0 200 OK")),
    refused("versions", "HTTP/1.2 is refused", "EH1_VERSION", reply(NONE, "", "HTTP/1.2 200 OK")),
    refused("versions", "HTTP/0.9 is refused", "EH1_VERSION", reply(NONE, "", "HTTP/0.9 200 OK")),
    refused("versions", "status 099 is refused", "EH1_STATUS", reply(NONE, "", "HTTP/1.1 099 Low")),
    refused("versions", "status 000 is refused", "EH1_STATUS", reply(NONE, "", "HTTP/1.1 000 No")),
    refused("versions", "RTSP/1.0 is refused", "EH1_SYNTAX", reply(NONE, "", "RTSP/1.0 200 OK")),
    refused("versions", "ICE/1.0 is refused", "EH1_SYNTAX", reply(NONE, "", "ICE/1.0 200 OK")),
    refused("versions", "an answer in lower case is refused", "EH1_SYNTAX",
        reply(NONE, "", "http/1.1 200 OK")),
    refused("versions", "an answer without status line is refused", "EH1_SYNTAX", "hello\r\n\r\n"),
    refused("versions", "a TLS alert is refused", "EH1_SYNTAX", "\21\3\1\0\2\2\80"),
    {
        "bytes behind a complete response close the connection", row = "versions",
        reply = reply("Content-Length: 2", "hiEXTRA"), body = "hi", reason = "unsolicited",
    },
    { "status 999 is passed on", row = "versions", reply = reply(NONE, "", "HTTP/1.1 999 High"),
        status = 999 },
})
