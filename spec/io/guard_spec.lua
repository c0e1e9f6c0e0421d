local core = require "moonwire.core"
local core_loop = require "spec.support.core_loop"

-- A sentry that keeps the tokens it takes, and leaves the next one behind.
local function post(loop, taken)
    loop:sentry(loop:thread(coroutine.create(function()
        local token = loop:take_stirred()
        while token do
            taken[#taken + 1] = token
            token = loop:take_stirred()
        end
        post(loop, taken)
    end)))
end

local function guarded(body)
    core_loop.with(function(on)
        local client, server = on:pair()
        local taken = {}
        post(on.loop, taken)
        client:guard(7)
        body(on, client, server, taken)
        client:close()
        server:close()
    end)
end

local function pass(on)
    for _ = 1, 3 do
        on.main:wait(0.002)
    end
end

describe("tcp: guard", function()
    it("stirs its token once, for bytes, for the end and for a reset", function()
        for _, act in ipairs {
            function(server)
                server:send("x")
            end,
            function(server)
                server:shutdown()
            end,
            function(server)
                server:recv() -- nothing; closing with unread bytes sends a reset
                server:close()
            end,
        } do
            guarded(function(on, client, server, taken)
                client:send("unread")
                client:guard(7)
                pass(on)
                assert.same({}, taken)
                act(server)
                pass(on)
                pass(on)
                assert.same({ 7 }, taken)
            end)
        end
    end)

    it("counts as nothing that is open, and keeps no wait from its deadlock", function()
        guarded(function(on, _, _, taken)
            local stats = on.loop:stats()
            assert.equal(0, stats.threads)
            assert.equal(0, stats.watchers)
            assert.equal(core.codes.EDEADLOCK, on.main:wait())
            assert.same({}, taken)
        end)
    end)

    it("is taken back by a send, by a wait to read and by close", function()
        guarded(function(on, client, server, taken)
            server:send("x")
            client:send("y")
            pass(on)
            client:guard(8)
            assert.equal(0, client:wait(on.main, "read", 1))
            pass(on)
            client:guard(9)
            client:close()
            client:guard(10)
            pass(on)
            assert.same({}, taken)
        end)
    end)

    it("forgets a token that was stirred and not taken when it is taken back", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            client:guard(1)
            server:send("x")
            pass(on) -- no sentry: it is kept
            client:send("y")
            assert.is_nil(on.loop:take_stirred())
            client:guard(2)
            pass(on)
            assert.equal(2, on.loop:take_stirred())
            assert.is_nil(on.loop:take_stirred())
            client:guard(3)
            pass(on)
            client:close()
            assert.is_nil(on.loop:take_stirred())
            server:close()
        end)
    end)

    it("begins a sentry that comes late", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            local taken = {}
            client:guard(1)
            server:send("x")
            pass(on)
            post(on.loop, taken)
            pass(on)
            assert.same({ 1 }, taken)
            client:close()
            server:close()
        end)
    end)

    it("takes only a thread of its loop that has never run for a sentry", function()
        core_loop.with(function(on)
            local other = core.loop()
            local ran = on:spawn(function() end)
            pass(on)
            for _, thread in ipairs { ran, on.main, other:thread(coroutine.create(print)) } do
                assert.error_matches(function()
                    on.loop:sentry(thread)
                end, "a thread of this loop that has never run expected")
            end
            other:close()
        end)
    end)

    it("harms nothing when its loop is closed or forgotten meanwhile", function()
        for _, close in ipairs { true, false } do
            local loop = core.loop()
            local listener, client, server = loop:tcp(), loop:tcp(), loop:tcp()
            local main = loop:thread()
            assert(listener:listen("ipv4", "127.0.0.1", 0))
            local _, port = listener:name()
            client:connect("ipv4", "127.0.0.1", port)
            listener:wait(main, "read", 1)
            assert(listener:accept(server))
            client:guard(1)
            server:send("x")
            main:wait(0.005) -- stirred
            post(loop, {}) -- begun, and never run
            if close then
                loop:close()
                client:guard(2)
                assert.error_matches(function()
                    loop:take_stirred()
                end, "closed")
            end
            loop, listener, client, server, main = nil, nil, nil, nil, nil -- luacheck: ignore 311
            collectgarbage()
            collectgarbage()
        end
    end)
end)

describe("tcp: recv_now", function()
    it("takes what is there, also beyond the thread's slice", function()
        guarded(function(on, client, server)
            assert.same({ nil, core.EAGAIN }, { client:recv_now() })
            server:send(("x"):rep(100))
            on.main:wait(0.005)
            local code
            for i = 1, 40 do
                local data
                data, code = client:recv(1)
                assert.equal(i <= 32 and "x" or nil, data)
            end
            assert.equal(core.EAGAIN, code)
            assert.equal("xx", client:recv_now(2))
            assert.equal(66, #client:recv_now())
            client:close()
            assert.same({ nil, core.ECLOSED }, { client:recv_now() })
        end)
    end)
end)
