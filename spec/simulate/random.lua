-- spec/simulate/random.lua - chance that can be had again: a generator of its own for every name,
-- so that what one part draws never moves what another part draws.

local bit = require "bit"

local bxor, lshift, rshift, tobit = bit.bxor, bit.lshift, bit.rshift, bit.tobit

local methods = {}
local Random = { __index = methods }

local random = {}

-- Jenkins's one-at-a-time hash.
local function hash(text, start)
    local h = start
    for i = 1, #text do
        h = tobit(h + text:byte(i))
        h = tobit(h + lshift(h, 10))
        h = bxor(h, rshift(h, 6))
    end
    h = tobit(h + lshift(h, 3))
    h = bxor(h, rshift(h, 11))
    return tobit(h + lshift(h, 15))
end

--- The generator of that name: the same numbers every time.
---@param name string
function random.new(name)
    return setmetatable({
        x = hash(name, 123456789), y = hash(name, 362436069), z = hash(name, 521288629),
        w = 88675123,
    }, Random)
end

-- Marsaglia's xorshift128.
local function step(self)
    local t = bxor(self.x, lshift(self.x, 11))
    self.x, self.y, self.z = self.y, self.z, self.w
    self.w = bxor(self.w, rshift(self.w, 19), t, rshift(t, 8))
    return self.w
end

--- A number from 0 up to, but not, 1.
function methods:fraction()
    return rshift(step(self), 1) / 2147483648
end

--- A whole number from low to high.
function methods:int(low, high)
    return low + math.floor(self:fraction() * (high - low + 1))
end

--- True so often: 0 never, 1 always.
function methods:chance(p)
    return self:fraction() < p
end

--- One of a list; what stands in it twice is drawn twice as often.
function methods:pick(list)
    return list[self:int(1, #list)]
end

--- Seconds up to a most, in whole milliseconds; often 0.
function methods:seconds(most)
    if self:chance(0.3) then
        return 0
    end
    return self:int(0, most * 1000) / 1000
end

local NOISE_SIZE = 160 * 1024
local noise

local function make_noise()
    local source, pieces = random.new "noise", {}
    for i = 1, NOISE_SIZE / 8 do
        pieces[i] = ("%08x"):format(bit.band(step(source), 0x7fffffff))
    end
    return table.concat(pieces)
end

--- A text of that length that no other tag has (from a few bytes on).
---@param tag string
---@param length integer
function random.text(tag, length)
    noise = noise or make_noise()
    local from = 1 + hash(tag, length) % (NOISE_SIZE / 2)
    return ((tag .. "|"):sub(1, length) .. noise:sub(from, from + length - 1)):sub(1, length)
end

--- Cuts a text into pieces at random places, `most` pieces about.
function methods:cut(text, most)
    local pieces, from = {}, 1
    local mean = math.max(1, math.floor(2 * #text / most))
    while from <= #text do
        local n = self:int(1, mean)
        pieces[#pieces + 1] = text:sub(from, from + n - 1)
        from = from + n
    end
    return pieces
end

return random
