-- download/range.lua - what a response says of the bytes it has: which ones, out of how many, of
-- which version of the thing. It asks for nothing.

local dates = require "moonwire.date"

local CLOCK_SLACK = 60 -- seconds from a Last-Modified on in which a file may change once more

local range = {}

local function only(headers, name)
    local all = headers:get_all(name)
    return #all == 1 and all[1] or nil
end

--- Whether a text is a strong entity tag.
---@param text string
---@return boolean
function range.is_strong(text)
    return text:find '^"[\33\35-\126\128-\255]*"$' ~= nil
end

--- What tells this version of a thing from every other one: its strong entity tag, or the date of
--- its last change where that is strong and there is no tag (RFC 9110 sections 13.1.5 and 8.8.2.2).
---@param headers moonwire.core.Headers of a response
---@return string? validator nil: it has none
---@return boolean? is_date
function range.validator(headers)
    if headers:has "etag" then
        local tag = only(headers, "etag")
        return tag and range.is_strong(tag) and tag or nil, false
    end
    local changed, answered = only(headers, "last-modified"), only(headers, "date")
    local from, to = changed and dates.parse(changed), answered and dates.parse(answered)
    if from and to and to - from >= CLOCK_SLACK then
        return changed, true
    end
    return nil
end

--- A size, as it stands in a field.
---@param text string
---@return integer? number nil: it is none, or not to be believed
function range.number(text)
    return #text <= 15 and text:find "^%d+$" and tonumber(text) or nil
end

local number = range.number

--- How long the body is, as its head says.
---@param headers moonwire.core.Headers
---@return integer?
function range.length(headers)
    local text = headers:get "content-length"
    return text and number(text)
end

--- What a Content-Range says: "bytes 5-9/10", "bytes 5-9/*", "bytes */10".
---@param text string
---@return integer? first nil with a total: none of them; nil alone: it says nothing understandable
---@return integer? last
---@return integer? total
function range.parse(text)
    local unit, which, all = text:match "^(%a+) +([%d*%-]+)/([%d*]+)$"
    if not unit or unit:lower() ~= "bytes" then
        return nil
    end
    local total = number(all)
    if not total and all ~= "*" then
        return nil
    elseif which == "*" then
        return nil, nil, total
    end
    local first, last = which:match "^(%d+)%-(%d+)$"
    first, last = first and number(first), last and number(last)
    if not first or not last or last < first or total and last >= total then
        return nil
    end
    return first, last, total
end

---@class moonwire.download.Asked
---@field size integer the bytes from there on were asked for
---@field validator string? of the version whose beginning is here
---@field is_date boolean? of the validator
---@field total integer? bytes of that version, where that is known

--- Whether a 206 has what was asked for.
---@param headers moonwire.core.Headers
---@param asked moonwire.download.Asked
---@return integer? last the last byte it has; nil: it can't be used
---@return integer|string|nil total of the whole, where it says so; or why it can't be used
function range.check(headers, asked)
    local text = only(headers, "content-range")
    local kind = headers:get "content-type"
    if kind and kind:lower():find "^multipart/byteranges" then
        return nil, "the server answered with several ranges where one was asked for"
    elseif asked.size == 0 then
        return nil, "the server answered with a part (206), and the whole was asked for"
    elseif not text then
        return nil, "the server answered with a part (206) and doesn't say which: no Content-Range"
    end
    local first, last, total = range.parse(text)
    if not first then
        return nil, ("the server's Content-Range is not understandable: %q"):format(text)
    elseif first ~= asked.size then
        return nil, ("bytes from %d on were asked for, and the server sends others: %q"):format(
            asked.size, text)
    elseif total and asked.total and total ~= asked.total then
        return nil, ("it had %d bytes, and has %d now"):format(asked.total, total)
    end
    local length = range.length(headers)
    if length and length ~= last - first + 1 then
        return nil, ("Content-Range and Content-Length contradict each other: %q and %d"):format(
            text, length)
    end
    local name = asked.is_date and "last-modified" or "etag"
    local now = only(headers, name)
    if now ~= asked.validator and not (asked.is_date and not headers:has(name)) then
        return nil, ("the server sends a part of another version: %s is %s, and was %s"):format(
            asked.is_date and "Last-Modified" or "ETag", now or "missing", asked.validator)
    end
    return last, total
end

return range
