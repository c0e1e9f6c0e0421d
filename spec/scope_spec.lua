-- Scopes: what is spawned in one ends in it; failures, cancellation, deadlines; gather, race, map.
local support = require "spec.support"
local errors = require "moonwire.error"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local scopes = require "moonwire.scope"

local plain_assert = loadstring("return assert")() -- Lua's, not luassert's

-- Runs f on a fresh mock and checks that nothing is left; gives what f returns.
local function on_mock(f)
    local m = mock.new()
    local function check(...)
        assert.same({ threads = 0, watchers = 0, tcp = 0, lookups = 0 }, m:stats())
        return ...
    end
    return check(m:run(f, m))
end

local function fails_after(seconds, message)
    return function()
        moonwire.sleep(seconds)
        error(message, 0)
    end
end

describe("a scope", function()
    it("ends when its tasks have ended, and gives what its body returns", function()
        on_mock(function(m)
            local ended = 0
            local function task()
                moonwire.sleep(2)
                ended = ended + 1
            end
            assert.same({ 1, nil, 3 }, { moonwire.scope(function(s, x)
                s:spawn(task)
                s:spawn(function()
                    s:spawn(task)
                    moonwire.spawn(task) -- the scope of the task that spawns
                end)
                return x, nil, 3
            end, 1) })
            assert.equal(3, ended)
            assert.equal(1002, m:now())
        end)
    end)

    it("cancels the siblings and the body on the first failure, and raises it", function()
        on_mock(function(m)
            local kinds = {}
            local function sleeper(name)
                local _, err = moonwire.sleep(60)
                kinds[name] = err.kind
            end
            local ok, message = pcall(moonwire.scope, function(s)
                s:spawn(sleeper, "sibling")
                s:spawn(fails_after(1, "boom"))
                s:spawn(fails_after(3, "later"))
                sleeper("body")
                sleeper("body again")
            end)
            assert.is_false(ok)
            assert.matches("^boom\nstack traceback:", message)
            assert.same({ sibling = "cancelled", body = "cancelled", ["body again"] = "cancelled" },
                kinds)
            assert.equal(1001, m:now())
            assert.is_true(moonwire.sleep(1)) -- outside it all goes on
        end)
    end)

    it("cancels its tasks when the body fails, and waits for them", function()
        on_mock(function(m)
            local cleaned
            local ok, message = pcall(moonwire.scope, function(s)
                s:spawn(function()
                    moonwire.sleep(60)
                    cleaned = true
                end)
                moonwire.sleep(1)
                error("body", 0)
            end)
            assert.is_false(ok)
            assert.matches("^body\n", message)
            assert.is_true(cleaned)
            assert.equal(1001, m:now())
        end)
    end)

    it("tells the first failure, not what it causes", function()
        on_mock(function()
            local ok, message = pcall(moonwire.scope, function(s)
                s:spawn(fails_after(1, "first"))
                s:spawn(function()
                    local slept = moonwire.sleep(60)
                    error(slept and "" or "second", 0)
                end)
                plain_assert(moonwire.sleep(60))
            end)
            assert.is_false(ok)
            assert.matches("^first\n", message)
        end)
    end)

    it("raises error values themselves, through several scopes", function()
        local err = errors.new { kind = "closed", message = "gone" }
        on_mock(function()
            local ok, raised = pcall(moonwire.scope, function()
                moonwire.scope(function(s)
                    s:spawn(function()
                        error(err)
                    end)
                end)
            end)
            assert.is_false(ok)
            assert.equal(err, raised)
            assert.matches("scope_spec", err.traceback)
        end)
    end)

    it("ends although a task swallows its cancellation for a while", function()
        on_mock(function(m)
            pcall(moonwire.scope, function(s)
                s:spawn(function()
                    for _ = 1, 100 do
                        pcall(function()
                            plain_assert(moonwire.sleep(60))
                        end)
                    end
                end)
                s:spawn(fails_after(1, "boom"))
            end)
            assert.equal(1001, m:now())
        end)
    end)

    it("is cancelled by cancel: nil and an error when the body raises that", function()
        on_mock(function(m)
            local seen
            local value, err = moonwire.scope(function(s)
                s:spawn(function()
                    moonwire.sleep(1)
                    assert.is_false(s.cancelled)
                    s:cancel()
                    s:cancel()
                    seen = s.cancelled
                end)
                plain_assert(moonwire.sleep(60))
            end)
            assert.is_nil(value)
            assert.equal("cancelled", err.kind)
            assert.is_true(seen)
            assert.equal(1001, m:now())
            assert.equal("kept", moonwire.scope(function(s)
                s:cancel()
                local ok, problem = moonwire.sleep(1)
                assert.is_nil(ok)
                assert.equal("cancelled", problem.kind)
                return "kept"
            end))
            assert.is_true(moonwire.sleep(1))
        end)
    end)

    it("is cancelled with the scope around it, and passes that on", function()
        on_mock(function()
            local value, err = moonwire.scope(function(outer)
                outer:spawn(function()
                    moonwire.sleep(1)
                    outer:cancel()
                end)
                moonwire.scope(function(inner)
                    inner:spawn(moonwire.sleep, 60)
                    plain_assert(moonwire.sleep(60))
                end)
                error("never here")
            end)
            assert.is_nil(value)
            assert.equal("cancelled", err.kind)
        end)
    end)

    it("cancels its tasks in the order in which they were spawned", function()
        on_mock(function()
            local ended, expected = {}, {}
            moonwire.scope(function(s)
                for i = 1, 50 do
                    expected[i] = i
                    s:spawn(function()
                        moonwire.sleep(60)
                        ended[#ended + 1] = i
                    end)
                end
                moonwire.sleep(1)
                s:cancel()
            end)
            assert.same(expected, ended)
        end)
    end)

    it("is left with the cancellation of the outer scope still on", function()
        on_mock(function()
            moonwire.scope(function(outer)
                moonwire.scope(function(inner)
                    inner:cancel()
                    outer:cancel()
                end)
                local ok, err = moonwire.sleep(1)
                assert.is_nil(ok)
                assert.equal("cancelled", err.kind)
            end)
        end)
    end)

    it("cancels what is spawned in it after that from the start", function()
        on_mock(function()
            moonwire.scope(function(s)
                s:cancel()
                local kind
                s:spawn(function()
                    local _, err = moonwire.sleep(1)
                    kind = err.kind
                end):join()
                moonwire.scope(function() end)
                s:on_end {
                    close = function()
                        assert.equal("cancelled", kind)
                    end,
                }
            end)
        end)
    end)

    it("refuses to spawn once it has ended", function()
        on_mock(function()
            local kept
            moonwire.scope(function(s)
                kept = s
            end)
            assert.error_matches(function()
                kept:spawn(function() end)
            end, "this scope has ended")
        end)
    end)

    it("can be left by a failed join without losing the failure", function()
        on_mock(function()
            local ok, message = pcall(moonwire.scope, function(s)
                local task = s:spawn(fails_after(1, "boom"))
                pcall(task.join, task)
            end)
            assert.is_false(ok)
            assert.matches("^boom\n", message)
        end)
    end)

    it("says so when a generator yields out of it", function()
        local ok, message = pcall(on_mock, function()
            local leaky = coroutine.wrap(function()
                moonwire.scope(function()
                    coroutine.yield("out")
                end)
            end)
            leaky()
        end)
        assert.is_false(ok)
        assert.matches("a generator must not yield from inside scope", message)
    end)

    it("is found by whoever runs in it", function()
        on_mock(function()
            moonwire.scope(function(s)
                assert.equal(s, scopes.current())
                s:spawn(function()
                    assert.equal(s, scopes.current())
                end)
            end)
        end)
    end)

    it("works the same on the real loop", function()
        support.in_loop(function()
            local ok, message = pcall(moonwire.scope, function(s)
                s:spawn(moonwire.sleep, 60)
                s:spawn(fails_after(0.01, "boom"))
                moonwire.sleep(60)
            end)
            assert.is_false(ok)
            assert.matches("^boom\n", message)
        end)
    end)
end)

describe("timeout", function()
    it("gives the results of what is done in time", function()
        on_mock(function()
            assert.same({ 1, nil, 3 }, { moonwire.timeout(5, function(...)
                moonwire.sleep(4)
                return ...
            end, 1, nil, 3) })
        end)
    end)

    it("gives nil and an error when the time is over, at that time", function()
        on_mock(function(m)
            for _, body in ipairs {
                function()
                    return moonwire.sleep(60)
                end,
                function()
                    plain_assert(moonwire.sleep(60))
                end,
                function()
                    moonwire.sleep(60)
                    return "too late"
                end,
                function()
                    moonwire.spawn(function()
                        plain_assert(moonwire.sleep(60))
                    end)
                end,
                function()
                    moonwire.scope(function(s)
                        s:spawn(moonwire.sleep, 60)
                    end)
                end,
            } do
                local before = m:now()
                local value, err = moonwire.timeout(2, body)
                assert.is_nil(value)
                assert.equal("timeout", err.kind)
                assert.equal("timed out after 2 s", err.message)
                assert.equal(2, m:now() - before)
            end
            assert.is_true(moonwire.sleep(1))
        end)
    end)

    it("raises what fails for another reason", function()
        on_mock(function()
            local ok, message = pcall(moonwire.timeout, 2, function()
                moonwire.sleep(60)
                error("other", 0)
            end)
            assert.is_false(ok)
            assert.matches("^other\n", message)
            ok, message = pcall(moonwire.timeout, 2, fails_after(1, "early"))
            assert.is_false(ok)
            assert.matches("^early\n", message)
        end)
    end)

    it("lets the nearest deadline win, and only that one says timeout", function()
        on_mock(function(m)
            -- the inner one
            local value, err = moonwire.timeout(10, function()
                local inner, problem = moonwire.timeout(1, moonwire.sleep, 60)
                assert.is_nil(inner)
                assert.equal("timeout", problem.kind)
                return moonwire.sleep(1)
            end)
            assert.is_true(value)
            assert.is_nil(err)
            assert.equal(1002, m:now())
            -- the outer one
            local inner_kind
            value, err = moonwire.timeout(1, function()
                local _, problem = moonwire.timeout(10, moonwire.sleep, 60)
                inner_kind = problem.kind
                return "ignored"
            end)
            assert.is_nil(value)
            assert.equal("timeout", err.kind)
            assert.equal("timed out after 1 s", err.message)
            assert.equal("cancelled", inner_kind)
            -- the outer one, through an inner one that raises
            value, err = moonwire.timeout(1, function()
                moonwire.timeout(10, function()
                    plain_assert(moonwire.sleep(60))
                end)
                error("never here")
            end)
            assert.is_nil(value)
            assert.equal("timed out after 1 s", err.message)
        end)
    end)

    it("gives equal deadlines to the outer one", function()
        on_mock(function()
            local kind
            local value, err = moonwire.timeout(1, function()
                local _, problem = moonwire.timeout(1, moonwire.sleep, 60)
                kind = problem.kind
            end)
            assert.is_nil(value)
            assert.equal("timeout", err.kind)
            assert.equal("cancelled", kind)
        end)
    end)

    it("cancels all that runs inside, tasks and scopes", function()
        on_mock(function(m)
            local kinds = {}
            local _, err = moonwire.timeout(1, function()
                for i = 1, 3 do
                    moonwire.spawn(function()
                        moonwire.scope(function(s)
                            assert.is_false(s.cancelled)
                            local _, problem = moonwire.sleep(60)
                            kinds[i] = problem.kind
                            assert.is_true(s.cancelled)
                        end)
                    end)
                end
            end)
            assert.equal("timeout", err.kind)
            assert.same({ "cancelled", "cancelled", "cancelled" }, kinds)
            assert.equal(1001, m:now())
        end)
    end)

    it("leaves the results of an fn that did not notice", function()
        support.in_loop(function()
            local ends = moonwire.now() + 0.02
            assert.equal("done", moonwire.timeout(0.005, function()
                repeat
                until moonwire.now() >= ends
                return "done"
            end))
        end)
    end)

    it("of no time refuses the first wait", function()
        on_mock(function(m)
            local _, err = moonwire.timeout(0, moonwire.sleep, 0)
            assert.equal("timeout", err.kind)
            assert.equal(1000, m:now())
            assert.is_true(moonwire.timeout(math.huge, moonwire.sleep, 5))
        end)
    end)

    it("is not taken for the failure of a task inside", function()
        on_mock(function()
            local ok, raised = pcall(moonwire.timeout, 10, function()
                moonwire.spawn(function()
                    plain_assert(moonwire.timeout(1, moonwire.sleep, 60))
                end)
                moonwire.sleep(60)
            end)
            assert.is_false(ok)
            assert.equal("timeout", raised.kind)
            assert.equal("timed out after 1 s", raised.message)
        end)
    end)

    it("names the argument that is wrong", function()
        for words, call in pairs {
            ["'seconds' %(number expected, got string%)"] = { "1", print },
            ["'seconds' %(a number of 0 or more expected, got %-1%)"] = { -1, print },
            ["'f' %(function expected, got nil%)"] = { 1 },
        } do
            assert.error_matches(function()
                moonwire.timeout(unpack(call))
            end, "bad argument " .. words)
        end
    end)

    it("works the same on the real loop", function()
        support.in_loop(function()
            local _, err = moonwire.timeout(0.01, function()
                moonwire.spawn(moonwire.sleep, 60)
                return moonwire.sleep(60)
            end)
            assert.equal("timeout", err.kind)
        end)
    end)
end)
