-- verb/clean.lua - makes text from a stranger fit for a terminal: what could move its cursor,
-- change its colours or turn the direction of writing becomes U+FFFD. It takes it in pieces.

local methods = {}
local Cleaner = { __index = methods, __name = "moonwire.verb.Cleaner" }

local SHOWN = "\239\191\189" -- U+FFFD

local clean = {}

-- The bytes behind the first one of a UTF-8 sequence; nil: none begins so.
local function more_of(byte)
    return byte >= 0xC2 and byte < 0xE0 and 1 or byte >= 0xE0 and byte < 0xF0 and 2
        or byte >= 0xF0 and byte < 0xF5 and 3 or nil
end

-- What such a sequence stands for, nil where it has none of its own (too long a form, a surrogate),
-- or where a terminal would act on it: C1 controls, and what turns the direction of writing.
local function is_harmless(sequence)
    local a, b, c = sequence:byte(1, 3)
    if a == 0xC2 then
        return b >= 0xA0
    elseif a == 0xE0 then
        return b >= 0xA0
    elseif a == 0xED then
        return b < 0xA0
    elseif a == 0xF0 then
        return b >= 0x90
    elseif a == 0xF4 then
        return b < 0x90
    elseif a == 0xE2 and (b == 0x80 or b == 0x81) then
        return not (b == 0x80 and (c == 0x8E or c == 0x8F or c >= 0xAA and c <= 0xAE)
            or b == 0x81 and c >= 0xA6 and c <= 0xA9)
    end
    return true
end

-- A run of bytes from 128 on.
local function clean_run(run)
    local out, at = {}, 1
    while at <= #run do
        local more = more_of(run:byte(at))
        local sequence = more and run:sub(at, at + more)
        if sequence and #sequence == more + 1 and not sequence:find("[^\128-\191]", 2) then
            out[#out + 1] = is_harmless(sequence) and sequence or SHOWN
            at = at + more + 1
        else
            out[#out + 1] = SHOWN
            at = at + 1
        end
    end
    return table.concat(out)
end

--- A whole text; a line's end may be LF or CRLF, and is LF then.
---@param text string
---@return string
function clean.text(text)
    if not text:find "[^\t\n\32-\126]" then
        return text
    end
    return (text:gsub("\r\n", "\n"):gsub("[%z\1-\8\11-\31\127]", SHOWN)
        :gsub("[\128-\255]+", clean_run))
end

--- Whether a text has none of it, is valid UTF-8 and may be shown as it is.
---@param text string
---@return boolean
function clean.is_clean(text)
    return clean.text(text) == text:gsub("\r\n", "\n")
end

--- How many bytes at a text's end may be the beginning of a character, or of a line's end.
---@param text string
---@return integer
function clean.open_end(text)
    if text:byte(-1) == 13 then
        return 1
    end
    for count = 1, math.min(3, #text) do
        local byte = text:byte(-count)
        if byte < 128 then
            return 0
        elseif byte >= 0xC0 then
            return (more_of(byte) or 0) >= count and count or 0
        end
    end
    return 0
end

--- The next piece of the text.
---@param piece string
---@return string fit what can be shown by now
function methods:feed(piece)
    local text = self.rest .. piece
    local open = clean.open_end(text)
    self.rest = open > 0 and text:sub(-open) or ""
    return clean.text(open > 0 and text:sub(1, -open - 1) or text)
end

--- There is no more.
---@return string fit what was held back
function methods:finish()
    local rest = self.rest
    self.rest = ""
    return clean.text(rest)
end

--- For a text that comes in pieces.
---@return {feed: (fun(self, piece: string): string), finish: fun(self): string}
function clean.new()
    return setmetatable({ rest = "" }, Cleaner)
end

return clean
