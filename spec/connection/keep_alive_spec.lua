local raw = require "spec.support.raw"
local wire = require "spec.support.wire"

-- A response head and body, and then: how long the connection may be idle (nil: nobody says), or
-- why it is closed.
local CASES = {
    { "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", nil },
    { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 1\r\n\r\nx", 4 },
    { "HTTP/1.1 200 OK\r\nKeep-Alive: TimeOut = 5 , max = 2\r\nContent-Length: 1\r\n\r\nx", 4 },
    { "HTTP/1.1 200 OK\r\nKeep-Alive: max=9\r\nkeep-alive: timeout=7\r\nContent-Length: 1\r\n\r\nx",
        6 },
    { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 1\r\n\r\nx", 1 },
    { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=301\r\nContent-Length: 1\r\n\r\nx", 300 },
    { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2147483647\r\nContent-Length: 1\r\n\r\nx", 300 },
    { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=99999999999999999999\r\nContent-Length: 1\r\n\r\nx",
        nil },
    { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=-5\r\nContent-Length: 1\r\n\r\nx", nil },
    { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5s, =3, ;;, max\r\nContent-Length: 1\r\n\r\nx", nil },
    { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 1\r\n\r\nx",
        "keep_alive_limit" },
    { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 1\r\n\r\nx",
        "keep_alive_limit" },
    { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60, max=1\r\nContent-Length: 1\r\n\r\nx",
        "keep_alive_limit" },
    { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\nConnection: close\r\n"
        .. "Content-Length: 1\r\n\r\nx", "close_header" },
    { "HTTP/1.1 200 OK\r\nConnection: keep-alive, CLOSE\r\nContent-Length: 1\r\n\r\nx",
        "close_header" },
    { "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: x,close\r\n"
        .. "Content-Length: 1\r\n\r\nx", "close_header" },
    { "HTTP/1.1 200 OK\r\nConnection: closed\r\nContent-Length: 1\r\n\r\nx", nil },
    { "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "http_1_0" },
    { "HTTP/1.0 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 1\r\n\r\nx", "http_1_0" },
    { "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", nil },
    { "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nKeep-Alive: timeout=5\r\n"
        .. "Content-Length: 1\r\n\r\nx", 4 },
    { "HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 1\r\n\r\nx",
        "close_header" },
}

local function check(connection, expected)
    if type(expected) == "string" then
        assert.equal(expected, connection.close_reason)
    else
        assert.is_true(connection:is_idle())
        assert.equal(expected, connection.lifetime or nil)
    end
end

local function shown(case)
    return tostring(case[2]) .. " after " .. case[1]:gsub("\r\n", "|")
end

describe("what a peer says of its connection:", function()
    for _, case in ipairs(CASES) do
        it(shown(case), function()
            wire.over({ { expect = "\r\n\r\n" }, { send = case[1] } }, function(connection)
                assert.equal("x", assert(connection:request(wire.request())):text())
                check(connection, case[2])
            end)
        end)

        it(shown(case) .. " on a real socket", function()
            raw.connection(function(stream)
                raw.head(stream)
                stream:write(case[1])
                raw.head(stream)
            end, function(connection)
                assert.equal("x", assert(connection:request(wire.request())):text())
                check(connection, case[2])
            end)
        end)
    end

    it("HTTP/1.0 with keep-alive and no length ends with the connection", function()
        local log = wire.over({ { expect = "\r\n\r\n" },
            { send = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nx" }, { eof = true } },
            function(connection)
                assert.equal("x", assert(connection:request(wire.request())):text())
            end)
        assert.equal("not_self_delimited", log.reason)
    end)

    it("a hint holds until the next response, which may have none", function()
        local hint = "Keep-Alive: timeout=5\r\n"
        wire.over({ { expect = "\r\n\r\n" }, { send = wire.reply("x", hint) },
            { expect = "\r\n\r\n" }, { send = wire.reply "x" } }, function(connection)
            assert(connection:request(wire.request()))
            assert.equal(4, connection.lifetime)
            assert(connection:request(wire.request()))
            assert.is_false(connection.lifetime)
        end)
    end)

    it("close in trailers counts as well", function()
        local log = wire.over({ { expect = "\r\n\r\n" }, { send = "HTTP/1.1 200 OK\r\n"
            .. "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nConnection: close\r\n\r\n" } },
            function(connection)
                assert.equal("x", assert(connection:request(wire.request())):text())
            end)
        assert.equal("close_header", log.reason)
    end)
end)
