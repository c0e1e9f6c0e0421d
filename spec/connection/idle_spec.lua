local clients = require "moonwire.client"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local raw = require "spec.support.raw"
local wire = require "spec.support.wire"

local OK = wire.reply "hello"
local TIMED_OUT = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"

-- What a peer may do to an idle connection, and why it is then closed; nil: it isn't.
local CASES = {
    { "a whole response", { OK }, "unsolicited" },
    { "a byte", { "x" }, "unsolicited" },
    { "a NUL", { "\0" }, "unsolicited" },
    { "a 408", { TIMED_OUT }, "peer_closed_idle" },
    { "a 408 of HTTP/1.0", { "HTTP/1.0 408 Slow\r\n\r\n" }, "peer_closed_idle" },
    { "an empty line", { "\r\n" }, nil },
    { "two empty lines", { "\r\n\r\n" }, nil },
    { "two empty lines byte by byte", { "\r", "\n", "\r", "\n" }, nil },
    { "three empty lines", { "\r\n\r\n\r\n" }, "unsolicited" },
    { "three empty lines one by one", { "\r\n", "\r\n", "\r\n" }, "unsolicited" },
    { "LF alone", { "\n" }, "unsolicited" },
    { "CR twice", { "\r", "\r" }, "unsolicited" },
    { "an empty line and a response", { "\r\n" .. OK }, "unsolicited" },
}

describe("an idle connection on the mock", function()
    for _, case in ipairs(CASES) do
        local name, pieces, reason = case[1], case[2], case[3]
        it(("is %s by %s"):format(reason and "closed at once" or "kept", name), function()
            wire.over({ { expect = "\r\n\r\n" }, { send = OK }, { expect = "\r\n\r\n" },
                { send = OK } }, function(connection, peer, m)
                local before = m:now()
                assert(connection:request(wire.request()))
                for _, piece in ipairs(pieces) do
                    peer:send(piece)
                    m:advance(0)
                end
                m:advance(0)
                assert.equal(before, m:now())
                assert.equal(reason, connection.close_reason)
                if not reason then
                    local response = assert(connection:request(wire.request()))
                    assert.equal("hello", response:text())
                    assert.is_true(connection:is_idle())
                end
            end)
        end)
    end

    it("is closed at once when the peer closes or breaks it, and its keeper is told", function()
        for _, step in ipairs { "eof", "close", "reset" } do
            local told
            wire.over({ { expect = "\r\n\r\n" }, { send = OK } }, function(connection, peer, m)
                assert(connection:request(wire.request()))
                local keeper = connection.keeper
                connection.keeper = { on_close = function(closed, reason)
                    told = reason
                    keeper.on_close(closed, reason)
                end }
                peer[step](peer)
                m:advance(0)
                assert.equal("peer_closed_idle", told)
                assert.equal("closed", connection.state)
            end)
        end
    end)

    it("is closed when the bytes came together with the end of the response before", function()
        wire.over({ { expect = "\r\n\r\n" }, { send = OK }, { send = "x" } },
            function(connection, _, m)
                assert.equal("hello", assert(connection:request(wire.request())):text())
                m:advance(0)
                assert.equal("unsolicited", connection.close_reason)
            end)
    end)

    it("is looked at once more before a request goes: nothing is written", function()
        wire.over({ { expect = "\r\n\r\n" }, { send = OK } }, function(connection, peer)
            assert(connection:request(wire.request()))
            local written = #peer:received()
            peer:send(OK)
            local response, err = connection:request(wire.request())
            assert.is_nil(response)
            assert.equal("closed", err.kind)
            assert.is_true(err.safe_to_retry)
            assert.equal(0, err.bytes_sent)
            assert.equal(written, #peer:received())
            assert.equal("unsolicited", connection.close_reason)
        end)
    end)

    it("that was closed by its watch says that a further request may go elsewhere", function()
        wire.over({ { expect = "\r\n\r\n" }, { send = OK }, { eof = true } },
            function(connection, _, m)
                assert(connection:request(wire.request()))
                m:advance(0)
                local _, err = connection:request(wire.request("POST", "x"))
                assert.equal("closed", err.kind)
                assert.is_true(err.reused)
                assert.equal(0, err.bytes_sent)
                assert.equal(0, err.bytes_received)
                assert.is_true(err.safe_to_retry)
            end)
    end)

    it("is watched between any two requests, and not while one is under way", function()
        local script = {}
        for _ = 1, 20 do
            script[#script + 1] = { expect = "\r\n\r\n" }
            script[#script + 1] = { send = OK, pieces = 7 }
        end
        script[#script + 1] = { delay = 5 }
        script[#script + 1] = { send = "x" }
        wire.over(script, function(connection, _, m)
            for _ = 1, 20 do
                assert.equal("hello", assert(connection:request(wire.request())):text())
                m:advance(0.1)
                assert.is_true(connection:is_idle())
            end
            m:advance(5)
            assert.equal("unsolicited", connection.close_reason)
        end)
    end)
end)

describe("an idle connection of a client", function()
    it("leaves the pool at once", function()
        local m = mock.new()
        m:hosts { h = { "127.0.0.1" } }
        local peers = {}
        m:listen_at("127.0.0.1", 80, function(peer)
            peers[#peers + 1] = peer
            peer:on_data(function()
                peer:send(OK)
            end)
        end)
        m:run(function()
            local client = clients.new()
            for _, act in ipairs { { "eof" }, { "reset" }, { "send", "x" } } do
                assert(client:get("http://h/"))
                assert.equal(1, client:stats().idle)
                peers[#peers][act[1]](peers[#peers], act[2])
                m:advance(0)
                assert.equal(0, client:stats().idle)
                assert.equal(0, client:stats().total)
            end
            local stats = client:stats()
            assert.equal(2, stats.idle_closed_by_peer)
            assert.equal(1, stats.unsolicited)
            assert.equal("hello", assert(client:get("http://h/")):text())
            assert.equal(4, #peers)
            client:close()
        end)
    end)
end)

describe("an idle connection on a real socket", function()
    for _, case in ipairs(CASES) do
        local name, pieces, reason = case[1], case[2], case[3]
        it(("is %s by %s"):format(reason and "closed" or "kept", name), function()
            local go
            raw.connection(function(stream)
                raw.head(stream)
                stream:write(OK)
                raw.eventually(function()
                    return go
                end)
                for _, piece in ipairs(pieces) do
                    stream:write(piece)
                    moonwire.sleep(0.002)
                end
                if raw.head(stream) then
                    stream:write(OK)
                end
            end, function(connection)
                assert.equal("hello", assert(connection:request(wire.request())):text())
                go = true
                if reason then
                    raw.eventually(function()
                        return connection:is_closed()
                    end)
                    assert.equal(reason, connection.close_reason)
                else
                    moonwire.sleep(0.02)
                    assert.equal("hello", assert(connection:request(wire.request())):text())
                end
            end)
        end)
    end

    it("leaves the pool when its peer closes: 50 of them at once", function()
        local go
        raw.client(function(stream)
            raw.head(stream)
            stream:write(OK)
            raw.eventually(function()
                return go
            end)
        end, function(client)
            local calls = {}
            for i = 1, 50 do
                calls[i] = function()
                    assert(client:get "x")
                end
            end
            moonwire.gather(unpack(calls))
            assert.equal(50, client:stats().idle)
            go = true
            raw.eventually(function()
                return client:stats().total == 0
            end)
            assert.equal(50, client:stats().idle_closed_by_peer)
        end, { pool = { max_per_origin = 50, idle_per_origin = 50 } })
    end)

    it("does not keep a run alive by being watched", function()
        local client = clients.new()
        moonwire.run(function()
            local server = require("moonwire.testing.server").start()
            assert(client:get(server.url .. "/get"))
            server:close()
        end)
        client:close()
    end)
end)
