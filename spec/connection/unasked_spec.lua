local clients = require "moonwire.client"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local wire = require "spec.support.wire"

local OK = wire.reply "hello"

describe("bytes that come before the first byte of a request went out", function()
    local function refused(body, bytes)
        wire.over({ { expect = "\r\n\r\n" }, { send = OK } }, function(connection, peer)
            assert(connection:request(wire.request()))
            peer:block_writes(true)
            peer:after(1, function()
                peer:send(bytes)
                peer:block_writes(false)
            end)
            local response, err = connection:request(wire.request("PUT", body))
            assert.is_nil(response)
            assert.equal("closed", err.kind)
            assert.equal("EH1_UNSOLICITED", err.code)
            assert.equal(0, err.bytes_sent)
            assert.equal(0, err.bytes_received)
            assert.equal(type(body) == "string", err.safe_to_retry)
            assert.equal("unsolicited", connection.close_reason)
        end)
    end

    it("are no response to it", function()
        refused("body", wire.reply "stale")
    end)

    it("are no beginning of one", function()
        refused("body", "HT")
    end)

    it("are no response to a request whose body is a function either", function()
        refused(function() end, wire.reply "stale")
    end)

    it("cost a client nothing but the connection", function()
        local m, peers = mock.new(), {}
        m:listen_at("127.0.0.1", 80, function(peer)
            peers[#peers + 1] = peer
            peer:on_data(function()
                peer:send(OK)
            end)
        end)
        m:run(function()
            local client = clients.new()
            assert(client:get "http://127.0.0.1/")
            peers[1]:block_writes(true)
            moonwire.spawn(function()
                peers[1]:send(wire.reply "stale")
            end)
            assert.equal("hello", assert(client:post "http://127.0.0.1/"):text())
            assert.equal(2, #peers)
            assert.is_true(peers[1]:is_closed())
            client:close()
        end)
    end)
end)

describe("bytes that a new connection brings along", function()
    for name, bytes in pairs {
        ["a whole response"] = OK, ["the beginning of one"] = "HT", ["a greeting"] = "220 hi\r\n",
        ["an empty line and a response"] = "\r\n" .. OK,
    } do
        it("are no answer: " .. name, function()
            wire.over({ { send = bytes } }, function(connection, peer)
                local err = wire.failed("closed", connection:request(wire.request()))
                assert.equal("EH1_UNSOLICITED", err.code)
                assert.equal(0, err.bytes_sent)
                assert.is_false(err.reused)
                assert.is_false(err.safe_to_retry)
                assert.equal("unsolicited", connection.close_reason)
                assert.equal("", peer:received())
            end)
        end)
    end

    it("are told in the error", function()
        wire.over({ { send = "220 ftp\1 ready\r\nmore" } }, function(connection)
            local err = wire.failed("closed", connection:request(wire.request()))
            assert.matches('before it was sent one: "220 ftp? ready"', tostring(err), 1, true)
        end)
    end)

    it("may be an empty line", function()
        wire.over({ { send = "\r\n" }, wire.ASKED, { send = OK } }, function(connection)
            assert.equal("hello", assert(connection:request(wire.request())):text())
        end)
    end)

    it("make a client's request fail once, and give its place back", function()
        local m, count = mock.new(), 0
        m:listen_at("127.0.0.1", 80, function(peer)
            count = count + 1
            peer:send(OK)
        end)
        m:run(function()
            local client = clients.new { pool = { max_total = 1 } }
            for attempt = 1, 2 do
                local err = wire.failed("closed", client:get "http://127.0.0.1/")
                assert.equal("EH1_UNSOLICITED", err.code)
                assert.equal(attempt, count)
            end
            assert.equal(0, client:stats().total)
            client:close()
        end)
    end)
end)
