-- Tasks: spawn, join, cancel, results and failures; run and sleep.
local support = require "spec.support"
local backends = require "moonwire.backend"
local errors = require "moonwire.error"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"

local plain_assert = loadstring("return assert")() -- Lua's, not luassert's

-- Runs f on a fresh mock and checks that nothing is left.
local function on_mock(f)
    local m = mock.new()
    local results = { m:run(f, m) }
    assert.same({ threads = 0, watchers = 0, tcp = 0, lookups = 0 }, m:stats())
    return unpack(results)
end

describe("spawn", function()
    it("runs a task beside the one that spawned it, with its arguments", function()
        on_mock(function()
            local order = {}
            local task = moonwire.spawn(function(...)
                order[#order + 1] = "task"
                return select("#", ...), ...
            end, "a", nil)
            order[#order + 1] = "first"
            assert.same({ 2, "a", nil }, { task:join() })
            assert.same({ "first", "task" }, order)
        end)
    end)

    it("wants a function", function()
        local _, message = pcall(function()
            moonwire.spawn("f")
        end)
        assert.matches("task_spec.lua:%d+: bad argument 'f' %(function expected, got string%)$",
            message)
    end)

    it("takes what can be called", function()
        on_mock(function()
            local callable = setmetatable({}, { __call = function(_, x)
                return x + 1
            end })
            assert.equal(3, moonwire.spawn(callable, 2):join())
        end)
    end)

    it("runs ten thousand tasks", function()
        local sum = 0
        support.in_loop(function()
            for i = 1, 10000 do
                moonwire.spawn(function()
                    moonwire.sleep(0)
                    sum = sum + i
                end)
            end
        end)
        assert.equal(50005000, sum)
    end)

    it("keeps no task that has ended", function()
        support.in_loop(function()
            local weak = setmetatable({}, { __mode = "v" })
            for i = 1, 10 do
                weak[i] = moonwire.spawn(function()
                    moonwire.sleep(0)
                end)
            end
            moonwire.sleep(0.01)
            collectgarbage()
            collectgarbage()
            assert.is_nil(next(weak))
        end)
    end)
end)

describe("join", function()
    it("gives the results, as often as it is asked", function()
        on_mock(function()
            local task = moonwire.spawn(function()
                moonwire.sleep(1)
                return 1, nil, 3, nil
            end)
            assert.is_false(task:is_done())
            assert.equal(4, select("#", task:join()))
            assert.same({ 1, nil, 3 }, { task:join() })
            assert.is_true(task:is_done())
        end)
    end)

    it("wakes all who wait, in order", function()
        on_mock(function()
            local task = moonwire.spawn(function()
                moonwire.sleep(1)
                return "x"
            end)
            local order = {}
            for i = 1, 3 do
                moonwire.spawn(function()
                    local value = task:join()
                    order[#order + 1] = i .. value
                end)
            end
            moonwire.sleep(2)
            assert.same({ "1x", "2x", "3x" }, order)
        end)
    end)

    it("gives nil and an error as the values they are", function()
        on_mock(function()
            local err = errors.new { kind = "closed", message = "gone" }
            local value, got = moonwire.spawn(function()
                return nil, err
            end):join()
            assert.is_nil(value)
            assert.equal(err, got)
        end)
    end)

    it("raises what the task raised, with the task's traceback, once", function()
        local message
        local ok = pcall(on_mock, function()
            local task = moonwire.spawn(function()
                moonwire.sleep(1)
                local function deep_inside()
                    error("boom")
                end
                deep_inside()
            end)
            local joined
            joined, message = pcall(task.join, task)
            assert.is_false(joined)
        end)
        assert.is_false(ok)
        assert.matches("task_spec.lua:%d+: boom\nstack traceback:\n.*deep_inside", message)
        assert.equal(1, select(2, message:gsub("stack traceback:", "")))
    end)

    it("raises an error value as it is, with its traceback in a field", function()
        local err = errors.new { kind = "closed", message = "gone" }
        local ok, raised = pcall(on_mock, function()
            moonwire.spawn(function()
                moonwire.sleep(1)
                error(err)
            end):join()
        end)
        assert.is_false(ok)
        assert.equal(err, raised)
        assert.matches("^stack traceback:\n.*task_spec", err.traceback)
    end)

    it("is a wait: in a cancelled scope it gives nil and an error", function()
        on_mock(function()
            local slow = moonwire.spawn(function()
                moonwire.sleep(10)
                return "done"
            end)
            local value, err = moonwire.timeout(1, function()
                return slow:join()
            end)
            assert.is_nil(value)
            assert.equal("timeout", err.kind)
            assert.equal("done", slow:join())
        end)
    end)

    it("can't join itself", function()
        local ok, message = pcall(on_mock, function()
            local task
            task = moonwire.spawn(function()
                task:join()
            end)
        end)
        assert.is_false(ok)
        assert.matches("a task can't join itself", message)
    end)
end)

describe("cancel", function()
    it("ends the wait and refuses all later ones", function()
        on_mock(function(m)
            local kinds = {}
            local task = moonwire.spawn(function()
                for i = 1, 3 do
                    local _, err = moonwire.sleep(10)
                    kinds[i] = err.kind
                end
                return "cleaned up"
            end)
            moonwire.sleep(1)
            task:cancel()
            assert.equal("cleaned up", task:join())
            assert.same({ "cancelled", "cancelled", "cancelled" }, kinds)
            assert.equal(1001, m:now())
        end)
    end)

    it("isn't a failure when the task raises it", function()
        on_mock(function()
            local task = moonwire.spawn(function()
                plain_assert(moonwire.sleep(10))
            end)
            moonwire.sleep(1)
            task:cancel()
            local value, err = task:join()
            assert.is_nil(value)
            assert.equal("cancelled", err.kind)
            assert.is_true(moonwire.sleep(1)) -- the scope goes on
        end)
    end)

    it("is a failure when a task raises it that nobody has cancelled", function()
        local ok, raised = pcall(on_mock, function()
            moonwire.spawn(function()
                error(errors.new { kind = "cancelled", message = "borrowed" })
            end)
        end)
        assert.is_false(ok)
        assert.equal("borrowed", raised.message)
    end)

    it("reaches into scopes that the task has opened, and no further", function()
        on_mock(function()
            local inner, outside
            local task = moonwire.spawn(function()
                outside = moonwire.spawn(function()
                    return moonwire.sleep(5)
                end)
                moonwire.scope(function(s)
                    inner = s:spawn(function()
                        return moonwire.sleep(5)
                    end)
                    moonwire.sleep(5)
                end)
                return moonwire.sleep(5)
            end)
            moonwire.sleep(1)
            task:cancel()
            assert.is_nil((task:join()))
            assert.is_nil((inner:join()))
            assert.is_true(outside:join())
        end)
    end)

    it("lets a task begin, so that it can clean up, but not wait", function()
        on_mock(function()
            local task = moonwire.spawn(function()
                local ok, err = moonwire.sleep(1)
                return ok, err.kind
            end)
            task:cancel()
            assert.same({ nil, "cancelled" }, { task:join() })
            task:cancel() -- harmless
        end)
    end)
end)

describe("run", function()
    it("ends when the function and all it spawned have ended, with its results", function()
        local log = {}
        local count = select("#", support.in_loop(function(...)
            moonwire.spawn(function()
                moonwire.sleep(0.01)
                moonwire.spawn(function()
                    moonwire.sleep(0.01)
                    log[#log + 1] = "grandchild"
                end)
            end)
            return ...
        end, 1, nil, 3))
        assert.same({ "grandchild" }, log)
        assert.equal(3, count)
    end)

    it("raises what a task raised, and cancels the rest", function()
        local kind
        local ok, message = pcall(moonwire.run, function()
            moonwire.spawn(function()
                moonwire.sleep(0.01)
                error("from a task")
            end)
            local _, err = moonwire.sleep(30)
            kind = err.kind
        end)
        assert.is_false(ok)
        assert.matches("from a task\nstack traceback:", message)
        assert.equal("cancelled", kind)
        assert.equal(0, support.counts().threads)
    end)

    it("cancels all and says so when nothing can happen any more", function()
        for _, run in ipairs { moonwire.run, moonwire.scope, on_mock } do
            local kinds = {}
            local ok, message = pcall(run, function()
                for i = 1, 2 do
                    moonwire.spawn(function()
                        local _, err = moonwire.channel():receive()
                        kinds[i] = err.kind
                    end)
                end
            end)
            assert.is_false(ok)
            assert.matches("^nothing can happen any more: %d task%(s%) wait", message)
            assert.same({ "cancelled", "cancelled" }, kinds)
            assert.equal(0, support.counts().threads)
        end
    end)

    it("cancels all and raises when a task yields as only generators do", function()
        local kind
        local ok, message = pcall(moonwire.run, function()
            moonwire.spawn(coroutine.yield)
            local _, err = moonwire.sleep(30)
            kind = err.kind
        end)
        assert.is_false(ok)
        assert.matches("coroutine.yield belongs into a generator", message)
        assert.equal("cancelled", kind)
    end)

    it("is a scope when called inside a task", function()
        on_mock(function(m)
            assert.equal("x", moonwire.run(function()
                moonwire.spawn(function()
                    moonwire.sleep(3)
                end)
                return "x"
            end))
            assert.equal(1003, m:now())
        end)
    end)

    it("hands the backend to what it runs", function()
        local m = mock.new()
        m:run(function()
            assert.equal(m.backend, backends.current())
            moonwire.spawn(function()
                assert.equal(m.backend, backends.current())
            end)
        end)
        assert.equal("ev", backends.current().name)
    end)
end)

describe("sleep and now", function()
    it("sleep for about the time", function()
        support.in_loop(function()
            local before = moonwire.now()
            assert.is_true(moonwire.sleep(0.02))
            local passed = moonwire.now() - before
            assert.is_true(passed >= 0.0199 and passed < 1)
        end)
    end)

    it("name what is wrong with the argument", function()
        for value, words in pairs {
            [-1] = "a number of 0 or more expected, got %-1",
            x = "number expected, got string",
        } do
            local _, message = pcall(function()
                moonwire.sleep(value)
            end)
            assert.matches("task_spec.lua:%d+: bad argument 'seconds' %(" .. words, message)
        end
        assert.has_error(function()
            moonwire.sleep(0 / 0)
        end)
    end)

    it("let others have their turn when it sleeps for no time", function()
        on_mock(function()
            local order = {}
            moonwire.spawn(function()
                order[#order + 1] = "b"
            end)
            order[#order + 1] = "a"
            moonwire.sleep(0)
            order[#order + 1] = "c"
            assert.same({ "a", "b", "c" }, order)
        end)
    end)
end)
