local scope = require "moonwire.scope"
local wire = require "spec.support.wire"

local answering, failed = wire.answering, wire.failed
local ASKED = wire.ASKED
local OK = wire.reply "hello"

describe("time", function()
    it("for the head runs from the request's last byte: 60 seconds", function()
        wire.over(nil, function(connection, _, m)
            local before = m:now()
            local err = failed("timeout", connection:request(wire.request()))
            assert.equal(60, m:now() - before)
            assert.equal("headers", err.phase)
            assert.matches("60 s", tostring(err))
            assert.matches("http://test.example/path", tostring(err), 1, true)
            assert.is_false(err.safe_to_retry)
            assert.equal("timeout", connection:stats().close_reason)
        end)
    end)

    it("for the head isn't lengthened by a byte now and then", function()
        wire.over({ ASKED, { send = "H" }, { delay = 3 }, { send = "T" }, { delay = 3 },
            { send = "T" } },
            function(connection, _, m)
                local before = m:now()
                local err = failed("timeout", connection:request(wire.request(),
                    { headers_timeout = 5 }))
                assert.equal(5, m:now() - before)
                assert.matches("5 s", tostring(err))
                assert.equal(2, err.bytes_received)
            end)
    end)

    it("without progress in the body: 30 seconds, or what one says", function()
        for _, seconds in ipairs { 30, 7 } do
            wire.over({ ASKED, { send = OK:sub(1, -3) }, { delay = seconds - 1 }, { send = "l" } },
                function(connection, _, m)
                    local before = m:now()
                    local response = assert(connection:request(wire.request(),
                        { idle_timeout = seconds ~= 30 and seconds or nil }))
                    local err = failed("timeout", response:text())
                    assert.equal(2 * seconds - 1, m:now() - before)
                    assert.equal("body", err.phase)
                    assert.matches(seconds .. " s", tostring(err))
                    assert.equal("timeout", connection.close_reason)
                end)
        end
    end)

    it("for everything ends at the deadline, in the head", function()
        wire.over(nil, function(connection, _, m)
            local before = m:now()
            local err = failed("timeout", connection:request(wire.request(),
                { deadline = before + 2 }))
            assert.equal(2, m:now() - before)
            assert.equal("headers", err.phase)
            assert.matches("2 s", tostring(err))
        end)
    end)

    it("for everything ends at the deadline, in a body that drips", function()
        wire.over({ ASKED, { send = OK:sub(1, -6) }, { delay = 1 }, { send = "h" }, { delay = 1 },
            { send = "e" }, { delay = 1 }, { send = "l" } }, function(connection, _, m)
            local before = m:now()
            local response = assert(connection:request(wire.request(), { deadline = before + 2.5 }))
            local err = failed("timeout", response:text())
            assert.equal(2.5, m:now() - before)
            assert.equal("body", err.phase)
        end)
    end)

    it("that a reader takes for itself doesn't count as idle", function()
        wire.over({ ASKED, { send = OK:sub(1, -3) }, { delay = 100 }, { send = "lo" } },
            function(connection, _, m)
                local response = assert(connection:request(wire.request()))
                m:advance(99)
                assert.equal("hello", response:text())
            end)
    end)

    it("that is over already leaves the connection as it is", function()
        wire.over(answering { OK }, function(connection, peer, m)
            local err = failed("timeout",
                connection:request(wire.request(), { deadline = m:now() }))
            assert.matches("before it was sent", tostring(err))
            assert.equal("http://test.example/path", err.url)
            assert.equal("new", connection.state)
            assert.equal("", peer:received())
            assert.equal("hello", assert(connection:request(wire.request())):text())
        end)
    end)
end)

describe("cancellation", function()
    it("before the request leaves the connection as it is", function()
        wire.over(answering { OK }, function(connection, peer, m)
            local _, err = scope.timeout(3, function()
                m:advance(10)
                failed("cancelled", connection:request(wire.request()))
                failed("cancelled", connection:request(wire.request("POST", function() end)))
            end)
            assert.equal("timeout", err.kind)
            assert.equal("new", connection.state)
            assert.equal("", peer:received())
            assert.equal("hello", assert(connection:request(wire.request())):text())
        end)
    end)

    it("while a body is sent stops the body's function", function()
        local calls = 0
        wire.over(nil, function(connection, _, m)
            scope.timeout(3.5, function()
                failed("cancelled", connection:request(wire.request("POST", function()
                    calls = calls + 1
                    m:advance(1)
                    return "x"
                end)))
            end)
            m:advance(10)
            assert.equal("cancelled", connection.close_reason)
            assert.equal(4, calls)
        end)
    end)

    it("while the head is awaited closes the connection", function()
        wire.over(nil, function(connection, _, m)
            local _, err = scope.timeout(3, function()
                local err = failed("cancelled", connection:request(wire.request()))
                assert.equal("headers", err.phase)
                assert.is_false(err.safe_to_retry)
            end)
            assert.equal("timeout", err.kind)
            assert.equal("cancelled", connection.close_reason)
            m:advance(0)
        end)
    end)

    it("while the body is read closes the connection", function()
        wire.over({ ASKED, { send = OK:sub(1, -2) } }, function(connection)
            local response = assert(connection:request(wire.request()))
            scope.timeout(3, function()
                failed("cancelled", response:text())
            end)
            assert.equal("cancelled", connection.close_reason)
            failed("cancelled", response:text())
        end)
    end)
end)
