-- cookies/field.lua - what one Set-Cookie field says (RFC 6265bis section 5.6), and what a name and
-- a value may be made of. It doesn't ask who says so.

local date = require "moonwire.cookies.date"

local field = {}

local PAIR_MOST = 4096 -- bytes of name and value together
local ATTRIBUTE_MOST = 1024 -- bytes; a longer one counts as not there
local LONGEST = 400 * 24 * 3600 -- seconds that a cookie may be kept, whatever it says

local SAME_SITE = { strict = "Strict", lax = "Lax", none = "None" }

--- Why a cookie can't have this name and value.
---@param name string
---@param value string
---@return string? problem
function field.problem(name, value)
    if name == "" then
        return "it has no name"
    elseif #name + #value > PAIR_MOST then
        return ("name and value have more than %d bytes"):format(PAIR_MOST)
    elseif (name .. value):find "[%z\1-\31\127]" then
        return "a control character is in it"
    end
end

-- In two steps: one pattern would go back and forth in a long row of spaces.
local function trim(text)
    local from = text:find "[^ \t]"
    return from and text:match("^.*[^ \t]", from) or ""
end

local function expires_of(attributes, now)
    local seconds = (attributes["max-age"] or ""):match "^%-?%d+$"
    local expires
    if seconds then
        seconds = tonumber(seconds)
        expires = seconds > 0 and now + seconds or -math.huge
    else
        expires = attributes.expires and date.parse(attributes.expires)
    end
    return expires and math.min(expires, now + LONGEST)
end

--- What a Set-Cookie field says.
---@class moonwire.cookies.Said
---@field name string
---@field value string
---@field expires number? seconds since 1970
---@field domain string?
---@field path string? it begins with a slash
---@field secure boolean
---@field http_only boolean
---@field same_site "Strict"|"Lax"|"None"|nil

--- Reads a Set-Cookie field's value. Nothing in it is decoded: a cookie goes back as it came.
---@param text string
---@param now number seconds since 1970
---@return moonwire.cookies.Said? said
---@return string? problem why there is no cookie
function field.parse(text, now)
    local pair, rest = text:match "^([^;]*)(.*)$"
    local name, value = pair:match "^([^=]*)=(.*)$"
    if not name then
        return nil, "there is no '=' behind a name"
    end
    name, value = trim(name), trim(value)
    local problem = field.problem(name, value)
    if not problem and rest:find "[%z\1-\8\10-\31\127]" then
        problem = "a control character is in its attributes"
    end
    if problem then
        return nil, problem
    end
    local attributes = {}
    for part in rest:gmatch ";([^;]*)" do
        local key, given = part:match "^([^=]*)=?(.*)$"
        given = trim(given)
        if #given <= ATTRIBUTE_MOST then
            attributes[trim(key):lower()] = given
        end
    end
    local path = attributes.path
    return {
        name = name,
        value = value,
        expires = expires_of(attributes, now),
        domain = attributes.domain ~= "" and attributes.domain or nil,
        path = path and path:find "^/[^\t]*$" and path or nil,
        secure = attributes.secure ~= nil,
        http_only = attributes.httponly ~= nil,
        same_site = SAME_SITE[(attributes.samesite or ""):lower()],
    }
end

return field
