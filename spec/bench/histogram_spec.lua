local histograms = require "moonwire.bench.histogram"

-- The least value that so many of a hundred do not exceed.
local function exact(sorted, percent)
    return sorted[math.max(1, math.ceil(percent / 100 * #sorted - 1e-6))]
end

-- A generator of its own, so that every run has the same numbers.
local function random(seed)
    return function()
        seed = (seed * 16807) % 2147483647
        return seed / 2147483647
    end
end

local SHAPES = {
    ["between 0 and 1 s"] = function(next)
        return next()
    end,
    ["over nine powers of ten"] = function(next)
        return 10 ^ (next() * 9 - 6)
    end,
    ["of some microseconds"] = function(next)
        return 3e-5 + next() * 1e-5
    end,
    ["in two heaps far apart"] = function(next)
        return next() < 0.97 and 1e-3 + next() * 1e-4 or 2 + next()
    end,
}

describe("the histogram", function()
    for name, shape in pairs(SHAPES) do
        it("knows quantiles to 0.4 % of times " .. name, function()
            local next, histogram, all = random(42), histograms.new(), {}
            for i = 1, 20000 do
                all[i] = shape(next)
                histogram:record(all[i])
            end
            table.sort(all)
            for _, percent in ipairs { 0, 1, 10, 50, 75, 90, 99, 99.9, 99.99, 100 } do
                local wanted, got = exact(all, percent), histogram:percentile(percent)
                assert.is_true(math.abs(got - wanted) <= wanted * 0.004 + 1e-7,
                    ("p%s: %g, not %g"):format(percent, got, wanted))
            end
        end)
    end

    it("knows count, min, max, mean and deviation exactly", function()
        local next, histogram, sum, squares = random(7), histograms.new(), 0, 0
        local all = {}
        for i = 1, 1000 do
            all[i] = next() * 0.01
            histogram:record(all[i])
            sum = sum + all[i]
        end
        for i = 1, 1000 do
            squares = squares + (all[i] - sum / 1000) ^ 2
        end
        table.sort(all)
        assert.equal(1000, histogram.count)
        assert.equal(all[1], histogram.min)
        assert.equal(all[1000], histogram.max)
        assert.near(sum / 1000, histogram:mean(), 1e-12)
        assert.near(math.sqrt(squares / 1000), histogram:stdev(), 1e-9)
    end)

    it("takes the same memory for any times, the longest as well", function()
        local histogram = histograms.new()
        local buckets = #histogram.buckets
        for exponent = -12, 9 do
            histogram:record(10 ^ exponent)
            histogram:record(9.99 * 10 ^ exponent)
        end
        histogram:record(0)
        histogram:record(-1)
        histogram:record(1e12)
        assert.equal(buckets, #histogram.buckets)
        assert.equal(47, histogram.count)
        assert.equal(0, histogram:percentile(0))
        assert.equal(1e12, histogram.max)
        local counted = 0
        for i = 1, buckets do
            counted = counted + histogram.buckets[i]
        end
        assert.equal(47, counted)
    end)

    it("adds another one, and forgets", function()
        local one, two = histograms.new(), histograms.new()
        for i = 1, 100 do
            one:record(i / 1000)
            two:record(1 + i / 1000)
        end
        one:add(two)
        assert.equal(200, one.count)
        assert.near(0.1, one:percentile(50), 0.0004)
        assert.near(1.1, one:percentile(100), 0.0044)
        assert.equal(0.001, one.min)
        two:clear()
        assert.equal(0, two.count)
        assert.is_nil(two:percentile(50))
        assert.is_nil(two:mean())
        assert.is_nil(two:stdev())
    end)

    it("spreads what it has over ranges", function()
        local histogram = histograms.new()
        for _, seconds in ipairs { 0.001, 0.002, 0.011, 0.5, 7 } do
            histogram:record(seconds)
        end
        assert.same({ 2, 1, 2 }, histogram:spread { 0, 0.01, 0.1, 1 })
    end)

    it("refuses what is no percentage", function()
        for _, wrong in ipairs { -1, 101, 0 / 0, "50" } do
            assert.has_error(function()
                histograms.new():percentile(wrong)
            end, "bad argument 'percent' (number from 0 to 100 expected)")
        end
    end)
end)
