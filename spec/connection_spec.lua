local connections = require "moonwire.connection"
local mock = require "moonwire.testing.mock"
local wire = require "spec.support.wire"

local answering, failed = wire.answering, wire.failed
local ASKED = wire.ASKED
local OK = wire.reply "hello"

describe("connection states:", function()
    it("new, active, idle, active, idle, closed", function()
        local log = wire.over(answering { OK, OK }, function(connection, peer)
            assert.equal("new", connection.state)
            assert.is_false(connection:is_idle())
            peer:on_data(function()
                assert.equal("active", connection.state)
            end)
            for count = 1, 2 do
                local response = assert(connection:request(wire.request()))
                assert.equal("hello", response:text())
                assert.equal("idle", connection.state)
                assert.is_true(connection:is_idle())
                assert.equal(count == 2, response.timing.reused)
                assert.equal(count, connection:stats().requests)
            end
            connection:close()
            assert.equal("closed", connection.state)
            assert.is_true(connection:is_closed())
            connection:close()
        end)
        assert.equal(2, log.idle)
        assert.equal("closed", log.reason)
    end)

    it("new to closed", function()
        wire.over(nil, function(connection)
            connection:close "mine"
            assert.is_true(connection:is_closed())
            assert.equal("mine", connection:stats().close_reason)
        end)
    end)

    it("active stays active until the body has been read", function()
        wire.over({ { expect = "\r\n\r\n" }, { send = wire.reply("hello"):sub(1, -3) },
            { delay = 1 }, { send = "lo" } }, function(connection)
            local response = assert(connection:request(wire.request()))
            assert.equal("active", connection.state)
            assert.equal("hello", response:text())
            assert.equal("idle", connection.state)
        end)
    end)

    it("a request on an active connection is refused and disturbs nothing", function()
        wire.over({ { expect = "\r\n\r\n" }, { send = OK:sub(1, -3) }, { delay = 1 },
            { send = "lo" } }, function(connection, peer)
            local response = assert(connection:request(wire.request()))
            local err = failed("system", connection:request(wire.request()))
            assert.matches("an exchange is under way", tostring(err))
            assert.equal("http://test.example/path", err.url)
            assert.equal("hello", response:text())
            local _, count = peer:received():gsub("GET", "")
            assert.equal(1, count)
        end)
    end)

    it("a request on a closed connection is refused with its reason", function()
        wire.over(nil, function(connection)
            connection:close "max_age"
            local err = failed("closed", connection:request(wire.request()))
            assert.matches("max_age", tostring(err))
        end)
    end)

    it("close while a response is awaited ends the wait", function()
        wire.over(nil, function(connection, peer)
            peer:after(1, function()
                connection:close()
            end)
            failed("closed", connection:request(wire.request()))
        end)
    end)

    it("close while a body is read ends that", function()
        wire.over({ ASKED, { send = OK:sub(1, -2) } }, function(connection, peer)
            local response = assert(connection:request(wire.request()))
            peer:after(1, function()
                connection:close()
            end)
            assert.equal("hell", response:read())
            local err = failed("closed", response:read())
            assert.equal(err, select(2, response:read()))
        end)
    end)
end)

describe("arguments of a connection:", function()
    it("a stream", function()
        for _, value in ipairs { 1, "x", {}, false } do
            assert.error_matches(function()
                connections.new(value)
            end, "bad argument 'stream'")
        end
        assert.error_matches(function()
            connections.new(nil)
        end, "bad argument 'stream'")
        local stream, peer = mock.new():stream()
        assert.error_matches(function()
            connections.new(stream, 1)
        end, "bad argument 'opts'")
        stream:close()
        peer:close()
    end)

    it("a request and its options", function()
        wire.over(nil, function(connection, peer)
            for _, value in ipairs { 1, "http://a/", {}, false } do
                assert.error_matches(function()
                    connection:request(value)
                end, "bad argument 'request' %(request made by moonwire.request")
            end
            local wrong = { deadline = "x", headers_timeout = {}, idle_timeout = 0 / 0,
                send_timeout = "x", max_body = true, on_informational = 1, progress = "x" }
            for name, value in pairs(wrong) do
                assert.error_matches(function()
                    connection:request(wire.request(), { [name] = value })
                end, "bad argument '" .. name .. "'")
            end
            assert.error_matches(function()
                connection:request(wire.request(), 5)
            end, "bad argument 'opts'")
            assert.error_matches(function()
                connection:close(5)
            end, "bad argument 'reason'")
            assert.error_matches(function()
                connection:has_expired "x"
            end, "bad argument 'seconds'")
            assert.equal("new", connection.state)
            assert.equal("", peer:received())
        end)
    end)

    it("a wait that isn't possible raises before anything is sent", function()
        wire.over(answering { OK }, function(connection, peer)
            local ok, message = pcall(string.gsub, "x", "x", function()
                return connection:request(wire.request())
            end)
            assert.is_false(ok)
            assert.matches("can't wait here", message)
            assert.equal("", peer:received())
            assert.equal("hello", assert(connection:request(wire.request())):text())
        end)
    end)
end)

describe("a response", function()
    local replies = {
        ["with a length"] = { OK, "hello" },
        ["in chunks"] = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            .. "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-Sum: 7\r\n\r\n", "hello" },
        ["without a body"] = { "HTTP/1.1 204 No Content\r\n\r\n", "" },
        ["of length 0"] = { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "" },
        ["after informational ones"] = { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n"
            .. "Link: x\r\n\r\n" .. OK, "hello" },
    }
    for name, case in pairs(replies) do
        local reply, body = case[1], case[2]

        it(name .. " reads the same however it is cut", function()
            for size in wire.places(1, #reply) do
                wire.over({ { expect = "\r\n\r\n" }, { send = reply, pieces = size } },
                    function(connection)
                        local response = assert(connection:request(wire.request()))
                        assert.equal(body, response:text())
                        assert.is_true(connection:is_idle())
                    end)
            end
        end)

        it(name .. " that breaks off is never a success", function()
            for size in wire.places(0, #reply - 1) do
                wire.over({ { expect = "\r\n\r\n" }, { send = reply:sub(1, size) },
                    { eof = true } }, function(connection)
                    local response, err = connection:request(wire.request())
                    local text
                    if response then
                        text, err = response:text()
                        assert.is_nil(text)
                    end
                    assert.equal("closed", err.kind, tostring(err))
                    assert.equal(response and "body" or "headers", err.phase)
                    assert.equal(size, err.bytes_received)
                    assert.is_false(err.safe_to_retry)
                    assert.is_true(connection:is_closed())
                end)
            end
        end)
    end

    it("that the connection's end delimits is whole only with that", function()
        local reply = "HTTP/1.1 200 OK\r\n\r\nhello"
        local log = wire.over({ { expect = "\r\n\r\n" }, { send = reply }, { eof = true } },
            function(connection)
                assert.equal("hello", assert(connection:request(wire.request())):text())
            end)
        assert.equal("not_self_delimited", log.reason)
        wire.over({ { expect = "\r\n\r\n" }, { send = reply }, { delay = 1 }, { reset = true } },
            function(connection)
                failed("closed", assert(connection:request(wire.request())):text())
            end)
    end)

    it("to HEAD has no body, whatever its head says", function()
        wire.over(answering { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", OK },
            function(connection)
                local response = assert(connection:request(wire.request "HEAD"))
                assert.equal("", response:text())
                assert.equal("5", response.headers:get "content-length")
                assert.equal("hello", assert(connection:request(wire.request())):text())
            end)
    end)

    it("tells its informational heads", function()
        local seen = {}
        wire.over(answering { "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
            .. "HTTP/1.1 199 X\r\n\r\n" .. OK }, function(connection)
            assert(connection:request(wire.request(), {
                on_informational = function(status, headers)
                    seen[#seen + 1] = status .. (headers:get "link" or "")
                end,
            }))
        end)
        assert.same({ "103a", "199" }, seen)
    end)

    it("is reported as it arrives", function()
        local seen = {}
        wire.over({ { expect = "\r\n\r\n" }, { send = OK, pieces = 10 } }, function(connection)
            local response = assert(connection:request(wire.request(), {
                progress = function(received, total)
                    seen[#seen + 1] = received .. "/" .. total
                end,
            }))
            assert(response:discard())
        end)
        assert.equal("5/5", seen[#seen])
    end)

    it("leaves no half exchange when a callback raises", function()
        for _, name in ipairs { "on_informational", "progress" } do
            wire.over(answering { "HTTP/1.1 103 X\r\n\r\n" .. OK }, function(connection)
                local ok, message = pcall(connection.request, connection, wire.request(), {
                    [name] = function()
                        error "mine"
                    end,
                })
                assert.is_false(ok)
                assert.matches("mine", message)
                assert.is_true(connection:is_closed())
            end)
        end
    end)
end)

describe("a connection is not used again", function()
    local cases = {
        { "after Connection: close", wire.reply("x", "Connection: close\r\n"), "close_header" },
        { "after HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "http_1_0" },
        { "with bytes behind the response", wire.reply "x" .. "y", "unsolicited" },
        { "with a second response behind the first", OK .. OK, "unsolicited" },
        { "when the peer wants no more", wire.reply("x", "Keep-Alive: timeout=5, max=1\r\n"),
            "keep_alive_limit" },
        { "when the peer waits a second only", wire.reply("x", "Keep-Alive: timeout=1\r\n"),
            "keep_alive_limit" },
    }
    for _, case in ipairs(cases) do
        it(case[1], function()
            local log = wire.over(answering { case[2] }, function(connection)
                local response = assert(connection:request(wire.request()))
                assert.is_true(#response:text() > 0)
                assert.is_true(connection:is_closed())
            end)
            assert.equal(case[3], log.reason)
            assert.equal(0, log.idle)
        end)
    end

    it("after it was asked to close", function()
        local log = wire.over(answering { OK }, function(connection)
            assert(connection:request(wire.request("GET", nil, { close = true })))
        end)
        assert.equal("close_header", log.reason)
    end)

    it("when the peer closed it meanwhile, and that is safe to retry", function()
        for _, method in ipairs { "GET", "POST" } do
            local log = wire.over(answering { OK }, function(connection, peer)
                assert(connection:request(wire.request()))
                peer:eof()
                local before = peer:received()
                local request = wire.request(method, function() end)
                local err = failed("closed", connection:request(request))
                assert.is_true(err.reused)
                assert.is_true(err.safe_to_retry)
                assert.equal(0, err.bytes_sent)
                assert.equal(before, peer:received())
            end)
            assert.equal("peer_closed_idle", log.reason)
        end
    end)

    it("when the peer wrote to it meanwhile", function()
        for bytes, reason in pairs {
            [OK] = "unsolicited",
            ["x"] = "unsolicited",
            ["HTTP/1.1 408 Request Timeout\r\n\r\n"] = "peer_closed_idle",
        } do
            local log = wire.over(answering { OK }, function(connection, peer, m)
                assert(connection:request(wire.request()))
                peer:send(bytes)
                m:advance(1)
                assert.is_true(connection:has_expired())
                failed("closed", connection:request(wire.request()))
            end)
            assert.equal(reason, log.reason)
        end
    end)

    it("but empty lines between responses do no harm", function()
        wire.over(answering { OK, OK }, function(connection, peer, m)
            assert(connection:request(wire.request()))
            peer:send "\r\n"
            m:advance(1)
            assert.is_false(connection:has_expired())
            assert.equal("hello", assert(connection:request(wire.request())):text())
        end)
    end)
end)

describe("HTTP/1.0 with keep-alive", function()
    it("is used again", function()
        local reply = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"
        wire.over(answering { reply, reply }, function(connection)
            for _ = 1, 2 do
                local response = assert(connection:request(wire.request()))
                assert.equal("1.0", response.http_version)
                assert.equal("x", response:text())
            end
        end)
    end)
end)

describe("has_expired", function()
    local function idle(head, check)
        wire.over(answering { wire.reply("x", head) }, function(connection, _, m)
            assert(connection:request(wire.request()))
            check(connection, m)
        end)
    end

    it("is after 30 seconds, or whatever one says", function()
        idle(nil, function(connection, m)
            m:advance(4.9)
            assert.is_false(connection:has_expired(5))
            m:advance(0.2)
            assert.is_true(connection:has_expired(5))
            assert.is_true(connection:has_expired(5, m:now()))
            assert.is_false(connection:has_expired())
            m:advance(25)
            assert.is_true(connection:has_expired())
        end)
    end)

    it("heeds what the peer says, less a second", function()
        idle("Keep-Alive: timeout=4, max=100\r\n", function(connection, m)
            assert.equal(3, connection.lifetime)
            m:advance(2.9)
            assert.is_false(connection:has_expired(100))
            m:advance(0.1)
            assert.is_true(connection:has_expired(100))
        end)
        idle("Keep-Alive: timeout=99999\r\n", function(connection)
            assert.equal(300, connection.lifetime)
        end)
    end)

    it("is true once closed and false while in use", function()
        wire.over(answering { OK:sub(1, -2) }, function(connection, _, m)
            assert.is_false(connection:has_expired())
            assert(connection:request(wire.request()))
            m:advance(1000)
            assert.is_false(connection:has_expired(1))
            connection:close()
            assert.is_true(connection:has_expired(1e9))
        end)
    end)
end)

describe("a peer", function()
    it("that sends garbage is a protocol error with the rule", function()
        local cases = {
            { "garbage\r\n\r\n", "protocol" },
            { "HTTP/2.0 200 OK\r\n\r\n", "protocol" },
            { "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "protocol" },
            { "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "protocol" },
            { "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "protocol" },
            { ("HTTP/1.1 100 Continue\r\n\r\n"):rep(100), "limit" },
            { "HTTP/1.1 200 OK\r\nA: " .. ("x"):rep(100000), "limit" },
            { "HTTP/1.1 200 OK\r\n" .. ("A: x\r\n"):rep(1000) .. "\r\n", "limit" },
        }
        for _, case in ipairs(cases) do
            local log = wire.over({ { expect = "\r\n\r\n" }, { send = case[1] } },
                function(connection)
                    local err = failed(case[2], connection:request(wire.request()))
                    assert.equal("headers", err.phase)
                    assert.matches("bad response", tostring(err))
                    assert.is_false(err.safe_to_retry)
                end)
            assert.equal("protocol_error", log.reason)
        end
    end)

    it("that frames its body wrongly is found out by the reader", function()
        wire.over(answering { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            .. "2\r\nheXX" }, function(connection)
            local response = assert(connection:request(wire.request()))
            assert.equal("he", response:read())
            failed("protocol", response:read())
            failed("protocol", response:read())
        end)
    end)

    it("that vanishes before it answers may be asked again over another connection", function()
        local cases = {
            { "GET", nil, false, true }, { "PUT", "x", false, true },
            { "POST", nil, false, false }, { "POST", "x", true, true },
            { "PUT", function() end, false, false },
        }
        for _, case in ipairs(cases) do
            for _, step in ipairs { { eof = true }, { reset = true } } do
                local script = answering { OK }
                script[#script + 1] = { expect = "\r\n\r\n" }
                script[#script + 1] = step
                wire.over(script, function(connection)
                    assert(connection:request(wire.request()))
                    local err = failed("closed", connection:request(wire.request(case[1], case[2], {
                        headers = case[3] and { ["Idempotency-Key"] = "1" } or nil,
                    })))
                    assert.is_true(err.reused)
                    assert.is_true(err.bytes_sent > 0)
                    assert.equal(0, err.bytes_received)
                    assert.equal(case[4], err.safe_to_retry)
                end)
            end
        end
    end)

    it("that vanishes on a fresh connection isn't asked again", function()
        wire.over({ { expect = "\r\n\r\n" }, { reset = true } }, function(connection)
            local err = failed("closed", connection:request(wire.request()))
            assert.is_false(err.reused)
            assert.is_false(err.safe_to_retry)
        end)
    end)
end)

describe("stats", function()
    it("count requests and bytes", function()
        wire.over(answering { OK, OK }, function(connection, peer, m)
            local created = m:now()
            m:advance(2)
            assert(connection:request(wire.request()))
            assert(connection:request(wire.request()))
            local stats = connection:stats()
            assert.equal(2, stats.requests)
            assert.equal(2 * #OK, stats.bytes_in)
            assert.equal(#peer:received(), stats.bytes_out)
            assert.equal(created, stats.created)
            assert.equal(created + 2, stats.last_used)
            assert.is_nil(stats.close_reason)
        end)
    end)
end)
