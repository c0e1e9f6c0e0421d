local clients = require "moonwire.client"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local wire = require "spec.support.wire"

-- A client with one connection that was opened for a request that was cancelled just then.
local function with_unused(f)
    local m, peers, late = mock.new(), {}, nil
    m:listen_at("127.0.0.1", 80, function(peer)
        peers[#peers + 1] = peer
        if #peers == 1 then
            late:cancel()
        end
        peer:on_data(function()
            peer:send(wire.reply "hello")
        end)
    end)
    m:run(function()
        local client = clients.new()
        local response, err
        late = moonwire.spawn(function()
            response, err = client:get "http://127.0.0.1/"
        end)
        late:join()
        assert.is_nil(response)
        assert.equal("cancelled", err.kind)
        assert.equal(1, client:stats().idle)
        f(client, peers, m)
        client:close()
    end)
end

local function get(client)
    return assert(client:get "http://127.0.0.1/"):text()
end

describe("a connection that was opened for a request that is not sent", function()
    it("is kept for the next one", function()
        with_unused(function(client, peers)
            assert.equal("hello", get(client))
            assert.equal(1, #peers)
        end)
    end)

    it("is closed at once when its server closes it, breaks it or speaks", function()
        for _, act in ipairs { "close", "eof", "reset", "send" } do
            with_unused(function(client, peers)
                peers[1][act](peers[1], act == "send" and wire.reply "stale" or nil)
                moonwire.sleep(0)
                assert.equal(0, client:stats().total)
                assert.equal("hello", get(client))
                assert.equal(2, #peers)
            end)
        end
    end)

    it("is looked at before it is used", function()
        for _, act in ipairs { "close", "eof", "reset", "send" } do
            with_unused(function(client, peers)
                peers[1][act](peers[1], act == "send" and wire.reply "stale" or nil)
                assert.equal("hello", get(client))
                assert.equal(2, #peers)
            end)
        end
    end)
end)
