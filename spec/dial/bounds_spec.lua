-- How many addresses are dialed, and in which order.

local dialing = require "spec.support.dialing"
local moonwire = require "moonwire"
local net = require "moonwire.net"

local connects, elapsed, run, world = dialing.connects, dialing.elapsed, dialing.run, dialing.world
local never = math.huge

describe("dial: bounds", function()
    -- 20 addresses, none of which answers.
    local function silent_world(refused)
        local names, delays = { h = {} }, {}
        for i = 1, 20 do
            names.h[i] = "10.0.0." .. i
            if not refused then
                delays["10.0.0." .. i] = never
            end
        end
        return world(names, delays)
    end

    it("has no more than 6 attempts under way at once", function()
        local m = silent_world()
        run(m, function()
            local most = 0
            moonwire.scope(function(s)
                s:spawn(function()
                    for _ = 1, 100 do
                        moonwire.sleep(0.09)
                        most = math.max(most, m:stats().watchers)
                    end
                end)
                local stream, err = net.connect("h", 80, { timeout = 9 })
                assert.is_nil(stream)
                assert.equal("timeout", err.kind)
                assert.equal(6, #err.attempts)
            end)
            assert.equal(6, #m.dialed)
            assert.is_true(most <= 8, tostring(most)) -- with the race's own and the sleeper's
        end)
    end)

    it("begins the next one when one of 6 has failed", function()
        local m = silent_world()
        m:listen_at("10.0.0.9", 80, function() end)
        local connect = m.backend.connect
        function m.backend:connect(address, deadline)
            if address.address == "10.0.0.2" or address.address:find "%.[78]$" then
                deadline = m.start + 3
            end
            return connect(self, address, deadline)
        end
        run(m, function()
            connects("10.0.0.9")
            assert.equal(3, elapsed(m))
            assert.same({ "10.0.0.6@1.250", "10.0.0.7@3.000" }, { m.dialed[6], m.dialed[7] })
        end)
    end)

    it("names 8 attempts and counts the others, and the error has all", function()
        local m = silent_world(true)
        run(m, function()
            local _, err = net.connect("h", 80)
            assert.equal(20, #err.attempts)
            assert.matches("; 10.0.0.8: connection refused; and 12 more", err.message, 1, true)
            assert.not_matches("10.0.0.9", err.message, 1, true)
        end)
    end)

    it("tries no address twice", function()
        local m = world({}, {})
        run(m, function()
            local _, err = net.connect("h", 80, { resolve = {
                ["h:80"] = { "10.0.0.1", "10.0.0.1", "::ffff:10.0.0.1", "0:0::1", "::1" },
            } })
            assert.equal(2, #err.attempts)
            assert.same({ "10.0.0.1@0.000", "::1@0.000" }, m.dialed)
        end)
    end)
end)

describe("dial: the order of addresses", function()
    it("begins with IPv4 where that is the better way (RFC 6724)", function()
        local m = world({ h = { "2001:db8::1", "192.0.2.1", "2001:db8::2" } }, {})
        local sources = { ["192.0.2.1"] = "10.0.0.9" }
        function m.backend:source_of(address) -- luacheck: ignore 212
            return sources[address]
        end
        run(m, function()
            assert.is_nil((net.connect("h", 80)))
            assert.same({ "192.0.2.1@0.000", "2001:db8::1@0.000", "2001:db8::2@0.000" }, m.dialed)
            m.dialed[1], m.dialed[2], m.dialed[3] = nil, nil, nil
            sources["2001:db8::1"] = "2001:db8::9"
            assert.is_nil((net.connect("h", 80)))
            assert.same({ "2001:db8::1@0.000", "192.0.2.1@0.000", "2001:db8::2@0.000" }, m.dialed)
        end)
    end)

    it("is that of the script where the script gives the addresses", function()
        local m = world({ h = { "::1", "10.0.0.1" } }, {})
        run(m, function()
            net.connect("h", 80, { resolve = { ["h:80"] = { "10.0.0.1", "10.0.0.2", "::1" } } })
            net.connect("h", 80, { on_resolve = function()
                return { "10.0.0.3", "::3" }
            end })
            assert.same({ "10.0.0.1@0.000", "::1@0.000", "10.0.0.2@0.000", "10.0.0.3@0.000",
                "::3@0.000" }, m.dialed)
        end)
    end)
end)
