-- markdown.lua - writes down what tools/reference.lua has collected, as Markdown.

local types = require "tools.annotations.types"

local M = {}

-- Where the headings of modules and classes are, as GitHub counts: "Class moonwire.Url" is at
-- #class-moonwireurl, and another one of the same letters at #class-moonwireurl-1.
local function anchors_of(modules)
    local anchors, taken = {}, {}
    local function add(kind, name)
        local place = kind .. "-" .. name:lower():gsub("[^%w_-]", "")
        taken[place] = (taken[place] or -1) + 1
        anchors[kind .. " " .. name] = taken[place] > 0 and place .. "-" .. taken[place] or place
    end
    for _, module in ipairs(modules) do
        add("module", module.name)
        for _, class in ipairs(module.classes) do
            add("class", class.name)
        end
    end
    return anchors
end

-- Words of a comment: what Markdown would take for its own is taken as it stands, but in `code`.
local function words(text)
    local out, at = {}, 1
    while at <= #text do
        local from, to = text:find("`[^`]*`", at)
        local plain = text:sub(at, (from or #text + 1) - 1)
        out[#out + 1] = plain:gsub("[<*|%[]", "\\%0")
        if not from then
            break
        end
        out[#out + 1] = text:sub(from, to)
        at = to + 1
    end
    return table.concat(out)
end

local function cell(text)
    return (words(text):gsub("\n", " "):gsub("`[^`]*`", function(code)
        return (code:gsub("|", "\\|"))
    end))
end

-- Lines of a comment as paragraphs; what is indented is an example.
local function paragraphs(lines)
    local out, run = {}, {}
    local function flush()
        if #run > 0 then
            out[#out + 1] = words(table.concat(run, " "))
            run = {}
        end
    end
    for _, line in ipairs(lines) do
        if line:find "^    " then
            flush()
            out[#out + 1] = line
        elseif line == "" then
            flush()
        else
            run[#run + 1] = line
        end
    end
    flush()
    return table.concat(out, "\n\n")
end

-- A type as code; one that is on the page is a link to it.
local function type_text(text, known)
    local members, list = types.members(text), {}
    for i, member in ipairs(members) do
        if member == "nil" and i < #members then -- it is said last
            table.insert(members, table.remove(members, i))
            break
        elseif #members > 1 and i == #members and member:sub(-1) == "?" then
            members[i], members[i + 1] = member:sub(1, -2), "nil"
        elseif #members == 2 and i == 1 and members[2] == "nil" and member:find "^[%w_.]+$" then
            members = { member .. "?" }
        end
    end
    for i, member in ipairs(members) do
        local code = "`" .. member:gsub("|", "\\|") .. "`"
        local name = member:match "^([%w_.]+)%??$" or member:match "^([%w_.]+)%[%]%??$"
        local place = name and known["class " .. name]
        list[i] = place and ("[%s](#%s)"):format(code, place) or code
    end
    return table.concat(list, " or ")
end

local function with_mark(entry)
    if entry.optional and not entry.type:find "%?$" and not entry.type:find "|nil$" then
        local simple = entry.type:find "^[%w_.]+$" or entry.type:find "^{[^}]*}$"
        return simple and entry.type .. "?" or entry.type .. "|nil"
    end
    return entry.type
end

local function table_rows(out, rows)
    if #rows == 0 then
        return
    end
    out[#out + 1] = "| | | |\n|---|---|---|\n" .. table.concat(rows, "\n")
end

local function row(first, entry, known)
    return ("| %s | %s | %s |"):format(first, type_text(with_mark(entry), known),
        cell(entry.text or ""))
end

local function signature(owner, f)
    local list, optional = {}, {}
    for _, param in ipairs(f.block and f.block.params or {}) do
        optional[param.name] = param.name ~= "..." and (param.optional or param.type:find "%?$"
            or param.type:find "|nil$" or param.type:find "^nil|")
    end
    for i, name in ipairs(f.params) do
        list[i] = name .. (optional[name] and "?" or "")
    end
    return owner .. "(" .. table.concat(list, ", ") .. ")"
end

local function write_function(out, title, f, known)
    out[#out + 1] = "#### `" .. title .. "`"
    local block = f.block
    if not block then
        return
    end
    out[#out + 1] = #block.text > 0 and paragraphs(block.text) or nil
    local rows = {}
    for _, param in ipairs(block.params) do
        rows[#rows + 1] = row("`" .. param.name .. "`", param, known)
    end
    for _, value in ipairs(block.returns) do
        rows[#rows + 1] = row(value.name and value.name ~= "..." and "→ `" .. value.name .. "`"
            or value.name and "→ …" or "→", value, known)
    end
    table_rows(out, rows)
end

-- What a value of a class is called in the signatures of its methods.
local function instance(class)
    local last = class.name:match "[%w_]+$"
    return (last:match "%u%l+$" or last):lower()
end

local function write_class(out, class, known)
    out[#out + 1] = "### Class " .. class.name
    out[#out + 1] = #class.text > 0 and paragraphs(class.text) or nil
    if class.alias then
        local text = class.alias.text
        out[#out + 1] = type_text(class.alias.type, known) .. (text ~= "" and ": " .. words(text)
            or "")
    end
    if class.parent and known["class " .. class.parent] then
        out[#out + 1] = "It has all of " .. type_text(class.parent, known) .. "."
    end
    local rows = {}
    for _, field in ipairs(class.fields) do
        rows[#rows + 1] = row("`" .. field.name .. "`", field, known)
    end
    table_rows(out, rows)
    local name = instance(class)
    if class.call then
        write_function(out, signature(name, class.call), class.call, known)
    end
    for _, f in ipairs(class.methods) do
        write_function(out, signature(name .. (f.method and ":" or ".") .. f.name, f), f, known)
    end
    if class.tostring then
        write_function(out, "tostring(" .. name .. ")", class.tostring, known)
    end
end

local function write_module(out, module, known)
    out[#out + 1] = "## Module " .. module.name
    out[#out + 1] = module.says
    local short = module.name:match "[%w_]+$"
    local values = {}
    for _, value in ipairs(module.values) do
        local text = words(value.text or "")
        local place = value.module and known["module " .. value.module]
        if place then
            text = ("the module [`%s`](#%s)"):format(value.module, place)
        end
        values[#values + 1] = ("- `%s.%s`%s"):format(short, value.name,
            text ~= "" and ": " .. text or "")
    end
    out[#out + 1] = #values > 0 and table.concat(values, "\n") or nil
    for _, f in ipairs(module.functions) do
        write_function(out, signature(short .. "." .. f.name, f), f, known)
    end
    for _, class in ipairs(module.classes) do
        write_class(out, class, known)
    end
end

local function write_contents(out, modules, known)
    local rows = {}
    for _, module in ipairs(modules) do
        local list = {}
        for _, class in ipairs(module.classes) do
            list[#list + 1] = ("[%s](#%s)"):format(class.name:match "[%w_]+$",
                known["class " .. class.name])
        end
        rows[#rows + 1] = ("| [`%s`](#%s) | %s | %s |"):format(module.name,
            known["module " .. module.name], module.says, table.concat(list, ", "))
    end
    out[#out + 1] = "| module | | classes |\n|---|---|---|\n" .. table.concat(rows, "\n")
end

--- The page.
---@param head string what stands above it
---@param modules table[] of tools/reference.lua
---@return string
function M.page(head, modules)
    local out, known = { (head:gsub("\n+$", "")) }, anchors_of(modules)
    write_contents(out, modules, known)
    for _, module in ipairs(modules) do
        write_module(out, module, known)
    end
    return table.concat(out, "\n\n") .. "\n"
end

return M
