-- Functions side by side: gather, race, map.
local errors = require "moonwire.error"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"

local function on_mock(f)
    local m = mock.new()
    m:run(f, m)
    assert.same({ threads = 0, watchers = 0, tcp = 0, lookups = 0 }, m:stats())
end

local function after(seconds, ...)
    local results, count = { ... }, select("#", ...)
    return function()
        moonwire.sleep(seconds)
        return unpack(results, 1, count)
    end
end

describe("gather", function()
    it("gives the results in order, in the time of the slowest", function()
        on_mock(function(m)
            assert.same({ "a", "b", "c" },
                { moonwire.gather(after(3, "a"), after(1, "b"), after(2, "c")) })
            assert.equal(1003, m:now())
            assert.equal(0, select("#", moonwire.gather()))
            assert.equal(2, select("#", moonwire.gather(after(1), after(1))))
        end)
    end)

    it("takes a list and then gives tables of results and errors", function()
        on_mock(function()
            local results, problems = moonwire.gather { after(2, "a"), after(1, nil, "why") }
            assert.same({ "a" }, results)
            assert.same({ [2] = "why" }, problems)
            assert.same({}, (moonwire.gather {}))
        end)
    end)

    it("raises the first failure and cancels the rest", function()
        on_mock(function(m)
            local kind
            local ok, message = pcall(moonwire.gather, function()
                moonwire.sleep(1)
                error("boom", 0)
            end, function()
                local _, err = moonwire.sleep(60)
                kind = err.kind
            end)
            assert.is_false(ok)
            assert.matches("^boom\n", message)
            assert.equal("cancelled", kind)
            assert.equal(1001, m:now())
        end)
    end)

    it("names the argument that is no function", function()
        assert.error_matches(function()
            moonwire.gather(print, 3)
        end, "bad argument 'f2' %(function expected, got number%)")
        assert.error_matches(function()
            moonwire.gather { print, "x" }
        end, "bad argument 'f2' %(function expected, got string%)")
    end)
end)

describe("race", function()
    it("gives all results of the first and cancels the others", function()
        on_mock(function(m)
            local kind
            assert.same({ 1, nil, 3 }, { moonwire.race(function()
                local _, err = moonwire.sleep(60)
                kind = err.kind
                error("too late to matter")
            end, after(1, 1, nil, 3)) })
            assert.equal("cancelled", kind)
            assert.equal(1001, m:now())
        end)
    end)

    it("raises when the first one fails", function()
        on_mock(function()
            local ok, message = pcall(moonwire.race, after(2, "slow"), function()
                error("boom", 0)
            end)
            assert.is_false(ok)
            assert.matches("^boom\n", message)
            assert.error_matches(function()
                moonwire.race {}
            end, "bad argument 'f1'")
        end)
    end)

    it("takes a list", function()
        on_mock(function()
            assert.equal("b", moonwire.race { after(2, "a"), after(1, "b") })
        end)
    end)
end)

describe("map", function()
    it("gives results in the order of the list", function()
        on_mock(function(m)
            local results, problems = moonwire.map({ 3, 1, 2 }, function(x, i)
                moonwire.sleep(x)
                return x * 10 + i
            end)
            assert.same({ 31, 12, 23 }, results)
            assert.same({}, problems)
            assert.equal(1003, m:now())
        end)
    end)

    it("runs no more at a time than it may", function()
        on_mock(function(m)
            local now, most = 0, 0
            moonwire.map({ 1, 1, 1, 1, 1 }, function(x)
                now = now + 1
                most = math.max(most, now)
                moonwire.sleep(x)
                now = now - 1
            end, { concurrency = 2 })
            assert.equal(2, most)
            assert.equal(1003, m:now())
        end)
    end)

    it("gives errors beside the results", function()
        on_mock(function()
            local err = errors.new { kind = "closed", message = "gone" }
            local results, problems = moonwire.map({ 1, 2, 3 }, function(x)
                if x == 2 then
                    return nil, err
                end
                return x
            end)
            assert.same({ [1] = 1, [3] = 3 }, results)
            assert.equal(err, problems[2])
        end)
    end)

    it("starts nothing more after a failure", function()
        on_mock(function()
            local started = 0
            local ok, message = pcall(moonwire.map, { 1, 2, 3, 4 }, function(x)
                started = started + 1
                moonwire.sleep(1)
                if x == 1 then
                    error("boom", 0)
                end
            end, { concurrency = 2 })
            assert.is_false(ok)
            assert.matches("^boom\n", message)
            assert.equal(2, started)
        end)
    end)

    it("gives nil and an error when it was cancelled on the way", function()
        on_mock(function()
            local started, kind = 0, nil
            moonwire.timeout(1.5, function()
                local results, err = moonwire.map({ 1, 2, 3, 4 }, function()
                    started = started + 1
                    moonwire.sleep(1)
                end, { concurrency = 1 })
                assert.is_nil(results)
                kind = err.kind
            end)
            assert.equal("cancelled", kind)
            assert.equal(2, started)
        end)
    end)

    it("does nothing for an empty list, and names wrong arguments", function()
        assert.same({}, (moonwire.map({}, print)))
        assert.error_matches(function()
            moonwire.map(nil, print)
        end, "bad argument 'list' %(table expected, got nil%)")
        assert.error_matches(function()
            moonwire.map({}, nil)
        end, "bad argument 'f' %(function expected, got nil%)")
        assert.error_matches(function()
            moonwire.map({ 1 }, print, { concurrency = 0 })
        end, "bad argument 'concurrency'")
    end)
end)
