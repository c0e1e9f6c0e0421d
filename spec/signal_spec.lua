-- Signals: each one that arrives starts a task, as long as somebody asked for it.
local core = require "moonwire.core"
local ffi = require "ffi"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local support = require "spec.support"

local USR1, USR2 = 10, 12

local function send(number)
    ffi.C.kill(support.pid(), number)
end

describe("on_signal", function()
    setup(function() -- the loop keeps the fd that libev makes for the first signal
        moonwire.on_signal("USR1", print):close()
        moonwire.sleep(0)
    end)

    it("starts a task for each signal, by name or number, until it is closed", function()
        support.in_loop(function()
            local got = {}
            local function note(number)
                moonwire.sleep(0)
                got[#got + 1] = number
            end
            local first = moonwire.on_signal("SIGUSR1", note)
            local second = moonwire.on_signal(USR2, note)
            send(USR1)
            moonwire.sleep(0.02)
            send(USR2)
            moonwire.sleep(0.02)
            assert.same({ USR1, USR2 }, got)
            first:close()
            first:close()
            send(USR2)
            moonwire.sleep(0.02)
            assert.same({ USR1, USR2, USR2 }, got)
            second:close()
            moonwire.sleep(0)
        end)
    end)

    it("is closed with the scope it was asked for in", function()
        support.in_loop(function()
            moonwire.scope(function()
                moonwire.on_signal("usr1", error)
                moonwire.sleep(0.005)
            end)
            local other = moonwire.on_signal("usr1", function() end)
            send(USR1)
            moonwire.sleep(0.01)
            other:close()
        end)
    end)

    it("fails its scope when the task fails", function()
        local ok, message = pcall(support.in_loop, function()
            moonwire.on_signal("USR1", function()
                error("from a signal", 0)
            end)
            send(USR1)
            moonwire.sleep(5)
        end)
        assert.is_false(ok)
        assert.matches("^from a signal\n", message)
    end)

    it("can end what runs, by cancelling a scope", function()
        support.in_loop(function()
            local before = moonwire.now()
            local value, err = moonwire.scope(function(s)
                moonwire.on_signal("USR1", function()
                    s:cancel()
                end)
                send(USR1)
                return moonwire.sleep(30)
            end)
            assert.is_nil(value)
            assert.equal("cancelled", err.kind)
            assert.is_true(moonwire.now() - before < 5)
        end)
    end)

    it("gives nil and an error for a signal that another loop has", function()
        support.in_loop(function()
            local other = core.loop()
            local taken = other:signal(USR1, other:thread())
            local handle, err = moonwire.on_signal("USR1", print)
            assert.is_nil(handle)
            assert.equal("system", err.kind)
            taken:close()
            other:close()
        end)
    end)

    it("works on the mock", function()
        local m = mock.new()
        m:run(function()
            local got
            local handle = moonwire.on_signal("INT", function(number)
                got = number
            end)
            moonwire.sleep(1)
            m:signal(2)
            moonwire.sleep(1)
            assert.equal(2, got)
            handle:close()
        end)
        assert.equal(0, m:stats().threads)
    end)

    it("names the argument that is wrong", function()
        for _, which in ipairs { "NOPE", 0, 1.5, 200, 9, true } do
            assert.error_matches(function()
                moonwire.on_signal(which, print)
            end, "bad argument 'signal' %(name or number of a signal that can be caught expected")
        end
        assert.error_matches(function()
            moonwire.on_signal("INT", nil)
        end, "bad argument 'f' %(function expected, got nil%)")
    end)
end)
