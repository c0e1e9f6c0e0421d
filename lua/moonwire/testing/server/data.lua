-- The bytes that the loopback server sends and the sums it gives back: the same on every machine,
-- so that a client can check what it got. Values only, no I/O.
local bit = require "bit"
local ffi = require "ffi"

-- A prime, so that a piece lost or doubled by a buffer of a usual size shifts all that follows.
local PERIOD = 65521
local ADLER = 65521 -- the largest prime below 2^16, as RFC 1950 says
local SLICE = 2048 -- bytes between two reductions: the sums stay below 2^31

local M = {}

local period -- made on first use

local function get_period()
    if not period then
        local buffer = ffi.new("uint8_t[?]", PERIOD)
        local x = 2463534242
        for i = 0, PERIOD - 1 do -- Marsaglia's xorshift
            x = bit.bxor(x, bit.lshift(x, 13))
            x = bit.bxor(x, bit.rshift(x, 17))
            x = bit.bxor(x, bit.lshift(x, 5))
            buffer[i] = bit.band(x, 255)
        end
        period = ffi.string(buffer, PERIOD)
    end
    return period
end

--- The next piece of the endless text that /bytes sends the beginning of.
---@param from integer 0 for the first byte
---@param max integer at most so many bytes
---@return string piece at least one byte long
function M.piece(from, max)
    local text = get_period()
    local skip = from % PERIOD
    if skip == 0 and max >= PERIOD then
        return text -- the same string again and again: nothing for the collector
    end
    return text:sub(skip + 1, math.min(skip + max, PERIOD))
end

--- The first `n` bytes, whole: what /bytes/N answers.
---@param n integer
---@return string
function M.bytes(n)
    local text = get_period()
    return text:rep(math.floor(n / PERIOD)) .. text:sub(1, n % PERIOD)
end

---@class moonwire.testing.Checksum
---@field bytes integer how many bytes were added
---@field private a integer
---@field private b integer
local methods = {}
local Checksum = { __index = methods, __name = "moonwire.testing.Checksum" }

--- A running Adler-32 (RFC 1950), the one that /upload answers with.
---@return moonwire.testing.Checksum
function M.checksum()
    return setmetatable({ bytes = 0, a = 1, b = 0 }, Checksum)
end

--- Adds the next bytes.
---@param text string
function methods:add(text)
    local data, length = ffi.cast("const uint8_t *", text), #text
    local a, b = self.a, self.b
    for start = 0, length - 1, SLICE do
        for i = start, math.min(start + SLICE, length) - 1 do
            a = a + data[i]
            b = b + a
        end
        a, b = a % ADLER, b % ADLER
    end
    self.a, self.b = a, b
    self.bytes = self.bytes + length
end

--- The sum of what was added so far, eight hexadecimal digits.
---@return string
function methods:hex()
    return ("%04x%04x"):format(self.b, self.a)
end

return M
