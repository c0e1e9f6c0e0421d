-- types.lua - where a type of LuaCATS ends in a text, and which names are in it. It knows the parts
-- of that language that moonwire uses.

local M = {}

local scan_type -- a union, from one place of a text on

local function skip(text, at)
    return text:match("^%s*()", at)
end

-- The members of a list up to its closing bracket; `scan` is given each one's place.
local function scan_list(text, at, close, scan)
    at = skip(text, at)
    while at and text:sub(at, at) ~= close do
        at = scan(at)
        at = at and skip(text, at)
        if at and text:sub(at, at) == "," then
            at = skip(text, at + 1)
        elseif not at or text:sub(at, at) ~= close then
            return nil
        end
    end
    return at and at + 1
end

-- What a function takes and what a table has: `name?: type`, `[type]: type`, or a name alone.
local function scan_named(text, at, names)
    if text:sub(at, at) == "[" then
        local stop = scan_type(text, at + 1, names)
        local colon = stop and text:match("^%]%s*:%s*()", stop)
        return colon and scan_type(text, colon, names)
    end
    local after = text:match("^[%w_.]+()", at)
    local colon = after and text:match("^%??%s*:%s*()", after)
    if colon then
        return scan_type(text, colon, names)
    end
    return after
end

local function scan_function(text, at, names)
    local stop = scan_list(text, at, ")", function(from)
        return scan_named(text, from, names)
    end)
    local next_at = stop and text:match("^:%s*()", stop)
    while next_at do
        stop = scan_type(text, next_at, names)
        next_at = stop and text:match("^,%s*()", stop)
    end
    return stop
end

local function scan_one(text, at, names)
    local char = text:sub(at, at)
    if char == '"' then
        return text:match('^"[^"]*"()', at)
    elseif char == "(" then
        local stop = scan_type(text, skip(text, at + 1), names)
        return stop and text:match("^%s*%)()", stop)
    elseif char == "{" then
        return scan_list(text, at + 1, "}", function(from)
            return scan_named(text, from, names)
        end)
    end
    local called = text:match("^fun%(()", at)
    if called then
        return scan_function(text, called, names)
    end
    local name, stop = text:match("^([%a_][%w_.]*%*?)()", at)
    if not name then
        return text:match("^%.%.%.()", at) or text:match("^%d+()", at)
    end
    names[#names + 1] = name
    if text:sub(stop, stop) == "<" then
        return scan_list(text, stop + 1, ">", function(from)
            return scan_type(text, from, names)
        end)
    end
    return stop
end

function scan_type(text, at, names)
    while true do
        local stop = scan_one(text, at, names)
        while stop do
            local more = text:match("^%?()", stop) or text:match("^%[%]()", stop)
            if not more then
                break
            end
            stop = more
        end
        local bar = stop and text:match("^|()", stop)
        if not bar then
            return stop
        end
        at = bar
    end
end

--- The type that a text begins with.
---@param text string
---@param at integer? where it begins
---@return string? type nil: there is none, or a broken one
---@return string[] names of the types in it
---@return integer? stop where what stands behind it begins
function M.type(text, at)
    local names = {}
    at = at or 1
    local stop = scan_type(text, at, names)
    return stop and text:sub(at, stop - 1), names, stop
end

--- The members of a union: "boolean|string[]|nil" -> {"boolean", "string[]", "nil"}.
---@param text string
---@return string[]
function M.members(text)
    local list, at, from = {}, 1, 1
    while at and at <= #text do
        at = scan_one(text, at, {})
        while at and text:find("^[?%[%]]", at) do
            at = at + 1
        end
        if at and (text:sub(at, at) == "|" or at > #text) then
            list[#list + 1] = text:sub(from, at - 1)
            at = at + 1
            from = at
        elseif at then
            return { text }
        end
    end
    return at and list or { text }
end

return M
