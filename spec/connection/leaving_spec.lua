local moonwire = require "moonwire"
local raw = require "spec.support.raw"
local wire = require "spec.support.wire"

local CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

-- A head, and what follows it in further pieces, 5 ms apart.
local function replying(head, pieces)
    local script = { { expect = "\r\n\r\n" }, { send = head } }
    for _, piece in ipairs(pieces) do
        script[#script + 1] = { delay = 0.005 }
        script[#script + 1] = { send = piece }
    end
    return script
end

local function with_length(length, more)
    return ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n"):format(length, more or "")
end

local function chunk(size)
    return ("%x\r\n%s\r\n"):format(size, ("x"):rep(size))
end

-- What is to be sent; what the connection is afterwards: "idle", or its close reason; and how long
-- that takes.
local CASES = {
    { "a short rest", with_length(100), { ("x"):rep(100) }, "idle", 0.005 },
    { "the last chunk", CHUNKED .. "1\r\nx\r\n", { "0\r\n\r\n" }, "idle", 0.005 },
    { "64 KiB in pieces", with_length(65536), { ("x"):rep(30000), ("x"):rep(35536) }, "idle",
        0.01 },
    { "64 KiB and a byte", with_length(65537), { ("x"):rep(65537) }, "unread_body", 0 },
    { "chunks of 60 KiB", CHUNKED, { chunk(30000), chunk(30000), "0\r\n\r\n" }, "idle", 0.015 },
    { "chunks without end", CHUNKED, { chunk(30000), chunk(30000), chunk(30000), chunk(30000) },
        "unread_body", 0.015 },
    { "a rest that takes too long", with_length(20),
        { "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c" }, "unread_body", 0.05 },
    { "a rest that never comes", with_length(5), {}, "unread_body", 0.05 },
    { "a body up to the end of the connection", "HTTP/1.1 200 OK\r\n\r\n", { "x" },
        "unread_body", 0 },
    { "a stream of events", with_length(100, "Content-Type: text/event-stream;x=y\r\n"),
        { ("x"):rep(100) }, "unread_body", 0 },
    { "bad chunks", CHUNKED, { "zz\r\n" }, "unread_body", 0.005 },
    { "a rest and more", with_length(3), { "abcHTTP/1.1" }, "unsolicited", 0.005 },
    { "a rest of a connection that ends", with_length(3, "Connection: close\r\n"), { "abc" },
        "close_header", 0.005 },
}

describe("an unread body at close:", function()
    for _, case in ipairs(CASES) do
        local name, head, pieces, outcome, seconds = unpack(case)
        it(name .. ": " .. outcome, function()
            local log = wire.over(replying(head, pieces), function(connection, _, m)
                local response = assert(connection:request(wire.request()))
                local before, ended = m:now(), nil
                response:close()
                assert.equal(before, m:now())
                while not ended do
                    m:advance(0)
                    if connection.state ~= "active" then
                        ended = m:now()
                    else
                        m:advance(0.001)
                    end
                end
                assert.is_true(math.abs(ended - before - seconds) < 0.0015,
                    tostring(ended - before))
                assert.equal("closed", select(2, response:read()).kind)
                m:advance(1)
            end)
            if outcome == "idle" then
                assert.equal(1, log.idle)
                assert.equal("closed", log.reason)
            else
                assert.equal(0, log.idle)
                assert.equal(outcome, log.reason)
            end
        end)
    end

    it("is closed at once where somebody waits for the place", function()
        local log = wire.over(replying(with_length(3), { "abc" }), function(connection)
            assert(connection:request(wire.request())):close()
            assert.is_true(connection:is_closed())
        end, { can_drain = function()
            return false
        end })
        assert.equal("unread_body", log.reason)
    end)

    it("is closed at once while the upload goes on", function()
        wire.over(replying(with_length(3), { "abc" }), function(connection, _, m)
            local request = wire.request("POST", function()
                m:advance(1)
                return "x"
            end)
            assert(connection:request(request)):close()
            assert.is_true(connection:is_closed())
            m:advance(1)
        end)
    end)

    it("is not waited for beyond the request's deadline", function()
        wire.over(replying(with_length(3), {}), function(connection, _, m)
            assert(connection:request(wire.request(), { deadline = m:now() + 0.01 })):close()
            m:advance(0.011)
            assert.equal("unread_body", connection.close_reason)
        end)
    end)

    it("is dropped until the connection is closed for another reason", function()
        local log = wire.over(replying(with_length(3), {}), function(connection, _, m)
            assert(connection:request(wire.request())):close()
            m:advance(0.01)
            connection:close "mine"
        end)
        assert.equal("mine", log.reason)
    end)

    it("does not keep the next request waiting, nor the place from another", function()
        raw.client(function(stream, number)
            while raw.head(stream) do
                stream:write(with_length(5))
                if number > 1 then
                    stream:write "hello"
                end
            end
        end, function(client)
            assert(client:get "a"):close()
            assert.equal("hello", assert(client:get "b"):text())
            assert.equal(1, client:stats().idle)
            moonwire.sleep(0.1)
            assert.equal(1, client:stats().total)
        end)
    end)

    it("leaves its connection to the next request, on a real socket", function()
        raw.client(function(stream)
            while raw.head(stream) do
                stream:write(CHUNKED .. "5\r\nhello\r\n")
                moonwire.sleep(0.005)
                stream:write "0\r\n\r\n"
            end
        end, function(client, log)
            for _ = 1, 5 do
                local response = assert(client:get "x")
                response:close()
                raw.eventually(function()
                    return client:stats().idle == 1
                end)
            end
            assert.equal(1, log.accepted)
        end)
    end)

    it("gives way to requests that wait for the place", function()
        raw.client(function(stream, number)
            raw.head(stream)
            stream:write(with_length(5))
            if number > 1 then
                stream:write "hello"
            end
            raw.head(stream)
        end, function(client, log)
            local response = assert(client:get "a")
            local task = moonwire.spawn(function()
                return assert(client:get "b"):text()
            end)
            moonwire.sleep(0.01)
            local before = moonwire.now()
            response:close()
            assert.equal("hello", task:join())
            assert.is_true(moonwire.now() - before < 0.045)
            assert.equal(2, log.accepted)
        end, { pool = { max_total = 1, max_per_origin = 1 } })
    end)

    it("the connection is closed at once when another task reads it", function()
        local log = wire.over(replying(with_length(5), { "ab" }), function(connection)
            local response = assert(connection:request(wire.request()))
            local reader = moonwire.spawn(function()
                return response:text()
            end)
            moonwire.sleep(0.01)
            response:close()
            assert.equal("closed", connection.state)
            local text, err = reader:join()
            assert.is_nil(text)
            assert.equal("closed", err.kind)
        end)
        assert.equal("unread_body", log.reason)
    end)
end)
