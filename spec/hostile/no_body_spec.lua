-- Responses that can't have a body, with and without the look of one: rows 15 and 16.
local kit = require "spec.hostile.kit"

local reply = kit.reply

-- What comes behind the head is never shown and never taken for a response.
local function followed(sentence, bytes, status, method)
    return { sentence .. " gives no body and closes the connection", row = 15, reply = bytes,
        status = status, method = method, reason = "unsolicited" }
end

local NO_CONTENT, NOT_MODIFIED = "HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified"
local HELLO = "5\r\nhello\r\n0\r\n\r\n"
local EVIL = reply("Content-Length: 5", "evil\n")

kit.rows(describe, it, "bytes behind a response without body", {
    followed("204 with a length and bytes", reply("Content-Length: 5", "hello", NO_CONTENT), 204),
    followed("204 with chunks", reply("Transfer-Encoding: chunked", HELLO, NO_CONTENT), 204),
    followed("204 with a response behind it", reply("", EVIL, NO_CONTENT), 204),
    followed("304 with a length and bytes", reply("Content-Length: 5", "hello", NOT_MODIFIED), 304),
    followed("304 with chunks", reply("Transfer-Encoding: chunked", HELLO, NOT_MODIFIED), 304),
    followed("304 with a response behind it", reply("Content-Length: 99", EVIL, NOT_MODIFIED), 304),
    followed("HEAD with a length and bytes", reply("Content-Length: 5", "hello"), 200, "HEAD"),
    followed("HEAD with chunks", reply("Transfer-Encoding: chunked", HELLO), 200, "HEAD"),
    followed("HEAD with bytes and no length", reply("", "hello"), 200, "HEAD"),
    followed("HEAD with a response behind it", reply("Content-Length: 22", EVIL), 200, "HEAD"),
})

local function alone(sentence, bytes, status, method)
    return { sentence .. " has no body, and the connection is used again", row = 16, reply = bytes,
        status = status, method = method }
end

kit.rows(describe, it, "responses without body", {
    alone("HEAD with a length", reply("Content-Length: 5"), 200, "HEAD"),
    alone("HEAD with chunked", reply("Transfer-Encoding: chunked"), 200, "HEAD"),
    alone("HEAD with neither", reply(""), 200, "HEAD"),
    alone("HEAD with 404 and a length", reply("Content-Length: 5", "", "HTTP/1.1 404 No"), 404,
        "HEAD"),
    alone("204", reply("", "", NO_CONTENT), 204),
    alone("204 with a length", reply("Content-Length: 5", "", NO_CONTENT), 204),
    alone("304 with a length", reply("Content-Length: 5", "", NOT_MODIFIED), 304),
    alone("304 with chunked", reply("Transfer-Encoding: chunked", "", NOT_MODIFIED), 304),
})
