-- download/name.lua - what a file is called that comes without a name of the script's: what the
-- server says (RFC 6266), or the last part of the URL's path. It never looks into a folder.

local urls = require "moonwire.url"

local MOST = 200 -- bytes: file systems take 255, and there is more put behind it
local FALLBACK = "download"

local name = {}

local KEY = "^%s*;%s*([%w!#$&+.^_`|~*'-]+)%s*=%s*()"

-- Where a quoted string that begins behind `from` ends: the place of its last quote.
local function closing_quote(text, from)
    while from <= #text do
        local char = text:byte(from)
        if char == 34 then
            return from
        end
        from = from + (char == 92 and 2 or 1) -- a backslash hides the next one
    end
end

-- The parameters of a field such as Content-Disposition, names in lower case; the first of each.
local function parameters(text)
    local found = {}
    local at = text:match "^[^;]*()"
    while true do
        local key, from = text:match(KEY, at)
        if not key then
            return found
        end
        local value
        if text:byte(from) == 34 then
            local stop = closing_quote(text, from + 1)
            if not stop then
                return found
            end
            value, at = text:sub(from + 1, stop - 1):gsub("\\(.)", "%1"), stop + 1
        else
            value, at = text:match("^([^;%s]*)()", from)
        end
        key = key:lower()
        found[key] = found[key] or value
    end
end

local function from_latin1(text)
    return (text:gsub("[\128-\255]", function(char)
        local byte = char:byte()
        return string.char(192 + math.floor(byte / 64), 128 + byte % 64)
    end))
end

-- RFC 8187: UTF-8'en'%e2%82%ac
local function decode_extended(text)
    local charset, value = text:match "^([%w-]+)'[^']*'(.*)$"
    if not charset or value:find "%%%X" or value:find "%%.?$" then
        return nil
    end
    charset, value = charset:lower(), urls.unescape(value)
    if charset == "utf-8" then
        return value
    end
    return charset == "iso-8859-1" and from_latin1(value) or nil
end

-- Not in the middle of a character.
local function cut(text, most)
    if #text <= most then
        return text
    end
    while most > 0 and text:byte(most + 1) >= 128 and text:byte(most + 1) < 192 do
        most = most - 1
    end
    return text:sub(1, most)
end

--- Makes a name out of what somebody else wrote: the last part of a path, without control
--- characters and those that turn the direction of writing, not hidden, not too long.
---@param text string
---@return string? name nil: nothing is left of it
function name.clean(text)
    text = text:match "[^/\\]*$"
    text = text:gsub("[%z\1-\31\127]", ""):gsub("\194[\128-\159]", "")
        :gsub("\226\128[\142\143\170-\174]", ""):gsub("\226\129[\166-\169]", "")
        :gsub("^[%s.~-]+", ""):gsub("[%s.]+$", "")
    if #text > MOST then
        local ending = text:match "%.%w+$" or ""
        ending = #ending <= 16 and ending or ""
        text = cut(text, MOST - #ending) .. ending
    end
    return text ~= "" and text or nil
end

--- The name for what a response has.
---@param headers moonwire.core.Headers
---@param url string that was asked for
---@return string
function name.of(headers, url)
    local text = headers:get "content-disposition"
    local given = text and parameters(text) or {}
    local said = given["filename*"] and decode_extended(given["filename*"])
    local found = said and name.clean(said) or given.filename and name.clean(given.filename)
    if not found then
        local path = url:match "^%a+://[^/?#]*([^?#]*)" or ""
        found = name.clean(urls.unescape(path:match "[^/]*$"))
    end
    return found or FALLBACK
end

return name
