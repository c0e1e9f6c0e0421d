-- How the codec is used: reuse, reading in steps, files, lifetimes, misuse.

local core = require "moonwire.core"

local codes = core.codes

local function client(method, limits)
    local headers = core.headers()
    headers:add("Host", "h")
    local h1 = core.h1("client", limits)
    assert(h1:send_request(core.request_head(method or "GET", "/", headers)))
    h1:output_sent(#h1:output())
    return h1
end

local function reply(body, head)
    return ("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s"):format(head or "", #body, body)
end

local function read_all(h1)
    local body = {}
    while true do
        local event, data = h1:next()
        if event ~= "body" then
            return table.concat(body), event
        end
        body[#body + 1] = data
    end
end

describe("the reuse predicate", function()
    it("follows an exchange", function()
        local h1 = core.h1 "client"
        assert.is_true((h1:reusable()))
        h1 = client()
        assert.same({ false, "incomplete" }, { h1:reusable() })
        h1:feed "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
        h1:next()
        assert.same({ false, "unread_body" }, { h1:reusable() })
        assert.same({ nil, codes.ESTATE }, { h1:restart() })
        assert.equal("need_data", (h1:next()))
        h1:feed "four"
        h1:next()
        assert.same({ false, "unread_body" }, { h1:reusable() })
        assert.equal("end", (h1:next()))
        assert.is_true((h1:reusable()))
        assert.same({ true, true }, { h1:done() })
        assert.is_true(h1:restart())
        assert.same({ false, false }, { h1:done() })
    end)

    it("lets a codec go over to another connection, whose counts are its own", function()
        local h1 = client()
        assert.same({ nil, codes.ESTATE }, { h1:move() }) -- an exchange is under way
        h1:feed(reply "body")
        h1:next()
        assert.equal("body", (read_all(h1)))
        assert.same({ nil, codes.ESTATE }, { h1:move() })
        assert.is_true((h1:finish()))
        assert.is_true(h1:bytes() > 0)
        assert.is_true(h1:move())
        assert.same({ 0, 0, 0, 0 }, { h1:bytes() })
        local headers = core.headers()
        headers:add("Host", "other")
        assert(h1:send_request(core.request_head("GET", "/", headers)))
        h1:output_sent(#h1:output())
        h1:feed(reply "second")
        h1:next()
        assert.equal("second", (read_all(h1)))
        assert.equal(#reply "second", (h1:bytes()))
        h1:feed_eof()
        assert.same({ nil, codes.ESTATE }, { h1:move() })
        assert.same({ nil, codes.ESTATE }, { core.h1("server"):move() })
    end)

    it("sees leftover bytes without being asked for the next event", function()
        local h1 = client()
        h1:feed(reply("hi") .. reply("evil"))
        assert.equal("head", (h1:next()))
        assert.equal("end", select(2, read_all(h1)))
        assert.equal(reply("evil"), h1:leftover())
        assert.same({ false, "unsolicited" }, { h1:reusable() })
        assert.same({ nil, codes.ESTATE }, { h1:restart() })
    end)

    it("sees EOF behind the response", function()
        local h1 = client()
        h1:feed(reply "hi")
        h1:next()
        read_all(h1)
        h1:feed_eof()
        assert.same({ false, "eof" }, { h1:reusable() })
    end)

    it("names a body that ends with the connection", function()
        local h1 = client()
        h1:feed "HTTP/1.1 200 OK\r\n\r\nhello"
        h1:next()
        h1:feed_eof()
        assert.same({ "hello", "end" }, { read_all(h1) })
        assert.same({ false, "not_self_delimited" }, { h1:reusable() })
    end)

    it("wants the request out to its last byte", function()
        local headers = core.headers()
        headers:add("Host", "h")
        local h1 = core.h1 "client"
        h1:send_request(core.request_head("GET", "/", headers))
        h1:feed(reply "early")
        assert.equal("head", (h1:next()))
        assert.same({ "early", "end" }, { read_all(h1) })
        assert.same({ false, "incomplete" }, { h1:reusable() })
        h1:output_sent(#h1:output())
        assert.is_true((h1:reusable()))
    end)
end)

describe("reading", function()
    it("gives what framing and Keep-Alive said", function()
        local h1 = client()
        assert.same({ "none" }, { h1:framing() })
        h1:feed(reply("hi", "Keep-Alive: timeout=5, max=100\r\n"))
        h1:next()
        assert.same({ "length", 2 }, { h1:framing() })
        assert.same({ 5, 100 }, { h1:keep_alive() })
        h1 = client()
        h1:feed(reply("hi", "Keep-Alive: max=x, TIMEOUT = 7 ,, foo\r\n"))
        h1:next()
        local timeout, max = h1:keep_alive()
        assert.equal(7, timeout)
        assert.is_nil(max)
        h1 = client()
        h1:feed "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        h1:next()
        assert.same({ "chunked" }, { h1:framing() })
    end)

    it("gives at most as many body bytes as asked for", function()
        for _, bytes in ipairs {
            reply "hello, world",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\nhello, world\r\n0\r\n\r\n",
        } do
            local h1 = client()
            h1:feed(bytes)
            h1:next()
            assert.same({ "body", "hello" }, { h1:next(5) })
            assert.same({ "body", "," }, { h1:next(1) })
            assert.has_error(function()
                h1:feed "too early"
            end)
            assert.same({ "body", " world" }, { h1:next(100) })
            assert.equal("end", (h1:next()))
        end
    end)

    it("counts a body that nobody wants", function()
        local h1 = client()
        h1:feed "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        assert.equal("head", (h1:next_discard()))
        assert.equal("need_data", (h1:next_discard()))
        h1:feed "1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n"
        assert.equal("end", (h1:next_discard()))
        assert.equal("1", h1:trailers():get "x-sum")
        local bytes_in, _, body_in = h1:bytes()
        assert.equal(6, body_in)
        assert.equal(78, bytes_in)
    end)

    it("writes a body to a file", function()
        local h1, file = client(), assert(io.tmpfile())
        h1:feed(reply(("x"):rep(100000)):sub(1, 50000))
        assert.equal("head", (h1:next_to_file(file)))
        assert.equal("need_data", (h1:next_to_file(file)))
        h1:feed(reply(("x"):rep(100000)):sub(50001))
        assert.equal("end", (h1:next_to_file(file)))
        file:seek "set"
        assert.equal(("x"):rep(100000), file:read "*a")
        file:close()
        assert.has_error(function()
            h1:next_to_file(file)
        end)
        assert.has_error(function()
            h1:next_to_file "name"
        end)
    end)

    it("says so when the file can't be written", function()
        local full = io.open("/dev/full", "w")
        if not full then
            return
        end
        local h1 = client()
        h1:feed(reply "hello")
        h1:next()
        local event, code, what = h1:next_to_file(full)
        assert.is_nil(event)
        assert.equal("ENOSPC", core.error_name(code))
        assert.equal("file", what)
        full:setvbuf "no"
        full:close()
    end)

    it("keeps a head that a script has taken, whatever comes after it", function()
        local h1 = client()
        h1:feed("HTTP/1.1 103 Early\r\nX-A: 1\r\n\r\n"
            .. "HTTP/1.1 200 OK\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n")
        assert.equal("informational", (h1:next()))
        local early = h1:head()
        assert.equal("head", (h1:next()))
        local final = h1:head()
        h1:next()
        h1:restart()
        h1 = nil -- luacheck: ignore 311
        collectgarbage()
        collectgarbage()
        assert.equal(103, early.status)
        assert.equal("1", early.headers["x-a"])
        assert.equal("2", final.headers["x-a"])
        assert.equal("1.1", final.http_version)
        assert.equal("OK", final.reason)
    end)

    it("keeps a head that is sent again and again alive, and whatever body goes with it", function()
        local h1 = core.h1 "client"
        for _, length in ipairs { 0, 3, 3, 50000, 0 } do
            local headers = core.headers()
            headers:add("Host", "h")
            local head = core.request_head("POST", "/" .. length, headers, length)
            for i = 1, 3 do
                local body = ("abc"):rep(length / 3 + 1):sub(1, length)
                assert(h1:send_whole(head, length > 0 and body .. "" or nil))
                if i == 3 then
                    head = nil
                end
                body = nil -- luacheck: ignore 311
                collectgarbage()
                local sent = h1:output(1e6)
                assert.equal(length, #sent:match "\r\n\r\n(.*)$")
                assert.matches("^POST /" .. length .. " ", sent)
                h1:output_sent(#sent)
                h1:feed(reply "")
                local event, status, _, _, _, text, behind = h1:next_answer()
                assert.same({ "head", 200, nil, "end" }, { event, status, text, behind })
                assert.is_true((h1:finish()))
            end
        end
    end)

    it("says what is wrong with a body that is sent whole", function()
        local headers = core.headers()
        headers:add("Host", "h")
        local head = core.request_head("POST", "/", headers, 3)
        for body, problem in pairs { abcd = "EBODY_LONG", ab = "EBODY_SHORT" } do
            local h1 = core.h1 "client"
            local ok, code = h1:send_whole(head, body)
            assert.is_nil(ok)
            assert.equal(problem, core.error_name(code))
            assert.is_false((h1:finish()))
        end
        local h1 = core.h1 "client"
        assert(h1:send_whole(head, "abc"))
        assert.same({ nil, codes.ESTATE }, { h1:send_whole(head, "abc") })
        assert.same({ false, "incomplete" }, { h1:finish() })
        assert.has_error(function()
            h1:send_whole("GET / HTTP/1.1")
        end)
        assert.has_error(function()
            core.h1("client"):send_whole(head, {})
        end)
    end)

    it("keeps the bytes it was fed alive", function()
        local h1 = client()
        h1:feed(reply(("abc"):rep(1000)))
        for _ = 1, 3 do
            collectgarbage()
        end
        assert.equal("head", (h1:next()))
        local body = {}
        for i = 1, 1000 do
            body[i] = select(2, h1:next(3))
            if i % 100 == 0 then
                collectgarbage()
            end
        end
        assert.equal(("abc"):rep(1000), table.concat(body))
    end)

    it("takes limits, and says which one was reached", function()
        local h1 = client("GET", { header_count = 2 })
        h1:feed "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n"
        assert.same({ nil, codes.EH1_HEADER_COUNT }, { h1:next() })
        assert.equal("limit", core.error_kind(codes.EH1_HEADER_COUNT))
        assert.is_truthy(h1:error_detail():find("2 header fields", 1, true))
        assert.same({ false, "error" }, { h1:reusable() })
        assert.has_error(function()
            core.h1("client", { header_count = "many" })
        end)
        assert.has_error(function()
            core.h1("client", { head_bytes = 0 })
        end)
    end)
end)

describe("misuse of a codec", function()
    it("never shows half a head or half the trailers", function()
        local h1 = client()
        h1:feed "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        h1:next()
        assert.has_error(function()
            h1:head()
        end)
        h1:feed "\r\n0\r\nX-A: 1\r\nX-B: "
        assert.equal("head", (h1:next()))
        assert.equal(200, h1:head().status)
        assert.equal("need_data", (h1:next()))
        assert.is_nil(h1:trailers())
        h1:feed "\0"
        assert.is_nil((h1:next()))
        assert.is_nil(h1:trailers())
    end)

    it("raises", function()
        local h1 = client()
        for _, call in ipairs {
            function() core.h1 "proxy" end,
            function() core.h1() end,
            function() h1:feed() end,
            function() h1:feed {} end,
            function() h1:next(0) end,
            function() h1:next "x" end,
            function() h1:send_request "GET / HTTP/1.1" end,
            function() h1:send_body {} end,
            function() h1:send_end {} end,
            function() h1.next(core.headers()) end,
            function() h1.next() end,
            function() h1:head() end,
        } do
            assert.has_error(call)
        end
    end)

    it("raises when bytes are fed too early or too late", function()
        local h1 = client()
        h1:feed "HTTP/1.1 200"
        assert.has_error(function()
            h1:feed " OK\r\n"
        end)
        h1:next()
        h1:feed_eof()
        assert.has_error(function()
            h1:feed " OK\r\n"
        end)
    end)

    it("survives a module that is loaded twice", function()
        local again = package.loaded["moonwire.core"]
        package.loaded["moonwire.core"] = nil
        local other = require "moonwire.core"
        package.loaded["moonwire.core"] = again
        local headers = other.headers()
        headers:add("Host", "h")
        local h1 = core.h1 "client"
        assert.is_true(h1:send_request(other.request_head("GET", "/", headers)))
        assert.equal("h", headers.host)
    end)
end)
