-- cache/fields.lua - reads the header fields that caching goes by. What it can't understand counts
-- as what keeps least: it decides nothing beyond that.

local dates = require "moonwire.date"

local fields = {}

local FOREVER = 2 ^ 31 -- seconds: more of them are so many (RFC 9111 section 1.2.2)
local VARY_MOST = 16 -- names: who sends more has no use for a cache
local TOKEN = "[%w!#$%%&'*+.^_`|~-]+"

-- The value behind "name=", from there on: text, and where it ends; nil where there is none.
local function directive_value(line, at)
    if line:sub(at, at) ~= "=" then
        return nil, at
    elseif line:sub(at + 1, at + 1) ~= '"' then
        local stop = select(2, line:find("^[^,%s]*", at + 1))
        return line:sub(at + 1, stop), stop + 1
    end
    local from = at + 2
    local stop = from
    while stop <= #line and line:sub(stop, stop) ~= '"' do
        stop = stop + (line:sub(stop, stop) == "\\" and 2 or 1)
    end
    return (line:sub(from, stop - 1):gsub("\\(.)", "%1")), stop + 1
end

--- The directives of Cache-Control, by lower-case name: their text, or true where they have none.
--- One that is given with two different values has the text "", which is no number.
---@param headers moonwire.core.Headers
---@return table<string, string|true>
function fields.directives(headers)
    local found = {}
    for _, line in ipairs(headers:get_all "cache-control") do
        local at = line:find "[^%s,]"
        while at do
            local stop = select(2, line:find("^" .. TOKEN, at))
            if stop then
                local name = line:sub(at, stop):lower()
                local text, behind = directive_value(line, stop + 1)
                local value = text or true
                at = behind
                if found[name] ~= nil and found[name] ~= value then
                    value = ""
                end
                found[name] = value
            end
            at = line:find(",", at, true)
            at = at and line:find("[^%s,]", at)
        end
    end
    return found
end

--- A number of seconds.
---@param text string|true|nil
---@return number? seconds nil: it is none
function fields.seconds(text)
    if type(text) == "string" and text:find "^%d+$" then
        return math.min(tonumber(text), FOREVER)
    end
    return nil
end

--- The one value of a field: nil where there is none, false where there are different ones.
---@param headers moonwire.core.Headers
---@param name string
---@return string|false|nil
function fields.single(headers, name)
    local all = headers:get_all(name)
    for i = 2, #all do
        if all[i] ~= all[1] then
            return false
        end
    end
    return all[1]
end

--- A field's date: nil where there is none, false where it isn't one.
---@param headers moonwire.core.Headers
---@param name string
---@param now number seconds since 1970
---@return number|false|nil
function fields.date(headers, name, now)
    local text = fields.single(headers, name)
    if not text then
        return text
    end
    return dates.parse(text, now) or false
end

--- The Age field's seconds; 0 where it has none. Of several the first counts (RFC 9111 5.1).
---@param headers moonwire.core.Headers
---@return number
function fields.age(headers)
    local text = headers:get "age"
    return text and fields.seconds(text:match "^%s*(%d+)%s*%f[,%z]") or 0
end

--- The ETag, if it is one.
---@param headers moonwire.core.Headers
---@return string?
function fields.etag(headers)
    local text = fields.single(headers, "etag")
    return text and (text:match '^"[^"]*"$' or text:match '^W/"[^"]*"$') or nil
end

--- The names that Vary lists, in lower case and order.
---@param headers moonwire.core.Headers
---@return string[]? names nil: no other request is answered by this response
function fields.vary(headers)
    local names, seen = {}, {}
    for _, line in ipairs(headers:get_all "vary") do
        for word in line:gmatch "[^%s,]+" do
            local name = word:lower()
            if name == "*" or name:match(TOKEN) ~= name then
                return nil
            elseif not seen[name] then
                seen[name] = true
                names[#names + 1] = name
            end
        end
    end
    if #names > VARY_MOST then
        return nil
    end
    table.sort(names)
    return names
end

--- What a request says in a field, however that is spaced and spread over lines; nil: nothing.
---@param headers moonwire.core.Headers
---@param name string
---@return string?
function fields.said(headers, name)
    local all = headers:get_all(name)
    if #all == 0 then
        return nil
    end
    local parts = {}
    for part in (table.concat(all, ",") .. ","):gmatch "([^,]*)," do
        parts[#parts + 1] = part:match "^%s*(.*%S)" or ""
    end
    return table.concat(parts, ",")
end

return fields
