-- Waits inside generators: passed up to the task that resumed them, refused where they can't pass;
-- and coroutines that don't wait behave as the stock ones do.
local stock_resume = coroutine.resume -- before moonwire first runs

local core = require "moonwire.core"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local support = require "spec.support"

local plain_assert = loadstring("return assert")() -- Lua's, not luassert's
local raw = core.state.resume or stock_resume

local function on_mock(f)
    local m = mock.new()
    m:run(f, m)
    assert.same({ threads = 0, watchers = 0, tcp = 0, lookups = 0 }, m:stats())
end

local function counter(n, seconds)
    return function()
        for i = 1, n do
            plain_assert(moonwire.sleep(seconds))
            coroutine.yield(i)
        end
        return "end"
    end
end

local function collect(generator)
    local values = {}
    for value in generator do
        values[#values + 1] = value
        if value == "end" then
            return values
        end
    end
    return values
end

describe("a generator", function()
    it("may wait between its values", function()
        on_mock(function(m)
            assert.same({ 1, 2, 3, "end" }, collect(coroutine.wrap(counter(3, 2))))
            assert.equal(1006, m:now())
        end)
        support.in_loop(function()
            assert.same({ 1, 2, "end" }, collect(coroutine.wrap(counter(2, 0.001))))
        end)
    end)

    it("may wait inside other generators", function()
        on_mock(function(m)
            local inner = coroutine.wrap(counter(2, 1))
            local middle = coroutine.wrap(function()
                for value in inner do
                    moonwire.sleep(1)
                    coroutine.yield(value)
                    if value == "end" then
                        return
                    end
                end
            end)
            local outer = coroutine.wrap(function()
                for value in middle do
                    coroutine.yield(value)
                end
            end)
            assert.same({ 1, 2, "end" }, collect(outer))
            assert.equal(1005, m:now())
        end)
    end)

    it("lets other tasks run while it waits", function()
        on_mock(function(m)
            local ticks = 0
            moonwire.spawn(function()
                for _ = 1, 10 do
                    moonwire.sleep(1)
                    ticks = ticks + 1
                end
            end)
            local generator = coroutine.wrap(counter(1, 5.5))
            assert.equal(1, generator())
            assert.equal(5, ticks)
            assert.equal(1005.5, m:now())
        end)
    end)

    it("may wait inside pcall and xpcall, and fail there", function()
        on_mock(function()
            local generator = coroutine.wrap(function()
                local ok, message = pcall(function()
                    moonwire.sleep(1)
                    coroutine.yield("a")
                    moonwire.sleep(1)
                    error("inside", 0)
                end)
                coroutine.yield(ok, message)
                xpcall(function()
                    moonwire.sleep(1)
                    coroutine.yield("b")
                end, print)
                return "end"
            end)
            assert.equal("a", generator())
            assert.same({ false, "inside" }, { generator() })
            assert.same({ "b", "end" }, { generator(), (generator()) })
        end)
    end)

    it("gets what it is resumed with, not what a wait gives", function()
        on_mock(function()
            local co = coroutine.create(function(...)
                local got = { select("#", ...), ... }
                moonwire.sleep(1)
                got[#got + 1] = coroutine.yield("first")
                moonwire.sleep(1)
                return unpack(got)
            end)
            assert.same({ true, "first" }, { coroutine.resume(co, "a", "b") })
            assert.same({ true, 2, "a", "b", "c" }, { coroutine.resume(co, "c") })
            assert.equal("dead", coroutine.status(co))
        end)
    end)

    it("belongs to whoever resumes it", function()
        on_mock(function(m)
            local generator = coroutine.wrap(counter(4, 1))
            local first = moonwire.spawn(function()
                return generator(), generator()
            end)
            assert.same({ 1, 2 }, { first:join() })
            local second = moonwire.spawn(function()
                moonwire.sleep(1)
                return generator()
            end)
            assert.equal(3, second:join())
            assert.equal(4, generator())
            assert.equal(1005, m:now())
        end)
    end)

    it("started outside any task goes on in one, and the other way round", function()
        local generator = coroutine.wrap(counter(3, 0.001))
        assert.equal(1, generator())
        support.in_loop(function()
            assert.equal(2, generator())
        end)
        assert.equal(3, generator())
    end)

    it("can't be resumed by a second task while the first waits in it", function()
        on_mock(function()
            local co = coroutine.create(counter(1, 5))
            local first = moonwire.spawn(coroutine.resume, co)
            moonwire.sleep(1)
            assert.equal("suspended", coroutine.status(co))
            local ok, message = coroutine.resume(co)
            assert.is_false(ok)
            assert.matches("cannot resume a coroutine that waits", message)
            assert.same({ true, 1 }, { first:join() })
            assert.same({ true, "end" }, { coroutine.resume(co) })
        end)
    end)

    it("sees the cancellation of the task that waits in it", function()
        on_mock(function(m)
            local seen
            local generator = coroutine.wrap(function()
                local ok, err = moonwire.sleep(60)
                seen = { ok, err.kind }
                coroutine.yield("cleaned up")
                seen[3] = select(2, moonwire.sleep(60)).kind
            end)
            local value, err = moonwire.timeout(1, function()
                assert.equal("cleaned up", generator())
                generator()
            end)
            assert.is_nil(value)
            assert.equal("timeout", err.kind)
            assert.same({ nil, "cancelled", "cancelled" }, seen)
            assert.equal(1001, m:now())
        end)
    end)

    it("may be left in the middle", function()
        on_mock(function()
            for _ = 1, 10 do
                local generator = coroutine.wrap(counter(3, 1))
                assert.equal(1, generator())
            end
            collectgarbage()
            assert.is_true(moonwire.sleep(1))
        end)
        -- with its task, while it waits
        local m = mock.new()
        m.backend:start(function()
            coroutine.wrap(counter(1, 60))()
        end)
        m:advance(1)
        m = nil -- luacheck: ignore 311 (it is let go of)
        collectgarbage()
        collectgarbage()
        assert.is_true(moonwire.sleep(0))
    end)

    it("passes its error on with both positions, as the stock wrap does", function()
        on_mock(function()
            local generator = coroutine.wrap(function()
                moonwire.sleep(1)
                error("boom")
            end)
            local _, message = pcall(function()
                generator()
            end)
            assert.matches("generator_spec.lua:%d+: .*generator_spec.lua:%d+: boom$", message)
            local value = {}
            generator = coroutine.wrap(function()
                moonwire.sleep(1)
                error(value)
            end)
            local ok, raised = pcall(generator)
            assert.is_false(ok)
            assert.equal(value, raised)
            ok, raised = pcall(generator)
            assert.is_false(ok)
            assert.equal("cannot resume dead coroutine", raised)
        end)
    end)

    it("is handled by coroutine.* as ever", function()
        local function probe(resume)
            local seen = {}
            local co
            co = coroutine.create(function(...)
                seen[#seen + 1] = select("#", ...)
                seen[#seen + 1] = coroutine.status(co)
                seen[#seen + 1] = coroutine.running() == co
                coroutine.yield()
                coroutine.yield(nil, nil)
            end)
            seen[#seen + 1] = coroutine.status(co)
            seen[#seen + 1] = select("#", resume(co, nil, nil))
            seen[#seen + 1] = select("#", resume(co))
            seen[#seen + 1] = coroutine.status(co)
            seen[#seen + 1] = select("#", resume(co))
            seen[#seen + 1] = coroutine.status(co)
            local ok, message = resume(co)
            seen[#seen + 1] = ok
            seen[#seen + 1] = message
            ok, message = pcall(resume, "no coroutine")
            seen[#seen + 1] = ok
            seen[#seen + 1] = message:match("coroutine expected")
            local own
            own = coroutine.create(function()
                return resume(own)
            end)
            ok, seen[#seen + 1], seen[#seen + 2] = resume(own)
            seen[#seen + 1] = ok
            return seen
        end
        local expected = probe(raw)
        assert.same(expected, probe(coroutine.resume))
        on_mock(function()
            assert.same(expected, probe(coroutine.resume))
            assert.error_matches(function()
                coroutine.wrap(nil)
            end, "function expected")
        end)
    end)
end)

describe("a wait that can't pass", function()
    local function refused(f, ...)
        local ok, message = pcall(f, ...)
        assert.is_false(ok)
        assert.matches("can't wait here: .*string.gsub.*coroutine.wrap.*Wait outside", message)
    end

    local function wait()
        moonwire.sleep(1)
        return ""
    end

    it("is refused at once inside string.gsub, table.sort and require", function()
        on_mock(function(m)
            refused(string.gsub, "x", "x", wait)
            refused(table.sort, { 3, 2, 1 }, wait)
            package.preload["spec.waits"] = wait
            refused(require, "spec.waits")
            package.preload["spec.waits"] = nil
            package.loaded["spec.waits"] = nil
            assert.equal(1000, m:now())
            assert.is_true(moonwire.sleep(1))
        end)
    end)

    it("is refused in a generator that a C call resumes", function()
        on_mock(function()
            local generator = coroutine.wrap(wait)
            refused(string.gsub, "x", "x", function()
                return generator()
            end)
            -- and in a generator of that one
            refused(string.gsub, "x", "x", function()
                return coroutine.wrap(function()
                    return coroutine.wrap(wait)()
                end)()
            end)
            assert.is_true(moonwire.sleep(1))
        end)
    end)

    it("is refused in a coroutine that an old copy of resume resumes", function()
        on_mock(function()
            local co = coroutine.create(wait)
            local ok, message = raw(co)
            assert.is_false(ok)
            assert.matches("a copy of coroutine.resume or coroutine.wrap", message)
            co = coroutine.create(function()
                return coroutine.wrap(wait)()
            end)
            ok, message = raw(co)
            assert.is_false(ok)
            assert.matches("a copy of coroutine.resume", message)
            assert.is_true(moonwire.sleep(1))
        end)
    end)

    it("is refused for streams, channels, joins and semaphores too", function()
        on_mock(function(m)
            local stream = m:stream()
            local channel = moonwire.channel()
            local semaphore = moonwire.semaphore(1)
            semaphore:acquire()
            local task = moonwire.spawn(moonwire.sleep, 1)
            for _, call in ipairs {
                function() stream:read() end,
                function() stream:read_until("x") end,
                function() channel:receive() end,
                function() channel:send(1) end,
                function() semaphore:acquire() end,
                function() task:join() end,
                function() m.backend:connect { family = "ipv4", address = "1.2.3.4", port = 1 } end,
            } do
                refused(string.gsub, "x", "x", call)
            end
            -- and none of them is left waiting for anything
            moonwire.spawn(channel.send, channel, "x")
            assert.equal("x", channel:receive())
            stream:close()
            local data, err = stream:read()
            assert.is_nil(data)
            assert.equal("closed", err.kind)
        end)
    end)

    it("is told apart from a plain yield in a task", function()
        local m = mock.new()
        for _, run in ipairs { function(f) return m:run(f) end, moonwire.run } do
            local ok, message = pcall(run, function()
                coroutine.yield("what for")
            end)
            assert.is_false(ok)
            assert.matches("coroutine.yield belongs into a generator", message)
        end
    end)
end)
