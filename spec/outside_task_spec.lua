-- Outside any task every blocking call works: it runs the loop until its result is there.
local support = require "spec.support"
local backends = require "moonwire.backend"
local moonwire = require "moonwire"

describe("outside any task", function()
    local before

    before_each(function()
        backends.default()
        collectgarbage()
        before = support.counts()
    end)

    after_each(function()
        assert.same(before, support.counts())
    end)

    it("sleep, timeout, scope, gather, race and map work", function()
        assert.is_true(moonwire.sleep(0.01))
        local value, err = moonwire.timeout(0.01, moonwire.sleep, 5)
        assert.is_nil(value)
        assert.equal("timeout", err.kind)
        assert.is_true(moonwire.sleep(0))
        assert.equal("x", moonwire.scope(function(s)
            s:spawn(moonwire.sleep, 0.01)
            return "x"
        end))
        assert.same({ 1, 2 }, { moonwire.gather(function()
            moonwire.sleep(0.01)
            return 1
        end, function()
            return 2
        end) })
        assert.equal("fast", moonwire.race(function()
            moonwire.sleep(5)
        end, function()
            return "fast"
        end))
        assert.same({ 2, 4 }, (moonwire.map({ 1, 2 }, function(x)
            return 2 * x
        end)))
    end)

    it("a task spawned there goes on while something else is waited for", function()
        local steps = 0
        local task = moonwire.spawn(function()
            for _ = 1, 3 do
                moonwire.sleep(0.005)
                steps = steps + 1
            end
            return "done"
        end)
        assert.equal(0, steps)
        moonwire.sleep(0.03)
        assert.is_true(steps > 0)
        assert.equal("done", task:join())
        assert.equal(3, steps)
    end)

    it("a failure is raised by join", function()
        local task = moonwire.spawn(function()
            error("boom")
        end)
        local ok, message = pcall(task.join, task)
        assert.is_false(ok)
        assert.matches("boom\nstack traceback:", message)
    end)

    it("a failure that nobody joins is reported, and cancels nothing", function()
        local on, got = backends.default(), nil
        local on_error = on.on_error
        on.on_error = function(value)
            got = value
        end
        local other = moonwire.spawn(function()
            return moonwire.sleep(0.02)
        end)
        moonwire.spawn(function()
            error("lost")
        end)
        moonwire.sleep(0.01)
        on.on_error = on_error
        assert.matches("lost\nstack traceback:", got)
        assert.is_true(other:join())
    end)

    it("a wait works inside string.gsub and a coroutine, as nothing has to yield", function()
        local text = ("ab"):gsub(".", function(byte)
            moonwire.sleep(0.001)
            return byte:upper()
        end)
        assert.equal("AB", text)
        local numbers = coroutine.wrap(function()
            moonwire.sleep(0.001)
            coroutine.yield(1)
        end)
        assert.equal(1, numbers())
    end)

    it("channels and semaphores work", function()
        local channel = moonwire.channel(1)
        moonwire.spawn(function()
            moonwire.sleep(0.005)
            channel:send("x")
            channel:close()
        end)
        assert.equal("x", channel:receive())
        assert.is_nil((channel:receive()))
        local semaphore = moonwire.semaphore(1)
        assert.equal("held", semaphore:with(function()
            return "held"
        end))
    end)

    it("a wait that nothing can end gives an error", function()
        local value, err = moonwire.channel():receive()
        assert.is_nil(value)
        assert.equal("system", err.kind)
        assert.equal("EDEADLOCK", err.code)
    end)

    it("works in plain luajit, in one line", function()
        local code, out, problem = support.run({ support.luajit(), "-e", [[
            local moonwire = require "moonwire"
            moonwire.sleep(0.001)
            print(moonwire.run(function() return moonwire.sleep(0.001) end))
        ]] }, { env = {
            LUA_PATH = package.path, LUA_CPATH = package.cpath,
        } })
        assert.same({ 0, "true\n", "" }, { code, out, problem })
    end)
end)
