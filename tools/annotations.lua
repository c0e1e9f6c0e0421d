-- annotations.lua - reads the LuaCATS annotations of a Lua file as text: what it declares, and what
-- it says about that. It runs nothing, and knows the parts of the language that moonwire uses.

local types = require "tools.annotations.types"

local M = {}

-- Blocks of `---` lines ---------------------------------------------------------------------------

local function typed(entry, text, at)
    local stop
    entry.type, entry.names, stop = types.type(text, at)
    entry.text = stop and text:sub(stop):gsub("^%s+", "") or ""
    return entry
end

local function read_param(text, line)
    local name, optional, at = text:match "^([%w_.]+)(%??)%s+()"
    return typed({ name = name, optional = optional == "?", line = line }, text, at)
end

local function read_field(text, line)
    local access, rest = text:match "^(private) (.*)"
    if not access then
        access, rest = text:match "^(package) (.*)"
    end
    rest = rest or text
    local name, at = rest:match "^([%w_]+%??)%s+()"
    if not name then
        name, at = rest:match "^(%[%w+%]%??)%s+()" -- the first, the second
    end
    local optional = name and name:sub(-1) == "?" or false
    return typed({ name = name and name:gsub("%?$", ""), access = access, line = line,
        optional = optional }, rest, at)
end

-- One line may have several: `type name, type name words`.
local function read_returns(text, line, into)
    local at = 1
    while at do
        local entry = { line = line }
        local stop
        entry.type, entry.names, stop = types.type(text, at)
        into[#into + 1] = entry
        if not stop then
            return
        end
        local name, after = text:match("^%s+([%a_][%w_]*)()", stop)
        if not name then
            name, after = text:match("^%s+(%.%.%.)()", stop)
        end
        entry.name = name
        local comma = text:match("^,%s*()", after or stop)
        if not comma then
            entry.text = text:sub(after or stop):gsub("^%s+", "")
        end
        at = comma
    end
end

-- What a block says; nil without one.
local function read_block(lines)
    if #lines == 0 then
        return nil
    end
    local block = { text = {}, params = {}, returns = {}, fields = {}, line = lines[1].line }
    local tags, last = {}, nil
    for _, one in ipairs(lines) do
        local tag, rest = one.text:match "^%s*@(%w+)%s*(.*)"
        if tag then
            last = { tag = tag, text = rest, line = one.line }
            tags[#tags + 1] = last
        elseif last then
            last.text = last.text .. " " .. one.text:match "^%s*(.-)%s*$"
        else
            block.text[#block.text + 1] = one.text:gsub("^ ", "")
        end
    end
    for _, tag in ipairs(tags) do
        if tag.tag == "class" then
            local name, parent = tag.text:match "^([%w_.]+)%s*:?%s*([%w_.]*)"
            block.class = { name = name, parent = parent ~= "" and parent or nil, line = tag.line }
        elseif tag.tag == "alias" then
            local name, at = tag.text:match "^([%w_.]+)%s+()"
            block.alias = typed({ name = name, line = tag.line }, tag.text, at)
        elseif tag.tag == "field" then
            block.fields[#block.fields + 1] = read_field(tag.text, tag.line)
        elseif tag.tag == "param" then
            block.params[#block.params + 1] = read_param(tag.text, tag.line)
        elseif tag.tag == "return" then
            read_returns(tag.text, tag.line, block.returns)
        elseif tag.tag == "type" then
            block.of = typed({ line = tag.line }, tag.text, 1)
        elseif tag.tag == "overload" then
            block.overload = typed({ line = tag.line }, tag.text, 1)
        elseif tag.tag == "package" or tag.tag == "private" then
            block.access = tag.tag
        end
    end
    return block
end

-- Files -------------------------------------------------------------------------------------------

---@class moonwire.tools.Function
---@field object string the variable that it stands in
---@field name string
---@field method boolean
---@field params string[]
---@field block table? what stands above it
---@field line integer

---@class moonwire.tools.Annotations
---@field functions moonwire.tools.Function[]
---@field values {object: string, name: string, value: string, text: string?, line: integer}[]
---@field classes table[] {name, parent, fields, text, line}
---@field aliases table[]
---@field class_of table<string, string> variable -> class whose methods stand in it
---@field requires table<string, string> variable -> module
---@field returned string? the variable that the file returns
---@field blocks table[] all of them

local function take_class(found, block)
    if block and block.class then
        local class = block.class
        class.fields, class.text, class.overload = block.fields, block.text, block.overload
        found.classes[#found.classes + 1] = class
    elseif block and block.alias then
        block.alias.words = block.text
        found.aliases[#found.aliases + 1] = block.alias
    end
end

-- `name = value` pairs of a constructor that stands in a variable; words stand behind a `---`.
local function take_values(found, object, text, line)
    local words = text:match "%-%-%- (.*)"
    for name, value in text:gmatch "([%a_][%w_]*) = ([%a_][%w_.]*)%f[,%s}]" do
        found.values[#found.values + 1] = { object = object, name = name, value = value,
            text = words, line = line }
    end
end

local function take_line(found, line, number, block)
    local object, separator, name, params =
        line:match "^function ([%w_]+)([.:])([%w_]+)%(([^)]*)%)"
    if object then
        local list = {}
        for param in params:gmatch "[%w_.]+" do
            list[#list + 1] = param
        end
        found.functions[#found.functions + 1] = { object = object, name = name, params = list,
            method = separator == ":", block = block, line = number }
        return
    end
    local variable, module = line:match '^local ([%w_]+) = require "([%w_.]+)"'
    if variable then
        found.requires[variable] = module
        return
    end
    variable = line:match "^local ([%w_]+) = "
    local called = line:match '__name = "([%w_.]+)"'
    if variable and (called or block and block.class) then
        found.class_of[variable] = called or block.class.name
        found.class_of[line:match "__index = ([%w_]+), __name" or variable] = called
            or block.class.name
    elseif variable and line:find "= {" then
        found.open = not line:find "}" and { variable = variable, line = number } or nil
        take_values(found, variable, line:match "{(.*)", number)
    elseif found.open and line:find "^    [%w_]+ = " then
        take_values(found, found.open.variable, line, number)
    elseif found.open and line:find "^}" then
        found.open = nil
    end
    local value
    object, name, value = line:match "^([%w_]+)%.([%w_]+) = (.*)$"
    if object then
        found.values[#found.values + 1] = { object = object, name = name, value = value,
            text = block and table.concat(block.text, " "), line = number }
    end
    found.returned = line:match "^return ([%w_]+)$" or found.returned
end

--- Reads a file.
---@param path string
---@return moonwire.tools.Annotations
function M.read(path)
    local found = { functions = {}, values = {}, classes = {}, aliases = {}, class_of = {},
        requires = {}, blocks = {} }
    local lines, number = {}, 0
    local file = assert(io.open(path))
    for line in file:lines() do
        number = number + 1
        local text = line:match "^%-%-%-(.*)"
        if text then
            lines[#lines + 1] = { text = text, line = number }
        else
            local block = read_block(lines)
            found.blocks[#found.blocks + 1] = block
            take_class(found, block)
            take_line(found, line, number, block)
            lines = {}
        end
    end
    file:close()
    return found
end

return M
