local wire = require "spec.support.wire"

local ASKED = wire.ASKED
local OK = wire.reply "hello"
local responding, is_failure = wire.responding, wire.is_failure

describe("a response", function()
    it("has what the head says", function()
        local reply = "HTTP/1.1 404 Not Here\r\nA: 1\r\na: 2\r\nContent-Length: 0\r\n\r\n"
        wire.over({ ASKED, { send = reply } },
            function(connection)
                local request = wire.request()
                local response = assert(connection:request(request))
                assert.equal(404, response.status)
                assert.equal(404, response.status_code)
                assert.equal("Not Here", response.reason)
                assert.is_false(response.ok)
                assert.equal("1.1", response.http_version)
                assert.equal("http://test.example/path", response.url)
                assert.equal(request, response.request)
                assert.equal("1", response.headers["a"])
                assert.same({ "1", "2" }, response.headers:get_all "A")
                assert.same({}, response.history)
                assert.equal(response.history, response.history)
                assert.is_true(response.upload_complete)
                assert.is_nil(response.no_such_field)
                assert.matches("404 http://test.example/path", tostring(response))
            end)
    end)

    it("is ok from 200 to 299", function()
        for status, ok in pairs { [200] = true, [299] = true, [300] = false, [500] = false } do
            local reply = ("HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n"):format(status)
            wire.over({ ASKED, { send = reply } },
                function(connection)
                    assert.equal(ok, assert(connection:request(wire.request())).ok)
                end)
        end
    end)

    it("measures its time", function()
        wire.over({ ASKED, { delay = 2 }, { send = OK:sub(1, -3) }, { delay = 3 },
            { send = "lo" } }, function(connection, _, m)
            local response = assert(connection:request(wire.request()))
            local expected = { total = 2, first_byte = 2, reused = false, dns = 0, connect = 0,
                tls = 0 }
            expected.queued, expected.retries, expected.redirects = 0, 0, 0
            expected.bytes_sent = #wire.request().head:bytes()
            expected.bytes_received, expected.body_sent, expected.body_received = #OK - 2, 0, 3
            expected.requests = 1
            expected.connection, expected.remote = connection.id, "127.0.0.1:80"
            assert.same(expected, response.timing)
            assert(response:discard())
            m:advance(10)
            expected.total, expected.bytes_received, expected.body_received = 5, #OK, 5
            assert.same(expected, response.timing)
        end)
    end)

    it("has trailers after its end", function()
        local head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        wire.over({ ASKED, { send = head .. "1\r\nx\r\n" }, { delay = 1 },
            { send = "0\r\nX-Sum: 7\r\n\r\n" } }, function(connection)
            local response = assert(connection:request(wire.request()))
            assert.is_nil(response.trailers)
            assert.equal("x", response:text())
            assert.equal("7", response.trailers:get "x-sum")
        end)
        responding({ "x" }, function(response)
            assert(response:discard())
            assert.equal(0, response.trailers:count())
        end, {})
    end)
end)

describe("read", function()
    it("gives bytes as they come, and nil at the end again and again", function()
        responding({ "ab", "c" }, function(response, connection)
            assert.equal("ab", response:read())
            assert.equal("c", response:read())
            assert.equal("active", connection.state)
            for _ = 1, 3 do
                local data, err = response:read()
                assert.is_nil(data)
                assert.is_nil(err)
            end
            assert.is_true(connection:is_idle())
        end, {})
    end)

    it("gives max bytes at most, also of what came with the head", function()
        wire.over({ ASKED, { send = wire.reply "0123456789" } }, function(connection)
            local response = assert(connection:request(wire.request()))
            assert.is_true(connection:is_idle())
            local got = {}
            for _, max in ipairs { 1, 3, 4, 100, 1 } do
                got[#got + 1] = response:read(max) or "end"
            end
            assert.same({ "0", "123", "4567", "89", "end" }, got)
        end)
        responding({ "01234", "56789" }, function(response)
            local got = {}
            for _ = 1, 6 do
                got[#got + 1] = response:read(3) or "end"
            end
            assert.same({ "012", "34", "567", "89", "end", "end" }, got)
        end, {})
    end)

    it("knows how much is left", function()
        responding({ "abc", "def" }, function(response)
            assert.equal(6, response:remaining())
            response:read(2)
            assert.equal(4, response:remaining())
            response:text()
            assert.equal(0, response:remaining())
        end, {})
        wire.over({ ASKED, { send = wire.reply "0123456789" } }, function(connection)
            local response = assert(connection:request(wire.request()))
            response:read(4)
            assert.equal(6, response:remaining())
        end)
        wire.over({ ASKED, { send = "HTTP/1.1 200 OK\r\n\r\nab" } }, function(connection)
            assert.is_nil(assert(connection:request(wire.request())):remaining())
        end)
    end)

    it("repeats its failure", function()
        responding({ "abc" }, function(response)
            assert.equal("abc", response:read())
            local err = is_failure("closed", response:read())
            for _, name in ipairs { "read", "text", "json", "discard" } do
                assert.equal(err, is_failure("closed", response[name](response)))
            end
            assert.equal(err, is_failure("closed", response:save "/tmp/never"))
            assert.is_nil(io.open "/tmp/never")
        end, { length = 10 })
    end)

    it("takes whole numbers from 1 only", function()
        responding({ "abc" }, function(response)
            for _, max in ipairs { 0, -1, 1.5, "1", {}, 0 / 0 } do
                for _, name in ipairs { "read", "chunks" } do
                    assert.error_matches(function()
                        response[name](response, max)
                    end, "bad argument 'max'")
                end
            end
            assert.equal("abc", response:text())
        end, {})
    end)

    it("wants a colon", function()
        responding({}, function(response)
            for _, name in ipairs { "read", "text", "json", "save", "discard", "close", "chunks",
                "lines" } do
                assert.error_matches(function()
                    response[name]()
                end, "bad argument 'self' %(response")
            end
        end, {})
    end)
end)

describe("text", function()
    it("gives the body, and again", function()
        responding({ "ab", "c", "d" }, function(response, connection)
            assert.equal("abcd", response:text())
            assert.equal("abcd", response:text())
            assert.is_nil((response:read()))
            assert.is_true(connection:is_idle())
        end, {})
    end)

    it("gives what read has left", function()
        responding({ "abc", "def" }, function(response)
            response:read(2)
            assert.equal("cdef", response:text())
        end, {})
    end)

    it("gives nothing of a body that breaks off", function()
        responding({ "abc" }, function(response, connection)
            local err = is_failure("closed", response:text())
            assert.matches("before the response's body was complete", tostring(err))
            assert.is_true(connection:is_closed())
        end, { length = 4 })
    end)

    it("refuses a body that says it is larger than max_body", function()
        responding({ "abc" }, function(response, connection)
            local err = is_failure("limit", response:text())
            assert.matches("max_body %(2 bytes%)", tostring(err))
            assert.equal(err, is_failure("limit", response:text()))
            assert.is_true(connection:is_closed())
        end, {}, { max_body = 2 })
    end)

    it("refuses a body of unknown length that gets larger", function()
        for _, method in ipairs { "text", "discard", "save" } do
            local path = os.tmpname()
            wire.over({ ASKED, { send = "HTTP/1.1 200 OK\r\n\r\nab" }, { delay = 1 },
                { send = "cd" }, { eof = true } }, function(connection)
                local response = assert(connection:request(wire.request(), { max_body = 3 }))
                is_failure("limit", response[method](response, path))
                assert.is_true(connection:is_closed())
            end)
            os.remove(path)
        end
    end)

    it("takes 64 MiB and no more by itself", function()
        wire.over({ ASKED, { send = "HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n" } },
            function(connection)
                local response = assert(connection:request(wire.request()))
                is_failure("limit", response:text())
            end)
    end)
end)

describe("json", function()
    it("gives the value, beside the text", function()
        wire.over({ ASKED, { send = wire.reply '{"a":[1,null]}' } }, function(connection)
            local response = assert(connection:request(wire.request()))
            assert.equal(1, response:json().a[1])
            assert.equal('{"a":[1,null]}', response:text())
        end)
    end)

    it("says where it wasn't JSON", function()
        wire.over({ ASKED, { send = OK } }, function(connection)
            local response = assert(connection:request(wire.request()))
            local err = is_failure("protocol", response:json())
            assert.matches("http://test.example/path, phase body", tostring(err))
        end)
    end)
end)

describe("chunks", function()
    it("gives them all", function()
        responding({ "ab", "c" }, function(response)
            local got = {}
            for chunk in response:chunks() do
                got[#got + 1] = chunk
            end
            assert.same({ "ab", "c" }, got)
        end, {})
    end)

    it("raises the error itself when the body breaks off", function()
        responding({ "ab" }, function(response)
            local got = {}
            local ok, err = pcall(function()
                for chunk in response:chunks() do
                    got[#got + 1] = chunk
                end
            end)
            assert.is_false(ok)
            assert.same({ "ab" }, got)
            is_failure("closed", nil, err)
        end, { length = 3 })
    end)
end)

describe("lines", function()
    local function lines_of(pieces, limit)
        local got = {}
        responding(pieces, function(response)
            for line in response:lines(limit) do
                got[#got + 1] = line
            end
        end, {})
        return got
    end

    it("come without their ends, however the body is cut", function()
        local text = "one\ntwo\r\n\n\r\nfive\rstill five\n last"
        local expected = { "one", "two", "", "", "five\rstill five", " last" }
        for size = 1, #text do
            local pieces = {}
            for from = 1, #text, size do
                pieces[#pieces + 1] = text:sub(from, from + size - 1)
            end
            assert.same(expected, lines_of(pieces))
        end
    end)

    it("has no line after the last end, and none in an empty body", function()
        assert.same({ "a" }, lines_of { "a\n" })
        assert.same({ "" }, lines_of { "\n" })
        assert.same({}, lines_of {})
    end)

    it("that grow without end are refused", function()
        responding({ "abc", "def\nx" }, function(response, connection)
            local ok, err = pcall(response:lines(2))
            assert.is_false(ok)
            is_failure("limit", nil, err)
            assert.is_true(connection:is_closed())
        end, {})
        assert.same({ "abcdef", "x" }, lines_of({ "abc", "def\nx" }, 6))
    end)

    it("raise when the body breaks off", function()
        responding({ "a\nb" }, function(response)
            local next_line = response:lines()
            assert.equal("a", next_line())
            is_failure("closed", nil, select(2, pcall(next_line)))
        end, { length = 5 })
    end)
end)

describe("discard", function()
    it("reads to the end and keeps the connection", function()
        responding({ "abc", "def" }, function(response, connection)
            assert.is_true(response:discard())
            assert.is_true(response:discard())
            assert.is_nil((response:read()))
            assert.is_true(connection:is_idle())
        end, {})
    end)

    it("is no success when the body breaks off", function()
        responding({ "abc" }, function(response)
            is_failure("closed", response:discard())
        end, { length = 4 })
    end)
end)

describe("close", function()
    it("keeps the connection when the rest has come", function()
        wire.over({ ASKED, { send = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" },
            { delay = 1 }, { send = "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n" } }, function(connection)
            local response = assert(connection:request(wire.request()))
            assert.equal("abc", response:read())
            response:close()
            assert.is_true(connection:is_idle())
        end)
    end)

    it("closes the connection when more is to come than soon comes", function()
        local log = responding({ "abc" }, function(response, connection, _, m)
            assert.equal("abc", response:read())
            response:close()
            response:close()
            m:advance(0.051)
            assert.is_true(connection:is_closed())
            is_failure("closed", response:read())
            is_failure("closed", response:text())
            assert.is_false((pcall(response:chunks())))
        end, { length = 6, open = true })
        assert.equal("unread_body", log.reason)
    end)

    it("of a complete response harms nothing", function()
        wire.over({ ASKED, { send = OK } }, function(connection)
            local response = assert(connection:request(wire.request()))
            response:close()
            assert.is_true(connection:is_idle())
            is_failure("closed", response:read())
        end)
    end)

    it("leaves the text that was read", function()
        wire.over({ ASKED, { send = OK } }, function(connection)
            local response = assert(connection:request(wire.request()))
            response:text()
            response:close()
            assert.equal("hello", response:text())
        end)
    end)
end)

describe("a response that nobody keeps", function()
    -- A connection whose response has a body that comes in two parts; only `use` sees the response.
    local function after(use, check)
        return wire.over({ ASKED, { send = OK:sub(1, -3) }, { delay = 1 },
            { send = "lo" } }, function(connection, peer, m)
            local function exchange()
                use(assert(connection:request(wire.request())))
            end
            exchange()
            for _ = 1, 2 do
                collectgarbage()
                m:advance(0)
            end
            check(connection, peer)
        end)
    end

    it("closes its connection, and its keeper hears of it", function()
        local log = after(function(response)
            assert.equal("hel", response:read())
        end, function(connection, peer)
            assert.is_true(connection:is_closed())
            assert.is_true(peer:is_closed())
        end)
        assert.equal("unread_body", log.reason)
    end)

    it("stops its upload", function()
        local calls = 0
        wire.over({ ASKED, { send = OK:sub(1, -3) } },
            function(connection, _, m)
                local request = wire.request("POST", function()
                    calls = calls + 1
                    m:advance(1)
                    return "x"
                end)
                assert(connection:request(request))
                collectgarbage()
                collectgarbage()
                m:advance(3)
                assert.is_true(connection:is_closed())
                assert.is_true(calls < 4)
            end)
    end)

    it("harms nothing when its body was read", function()
        local log = after(function(response)
            assert.equal("hello", response:text())
        end, function(connection)
            assert.is_true(connection:is_idle())
        end)
        assert.equal("closed", log.reason)
    end)

    it("is kept by its loop", function()
        local next_chunk
        after(function(response)
            next_chunk = response:chunks()
        end, function(connection)
            assert.equal("hel", next_chunk())
            assert.equal("lo", next_chunk())
            assert.is_nil(next_chunk())
            assert.is_true(connection:is_idle())
        end)
    end)
end)
