-- Shows values at the prompt as a person wants to see them. It reads values and changes nothing.
local errors = require "moonwire.error"
local raw_each = next -- a loop over "next" may end early: see tools/floors.lua

local MAX_ENTRIES = 40 -- of one table
local MAX_DEPTH = 3
local MAX_STRING = 200 -- inside a table

local show = {}

local WORD = "^[%a_][%w_]*$"

local function quoted(text)
    local cut = text:sub(1, MAX_STRING)
    local shown = ("%q"):format(cut):gsub("\\\n", "\\n"):gsub("[%z\1-\31\127]", function(byte)
        return ("\\%d"):format(byte:byte())
    end)
    return #text > MAX_STRING and shown .. "..." or shown
end

local function less(a, b)
    local type_a, type_b = type(a), type(b)
    if type_a ~= type_b then
        return type_a < type_b
    elseif type_a == "number" or type_a == "string" then
        return a < b
    end
    return tostring(a) < tostring(b)
end

local function sorted_keys(value)
    local keys = {}
    for key in raw_each, value do
        keys[#keys + 1] = key
    end
    table.sort(keys, less)
    return keys
end

local function has_words(value)
    local meta = getmetatable(value)
    return type(meta) == "table" and meta.__tostring ~= nil
end

local inner

local function entry(key, value, index, depth, seen)
    if key == index then
        return inner(value, depth, seen)
    elseif type(key) == "string" and key:find(WORD) then
        return key .. " = " .. inner(value, depth, seen)
    end
    return "[" .. inner(key, depth, seen) .. "] = " .. inner(value, depth, seen)
end

local function table_text(value, depth, seen)
    if seen[value] then
        return "{...}" -- it is shown further out
    end
    local keys = sorted_keys(value)
    if #keys == 0 then
        return "{}"
    elseif depth > MAX_DEPTH then
        return "{...}"
    end
    seen[value] = true
    local parts = {}
    for index, key in ipairs(keys) do
        if index > MAX_ENTRIES then
            parts[index] = ("... %d more"):format(#keys - MAX_ENTRIES)
            break
        end
        parts[index] = entry(key, value[key], index, depth + 1, seen)
    end
    seen[value] = nil
    local line = "{ " .. table.concat(parts, ", ") .. " }"
    local margin = ("    "):rep(depth)
    if #line + #margin <= 80 and not line:find("\n", 1, true) then
        return line
    end
    return "{\n    " .. margin .. table.concat(parts, ",\n    " .. margin) .. "\n" .. margin .. "}"
end

function inner(value, depth, seen)
    if type(value) == "string" then
        return quoted(value)
    elseif type(value) == "table" and not has_words(value) then
        return table_text(value, depth, seen)
    end
    return tostring(value)
end

local function error_text(err)
    local text = ("error (%s%s): %s"):format(err.kind, err.phase and ", " .. err.phase or "",
        tostring(err))
    return err.traceback and text .. "\n" .. err.traceback or text
end

-- The first line of the answer, as it came, and where from.
local function response_text(res)
    return ("HTTP/%s %d %s (%s)"):format(res.http_version, res.status, res.reason or "", res.url)
end

--- The text of a value: strings as they are, tables with their fields, errors with their kind.
---@param value any
---@return string
function show.value(value)
    if type(value) == "string" then
        return value
    elseif errors.is(value) then
        return error_text(value)
    elseif type(value) == "table" and (getmetatable(value) or {}).__name == "moonwire.Response" then
        return response_text(value)
    end
    return inner(value, 0, {})
end

return show
