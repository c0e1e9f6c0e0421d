local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local support = require "spec.support"

local function echo(stream)
    while true do
        local data = stream:read()
        if not data then
            return
        end
        assert(stream:write(data))
    end
end

describe("net", function()
    it("connects, listens and serves over TCP", function()
        support.in_loop(function()
            local listener = assert(net.listen("127.0.0.1", 0))
            local port = listener:address().port
            moonwire.scope(function(s)
                local server = s:spawn(net.serve, listener, echo)
                moonwire.map({ "one", "two", "three" }, function(word)
                    local stream = assert(net.connect("127.0.0.1", port))
                    assert(stream:write { word, " ", word, "\n" })
                    assert.equal(word .. " " .. word .. "\n", stream:read_until "\n")
                    assert(stream:shutdown())
                    assert.is_nil(stream:read())
                    stream:close()
                end)
                listener:close()
                assert.is_true(server:join())
            end)
        end)
    end)

    it("connects, listens and serves over a unix socket", function()
        local path = support.temp_dir() .. "/echo.sock"
        support.in_loop(function()
            local listener = assert(net.listen { path = path })
            moonwire.scope(function(s)
                s:spawn(net.serve, listener, echo)
                local stream = assert(net.connect { path = path })
                assert(stream:write "hello")
                assert.equal("hello", stream:read_exactly(5))
                stream:close()
                listener:close()
            end)
            local stream, err = net.connect { path = path .. ".none" }
            assert.is_nil(stream)
            assert.equal("connect", err.kind)
            assert.equal("ENOENT", err.code)
        end)
    end)

    it("works outside any task", function()
        local listener = assert(net.listen("127.0.0.1", 0))
        local stream = assert(net.connect("127.0.0.1", listener:address().port))
        local other = assert(listener:accept())
        assert(other:write "x")
        assert.equal("x", stream:read())
        stream:close()
        other:close()
        listener:close()
    end)

    it("takes localhost as a name, without a name server", function()
        support.in_loop(function()
            local listener = assert(net.listen("localhost", 0))
            local stream = assert(net.connect("localhost", listener:address().port))
            stream:close()
            listener:close()
        end)
    end)

    it("ends its handlers when one of them raises, and raises the same", function()
        support.in_loop(function()
            local listener = assert(net.listen("127.0.0.1", 0))
            local port = listener:address().port
            local ended = 0
            moonwire.scope(function(s)
                s:spawn(function()
                    local ok, problem = pcall(net.serve, listener, function(stream)
                        if stream:read(1) == "!" then
                            error("handler gives up", 0)
                        end
                        local _, err = stream:read(1)
                        assert.equal("cancelled", err.kind)
                        ended = ended + 1
                    end)
                    assert.is_false(ok)
                    assert.is_truthy(tostring(problem):find "handler gives up")
                end)
                local patient = assert(net.connect("127.0.0.1", port))
                assert(patient:write ".")
                moonwire.sleep(0.02)
                local bad = assert(net.connect("127.0.0.1", port))
                assert(bad:write "!")
                assert.is_nil((patient:read()))
                patient:close()
                bad:close()
            end)
            assert.equal(1, ended)
            listener:close()
        end)
    end)

    it("names host, port and every attempt when nobody could be reached", function()
        local port = support.free_port()
        support.in_loop(function()
            local stream, err = net.connect("127.0.0.1", port)
            assert.is_nil(stream)
            assert.equal("connect", err.kind)
            assert.equal("connect", err.phase)
            assert.equal("ECONNREFUSED", err.code)
            assert.equal(("connecting to 127.0.0.1:%d: connection refused"):format(port),
                tostring(err))
            stream, err = net.connect("localhost", port)
            assert.is_nil(stream)
            assert.is_truthy(tostring(err):find(
                ("connecting to localhost:%d: "):format(port), 1, true))
            assert.is_truthy(tostring(err):find("127.0.0.1: connection refused", 1, true))
            assert.is_true(#err.attempts >= 1)
        end)
    end)

    it("says that a name does not exist", function()
        support.in_loop(function()
            local addresses, err = net.resolve("no-such-name.invalid", { timeout = 5 })
            assert.is_nil(addresses)
            assert.equal("resolve", err.phase)
            assert.is_truthy(tostring(err):find("no-such-name.invalid", 1, true))
            addresses = assert(net.resolve "127.0.0.1")
            assert.same({ { family = "ipv4", address = "127.0.0.1" } }, addresses)
        end)
    end)

    it("tries the addresses of a host side by side", function()
        local m = mock.new()
        m:hosts { many = { "127.0.0.1", "127.0.0.2", "127.0.0.3" } }
        m:listen_at("127.0.0.1", 80, function() end, { delay = math.huge })
        m:listen_at("127.0.0.2", 80, function() end, { delay = math.huge })
        m:listen_at("127.0.0.3", 80, function(peer) peer:close() end)
        m:run(function()
            local start = m:now()
            local stream = assert(net.connect("many", 80, { timeout = 9 }))
            assert.is_true(math.abs(m:now() - start - 0.5) < 0.1)
            stream:close()
            m:refuse_at("127.0.0.3", 80)
            start = m:now()
            local err = select(2, net.connect("many", 80, { timeout = 3 }))
            assert.equal("timeout", err.kind)
            assert.is_true(math.abs(m:now() - start - 3) < 0.1)
            assert.equal(3, #err.attempts)
        end)
    end)

    it("is cancelled with its scope", function()
        local m = mock.new()
        m:listen_at("127.0.0.1", 80, function() end, { delay = math.huge })
        m:run(function()
            local _, err = moonwire.timeout(2, function()
                local stream, problem = net.connect("127.0.0.1", 80)
                assert.is_nil(stream)
                assert.equal("cancelled", problem.kind)
            end)
            assert.equal("timeout", err.kind)
            assert.equal(0, m:stats().tcp)
        end)
    end)

    it("raises on wrong arguments, at the caller's line", function()
        local cases = {
            { "bad argument 'host'", function() net.connect() end },
            { "bad argument 'port'", function() net.connect("h") end },
            { "bad argument 'port'", function() net.connect("h", 65536) end },
            { "bad argument 'port'", function() net.connect("h", 1.5) end },
            { "bad argument 'opts'", function() net.connect("h", 1, 5) end },
            { "unknown option 'timout'", function() net.connect("h", 1, { timout = 1 }) end },
            { "bad argument 'timeout'", function() net.connect("h", 1, { timeout = "1" }) end },
            { "bad argument 'path'", function() net.connect { path = 1 } end },
            { "bad argument 'host'", function() net.listen {} end },
            { "bad argument 'listener'", function() net.serve() end },
            { "bad argument 'host'", function() net.resolve() end },
        }
        for _, case in ipairs(cases) do
            local ok, problem = pcall(case[2])
            assert.is_false(ok)
            assert.is_truthy(problem:find(case[1], 1, true), problem)
            assert.is_truthy(problem:find("net_spec.lua:", 1, true), problem)
        end
    end)
end)
