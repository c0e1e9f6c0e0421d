-- Signals in a loop: who is woken, and what is left when nobody waits any more.
local core = require "moonwire.core"
local core_loop = require "spec.support.core_loop"
local ffi = require "ffi"
local support = require "spec.support"

local ETIMEOUT = core.ETIMEOUT
local EDEADLOCK = core.codes.EDEADLOCK
local SIGUSR1, SIGUSR2, SIGKILL = 10, 12, 9

ffi.cdef [[ int raise(int number); ]]

describe("loop: signals", function()
    it("wakes a thread with the signal's number", function()
        core_loop.with(function(on)
            local signal = on.loop:signal(SIGUSR1, on.main)
            assert.equal(1, on.loop:stats().watchers)
            ffi.C.raise(SIGUSR1)
            assert.equal(SIGUSR1, on.main:wait(5))
            signal:close()
            signal:close()
            assert.equal(EDEADLOCK, on.main:wait())
        end)
    end)

    it("loses none when two come at once, or while the thread runs", function()
        core_loop.with(function(on)
            local one = on.loop:signal(SIGUSR1, on.main)
            local two = on.loop:signal(SIGUSR2, on.main)
            ffi.C.raise(SIGUSR1)
            ffi.C.raise(SIGUSR2)
            local sum = on.main:wait(5)
            sum = sum + on.main:wait(5)
            assert.equal(SIGUSR1 + SIGUSR2, sum)
            assert.equal(ETIMEOUT, on.main:wait(0.01))
            one:close()
            two:close()
        end)
    end)

    it("is no deadlock while one may come", function()
        core_loop.with(function(on)
            local signal = on.loop:signal(SIGUSR1, on.main)
            os.execute(("sleep 0.05 && kill -USR1 %d &"):format(support.pid()))
            assert.equal(SIGUSR1, on.main:wait())
            signal:close()
        end)
    end)

    it("belongs to one loop of a process, until that closes it", function()
        core_loop.with(function(on)
            local signal = on.loop:signal(SIGUSR1, on.main)
            local again = on.loop:signal(SIGUSR1, on.main) -- the same loop may
            local other = core.loop()
            local main = other:thread()
            local none, code = other:signal(SIGUSR1, main)
            assert.is_nil(none)
            assert.equal(core.codes.EBUSY, code)
            signal:close()
            again:close()
            local now = assert(other:signal(SIGUSR1, main))
            ffi.C.raise(SIGUSR1)
            assert.equal(SIGUSR1, main:wait(5))
            now:close()
            other:close()
        end)
    end)

    it("refuses numbers that are none", function()
        core_loop.with(function(on)
            for _, number in ipairs { 0, -1, 1000, SIGKILL } do
                assert.error_matches(function()
                    on.loop:signal(number, on.main)
                end, "not a signal")
            end
        end)
    end)

    it("is given up by a loop that is closed or forgotten", function()
        core_loop.with(function(on)
            local other = core.loop()
            other:signal(SIGUSR1, other:thread())
            other:close()
            local third = core.loop()
            assert(third:signal(SIGUSR1, third:thread()))
            third = nil -- luacheck: ignore
            collectgarbage()
            collectgarbage()
            local signal = assert(on.loop:signal(SIGUSR1, on.main))
            signal:close()
        end)
    end)
end)
