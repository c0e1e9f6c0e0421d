local clients = require "moonwire.client"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local wire = require "spec.support.wire"

local MANY = 3000

-- A client that has many idle connections.
local function with_idle(f)
    local m, open = mock.new(), 0
    m:listen_at("127.0.0.1", 80, function(peer)
        open = open + 1
        peer:on_data(function()
            peer:after(1, function()
                peer:send(wire.reply "hello")
            end)
        end)
    end)
    m:run(function()
        local client = clients.new { pool = {
            max_total = MANY, max_per_origin = MANY, idle_total = MANY, idle_per_origin = MANY,
        } }
        moonwire.scope(function(s)
            for _ = 1, MANY do
                s:spawn(client.get, client, "http://127.0.0.1/")
            end
        end)
        assert.equal(MANY, open)
        assert.equal(MANY, client:stats().idle)
        f(client, m)
        assert.equal(0, client:stats().total)
        client:close()
        m:advance(0)
        assert.equal(0, m:stats().tcp)
    end)
end

describe("a client with many idle connections", function()
    it("closes them all, one after the other", function()
        with_idle(function(client)
            client:close()
        end)
    end)

    it("closes them when asked, or when their time has come", function()
        with_idle(function(client)
            client:close_idle()
        end)
        with_idle(function(_, m)
            m:advance(100)
        end)
    end)
end)
