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
