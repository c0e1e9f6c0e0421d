-- Names on the mock: what is merged, what is kept and for how long.
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local names = require "moonwire.dial.names"
local net = require "moonwire.net"

local function with_names(hosts, opts, f)
    local m = mock.new()
    m:hosts(hosts, opts)
    m:run(function()
        f(m, function()
            local count = m.backend.lookups
            m.backend.lookups = 0
            return count
        end)
        moonwire.sleep(0)
        assert.equal(1, m:stats().threads)
        assert.equal(0, m:stats().watchers)
    end)
end

local function texts(addresses)
    local list = {}
    for i, one in ipairs(addresses) do
        list[i] = one.address
    end
    return table.concat(list, " ")
end

describe("dial.names", function()
    it("asks for both families, and gives IPv6 first", function()
        with_names({ h = { "10.0.0.1", "::1" } }, nil, function(_, asked)
            assert.equal("::1 10.0.0.1", texts(assert(net.resolve "h")))
            assert.equal(2, asked())
        end)
    end)

    it("keeps an answer for its TTL, 30 s at most, whatever the case of the name", function()
        for ttl, lasts in pairs { [0] = 0, [5] = 5, [30] = 30, [86400] = 30 } do
            with_names({ h = { "10.0.0.1" }, H = { "10.0.0.1" } }, { ttl = ttl },
                function(_, asked)
                    assert(net.resolve "h")
                    assert.equal(2, asked())
                    if lasts > 0 then
                        moonwire.sleep(lasts - 0.01)
                        assert(net.resolve "H")
                        assert.equal(0, asked())
                    end
                    moonwire.sleep(0.02)
                    assert(net.resolve "h")
                    assert.equal(2, asked())
                end)
        end
    end)

    it("keeps a failure for 1 s", function()
        with_names({}, nil, function(m, asked)
            for _ = 1, 3 do
                local addresses, err = net.resolve "h"
                assert.is_nil(addresses)
                assert.equal("resolve", err.kind)
                assert.equal("ENOTFOUND", err.code)
                assert.is_nil(err.url)
                err.url = "http://h/" -- each has an error of its own
            end
            assert.equal(2, asked())
            m:hosts { h = { "10.0.0.1" } }
            moonwire.sleep(1.01)
            assert(net.resolve "h")
        end)
    end)

    it("merges equal lookups that run at the same time", function()
        with_names({ h = { "10.0.0.1" } }, { delay = 2 }, function(m, asked)
            local start = m:now()
            moonwire.scope(function(s)
                for i = 1, 20 do
                    s:spawn(function()
                        moonwire.sleep(i * 0.05)
                        assert.equal("10.0.0.1", texts(assert(net.resolve "h")))
                        assert.equal(start + 2.05, m:now())
                    end)
                end
            end)
            assert.equal(2, asked())
        end)
    end)

    it("goes on for the others when one is cancelled, and ends with the last", function()
        with_names({ h = { "10.0.0.1" } }, { delay = 2 }, function(m, asked)
            moonwire.scope(function(s)
                local first = s:spawn(function()
                    local _, err = net.resolve "h"
                    assert.equal("cancelled", err.kind)
                    return "ended"
                end)
                local second = s:spawn(function()
                    return texts(assert(net.resolve "h"))
                end)
                moonwire.sleep(1)
                first:cancel()
                assert.equal("ended", first:join())
                assert.equal("10.0.0.1", second:join())
                assert.equal(2, asked())
                local start = m:now()
                local third = s:spawn(net.resolve, "h")
                moonwire.sleep(1)
                third:cancel()
                third:join()
                moonwire.sleep(0)
                assert.equal(1, m:stats().watchers + m:stats().threads) -- nobody asks any more
                assert.equal(start + 1, m:now())
            end)
            asked()
            assert(net.resolve "h")
            assert.equal(2, asked()) -- what was given up isn't kept
        end)
    end)

    it("keeps to each one's own deadline", function()
        with_names({ h = { "10.0.0.1" } }, { delay = 2 }, function()
            moonwire.gather(function()
                local _, err = net.resolve("h", { timeout = 1 })
                assert.equal("timeout", err.kind)
                assert.equal("resolve", err.phase)
            end, function()
                assert(net.resolve("h", { timeout = 3 }))
            end)
        end)
    end)

    it("keeps the half that is known when nobody waits for the other", function()
        with_names({ h = { "10.0.0.1", "::1" } }, { delay = { ipv4 = 0, ipv6 = 60 }, ttl = 30 },
            function(m, asked)
                m:listen_at("10.0.0.1", 80, function() end)
                for _ = 1, 3 do
                    assert(net.connect("h", 80)):close()
                end
                assert.equal(2, asked())
            end)
    end)

    it("never keeps more than 256 names", function()
        local hosts = {}
        for i = 1, 1000 do
            hosts["h" .. i] = { "10.0.0.1" }
        end
        with_names(hosts, { ttl = 30 }, function(m, asked)
            local kept, most = names.new(m.backend), 0
            for i = 1, 1000 do
                local me = require("moonwire.backend").thread()
                local lookup = kept:lookup("h" .. i)
                lookup:join(me)
                assert(lookup:wait(math.huge))
                lookup:leave(me)
                most = math.max(most, kept:size())
            end
            assert.is_true(most <= 256 and most >= 128, tostring(most))
            asked()
            kept:lookup "h1000"
            assert.equal(0, asked())
        end)
    end)
end)
