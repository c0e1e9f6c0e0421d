-- Dialing on the mock: whom, in which order and when, to the millisecond of its clock.

local dialing = require "spec.support.dialing"
local moonwire = require "moonwire"
local net = require "moonwire.net"

local connects, elapsed, run, world = dialing.connects, dialing.elapsed, dialing.run, dialing.world
local never = math.huge

describe("dial: several addresses", function()
    it("begins with IPv6, and lets the families take turns every 250 ms", function()
        local m = world({ h = { "10.0.0.1", "10.0.0.2", "::1", "::2" } }, {
            ["::1"] = never, ["10.0.0.1"] = never, ["::2"] = never, ["10.0.0.2"] = 0.1,
        })
        run(m, function()
            connects("10.0.0.2")
            assert.equal(0.85, elapsed(m))
            assert.same({ "::1@0.000", "10.0.0.1@0.250", "::2@0.500", "10.0.0.2@0.750" }, m.dialed)
        end)
    end)

    it("goes on at once when one is refused", function()
        local m = world({ h = { "::1", "::2", "10.0.0.1" } }, { ["10.0.0.1"] = 0.1, ["::2"] = 0 })
        m:refuse_at("::2", 80)
        run(m, function()
            connects("10.0.0.1")
            assert.same({ "::1@0.000", "10.0.0.1@0.000" }, m.dialed)
        end)
    end)

    it("lets a slow one win when the others are slower", function()
        local m = world({ h = { "::1", "10.0.0.1" } }, { ["::1"] = 0.3, ["10.0.0.1"] = 0.3 })
        run(m, function()
            connects("::1")
            assert.equal(0.3, elapsed(m))
            assert.equal(2, #m.dialed)
        end)
    end)

    it("keeps one of two that connect at the same moment, and closes the other", function()
        local m = world({ h = { "::1", "10.0.0.1" } }, { ["::1"] = 0.5, ["10.0.0.1"] = 0.25 })
        run(m, function()
            local stream = assert(net.connect("h", 80))
            assert.equal(0.5, elapsed(m))
            stream:close()
        end)
    end)

    it("reports each attempt: which address, why, how long", function()
        local m = world({ h = { "::1", "10.0.0.1", "10.0.0.2" } }, { ["10.0.0.1"] = never })
        run(m, function()
            local stream, err = net.connect("h", 80, { timeout = 2 })
            assert.is_nil(stream)
            assert.equal("timeout", err.kind)
            assert.equal("connect", err.phase)
            assert.equal(2, elapsed(m))
            local told = {}
            for i, attempt in ipairs(err.attempts) do
                told[i] = ("%s %s %.3f"):format(attempt.address, attempt.code, attempt.elapsed)
            end
            assert.same({ "::1 ECONNREFUSED 0.000", "10.0.0.1 ETIMEOUT 2.000",
                "10.0.0.2 ECONNREFUSED 0.000" }, told)
            assert.equal("connecting to h:80: [::1]: connection refused; 10.0.0.1: timed out "
                .. "after 2 s; 10.0.0.2: connection refused", err.message)
        end)
    end)

    it("remembers the family that won for ten minutes, for that host and port", function()
        local m = world({ h = { "::1", "10.0.0.1" }, other = { "::1", "10.0.0.1" } },
            { ["::1"] = never, ["10.0.0.1"] = 0 })
        run(m, function()
            connects("10.0.0.1")
            assert.equal(0.25, elapsed(m))
            connects("10.0.0.1")
            assert.equal(0.25, elapsed(m)) -- at once
            assert(net.connect("other", 80)):close()
            assert.equal(0.5, elapsed(m))
            moonwire.sleep(590)
            connects("10.0.0.1")
            assert.equal(590.5, elapsed(m)) -- and so it is remembered for longer
            moonwire.sleep(601)
            connects("10.0.0.1")
            assert.equal(1191.75, elapsed(m))
        end)
    end)

    it("is cancelled with its scope, all attempts with it", function()
        local m = world({ h = { "::1", "10.0.0.1" } }, { ["::1"] = never, ["10.0.0.1"] = never })
        run(m, function()
            local result, err = moonwire.timeout(1, function()
                local stream, problem = net.connect("h", 80)
                assert.is_nil(stream)
                assert.equal("cancelled", problem.kind)
                assert.equal(2, #m.dialed)
            end)
            assert.is_nil(result)
            assert.equal("timeout", err.kind)
            assert.equal(1, elapsed(m))
        end)
    end)

    it("is cancelled at every moment without leaving anything", function()
        for step = 0, 24 do
            local m = world({ h = { "::1", "::2", "10.0.0.1" } },
                { ["::1"] = never, ["10.0.0.1"] = never, ["::2"] = 0.4 },
                { delay = { ipv6 = 0.1, ipv4 = 0.02 } })
            run(m, function()
                moonwire.scope(function(s)
                    local task = s:spawn(function()
                        local stream = net.connect("h", 80)
                        if stream then
                            stream:close()
                        end
                    end)
                    moonwire.sleep(step * 0.05)
                    task:cancel()
                end)
            end)
        end
    end)
end)

describe("dial: names", function()
    it("waits 50 ms for IPv6 when IPv4 is known first", function()
        local m = world({ h = { "::1", "10.0.0.1" } }, { ["::1"] = 0, ["10.0.0.1"] = 0 },
            { delay = { ipv6 = 0.13, ipv4 = 0.1 } })
        run(m, function()
            connects("::1")
            assert.equal(0.13, elapsed(m))
        end)
    end)

    it("goes on without IPv6 after that, and takes it in when it comes", function()
        local m = world({ h = { "::1", "10.0.0.1", "10.0.0.2" } },
            { ["::1"] = 0, ["10.0.0.1"] = never, ["10.0.0.2"] = never },
            { delay = { ipv6 = 0.2, ipv4 = 0 } })
        run(m, function()
            connects("::1")
            assert.same({ "10.0.0.1@0.050", "::1@0.300" }, m.dialed)
        end)
    end)

    it("doesn't wait for IPv4 when IPv6 is known", function()
        local m = world({ h = { "::1", "10.0.0.1" } }, { ["::1"] = 0 },
            { delay = { ipv6 = 0.1, ipv4 = 9 } })
        run(m, function()
            connects("::1")
            assert.equal(0.1, elapsed(m))
        end)
    end)

    it("waits for the other family when all of the first are refused", function()
        local m = world({ h = { "::1", "10.0.0.1" } }, { ["10.0.0.1"] = 0 },
            { delay = { ipv6 = 0, ipv4 = 3 } })
        run(m, function()
            connects("10.0.0.1")
            assert.equal(3, elapsed(m))
        end)
    end)

    it("keeps to the deadline while it looks up", function()
        local m = world({ h = { "::1" } }, {}, { delay = never })
        run(m, function()
            local stream, err = net.connect("h", 80, { timeout = 1 })
            assert.is_nil(stream)
            assert.equal("timeout", err.kind)
            assert.equal("resolve", err.phase)
            assert.equal(1, elapsed(m))
        end)
    end)

    it("forgets a host's addresses when none of them could be reached", function()
        local m = world({ h = { "10.0.0.1" } }, { ["10.0.0.2"] = 0 }, { ttl = 30 })
        run(m, function()
            assert.is_nil((net.connect("h", 80)))
            m:hosts { h = { "10.0.0.2" } }
            connects("10.0.0.2")
            m:hosts { h = { "10.0.0.3" } }
            connects("10.0.0.2") -- still kept
        end)
    end)
end)

describe("dial: options", function()
    it("takes addresses from `resolve` instead of asking", function()
        local m = world({ h = { "10.0.0.1" } }, { ["10.0.0.7"] = 0, ["::7"] = never })
        run(m, function()
            connects("10.0.0.7", { resolve = { ["H:80"] = { "::7", "10.0.0.7" } } })
            assert.equal(0, m.backend.lookups)
            assert.same({ "::7@0.000", "10.0.0.7@0.250" }, m.dialed)
            assert.is_nil((net.connect("h", 81, { resolve = { ["h:80"] = { "10.0.0.7" } } })))
            assert.is_true(m.backend.lookups > 0) -- another port is another place
        end)
    end)

    it("asks on_resolve once, with all addresses of both families", function()
        local m = world({ h = { "::1", "10.0.0.1" } }, { ["::1"] = 0 },
            { delay = { ipv6 = 0, ipv4 = 0.9 } })
        run(m, function()
            local asked = {}
            connects("::1", { on_resolve = function(host, addresses)
                asked[#asked + 1] = host
                assert.same({ { family = "ipv6", address = "::1" },
                    { family = "ipv4", address = "10.0.0.1" } }, addresses)
                return true
            end })
            assert.same({ "h" }, asked)
            assert.equal(0.9, elapsed(m))
        end)
    end)

    it("asks on_resolve about one family when the other is silent for a second", function()
        local m = world({ h = { "::1", "10.0.0.1" } }, { ["10.0.0.1"] = 3 },
            { delay = { ipv6 = 2, ipv4 = 0.5 } })
        run(m, function()
            connects("10.0.0.1", { on_resolve = function(_, addresses)
                assert.same({ { family = "ipv4", address = "10.0.0.1" } }, addresses)
                return true
            end })
            assert.equal(4.5, elapsed(m))
            assert.same({ "10.0.0.1@1.500" }, m.dialed) -- nothing that it wasn't shown
        end)
    end)

    it("leaves nothing when it is cancelled while on_resolve waits", function()
        local m = world({ h = { "10.0.0.1" } }, { ["10.0.0.1"] = 0 })
        run(m, function()
            moonwire.scope(function(s)
                local task = s:spawn(net.connect, "h", 80, { on_resolve = function()
                    local ok, err = moonwire.sleep(5)
                    assert(not ok)
                    return nil, err
                end })
                moonwire.sleep(1)
                task:cancel()
                local stream, err = task:join()
                assert.is_nil(stream)
                assert.equal("cancelled", err.kind)
            end)
            assert.equal(1, elapsed(m))
            assert.same({}, m.dialed)
        end)
    end)

    it("gives on_resolve no longer than there is time", function()
        local m = world({ h = { "10.0.0.1" } }, { ["10.0.0.1"] = 0 }, { delay = 1 })
        m:listen_at("/run/x", nil, function() end)
        run(m, function()
            local function wait()
                moonwire.sleep(60)
                return true
            end
            for place, seconds in pairs { h = 3, ["10.0.0.1"] = 2, ["/run/x"] = 1 } do
                local start = m:now()
                local stream, err = net.connect { host = place, port = 80, on_resolve = wait,
                    path = place:find "^/" and place or nil, timeout = seconds }
                assert.is_nil(stream)
                assert.equal("timeout resolve", err.kind .. " " .. err.phase)
                assert.equal("asking on_resolve about " .. place .. ": timed out", err.message)
                assert.equal(seconds, m:now() - start)
            end
            assert.same({}, m.dialed)
        end)
    end)

    it("lets on_resolve veto, names included that are numbers", function()
        local m = world({ h = { "10.0.0.1" } }, { ["10.0.0.1"] = 0 })
        run(m, function()
            for _, host in ipairs { "h", "10.0.0.1", "localhost" } do
                local stream, err = net.connect(host, 80, { on_resolve = function()
                    return nil, "private addresses are not allowed"
                end })
                assert.is_nil(stream)
                assert.equal("resolve", err.kind)
                assert.equal(("on_resolve refused %s: private addresses are not allowed"):format(
                    host), err.message)
            end
            assert.same({}, m.dialed)
        end)
    end)

    it("connects to nothing but what on_resolve has left", function()
        local m = world({ h = { "10.0.0.1", "10.0.0.2" } }, { ["10.0.0.1"] = 0, ["10.0.0.2"] = 0 })
        run(m, function()
            connects("10.0.0.2", { on_resolve = function(_, addresses)
                return { addresses[2] }
            end })
            connects("10.0.0.2", { on_resolve = function()
                return { "10.0.0.2" }
            end })
        end)
        assert.same({ "10.0.0.2@0.000", "10.0.0.2@0.000" }, m.dialed)
    end)

    it("takes every mistake of on_resolve for a refusal", function()
        local m = world({ h = { "10.0.0.1" } }, { ["10.0.0.1"] = 0 })
        run(m, function()
            local answers = {
                ["it gave no reason"] = function() end,
                ["it left no address"] = function() return {} end,
                ["'h' is no numeric address"] = function() return { "h" } end,
                ["got number"] = function() return 5 end,
                ["it raised oops"] = function() error("oops", 0) end,
            }
            for reason, hook in pairs(answers) do
                local stream, err = net.connect("h", 80, { on_resolve = hook })
                assert.is_nil(stream)
                assert.equal("resolve", err.kind)
                assert.is_truthy(err.message:find(reason, 1, true), err.message)
            end
            assert.same({}, m.dialed)
        end)
    end)

    it("lets on_resolve wait", function()
        local m = world({ h = { "10.0.0.1" } }, { ["10.0.0.1"] = 0 })
        run(m, function()
            connects("10.0.0.1", { on_resolve = function()
                assert(moonwire.sleep(1))
                return true
            end })
            assert.equal(1, elapsed(m))
        end)
    end)

    it("tries nothing that local_address can't reach", function()
        local m = world({ h = { "::1", "10.0.0.1" }, six = { "::1" } },
            { ["::1"] = 0, ["10.0.0.1"] = 0 })
        run(m, function()
            connects("10.0.0.1", { local_address = "10.9.9.9" })
            local stream, err = net.connect("six", 80, { local_address = "10.9.9.9" })
            assert.is_nil(stream)
            assert.equal("connect", err.kind)
            assert.is_truthy(err.message:find("local_address 10.9.9.9", 1, true))
        end)
    end)

    it("raises on wrong values, at the caller's line", function()
        local cases = {
            { "bad argument 'resolve'", { resolve = "h" } },
            { "bad argument 'resolve'", { resolve = { h = { "10.0.0.1" } } } },
            { "'x.test' is no numeric address", { resolve = { ["h:80"] = { "x.test" } } } },
            { "no address", { resolve = { ["h:80"] = {} } } },
            { "bad argument 'on_resolve'", { on_resolve = 1 } },
            { "bad argument 'local_address'", { local_address = "localhost" } },
            { "bad argument 'local_address'", { local_address = "1.2.3" } },
            { "bad argument 'local_address'", { local_address = "::1]:80/[" } },
            { "bad argument 'path'", { path = "" } },
            { "bad argument 'path'", { path = 5 } },
            { "bad argument 'path'", { path = "\0abstract" } },
            { "bad argument 'path'", { path = ("/x"):rep(54) } },
        }
        for _, case in ipairs(cases) do
            local ok, problem = pcall(function()
                case[2].host, case[2].port = "h", 80
                net.connect(case[2])
            end)
            assert.is_false(ok)
            assert.is_truthy(problem:find(case[1], 1, true), problem)
            assert.is_truthy(problem:find("dial_spec.lua:", 1, true), problem)
        end
    end)
end)
