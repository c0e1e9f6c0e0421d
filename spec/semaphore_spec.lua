-- Semaphores: never more than n at a time, in order, and no place lost.
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"

local function on_mock(f)
    local m = mock.new()
    m:run(f, m)
    assert.same({ threads = 0, watchers = 0, tcp = 0, lookups = 0 }, m:stats())
end

describe("a semaphore", function()
    it("lets n in at a time, in the order they came", function()
        on_mock(function(m)
            local semaphore, inside, most, order = moonwire.semaphore(2), 0, 0, {}
            moonwire.scope(function(s)
                for i = 1, 5 do
                    s:spawn(function()
                        assert.is_true(semaphore:acquire())
                        order[#order + 1] = i
                        inside = inside + 1
                        most = math.max(most, inside)
                        moonwire.sleep(1)
                        inside = inside - 1
                        semaphore:release()
                    end)
                end
            end)
            assert.equal(2, most)
            assert.same({ 1, 2, 3, 4, 5 }, order)
            assert.equal(1003, m:now())
            assert.equal(2, semaphore:count())
        end)
    end)

    it("gives its place back however the function of `with` ends", function()
        on_mock(function()
            local semaphore = moonwire.semaphore(1)
            assert.same({ 1, nil, 3 }, { semaphore:with(function(...)
                assert.equal(0, semaphore:count())
                return ...
            end, 1, nil, 3) })
            local ok, message = pcall(semaphore.with, semaphore, function()
                error("boom", 0)
            end)
            assert.is_false(ok)
            assert.matches("^boom\n", message)
            assert.equal(1, semaphore:count())
        end)
    end)

    it("loses no place to a waiter that was cancelled", function()
        on_mock(function()
            local semaphore = moonwire.semaphore(1)
            semaphore:acquire()
            local first = moonwire.spawn(function()
                local ok, err = semaphore:acquire()
                return ok, err.kind
            end)
            local second = moonwire.spawn(semaphore.acquire, semaphore)
            moonwire.sleep(1)
            first:cancel()
            semaphore:release() -- the first has not run yet
            assert.same({ nil, "cancelled" }, { first:join() })
            assert.is_true(second:join())
            semaphore:release()
            assert.equal(1, semaphore:count())
            local ok, err = moonwire.scope(function(s)
                semaphore:acquire()
                s:cancel()
                return semaphore:with(print)
            end)
            assert.is_nil(ok)
            assert.equal("cancelled", err.kind)
        end)
    end)

    it("lets nobody overtake those who wait", function()
        on_mock(function()
            local semaphore, order = moonwire.semaphore(1), {}
            semaphore:acquire()
            moonwire.spawn(function()
                semaphore:acquire()
                order[#order + 1] = "waited"
                semaphore:release()
            end)
            moonwire.sleep(1)
            semaphore:release()
            semaphore:acquire()
            order[#order + 1] = "came later"
            semaphore:release()
            assert.same({ "waited", "came later" }, order)
        end)
    end)

    it("refuses one release too many and wrong sizes", function()
        local semaphore = moonwire.semaphore(1)
        assert.error_matches(function()
            semaphore:release()
        end, "released more often than acquired")
        for _, size in ipairs { 0, 1.5, "2", -1 } do
            assert.error_matches(function()
                moonwire.semaphore(size)
            end, "bad argument 'size' %(a whole number of 1 or more expected")
        end
        assert.error_matches(function()
            semaphore:with(1)
        end, "bad argument 'f' %(function expected, got number%)")
    end)
end)
