-- headers.lua - makes header lists out of what a script writes down; the list itself is C.  It
-- never decides which header is right.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local EXPECTED = "headers, a table of names, or a list of {name, value}"

local metatable = getmetatable(core.headers())

local M = {}

--- Tells whether a value is a header list.
---@param value any
---@return boolean
function M.is(value)
    return type(value) == "userdata" and getmetatable(value) == metatable
end

local function add(list, name, value, level)
    if type(name) ~= "string" then
        errors.argument(level + 1, "headers", "string as name", name)
    elseif type(value) ~= "string" and type(value) ~= "number" then
        local called = ("headers[%q]"):format(name)
        errors.argument(level + 1, called, "string, number or list of them", value)
    end
    local ok, problem = pcall(list.add, list, name, value)
    if not ok then
        error(("bad header %q: %s"):format(name, tostring(problem)), level + 1)
    end
end

local function add_values(list, name, value, level)
    if type(value) ~= "table" then
        add(list, name, value, level + 1)
        return
    end
    for _, one in ipairs(value) do
        add(list, name, one, level + 1)
    end
end

local function add_pairs(list, from, level)
    for index, pair in ipairs(from) do
        if type(pair) ~= "table" then
            errors.argument(level + 1, "headers[" .. index .. "]", "{name, value}", pair)
        end
        add_values(list, pair[1], pair[2], level + 1)
    end
end

local function add_named(list, from, level)
    local names = {}
    for name in each(from) do
        if type(name) ~= "string" then
            errors.argument(level + 1, "headers", "string as name", name)
        end
        names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
        add_values(list, name, from[name], level + 1)
    end
end

--- Makes a header list that the caller owns. A table of names is taken in the order of the names,
--- so that the same table gives the same bytes each time; a list keeps its order.
---@param from? moonwire.core.Headers|table<string, string|string[]>|{[1]: string, [2]: string}[]
---@param level? integer whose fault a wrong argument is: 1 the caller (default), 2 its caller ...
---@return moonwire.core.Headers
function M.new(from, level)
    level = (level or 1) + 1
    if M.is(from) then
        return from:copy()
    end
    local list = core.headers()
    if from == nil then
        return list
    elseif type(from) ~= "table" then
        errors.argument(level, "headers", EXPECTED, from)
    elseif from[1] ~= nil then
        add_pairs(list, from, level)
    else
        add_named(list, from, level)
    end
    return list
end

return M
