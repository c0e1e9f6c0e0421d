-- What the codec sends: heads, bodies, ends, and what it refuses to send.

local core = require "moonwire.core"

local codes = core.codes

local function head_of(method, framing, opts)
    local headers = core.headers()
    headers:add("Host", "h")
    return core.request_head(method or "GET", "/", headers, framing, opts)
end

local function client(method, framing, opts)
    local h1 = core.h1 "client"
    assert(h1:send_request(head_of(method, framing, opts)))
    return h1
end

local function server(request)
    local h1 = core.h1 "server"
    h1:feed(request or "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert.equal("head", (h1:next()))
    return h1
end

local function take(h1)
    local bytes = h1:output(1e9)
    h1:output_sent(#bytes)
    return bytes
end

local REQUEST = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

describe("a request on its way out", function()
    it("goes out with its first piece and its end at once", function()
        local h1 = client("POST", "chunked")
        assert.is_true(h1:send_body("hello"))
        assert.is_true(h1:send_end())
        assert.equal(REQUEST .. "5\r\nhello\r\n0\r\n\r\n", take(h1))
        assert.is_false(h1:has_output())
        assert.is_true((h1:done()))
    end)

    it("sends further pieces once the piece before is out", function()
        local h1 = client("POST", "chunked")
        assert.is_true(h1:send_body("hello"))
        assert.same({ nil, codes.ESTATE }, { h1:send_body "more" })
        take(h1)
        assert.is_true(h1:send_body(("x"):rep(16)))
        assert.equal("10\r\n" .. ("x"):rep(16) .. "\r\n", take(h1))
    end)

    it("is the same however it is sent", function()
        for step = 1, 40 do
            local h1, sent = client("POST", "chunked"), {}
            h1:send_body("hello")
            for _ = 1, 3 do
                local piece = h1:output(step)
                sent[#sent + 1] = piece
                h1:output_sent(#piece)
            end
            h1:send_end()
            while h1:has_output() do
                local piece = h1:output(step)
                sent[#sent + 1] = piece
                h1:output_sent(#piece)
            end
            assert.equal(REQUEST .. "5\r\nhello\r\n0\r\n\r\n", table.concat(sent))
        end
    end)

    it("ends a chunked body wherever the sending of the piece before stands", function()
        for sent = 0, #REQUEST + 10 do
            local h1 = client("POST", "chunked")
            h1:send_body("hello")
            local bytes = h1:output(sent)
            h1:output_sent(#bytes)
            local trailers = core.headers()
            trailers:add("X-Sum", "1")
            assert.is_true(h1:send_end(sent % 2 == 0 and trailers or nil))
            local tail = sent % 2 == 0 and "X-Sum: 1\r\n" or ""
            assert.equal(REQUEST .. "5\r\nhello\r\n0\r\n" .. tail .. "\r\n", bytes .. take(h1))
        end
    end)

    it("never sends a chunk of no bytes in the middle", function()
        local h1 = client("POST", "chunked")
        assert.is_true(h1:send_body "")
        assert.equal(REQUEST, take(h1))
    end)

    it("holds a body to its declared length", function()
        local h1 = client("POST", 5)
        assert.same({ nil, codes.EBODY_LONG }, { h1:send_body "hello!" })
        assert.is_true(h1:send_body "hell")
        take(h1)
        assert.same({ nil, codes.EBODY_LONG }, { h1:send_body "oo" })
        assert.same({ nil, codes.EBODY_SHORT }, { h1:send_end() })
        assert.is_true(h1:send_body "o")
        assert.is_true(h1:send_end())
        assert.equal("o", take(h1))
        assert.same({ nil, codes.ESTATE }, { h1:send_body "x" })
        assert.same({ nil, codes.ESTATE }, { h1:send_end() })
    end)

    it("has no body unless its head says so", function()
        local h1 = client "GET"
        assert.same({ nil, codes.EBODY_NONE }, { h1:send_body "x" })
        assert.is_false((h1:done()))
        take(h1)
        assert.is_true((h1:done()))
        assert.is_true(h1:send_end())
        h1 = client "POST"
        assert.same({ nil, codes.EBODY_LONG }, { h1:send_body "x" })
    end)

    it("takes trailers with a chunked body only, and none that frame or authenticate", function()
        local trailers = core.headers()
        trailers:add("X-Sum", "1")
        local h1 = client("POST", 1)
        h1:send_body "x"
        assert.same({ nil, codes.EINVAL }, { h1:send_end(trailers) })
        h1 = client("POST", "chunked")
        trailers:add("Content-Length", "1")
        assert.same({ nil, codes.EOWNED }, { h1:send_end(trailers) })
    end)

    it("is one at a time", function()
        local h1 = client "GET"
        assert.same({ nil, codes.ESTATE }, { h1:send_request(head_of "GET") })
        assert.same({ nil, codes.ESTATE }, { h1:restart() })
        assert.same({ nil, codes.ESTATE }, { h1:send_response(200) })
    end)

    it("is not begun on bytes that nobody asked for", function()
        local h1 = core.h1 "client"
        h1:feed "HTTP/1.1 200 OK\r\n\r\n"
        assert.same({ false, "unsolicited" }, { h1:reusable() })
        assert.same({ nil, codes.ESTATE }, { h1:send_request(head_of "GET") })
    end)

    it("is given up for good", function()
        local h1 = client("POST", "chunked")
        h1:send_body "hello"
        h1:output_sent(3)
        h1:send_abort()
        assert.is_false(h1:has_output())
        assert.same({ nil, codes.ESTATE }, { h1:send_body "x" })
        assert.same({ nil, codes.ESTATE }, { h1:send_end() })
        h1:feed "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        assert.equal("head", (h1:next()))
        assert.equal("end", (h1:next()))
        assert.same({ false, "incomplete" }, { h1:reusable() })
    end)

    it("may be sent by any number of codecs", function()
        local head = head_of "GET"
        local first, second = core.h1 "client", core.h1 "client"
        first:send_request(head)
        second:send_request(head)
        assert.equal(take(first), take(second))
    end)

    it("stays alive until it is sent", function()
        local h1 = core.h1 "client"
        h1:send_request(head_of("POST", "chunked"))
        h1:send_body(("x"):rep(1000) .. "y")
        for _ = 1, 3 do
            collectgarbage()
        end
        assert.equal(REQUEST .. "3e9\r\n" .. ("x"):rep(1000) .. "y\r\n", take(h1))
    end)

    it("counts what goes out", function()
        local h1 = client("POST", "chunked")
        h1:send_body "hello"
        local bytes = take(h1)
        assert.same({ 0, #bytes, 0, 5 }, { h1:bytes() })
        assert.has_error(function()
            h1:output_sent(1)
        end)
    end)
end)

describe("a response on its way out", function()
    it("is framed as asked", function()
        local cases = {
            { nil, "Content-Length: 0\r\n" },
            { 3, "Content-Length: 3\r\n" },
            { "chunked", "Transfer-Encoding: chunked\r\n" },
            { "close", "Connection: close\r\n" },
        }
        for _, case in ipairs(cases) do
            local h1 = server()
            assert.is_true(h1:send_response(200, "OK", nil, case[1]))
            assert.equal("HTTP/1.1 200 OK\r\n" .. case[2] .. "\r\n", take(h1))
        end
    end)

    it("has no body where none may be", function()
        for _, status in ipairs { 204, 304 } do
            local h1 = server()
            assert.is_true(h1:send_response(status, "", nil, 5))
            assert.equal(("HTTP/1.1 %d \r\n\r\n"):format(status), take(h1))
            assert.same({ nil, codes.EBODY_NONE }, { h1:send_body "hello" })
        end
    end)

    it("answers HEAD as it would GET, without the bytes", function()
        for _, framing in ipairs { 5, "chunked" } do
            local h1 = server "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
            assert.is_true(h1:send_response(200, "OK", nil, framing))
            assert.is_true(h1:send_body "hello")
            assert.is_true(h1:send_end())
            assert.is_truthy(take(h1):find("\r\n\r\n$"))
            assert.equal("end", (h1:next()))
            assert.is_true((h1:reusable()))
        end
    end)

    it("is not chunked for HTTP/1.0", function()
        local h1 = server "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        assert.is_true(h1:send_response(103, "Early Hints"))
        assert.is_true(h1:send_response(200, "OK", nil, "chunked"))
        assert.is_true(h1:send_body "hello")
        assert.is_true(h1:send_end())
        assert.equal("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", take(h1))
        h1:next()
        assert.is_false((h1:reusable()))
    end)

    it("tells an HTTP/1.0 client that the connection stays", function()
        local h1 = server "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        h1:send_response(200, "OK", nil, 0)
        assert.equal("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            take(h1))
    end)

    it("may follow informational ones, in one go", function()
        local h1 = server()
        local hints = core.headers()
        hints:add("Link", "</a>")
        assert.is_true(h1:send_response(100, "Continue"))
        assert.is_true(h1:send_response(103, "Early Hints", hints))
        assert.is_true(h1:send_response(200, "OK", nil, 2))
        assert.is_true(h1:send_body "hi")
        assert.is_true(h1:send_end())
        assert.equal("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            .. "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", take(h1))
        assert.same({ nil, codes.ESTATE }, { h1:send_response(200) })
    end)

    it("waits for a request", function()
        assert.same({ nil, codes.ESTATE }, { core.h1("server"):send_response(200) })
    end)

    it("may answer what could not be understood, and closes", function()
        local h1 = core.h1 "server"
        h1:feed "GET / HTTP/1.1\r\n\r\n"
        assert.same({ nil, codes.EH1_HEADER }, { h1:next() })
        assert.is_true(h1:send_response(400, "Bad Request", nil, 0))
        assert.is_truthy(take(h1):find("Connection: close", 1, true))
    end)

    it("is checked as strictly as a request", function()
        local owned = core.headers()
        owned:add("transfer-encoding", "chunked")
        local h1 = server()
        assert.same({ nil, codes.EOWNED }, { h1:send_response(200, "OK", owned) })
        assert.same({ nil, codes.EREASON }, { h1:send_response(200, "O\r\nK: x") })
        assert.same({ nil, codes.EINVAL }, { h1:send_response(99) })
        assert.same({ nil, codes.EINVAL }, { h1:send_response(1000) })
        assert.same({ nil, codes.EH1_UPGRADE }, { h1:send_response(101) })
        assert.has_error(function()
            h1:send_response(200, "OK", nil, "gzip")
        end)
        assert.is_false(h1:has_output())
    end)

    it("keeps the connection only when both sides may", function()
        local h1 = server()
        h1:send_response(200, "OK", nil, 0, { close = true })
        assert.is_truthy(take(h1):find("Connection: close", 1, true))
        h1:next()
        assert.same({ false, "close_header" }, { h1:reusable() })
    end)
end)
