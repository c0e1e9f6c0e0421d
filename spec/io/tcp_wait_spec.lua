local core = require "moonwire.core"
local core_loop = require "spec.support.core_loop"

local ECLOSED, ETIMEOUT = core.ECLOSED, core.ETIMEOUT

describe("tcp: wait", function()
    it("ends when there is something to read, and times out when not", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            assert.equal(ETIMEOUT, client:wait(on.main, "read", 0.01))
            assert.equal(ETIMEOUT, client:wait(on.main, "read", 0))
            server:send("x")
            assert.equal(0, client:wait(on.main, "read", 5))
            assert.equal(0, client:wait(on.main, "read", 0)) -- level triggered
            assert.equal("x", (client:recv()))
            assert.equal(ETIMEOUT, client:wait(on.main, "read", 0.01))
            server:close()
            assert.equal(0, client:wait(on.main, "read", 5)) -- the end is to be read
            client:close()
        end)
    end)

    it("takes what has come in time over a time that has run out meanwhile", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            server:send("x")
            assert.equal(0, client:wait(on.main, "read", 0))
            client:close()
            server:close()
        end)
    end)

    it("ends by wake, and the socket can be waited for again", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            local codes = {}
            local thread = on:spawn(function(thread)
                local code = client:wait(thread, "read", 5)
                codes[1] = code
                code = client:wait(thread, "read", 5)
                codes[2] = code
            end)
            on.main:wait(0)
            thread:wake(core.ECANCELLED)
            on.main:wait(0)
            server:send("x")
            on.main:wait(0.05)
            assert.same({ core.ECANCELLED, 0 }, codes)
            client:close()
            server:close()
        end)
    end)

    it("has one waiter a direction, and a second one raises", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            local written
            on:spawn(function(thread)
                client:wait(thread, "read", 5)
            end)
            on:spawn(function(thread)
                written = client:wait(thread, "write", 5) -- the other direction is free
            end)
            on.main:wait(0.01)
            assert.equal(0, written)
            assert.error_matches(function()
                client:wait(on.main, "read", 1)
            end, "another task already waits here")
            assert.error_matches(function()
                client:wait(on.main, "both", 1)
            end, "another task already waits here")
            assert.is_false(on.main:is_waiting())
            client:close()
            on.main:wait(0)
            server:close()
        end)
    end)

    it("wakes whoever waits when the socket is closed", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            local codes = {}
            local chunk = ("x"):rep(1024 * 1024)
            while client:send(chunk) do -- until nothing more goes in
                on.main:wait(0)
            end
            for _, direction in ipairs { "read", "write" } do
                on:spawn(function(thread)
                    codes[direction] = client:wait(thread, direction, 5)
                end)
            end
            on.main:wait(0.01)
            assert.same({}, codes)
            client:close()
            on.main:wait(0)
            assert.same({ read = ECLOSED, write = ECLOSED }, codes)
            server:close()
        end)
    end)

    it("waits for either direction", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            assert.equal(0, client:wait(on.main, "both", 5)) -- writable at once
            local chunk = ("x"):rep(1024 * 1024)
            while client:send(chunk) do
                on.main:wait(0)
            end
            assert.equal(ETIMEOUT, client:wait(on.main, "both", 0.01))
            server:send("x")
            assert.equal(0, client:wait(on.main, "both", 5)) -- readable
            client:close()
            server:close()
        end)
    end)

    it("finds a new socket in the place of a closed one", function()
        core_loop.with(function(on)
            local numbers = {}
            for _ = 1, 20 do
                local client, server = on:pair()
                numbers[client:fd()] = true
                assert.equal(ETIMEOUT, client:wait(on.main, "read", 0))
                server:send("x")
                assert.equal(0, client:wait(on.main, "read", 5))
                server:close()
                client:close()
            end
            local count = 0
            for _ in pairs(numbers) do
                count = count + 1
            end
            assert.is_true(count < 20) -- the system did use one again
        end)
    end)

    it("is refused for a thread of another loop, and for words that are no direction", function()
        core_loop.with(function(on)
            local other = core.loop()
            local client, server = on:pair()
            assert.error_matches(function()
                client:wait(other:thread(), "read", 1)
            end, "a thread of another loop")
            assert.error_matches(function()
                client:wait(on.main, "sideways", 1)
            end, "invalid option 'sideways'")
            assert.error_matches(function()
                client:wait(nil, "read", 1)
            end, "moonwire.core.Thread expected, got nil")
            client:close()
            server:close()
            other:close()
        end)
    end)

    it("leaves the others their turn when one socket is always ready", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            local stop, reads, ticks = false, 0, 0
            on:spawn(function(thread) -- always writable, for the reader is quick
                local chunk = ("x"):rep(1000)
                while not stop do
                    if not client:send(chunk) then
                        client:wait(thread, "write", 0.1)
                    end
                end
                client:close()
            end)
            on:spawn(function(thread)
                while not stop do
                    if server:recv(10) then -- always readable
                        reads = reads + 1
                    else
                        server:wait(thread, "read", 5)
                    end
                end
                server:close()
            end)
            on:run(function(thread)
                while ticks < 10 do
                    thread:wait(0.001)
                    ticks = ticks + 1
                end
                stop = true
            end)
            on.main:wait(0.2)
            assert.equal(10, ticks)
            assert.is_true(reads > 32)
        end)
    end)

    it("gives sleepers of no time their turns in a ring", function()
        core_loop.with(function(on)
            local log = {}
            for i = 1, 3 do
                on:spawn(function(thread)
                    for _ = 1, 3 do
                        log[#log + 1] = i
                        thread:wait(0)
                    end
                end)
            end
            on.main:wait(0.01)
            assert.same({ 1, 2, 3, 1, 2, 3, 1, 2, 3 }, log)
        end)
    end)

    it("is cheap to repeat: no fd, timer or watcher is left after a thousand", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            on:spawn(function(thread)
                for _ = 1, 1000 do
                    assert(server:wait(thread, "read", 30) == 0)
                    server:send((server:recv()))
                end
                server:close()
            end)
            on:run(function(thread)
                for _ = 1, 1000 do
                    client:send("ping")
                    assert(client:wait(thread, "read", 30) == 0)
                    assert(client:recv() == "ping")
                end
            end)
            client:close()
            local stats = on.loop:stats()
            assert.same({ threads = 0, watchers = 0, tcp = 0, lookups = 0 }, stats)
        end)
    end)

    it("survives sockets that are collected while open", function()
        core_loop.with(function(on)
            for _ = 1, 50 do
                local client, server = on:pair()
                client:wait(on.main, "read", 0)
                server:wait(on.main, "both", 0)
            end
            collectgarbage()
            collectgarbage()
            on.main:wait(0)
            assert.equal(0, on.loop:stats().tcp)
        end)
    end)
end)
