-- The backends ev and mock under one contract, and what only one of them does.
local support = require "spec.support"
local backends = require "moonwire.backend"
local contract = require "spec.backend_contract"
local core = require "moonwire.core"
local mock = require "moonwire.testing.mock"

setfenv(contract, getfenv(1)) -- busted gives its words to this file alone

contract("ev", function(f)
    return support.in_loop(function()
        return f(backends.default())
    end)
end)

contract("mock", function(f)
    local m = mock.new()
    local result = m:run(f, m.backend)
    assert.same({ threads = 0, watchers = 0, tcp = 0, lookups = 0 }, m:stats())
    return result
end)

describe("the backend ev", function()
    it("is made once per Lua state, however often its module is loaded", function()
        local first = backends.default()
        package.loaded["moonwire.backend"] = nil
        local again = require "moonwire.backend"
        package.loaded["moonwire.backend"] = backends
        assert.equal(first, again.default())
    end)

    it("speaks over unix sockets", function()
        support.in_loop(function()
            local on = backends.default()
            local folder = support.temp_dir()
            local address = { family = "unix", address = folder .. "/socket" }
            local listener = assert(on:listen(address))
            local client = assert(on:connect(address))
            local server = assert(listener:accept())
            client:write("hello")
            assert.equal("hello", server:read())
            client:close()
            server:close()
            listener:close()
            local stream, err = on:connect { family = "unix", address = folder .. "/nobody" }
            assert.is_nil(stream)
            assert.equal("connect", err.kind)
            assert.equal("ENOENT", err.code)
        end)
    end)

    it("says that an address is taken", function()
        support.in_loop(function()
            local on = backends.default()
            local listener = assert(on:listen { family = "ipv4", address = "127.0.0.1", port = 0 })
            local second, err = on:listen(listener:address())
            assert.is_nil(second)
            assert.equal("system", err.kind)
            assert.equal("EADDRINUSE", err.code)
            listener:close()
        end)
    end)

    it("gives an unknown name an error of kind resolve", function()
        support.in_loop(function()
            local on = backends.default()
            local list, err = on:resolve("no-such-name.invalid", on:now() + 3)
            assert.is_nil(list)
            assert.is_true(err.kind == "resolve" or err.kind == "timeout", err.kind)
            assert.equal("resolve", err.phase)
        end)
    end)

    it("names the argument that is wrong", function()
        local on = backends.default()
        assert.error_matches(function()
            on:resolve(nil)
        end, "bad argument 'host' %(string expected, got nil%)")
        assert.error_matches(function()
            on:connect("127.0.0.1")
        end, "bad argument 'address' %(table expected, got string%)")
    end)

    it("says so when nothing can happen any more", function()
        local ok, message = pcall(function()
            backends.default():run(function()
                backends.default():wait(math.huge)
            end)
        end)
        assert.is_false(ok)
        assert.matches("nothing can happen any more: %d task", message)
        assert.equal(0, support.counts().threads)
        assert.is_nil(core.state.current)
    end)
end)
