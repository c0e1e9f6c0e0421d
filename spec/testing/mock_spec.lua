-- The mock: what peers, scripts and the clock do.
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"

local ADDRESS = { family = "ipv4", address = "10.0.0.1", port = 80 }

-- Runs f(m, on) as the root task of a fresh mock and checks that nothing is left.
local function on_mock(f)
    local m = mock.new()
    m:run(f, m, m.backend)
    assert.same({ threads = 0, watchers = 0, tcp = 0, lookups = 0 }, m:stats())
end

describe("the mock's clock", function()
    it("jumps to what comes next when all wait, in no real time", function()
        local started = os.time()
        on_mock(function(m)
            local order = {}
            for _, seconds in ipairs { 3600, 60, 86400 } do
                moonwire.spawn(function()
                    moonwire.sleep(seconds)
                    order[#order + 1] = m:now() - 1000
                end)
            end
            moonwire.sleep(100000)
            assert.same({ 60, 3600, 86400 }, order)
        end)
        assert.is_true(os.time() - started < 10)
    end)

    it("is turned by hand, and what is due happens meanwhile", function()
        local m = mock.new()
        local seen = {}
        for i = 1, 3 do
            m.backend:start(function()
                m.backend:wait(m.backend:now() + i)
                seen[#seen + 1] = i
            end)
        end
        m:advance(0)
        assert.same({}, seen)
        m:advance(2)
        assert.same({ 1, 2 }, seen)
        assert.equal(1002, m:now())
        m:advance(5)
        assert.same({ 1, 2, 3 }, seen)
        assert.equal(1007, m:now())
    end)

    it("keeps timers in order, hundreds of them", function()
        on_mock(function(m)
            local last, count = 0, 0
            for i = 1, 500 do
                moonwire.spawn(function()
                    moonwire.sleep(i * 7919 % 503)
                    assert.is_true(m:now() >= last)
                    last, count = m:now(), count + 1
                end)
            end
            moonwire.sleep(1000)
            assert.equal(500, count)
        end)
    end)

    it("raises when nothing can happen any more", function()
        local m = mock.new()
        local ok, message = pcall(m.run, m, function()
            moonwire.channel():receive()
        end)
        assert.is_false(ok)
        assert.matches("nothing can happen any more: 1 task", message)
    end)

    it("makes every run the same", function()
        local function trace()
            local m, lines = mock.new(), {}
            m:run(function()
                local stream, peer = m:stream()
                peer:after(1, function()
                    peer:send_pieces("abcdef", 2)
                    moonwire.sleep(1)
                    peer:eof()
                end)
                moonwire.spawn(function()
                    for i = 1, 3 do
                        moonwire.sleep(0.5)
                        lines[#lines + 1] = m:now() .. " tick " .. i
                    end
                end)
                repeat
                    local data = stream:read()
                    lines[#lines + 1] = m:now() .. " " .. tostring(data)
                until not data
                stream:close()
            end)
            return lines
        end
        local first = trace()
        assert.same({
            "1000.5 tick 1", "1001 tick 2", "1001 ab", "1001 cd", "1001 ef",
            "1001.5 tick 3", "1002 nil",
        }, first)
        assert.same(first, trace())
    end)
end)

describe("the mock's peer", function()
    it("sends in pieces, each in a turn of its own", function()
        on_mock(function(m)
            local stream, peer = m:stream()
            peer:send("one")
            peer:send("")
            peer:send_pieces("two")
            peer:send_pieces("three", 2)
            peer:eof()
            local got = {}
            for data in function() return stream:read() end do
                got[#got + 1] = data
            end
            assert.same({ "one", "t", "w", "o", "th", "re", "e" }, got)
            stream:close()
        end)
    end)

    it("sees what was written, and when", function()
        on_mock(function(m)
            local stream, peer = m:stream()
            local pieces = {}
            peer:on_data(function(data)
                pieces[#pieces + 1] = data
                if data == "ping" then
                    peer:send("pong")
                end
            end)
            stream:write("hello")
            stream:write("ping")
            assert.equal("pong", stream:read())
            assert.same({ "hello", "ping" }, pieces)
            assert.equal("helloping", peer:received())
            assert.is_false(peer:is_ended())
            stream:shutdown()
            assert.is_true(peer:is_ended())
            assert.is_false(peer:is_closed())
            stream:close()
            assert.is_true(peer:is_closed())
            peer:send("into the void")
        end)
    end)

    it("limits and blocks writes", function()
        on_mock(function(m, on)
            local stream, peer = m:stream()
            local pieces = {}
            peer:on_data(function(data)
                pieces[#pieces + 1] = data
            end)
            peer:limit_writes(2)
            assert.is_true(stream:write("abcde"))
            assert.same({ "ab", "cd", "e" }, pieces)
            peer:limit_writes(nil)
            peer:block_writes(true)
            local ok, err = stream:write("x", on:now() + 3)
            assert.is_nil(ok)
            assert.equal("timeout", err.kind)
            assert.equal(1003, m:now())
            peer:after(2, function()
                peer:block_writes(false)
            end)
            assert.is_true(stream:write("y"))
            assert.equal(1005, m:now())
            assert.equal("abcdey", peer:received())
            stream:close()
        end)
    end)

    it("resets after what it has sent", function()
        on_mock(function(m)
            local stream, peer = m:stream()
            peer:send("last words")
            peer:reset()
            assert.equal("last words", stream:read())
            local data, err = stream:read()
            assert.is_nil(data)
            assert.equal("closed", err.kind)
            assert.equal("ECONNRESET", err.code)
            local ok
            ok, err = stream:write("x")
            assert.is_nil(ok)
            assert.equal("ECONNRESET", err.code)
            stream:close()
        end)
    end)

    it("closes: reading ends, writing fails", function()
        on_mock(function(m)
            local stream, peer = m:stream()
            peer:close()
            assert.is_nil((stream:read()))
            local ok, err = stream:write("x")
            assert.is_nil(ok)
            assert.equal("closed", err.kind)
            assert.equal("EPIPE", err.code)
            stream:close()
        end)
    end)
end)

describe("a script", function()
    it("takes its steps in order, and waits for what it expects", function()
        on_mock(function(m)
            local stream, peer = m:stream {
                { expect = "GET" }, { expect = "\r\n\r\n" },
                { delay = 2 }, { send = "first " }, { send = "second", pieces = 3 },
                { expect = "GET" }, { send = "third" }, { eof = true },
            }
            assert.is_false(peer:is_done())
            stream:write("GET / HTTP/1.1\r\n")
            moonwire.sleep(1)
            stream:write("\r\nGET")
            local got, times = {}, {}
            for data in function() return stream:read() end do
                got[#got + 1] = data
                times[#times + 1] = m:now()
            end
            assert.same({ "first ", "sec", "ond", "third" }, got)
            assert.same({ 1003, 1003, 1003, 1003 }, times)
            assert.is_true(peer:is_done())
            stream:close()
        end)
    end)

    it("may start with bytes, block, limit, reset and close", function()
        on_mock(function(m, on)
            local stream = m:stream {
                { send = "hello" }, { block = true }, { delay = 1 }, { block = false },
                { limit = 1 }, { expect = "ab" }, { reset = true },
            }
            assert.equal("hello", stream:read())
            assert.is_true(stream:write("ab"))
            assert.equal(1001, on:now())
            assert.equal("ECONNRESET", select(2, stream:read()).code)
            stream:close()
            stream = m:stream { { close = true } }
            assert.is_nil((stream:read()))
            stream:close()
        end)
    end)

    it("is refused when a step is unknown", function()
        local m = mock.new()
        assert.error_matches(function()
            m:stream { { send = "x" }, { sned = "y" } }
        end, "bad argument 'script%[2%]' %(a step: expect, send,")
        assert.error_matches(function()
            m:stream { "x" }
        end, "bad argument 'script%[1%]' %(table expected, got string%)")
    end)
end)

describe("the mock's network", function()
    it("answers by script or by function, each connection anew", function()
        on_mock(function(m, on)
            m:listen_at("10.0.0.1", 80, { { expect = "?" }, { send = "yes" } })
            local count = 0
            m:listen_at("::1", 80, function(peer)
                count = count + 1
                peer:send("number " .. count)
            end)
            for i = 1, 2 do
                local stream = assert(on:connect(ADDRESS))
                stream:write("?")
                assert.equal("yes", stream:read())
                assert.same({ "10.0.0.1", 80, "ipv4" }, { stream:peer() })
                stream:close()
                stream = assert(on:connect { family = "ipv6", address = "::1", port = 80 })
                assert.equal("number " .. i, stream:read())
                stream:close()
            end
            m:listen_at("/run/socket", nil, function() end)
            local stream = assert(on:connect { family = "unix", address = "/run/socket" })
            stream:close()
        end)
    end)

    it("refuses where nobody answers, or nobody does any more", function()
        on_mock(function(m, on)
            local stream, err = on:connect(ADDRESS)
            assert.is_nil(stream)
            assert.equal("ECONNREFUSED", err.code)
            assert.equal("connect", err.kind)
            m:listen_at("10.0.0.1", 80, {})
            stream = assert(on:connect(ADDRESS))
            stream:close()
            m:refuse_at("10.0.0.1", 80)
            assert.is_nil((on:connect(ADDRESS)))
        end)
    end)

    it("connects and looks up as slowly as it is told", function()
        on_mock(function(m, on)
            m:listen_at("10.0.0.1", 80, {}, { delay = 3 })
            local stream = assert(on:connect(ADDRESS))
            assert.equal(1003, m:now())
            stream:close()
            local err
            stream, err = on:connect(ADDRESS, on:now() + 2)
            assert.is_nil(stream)
            assert.equal("timeout", err.kind)
            assert.equal("connect", err.phase)
            m:listen_at("10.0.0.1", 80, {}, { delay = math.huge })
            local _, problem = moonwire.timeout(1, on.connect, on, ADDRESS)
            assert.equal("timeout", problem.kind)
            m:hosts({ ["example.com"] = { "10.0.0.1", "::2" } }, { delay = 5 })
            local before = m:now()
            assert.same({
                { family = "ipv4", address = "10.0.0.1", ttl = 0 },
                { family = "ipv6", address = "::2", ttl = 0 },
            }, (on:resolve("example.com")))
            assert.equal(5, m:now() - before)
            local list
            list, err = on:resolve("example.com", on:now() + 1)
            assert.is_nil(list)
            assert.equal("timeout", err.kind)
            list, err = on:resolve("unknown.example")
            assert.is_nil(list)
            assert.equal("resolve", err.kind)
            assert.equal("ENOTFOUND", err.code)
        end)
    end)

    it("resets those who wait for an accept that never comes", function()
        on_mock(function(_, on)
            local listener = assert(on:listen { family = "ipv4", address = "10.0.0.1", port = 80 })
            local taken, err = on:listen(ADDRESS)
            assert.is_nil(taken)
            assert.equal("EADDRINUSE", err.code)
            local stream = assert(on:connect(ADDRESS))
            listener:close()
            assert.equal("ECONNRESET", select(2, stream:read()).code)
            stream:close()
            assert.is_nil((on:connect(ADDRESS)))
        end)
    end)
end)
