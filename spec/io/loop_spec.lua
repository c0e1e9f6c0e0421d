local core = require "moonwire.core"
local core_loop = require "spec.support.core_loop"
local process = require "spec.support.process"
local support = require "spec.support"

local ETIMEOUT, ECANCELLED, ECLOSED = core.ETIMEOUT, core.ECANCELLED, core.ECLOSED
local EDEADLOCK = core.codes.EDEADLOCK

describe("loop: time", function()
    it("is monotonic and read afresh", function()
        core_loop.with(function(on)
            local before = on.loop:now()
            local ends = before + 0.01
            while on.loop:now() < ends do -- no turn of the loop in between
                assert.is_true(on.loop:now() >= before)
            end
        end)
    end)

    it("never ends a wait early", function()
        core_loop.with(function(on)
            for _, seconds in ipairs { 0, 0.001, 0.0042, 0.03 } do
                local before = on.loop:now()
                assert.equal(ETIMEOUT, on.main:wait(seconds))
                assert.is_true(on.loop:now() - before >= seconds)
            end
        end)
    end)

    it("counts a wait from its call, not from the last turn", function()
        core_loop.with(function(on)
            on.main:wait(0)
            local ends = on.loop:now() + 0.05
            while on.loop:now() < ends do
                ends = ends + 0 -- busy: the loop's own idea of now grows old
            end
            local before = on.loop:now()
            on.main:wait(0.03)
            assert.is_true(on.loop:now() - before >= 0.03)
        end)
    end)

    it("takes a negative time as none left, and refuses what is no number", function()
        core_loop.with(function(on)
            assert.equal(ETIMEOUT, on.main:wait(-1))
            assert.has_error(function()
                on.main:wait(0 / 0)
            end)
            assert.has_error(function()
                on.main:wait("soon")
            end)
            assert.is_false(on.main:is_waiting())
        end)
    end)

    it("wakes sleepers in the order of their times", function()
        core_loop.with(function(on)
            local order = {}
            for _, n in ipairs { 3, 1, 2 } do
                on:spawn(function(thread)
                    thread:wait(n * 0.01)
                    order[#order + 1] = n
                    if #order == 3 then
                        on.main:wake(0)
                    end
                end)
            end
            on.main:wait()
            assert.same({ 1, 2, 3 }, order)
        end)
    end)

    it("keeps a shorter and then a longer time apart in one thread", function()
        core_loop.with(function(on)
            on:run(function(thread)
                for _, seconds in ipairs { 0.05, 0.005, 0.03, 0.001 } do
                    local before = on.loop:now()
                    assert(ETIMEOUT == thread:wait(seconds))
                    local took = on.loop:now() - before
                    assert(took >= seconds and took < seconds + 0.3, took)
                end
            end)
        end)
    end)
end)

describe("loop: threads", function()
    it("starts a thread that has never run, with the code as its argument", function()
        core_loop.with(function(on)
            local got
            local thread = on.loop:thread(coroutine.create(function(code)
                got = code
            end))
            assert.is_false(thread:is_waiting())
            assert.is_true(thread:wake(42))
            assert.is_false(thread:wake(43)) -- already woken
            assert.is_nil(got) -- at the next turn, not now
            on.main:wait(0)
            assert.equal(42, got)
            assert.is_false(thread:wake(44)) -- it has ended
        end)
    end)

    it("starts a thread with the arguments that it was given, nils as well", function()
        core_loop.with(function(on)
            local got, code
            local thread
            thread = on.loop:thread(coroutine.create(function(...)
                got = { count = select("#", ...), ... }
                code = thread:wait(1)
            end), "a", nil, 3, nil)
            thread:wake(42)
            on.main:wait(0)
            assert.same({ count = 4, "a", nil, 3 }, got)
            thread:wake(43)
            on.main:wait(0)
            assert.equal(43, code)
        end)
    end)

    it("gives arguments to none but a coroutine that has not begun", function()
        core_loop.with(function(on)
            local begun = coroutine.create(coroutine.yield)
            coroutine.resume(begun)
            local ended = coroutine.create(function() end)
            coroutine.resume(ended)
            for _, co in ipairs { begun, ended } do
                assert.has_error(function()
                    on.loop:thread(co, 1)
                end, "bad argument #1 to 'thread' (a coroutine that has not begun expected)")
            end
            assert.has_error(function()
                on.loop:thread(nil, 1)
            end, "bad argument #1 to 'thread' (a coroutine that has not begun expected)")
        end)
    end)

    it("gives a wait the code of its wake, and forgets a wake without a wait", function()
        core_loop.with(function(on)
            local codes = {}
            local thread = on:spawn(function(thread)
                codes[1] = thread:wait()
                codes[2] = thread:wait(0.01)
            end)
            on.main:wait(0)
            assert.is_true(thread:is_waiting())
            assert.is_true(thread:wake(5))
            assert.is_false(thread:wake(6))
            on.main:wait(0.05)
            assert.same({ 5, ETIMEOUT }, codes)
        end)
    end)

    it("wakes in the order of the wakes", function()
        core_loop.with(function(on)
            local order, threads = {}, {}
            for i = 1, 5 do
                threads[i] = on:spawn(function(thread)
                    local code = thread:wait()
                    order[#order + 1] = code
                end)
            end
            on.main:wait(0)
            for _, i in ipairs { 4, 2, 5, 1, 3 } do
                threads[i]:wake(i)
            end
            on.main:wait(0)
            assert.same({ 4, 2, 5, 1, 3 }, order)
        end)
    end)

    it("lets others run when two wake each other without end", function()
        core_loop.with(function(on)
            local rounds, b = 0, nil
            local a = on:spawn(function(thread)
                while thread:wait() ~= ECANCELLED do
                    rounds = rounds + 1
                    b:wake(0)
                end
            end)
            b = on:spawn(function(thread)
                a:wake(0)
                while thread:wait() ~= ECANCELLED do
                    a:wake(0)
                end
            end)
            assert.equal(ETIMEOUT, on.main:wait(0.02))
            assert.is_true(rounds > 0)
            while not a:wake(ECANCELLED) do
                on.main:wait(0)
            end
            while not b:wake(ECANCELLED) do
                on.main:wait(0)
            end
            on.main:wait(0)
        end)
    end)

    it("wakes itself from nothing but a wait", function()
        core_loop.with(function(on)
            on:run(function(thread)
                assert(not thread:wake(1))
                assert(thread:wait(0) == ETIMEOUT)
            end)
        end)
    end)

    it("raises for a second wait of one thread", function()
        core_loop.with(function(on)
            local thread = on:spawn(function(thread)
                thread:wait()
            end)
            on.main:wait(0)
            local co = coroutine.create(function()
                thread:wait(1)
            end)
            local ok, message = coroutine.resume(co)
            assert.is_false(ok)
            assert.matches("waits already", message)
            thread:wake(0)
            on.main:wait(0)
        end)
    end)

    it("raises where a C call stands between, and can wait afterwards", function()
        core_loop.with(function(on)
            local message
            on:run(function(thread)
                local ok
                ok, message = pcall(string.gsub, "x", "x", function()
                    thread:wait(1)
                end)
                assert(not ok and not thread:is_waiting())
                assert(thread:wait(0) == ETIMEOUT)
            end)
            assert.matches("string.gsub", message)
        end)
    end)

    it("raises for a thread with a coroutine when it is used outside of it", function()
        core_loop.with(function(on)
            local thread = on.loop:thread(coroutine.create(function() end))
            assert.error_matches(function()
                thread:wait(1)
            end, "can't wait here")
        end)
    end)

    it("yields WAIT, also through a coroutine in between", function()
        core_loop.with(function(on)
            on:run(function(thread)
                local inner = coroutine.create(function()
                    return thread:wait(0.001)
                end)
                local _, what = coroutine.resume(inner)
                assert(what == core.WAIT)
                local code = coroutine.yield(what)
                local _, result = coroutine.resume(inner, code)
                assert(result == ETIMEOUT)
            end)
        end)
    end)

    it("raises what a thread died of where the loop is run, with its traceback", function()
        core_loop.with(function(on)
            on:spawn(function()
                error("a bug in a task")
            end)
            local ok, message = pcall(on.main.wait, on.main, 1)
            assert.is_false(ok)
            assert.matches("a bug in a task\nstack traceback:", message)
            assert.is_false(on.main:is_waiting())
            on:spawn(function()
                error { an = "object" }
            end)
            ok, message = pcall(on.main.wait, on.main, 1)
            assert.is_false(ok)
            assert.same({ an = "object" }, message)
            assert.equal(ETIMEOUT, on.main:wait(0)) -- and once only
        end)
    end)

    it("says so when a thread yields what is no wait", function()
        core_loop.with(function(on)
            on:spawn(function()
                coroutine.yield("a value")
            end)
            local ok, message = pcall(on.main.wait, on.main, 1)
            assert.is_false(ok)
            assert.matches("yielded, but not to wait", message)
        end)
    end)

    it("says so when the coroutine is dead already", function()
        core_loop.with(function(on)
            local co = coroutine.create(function() end)
            coroutine.resume(co)
            assert.is_false(on.loop:thread(co):wake(0))
            assert.error_matches(function()
                on.loop:thread("no coroutine")
            end, "thread expected, got string")
        end)
    end)

    it("takes the coroutine that runs already", function()
        core_loop.with(function(on)
            local log = {}
            local co = coroutine.create(function()
                local thread = on.loop:thread(coroutine.running())
                log[1] = thread:wake(1) -- it runs: nothing to wake
                log[2] = thread:wait(0.001)
            end)
            local _, what = coroutine.resume(co)
            assert.equal(core.WAIT, what)
            on.main:wait(0.05)
            assert.same({ false, ETIMEOUT }, log)
        end)
    end)
end)

describe("loop: outside any task", function()
    it("runs the others while it waits", function()
        core_loop.with(function(on)
            local ran = 0
            on:spawn(function(thread)
                for _ = 1, 3 do
                    thread:wait(0.001)
                    ran = ran + 1
                end
                on.main:wake(9)
            end)
            assert.equal(9, on.main:wait())
            assert.equal(3, ran)
        end)
    end)

    it("tells a deadlock instead of hanging", function()
        core_loop.with(function(on)
            assert.equal(EDEADLOCK, on.main:wait())
            local thread = on:spawn(function(thread)
                assert(thread:wait() == 4)
            end)
            assert.equal(EDEADLOCK, on.main:wait())
            assert.equal(1, on.loop:stats().threads)
            thread:wake(4)
            assert.equal(EDEADLOCK, on.main:wait())
        end)
    end)

    it("finds no deadlock while a timer of another thread runs", function()
        core_loop.with(function(on)
            on:spawn(function(thread)
                thread:wait(0.01)
                on.main:wake(3)
            end)
            assert.equal(3, on.main:wait())
        end)
    end)

    it("waits inside a coroutine that is no thread of the loop", function()
        core_loop.with(function(on)
            local co = coroutine.wrap(function()
                on:spawn(function(thread)
                    thread:wait(0.001)
                    on.main:wake(6)
                end)
                return on.main:wait()
            end)
            assert.equal(6, co())
        end)
    end)

    it("waits inside a wait, with a second thread without a coroutine", function()
        core_loop.with(function(on)
            local inner = on.loop:thread()
            local log = {}
            on:spawn(function(thread)
                local code = inner:wait(0.005) -- turns the loop on this thread's stack
                log[#log + 1] = code
                thread:wait(0)
                log[#log + 1] = "went on"
                on.main:wake(1)
            end)
            on:spawn(function(thread)
                thread:wait(0.001)
                log[#log + 1] = "ran below"
            end)
            assert.equal(1, on.main:wait())
            assert.same({ "ran below", ETIMEOUT, "went on" }, log)
        end)
    end)

    it("lets a debug hook end a wait", function()
        core_loop.with(function(on)
            local tcp, peer = on:pair()
            tcp:wait(on.main, "read", 0) -- leaves the socket watched, with nobody waiting
            on:spawn(function()
                peer:send("x") -- the next turn ends without anybody to resume
                debug.sethook(function()
                    debug.sethook()
                    error("interrupted")
                end, "c")
            end)
            local ok, message = pcall(on.main.wait, on.main, 2)
            assert.is_false(ok)
            assert.matches("interrupted", message)
            assert.is_false(on.main:is_waiting())
            tcp:close()
            peer:close()
        end)
    end)
end)

describe("loop: close", function()
    it("drops those who wait and refuses new ones", function()
        core_loop.with(function(on)
            local woken = false
            local thread = on:spawn(function(thread)
                thread:wait(5)
                woken = true
            end)
            on.main:wait(0)
            on.loop:close()
            on.loop:close()
            assert.is_false(thread:wake(0))
            assert.is_false(thread:is_waiting())
            assert.equal(ECLOSED, on.main:wait(1))
            assert.is_false(woken)
            assert.error_matches(function()
                on.loop:tcp()
            end, "the loop is closed")
        end)
    end)

    it("works from a thread, while the loop runs", function()
        core_loop.with(function(on)
            local code
            on:spawn(function(thread)
                thread:wait(1)
            end)
            on:spawn(function(thread)
                on.loop:close()
                collectgarbage()
                code = thread:wait(1)
            end)
            assert.equal(ECLOSED, on.main:wait(1))
            assert.equal(ECLOSED, code)
        end)
    end)

    it("is safe for loops that are forgotten with all they have", function()
        local fds = process.count_fds()
        local weak = setmetatable({}, { __mode = "k" })
        for round = 1, 20 do
            local loop = core.loop()
            weak[loop] = true
            for i = 1, 5 do
                local thread
                local tcp = loop:tcp()
                tcp:listen("ipv4", "127.0.0.1", 0)
                thread = loop:thread(coroutine.create(function()
                    if i % 2 == 0 then
                        thread:wait(100)
                    else
                        tcp:wait(thread, "read", 100)
                    end
                    return loop, tcp
                end))
                thread:wake(0)
            end
            if round % 2 == 0 then
                loop:thread():wait(0)
            end
        end
        collectgarbage()
        collectgarbage()
        collectgarbage()
        assert.is_nil(next(weak))
        assert.equal(fds, process.count_fds())
    end)

    it("is safe when parts are collected while others live", function()
        core_loop.with(function(on)
            do
                local other = core.loop()
                on.tcp = other:tcp()
                on.thread = other:thread(coroutine.create(function() end))
                on.thread:wake(0)
                on.dns = other:dns()
            end
            collectgarbage()
            collectgarbage()
            assert(on.tcp:listen("ipv4", "127.0.0.1", 0)) -- it keeps its loop
            on.tcp, on.dns, on.thread = nil, nil, nil
            collectgarbage()
            collectgarbage()
        end)
    end)

    it("lets a Lua state end with all of it open", function()
        local code, stdout, stderr = support.run({ support.luajit(), "-e", [[
            local core = require "moonwire.core"
            for i = 1, 3 do
                local loop = core.loop()
                local dns, tcp = loop:dns { servers = { "127.0.0.1:9" } }, loop:tcp()
                tcp:listen("ipv4", "127.0.0.1", 0)
                for j = 1, 4 do
                    local thread
                    thread = loop:thread(coroutine.create(function()
                        if j == 1 then
                            tcp:wait(thread, "read")
                        elseif j == 2 then
                            dns:lookup(thread, "moonwire.invalid", 100)
                        elseif j == 3 then
                            thread:wait(100)
                        end
                        thread:wait()
                    end))
                    thread:wake(0)
                end
                if i > 1 then
                    loop:thread():wait(0)
                end
                _G["loop" .. i], _G["tcp" .. i] = loop, tcp
            end
            io.write("ends")
        ]] }, { env = { LUA_CPATH = support.build .. "/?.so;;" } })
        assert.equal("", stderr)
        assert.equal("ends", stdout)
        assert.equal(0, code)
    end)
end)
