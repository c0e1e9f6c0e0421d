-- cases.lua - the answers that are shown to moonwire, curl and undici, each with a name: a table of
-- what may go wrong in each place of a response, and the client's golden traces.

local support = require "spec.support"
local trace_of = require "spec.support.trace"

local OK = "HTTP/1.1 200 OK\r\n"
local HELLO = "5\r\nhello\r\n0\r\n\r\n"

local list, seen = {}, {}

local function add(name, bytes, method)
    assert(not seen[name], "two cases are called " .. name)
    seen[name] = true
    list[#list + 1] = { name = name, bytes = bytes, method = method or "GET" }
end

local function show(text)
    return '"' .. trace_of.escape(text) .. '"'
end

local function each(group, texts, make)
    for _, text in ipairs(texts) do
        add(group .. " " .. show(text), make(text))
    end
end

-- Control bytes, DEL, and two of those above ASCII
local BYTES = {}
for code = 0, 31 do
    BYTES[#BYTES + 1] = string.char(code)
end
BYTES[#BYTES + 1] = "\127"
BYTES[#BYTES + 1] = "\128"
BYTES[#BYTES + 1] = "\255"

local function status_line()
    each("version", {
        "HTTP/1.0", "HTTP/1.1", "HTTP/1.2", "HTTP/1.9", "HTTP/0.9", "HTTP/2.0", "HTTP/2",
        "HTTP/3.0", "HTTP/1", "HTTP/1.", "HTTP/1.10", "HTTP/01.1", "HTTP/1.01", "http/1.1",
        "Http/1.1",
        "HTTP /1.1", "HTTP/ 1.1", "HTTP/1 .1", "HTTP/1,1", "HTTP/+1.1", "HTTP/-1.1", "HTTP1.1",
        "HTTPS/1.1", "XHTTP/1.1", "RTSP/1.0", "ICY", "ICE/1.0", "SIP/2.0", "", "SSH-2.0-x",
    }, function(version)
        return version .. " 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    end)
    each("status", {
        "000", "001", "099", "200", "299", "399", "499", "599", "600", "700", "999", "1000", "20",
        "2", "2000", "20000000000000000200", "+200", "-200", "0200", "2 00", "abc", "2x0", "0x2",
        "200.0", "200OK", "", "\194\178\048\048",
    }, function(status)
        return "HTTP/1.1 " .. status .. " OK\r\nContent-Length: 5\r\n\r\nhello"
    end)
    each("status line", {
        "HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK", "HTTP/1.1200 OK",
        "HTTP/1.1 200\tOK", "HTTP/1.1 200  OK", "HTTP/1.1 200 OK ", "HTTP/1.1 200 O K",
        " HTTP/1.1 200 OK", "\tHTTP/1.1 200 OK", "\r\nHTTP/1.1 200 OK", "\r\n\r\nHTTP/1.1 200 OK",
        "\nHTTP/1.1 200 OK", "\rHTTP/1.1 200 OK", "xHTTP/1.1 200 OK", "\0HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK\r", "HTTP/1.1", "200 OK", "GET / HTTP/1.1",
        "\239\187\191HTTP/1.1 200 OK",
    }, function(line)
        return line .. "\r\nContent-Length: 5\r\n\r\nhello"
    end)
    each("reason with the byte", BYTES, function(byte)
        return "HTTP/1.1 200 a" .. byte .. "b\r\nContent-Length: 5\r\n\r\nhello"
    end)
    add("answer empty", "")
    add("answer of plain text", "hello\n")
    add("answer of one line", "HTTP/1.1 200 OK\r\n")
    add("answer without any field", "HTTP/1.1 200 OK\r\n\r\nhello")
    add("answer cut in a field", "HTTP/1.1 200 OK\r\nContent-Le")
    add("answer cut before the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")
end

local function fields()
    local function with(line)
        return OK .. line .. "\r\nContent-Length: 5\r\n\r\nhello"
    end
    each("field value with the byte", BYTES, function(byte)
        return with("X-A: a" .. byte .. "b")
    end)
    each("field name with the byte", BYTES, function(byte)
        return with("X-" .. byte .. "A: v")
    end)
    for byte in (" \"(),/:;<=>?@[\\]{}!#$%&'*+-.^_`|~"):gmatch "." do
        add("field name with the sign " .. show(byte), with("X-" .. byte .. "A: v"))
    end
    each("field", {
        "X-A:v", "X-A:  v  ", "X-A:\tv\t", "X-A:", "X-A: ", "X-A: \"", "X-A", ": v", " X-A: v",
        "X-A : v", "X-A\t: v", "X-A: v\r\n w", "X-A: v\r\n\tw", "X-A: v\r\n \r\n w", "X-A:\r\n v",
        "X-A: v\r\n w\r\nX-B: w", "X-A: v\nX-B: w", "X-A: v\rX-B: w", "X-A: v\r\r\nX-B: w",
        "X-A: v\n\r\nX-B: w", "X-A: 1\r\nX-A: 2", "x-a: 1\r\nX-A: 2", "X-A:: v", "=: v",
        "X-A: \195\188", "X-A: \255\254",
    }, with)
    add("field lines that end with LF", "HTTP/1.1 200 OK\nX-A: v\nContent-Length: 5\n\nhello")
    add("field line that ends with LF",
        OK .. "X-A: v\nContent-Length: 5\r\n\r\nhello")
    add("head that ends with LF", OK .. "Content-Length: 5\r\n\nhello")
    add("head that ends with CR", OK .. "Content-Length: 5\r\n\rhello")
    add("head that ends with CR CR LF", OK .. "Content-Length: 5\r\n\r\r\nhello")
    for _, count in ipairs { 99, 100, 101, 127, 200, 255, 256, 500, 2000, 6000 } do
        add("fields: " .. count, with(("X-A: b\r\n"):rep(count - 2) .. "X-B: c"))
    end
    for _, kib in ipairs { 7, 9, 15, 17, 60, 70, 99, 110, 310 } do
        add("field of " .. kib .. " KiB", with("X-A: " .. ("b"):rep(kib * 1024)))
        add("reason of " .. kib .. " KiB",
            "HTTP/1.1 200 " .. ("b"):rep(kib * 1024) .. "\r\nContent-Length: 5\r\n\r\nhello")
        add("empty lines before: " .. kib .. " KiB",
            ("\r\n"):rep(kib * 512) .. with "X-A: v")
    end
end

local function lengths()
    each("length", {
        "5", "05", "0000000000000000000000005", "+5", "-5", "5 ", "\t5", "5,5", "5, 5", "5,6", "5,",
        ",5", "0x5", "5.0", "5e0", "", " ", "five", "5;", "5 5", "\"5\"", "\239\188\149", "5\v",
        "5\0", "4", "6", "9007199254740991", "9007199254740992", "9223372036854775807",
        "9223372036854775808", "18446744073709551615", "18446744073709551616",
        "18446744073709551621", "123456789012345678901234567890",
    }, function(value)
        return OK .. "Content-Length: " .. value .. "\r\n\r\nhello"
    end)
    each("length fields", {
        "Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5\r\ncontent-length: 5",
        "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 6\r\nContent-Length: 5",
        "Content-Length: 0\r\nContent-Length: 5", "Content-Length: 5\r\nContent-Length:",
        "Content-Length : 5", "Content-Length\t: 5", "Content-Length:5", "CONTENT-LENGTH: 5",
        "Content_Length: 4", "Content-Length:\r\n 5", "Content-Length: 4\r\n 5",
        " Content-Length: 5", "Content-Length: 5\r\nX-A: b\r\nContent-Length: 5",
    }, function(text)
        return OK .. text .. "\r\n\r\nhello"
    end)
end

local function codings()
    each("coding", {
        "chunked", "Chunked", "CHUNKED", "chunked ", "\tchunked", "chunked,", ",chunked",
        ", chunked", "chunked;q=1", "\"chunked\"", "identity", "gzip", "gzip, chunked",
        "gzip,chunked", "chunked, gzip", "chunked, chunked", "chunked, identity",
        "identity, chunked", "xchunked", "chunkedx", "x chunked", "chunked x", "", " ", "chun ked",
        "chunked\v", "chunked\0", "\vchunked", "chunk", "deflate", "trailers", "chunked\160",
    }, function(value)
        return OK .. "Transfer-Encoding: " .. value .. "\r\n\r\n" .. HELLO
    end)
    each("coding fields", {
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding:",
        "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", "transfer-encoding:chunked",
        "Transfer_Encoding: chunked", "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: chun\r\n ked", "Transfer-Encoding: x\r\n chunked",
        " Transfer-Encoding: chunked", "TE: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 15",
        "Content-Length: 15\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 15\r\nTransfer-Encoding: identity",
        "Content-Length: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nConnection: transfer-encoding",
    }, function(text)
        return OK .. text .. "\r\n\r\n" .. HELLO
    end)
    for _, version in ipairs { "1.0", "1.1" } do
        for _, connection in ipairs { "close", "keep-alive" } do
            add(("coding in HTTP/%s with Connection: %s"):format(version, connection),
                ("HTTP/%s 200 OK\r\nConnection: %s\r\nTransfer-Encoding: chunked\r\n\r\n%s"):format(
                    version, connection, HELLO))
        end
    end
end

local function chunks()
    local head = OK .. "Transfer-Encoding: chunked\r\n\r\n"
    each("chunk size", {
        "5", "05", "000005", ("0"):rep(15) .. "5", ("0"):rep(17) .. "5", ("0"):rep(40) .. "5", "5 ",
        "5\t", "5  ", " 5", "\t5", "+5", "-5", "0x5", "5h", "5.", "5,", "", "x", "\v5", "5\v",
        "5\0", "FFFFFFFFFFFFFFFF", "10000000000000005", "ffffffff", "100000005", "7FFFFFFFFFFFFFFF",
        "20000000000000", "4", "6", "\"5\"",
    }, function(size)
        return head .. size .. "\r\nhello\r\n0\r\n\r\n"
    end)
    each("chunk extension", {
        ";", ";a", ";a=b", ";a=\"b c\"", ";a=\"b;c\"", ";a=\"b\\\"c\"", ";a=\"b", "; a=b", " ;a=b",
        "\t;a=b", ";a =b", ";a= b", ";a=b;c=d", ";;", ";=", ";a=", ";\0", ";a\rb", ";a\nb",
        ";a=\"\n\"", ";\127", ";a=\"\1\"", ";\195\188", " a", ";a=b\n", ";" .. ("x"):rep(1000),
        ";" .. ("x"):rep(20000),
    }, function(extension)
        return head .. "5" .. extension .. "\r\nhello\r\n0\r\n\r\n"
    end)
    each("chunk lines", {
        "A\r\nhellohello\r\n0\r\n\r\n", "a\r\nhellohello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n", "5\r\r\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\r\n\r\n0\r\n\r\n", "5\r\nhello\r\n\n0\r\n\r\n", "\r\n5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "5\r\nhello\r\n0", "5\r\nhello\r\n0\r\n",
        "5\r\nhello\r\n0\r\n\r", "5\r\nhello\r\n0\n\n", "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\n\r\n", "5\r\nhello\r\n00\r\n\r\n",
        "5\r\nhello\r\n0000000000000000000\r\n\r\n",
        "5\r\nhello\r\n0;last\r\n\r\n", "5\r\nhello\r\n-0\r\n\r\n", "5\r\nhello\r\n 0\r\n\r\n",
        "5\r\nhello\r\n0 \r\n\r\n", "0\r\n\r\n", "0\r\n\r\nhello", "", "hello",
        "5\r\nhello\r\n0\r\n\r\nmore", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    }, function(text)
        return head .. text
    end)
    add("chunks of one byte, 2000", head .. ("1\r\nx\r\n"):rep(2000) .. "0\r\n\r\n")
    add("chunks of one byte, 20000", head .. ("1\r\nx\r\n"):rep(20000) .. "0\r\n\r\n")
    add("chunks of one byte with extensions, 2000",
        head .. ("1;a=bcdefghijklmn\r\nx\r\n"):rep(2000) .. "0\r\n\r\n")
    each("trailer", {
        "X-T: v", "X-T:v", "X-T : v", " X-T: v", "X-T: a\r\n b", "X-T: a\nX-U: b", "X-T: a\rb",
        "X-T: \0", "X-T", ": v", "Content-Length: 5", "Content-Length: 3", "Content-Length: x",
        "Transfer-Encoding: chunked", "Transfer-Encoding: x", "Connection: close",
        "Set-Cookie: a=b", "Host: evil", "Trailer: X", "X-T: v\r\nX-T: w", "X-T: v\nX-U", "X(: v",
        "X-T: \127",
    }, function(text)
        return head .. "5\r\nhello\r\n0\r\n" .. text .. "\r\n\r\n"
    end)
    for _, count in ipairs { 50, 64, 65, 300 } do
        add("trailers: " .. count, head .. "0\r\n" .. ("X-T: v\r\n"):rep(count) .. "\r\n")
    end
    for _, kib in ipairs { 7, 15, 17, 120 } do
        add("trailer of " .. kib .. " KiB",
            head .. "0\r\nX-T: " .. ("v"):rep(kib * 1024) .. "\r\n\r\n")
    end
end

local function informational()
    local final = OK .. "Content-Length: 5\r\n\r\nhello"
    for _, status in ipairs { 100, 101, 102, 103, 104, 150, 199 } do
        for _, more in ipairs { "", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n",
            "Connection: close\r\n", "Content-Length: x\r\n",
            "Upgrade: x\r\nConnection: upgrade\r\n" } do
            add(("informational %d with %s"):format(status, show(more)),
                ("HTTP/1.1 %d Info\r\n%s\r\n"):format(status, more) .. final)
        end
        add(("informational %d and no more"):format(status),
            ("HTTP/1.1 %d Info\r\n\r\n"):format(status))
    end
    for _, count in ipairs { 2, 5, 6, 10, 32, 33, 200 } do
        add("informational heads: " .. count, ("HTTP/1.1 102 P\r\n\r\n"):rep(count) .. final)
    end
    add("informational 100 of HTTP/1.0", "HTTP/1.0 100 Continue\r\n\r\n" .. final)
    add("informational 100 with a body", "HTTP/1.1 100 Continue\r\n\r\nhello" .. final)
end

local function bodies()
    local frames = {
        { "no framing", "", "" },
        { "no framing and bytes", "", "hello" },
        { "a length and no bytes", "Content-Length: 5\r\n", "" },
        { "a length and bytes", "Content-Length: 5\r\n", "hello" },
        { "length 0", "Content-Length: 0\r\n", "" },
        { "chunked and no bytes", "Transfer-Encoding: chunked\r\n", "" },
        { "chunked and bytes", "Transfer-Encoding: chunked\r\n", HELLO },
        { "a bad length", "Content-Length: x\r\n", "" },
        { "a bad coding", "Transfer-Encoding: xchunked\r\n", "" },
        { "both", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "" },
    }
    for _, frame in ipairs(frames) do
        for _, status in ipairs { 204, 205, 304 } do
            add(("%d with %s"):format(status, frame[1]),
                ("HTTP/1.1 %d X\r\n%s\r\n%s"):format(status, frame[2], frame[3]))
        end
        add("HEAD with " .. frame[1], OK .. frame[2] .. "\r\n" .. frame[3], "HEAD")
    end
    for _, version in ipairs { "1.0", "1.1" } do
        for _, connection in ipairs { "close", "keep-alive", "x, close", "upgrade", "" } do
            local head = ("HTTP/%s 200 OK\r\nConnection: %s\r\n"):format(version, connection)
            add(("body up to the end in HTTP/%s with Connection: %s"):format(version,
                show(connection)), head .. "\r\nhello")
            add(("body with a length in HTTP/%s with Connection: %s"):format(version,
                show(connection)), head .. "Content-Length: 5\r\n\r\nhello")
        end
    end
    each("bytes behind", { "X", "\r\n", "\n", "\r\n\r\n", OK .. "Content-Length: 4\r\n\r\nevil" },
        function(more)
            return OK .. "Content-Length: 5\r\n\r\nhello" .. more
        end)
    each("bytes behind, and close,", { "X", "\r\n", OK .. "Content-Length: 4\r\n\r\nevil" },
        function(more)
            return OK .. "Connection: close\r\nContent-Length: 5\r\n\r\nhello" .. more
        end)
    each("bytes behind the last chunk", { "X", "\r\n", OK .. "Content-Length: 4\r\n\r\nevil" },
        function(more)
            return OK .. "Transfer-Encoding: chunked\r\n\r\n" .. HELLO .. more
        end)
end

-- Of a trace, its first answer: each case has a connection of its own.
local function traces()
    local names = assert(io.popen("ls " .. support.quote(support.root .. "/spec/data/h1")))
    for name in names:lines() do
        local stem = name:match "^(.*)%.txt$"
        local trace = stem and trace_of.read(support.root .. "/spec/data/h1/" .. name)
        local request = trace and trace.role == "client" and trace.requests[1]
        if request and #request == 2 and (request[1] == "GET" or request[1] == "HEAD")
            and next(trace.limits) == nil and next(trace.compat or {}) == nil then
            add("trace " .. stem, trace.segments[1], request[1])
        end
    end
    names:close()
end

status_line()
fields()
lengths()
codings()
chunks()
informational()
bodies()
traces()

return list
