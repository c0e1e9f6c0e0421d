-- bench/histogram.lua - counts times in buckets, so that any number of them takes the same memory
-- and quantiles are known to 0.4 %. It keeps no clock.

-- Below 25.6 µs a bucket is 0.1 µs wide; above, each octave has 128 of them (log-linear, as in Gil
-- Tene's HdrHistogram). The last one begins at more than 15 hours.
local UNIT = 1e-7 -- seconds
local PER_OCTAVE = 128
local OCTAVES = 31
local BUCKETS = (OCTAVES + 2) * PER_OCTAVE
local LIMIT = 2 ^ 39 - 1 -- units: more than that is counted as so much

local floor, max, min, sqrt = math.floor, math.max, math.min, math.sqrt

---@class moonwire.bench.Histogram
---@field count integer how many times it has
---@field min number seconds; math.huge where it has none
---@field max number seconds
---@field private sum number
---@field private squares number sum of the squares
---@field private buckets integer[] from 1
local methods = {}
local Histogram = { __index = methods, __name = "moonwire.bench.Histogram" }

local M = {}

-- The bucket of a number of units, from 1.
local function bucket_of(units)
    local first = 1
    if units >= 2 ^ 23 then
        units, first = units * 2 ^ -16, first + 16 * PER_OCTAVE
    end
    if units >= 2 ^ 15 then
        units, first = units * 2 ^ -8, first + 8 * PER_OCTAVE
    end
    if units >= 2 ^ 11 then
        units, first = units * 2 ^ -4, first + 4 * PER_OCTAVE
    end
    if units >= 2 ^ 9 then
        units, first = units * 2 ^ -2, first + 2 * PER_OCTAVE
    end
    if units >= 2 ^ 8 then
        units, first = units * 2 ^ -1, first + PER_OCTAVE
    end
    return first + floor(units)
end

-- Where a bucket begins and how wide it is, in seconds.
local function place_of(bucket)
    local index = bucket - 1
    local octave = max(0, floor(index / PER_OCTAVE) - 1)
    local width = 2 ^ octave * UNIT
    return (index - octave * PER_OCTAVE) * width, width
end

--- Counts a time.
---@param seconds number
function methods:record(seconds)
    if seconds < 0 then
        seconds = 0
    end
    local buckets, bucket = self.buckets, bucket_of(min(seconds * (1 / UNIT), LIMIT))
    buckets[bucket] = buckets[bucket] + 1
    self.count = self.count + 1
    self.sum = self.sum + seconds
    self.squares = self.squares + seconds * seconds
    self.min = min(self.min, seconds)
    self.max = max(self.max, seconds)
end

--- Counts all that another has.
---@param other moonwire.bench.Histogram
function methods:add(other)
    local ours, theirs = self.buckets, other.buckets
    for i = 1, BUCKETS do
        ours[i] = ours[i] + theirs[i]
    end
    self.count, self.sum = self.count + other.count, self.sum + other.sum
    self.squares = self.squares + other.squares
    self.min, self.max = min(self.min, other.min), max(self.max, other.max)
end

--- Forgets all.
function methods:clear()
    local buckets = self.buckets
    for i = 1, BUCKETS do
        buckets[i] = 0
    end
    self.count, self.sum, self.squares, self.min, self.max = 0, 0, 0, math.huge, 0
end

--- The time that so many of a hundred do not exceed.
---@param percent number 0 to 100
---@return number? seconds nil where it has none
function methods:percentile(percent)
    if type(percent) ~= "number" or not (percent >= 0 and percent <= 100) then
        error("bad argument 'percent' (number from 0 to 100 expected)", 2)
    elseif self.count == 0 then
        return nil
    elseif percent == 0 or percent == 100 then -- these are known exactly
        return percent == 0 and self.min or self.max
    end
    -- what the division of 99.9 by 100 loses must not make one more of it
    local rank = max(1, math.ceil(percent / 100 * self.count - 1e-6))
    local seen, buckets = 0, self.buckets
    for i = 1, BUCKETS do
        seen = seen + buckets[i]
        if seen >= rank then
            local from, width = place_of(i)
            return max(self.min, min(self.max, from + width / 2))
        end
    end
    return self.max
end

---@return number? seconds nil where it has none
function methods:mean()
    return self.count > 0 and self.sum / self.count or nil
end

--- The standard deviation.
---@return number? seconds nil where it has none
function methods:stdev()
    if self.count == 0 then
        return nil
    end
    local mean = self.sum / self.count
    return sqrt(max(0, self.squares / self.count - mean * mean))
end

--- How many times lie between the limits of a list, each bucket taken for its middle.
---@param limits number[] seconds, rising: one more than there are ranges
---@return integer[] counts
function methods:spread(limits)
    local counts, at = {}, 1
    for i = 1, #limits - 1 do
        counts[i] = 0
    end
    for i = 1, BUCKETS do
        if self.buckets[i] > 0 then
            local from, width = place_of(i)
            while at < #counts and from + width / 2 >= limits[at + 1] do
                at = at + 1
            end
            counts[at] = counts[at] + self.buckets[i]
        end
    end
    return counts
end

--- Makes an empty one.
---@return moonwire.bench.Histogram
function M.new()
    local self = setmetatable({
        count = 0, min = math.huge, max = 0, sum = 0, squares = 0, buckets = {},
    }, Histogram)
    self:clear()
    return self
end

return M
