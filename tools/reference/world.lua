-- world.lua - what the annotations of all of lua/ declare together: modules with their functions,
-- classes with fields and methods out of whichever files. It leaves out what isn't public.

local M = {}

-- Classes that a public one names, and that a script has no use for.
local INTERNAL = {
    "^moonwire%.client%.", "^moonwire%.core%.", "^moonwire%.pool%.", "^moonwire%.dial%.",
    "^moonwire%.resty%.Link$", "Backend$", "^moonwire%.Thread$", "^moonwire%.BodyReader$",
    "^moonwire%.Steps$", "^moonwire%.TlsContext$", "^moonwire%.TlsServerContext$",
}

-- Modules of classes that are defined elsewhere than in a public one.
local HOME = {
    ["moonwire.core.Headers"] = "moonwire.headers", ["moonwire.Stream"] = "moonwire.net",
}

--- Whether a function is for moonwire's own parts.
---@param f moonwire.tools.Function
---@return boolean
function M.is_internal(f)
    local block = f.block
    if not block then
        return false
    end
    local first = block.text[1]
    return block.access ~= nil or first ~= nil and first:find "^For [%w%s/.']+: " ~= nil
end

local function is_public_class(name)
    if HOME[name] then
        return true
    end
    for _, pattern in ipairs(INTERNAL) do
        if name:find(pattern) then
            return false
        end
    end
    return true
end

-- Whether a field is of such a class, and so is of no use to a script.
local function is_inner(field)
    for _, name in ipairs(field.names) do
        if name:find "^moonwire%." and is_public_class(name) then
            return false
        end
    end
    return field.names[1] ~= nil and field.names[1]:find "^moonwire%." ~= nil
end

---@class moonwire.tools.World
---@field files table<string, moonwire.tools.Annotations> by module
---@field by_name table<string, table> classes and aliases
---@field home table<string, string> class -> the module in whose file it is
local methods = {}
local World = { __index = methods }

-- What one file adds to the classes.
local function add_file(self, module, file)
    for _, alias in ipairs(file.aliases) do
        self.by_name[alias.name] = { name = alias.name, alias = alias, text = alias.words,
            fields = {}, methods = {} }
    end
    for _, class in ipairs(file.classes) do
        local known = self.by_name[class.name]
        if not known then
            known = { name = class.name, text = {}, fields = {}, methods = {} }
            self.by_name[class.name] = known
        end
        self.home[class.name] = HOME[class.name] or module
        known.parent = known.parent or class.parent
        for _, line in ipairs(class.text) do
            known.text[#known.text + 1] = line
        end
        for _, field in ipairs(class.fields) do
            if not field.access and not is_inner(field) then
                known.fields[#known.fields + 1] = field
            end
        end
    end
end

local function add_methods(self, file)
    for _, f in ipairs(file.functions) do
        local class = self.by_name[file.class_of[f.object]]
        local has_words = f.block and #f.block.text > 0
        if class and not M.is_internal(f) and f.name == "__call" and has_words then
            class.call = f
        elseif class and not M.is_internal(f) and f.name == "__tostring" and has_words then
            class.tostring = f
        elseif class and not M.is_internal(f) and not f.name:find "^__" then
            class.methods[#class.methods + 1] = f
        end
    end
end

--- Reads all sources.
---@param root string
---@param annotations table tools.annotations
---@return moonwire.tools.World
function M.new(root, annotations)
    local self = setmetatable({ files = {}, by_name = {}, home = {} }, World)
    local list = io.popen(("cd '%s' && find lua -name '*.lua' | LC_ALL=C sort")
        :format(root:gsub("'", "'\\''")))
    local order = {}
    for path in list:lines() do
        local file = annotations.read(root .. "/" .. path)
        local module = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", "")
        module = module:gsub("/", ".")
        self.files[module] = file
        order[#order + 1] = file
        add_file(self, module, file)
    end
    list:close()
    for _, file in ipairs(order) do
        add_methods(self, file)
    end
    return self
end

local function renamed(f, name)
    local copy = {}
    for key, value in pairs(f) do
        copy[key] = value
    end
    copy.name = name
    return copy
end

-- A function of a file, by name.
local function function_of(file, name)
    for _, f in ipairs(file.functions) do
        if f.object == file.returned and f.name == name then
            return f
        end
    end
end

-- What a module has under a name that is a value of another: its function, a module, or a constant.
local function take_value(self, module, file, entry)
    local from, name = entry.value:match "^([%w_]+)%.([%w_]+)$"
    local other = self.files[file.requires[from or entry.value]]
    local f = other and from and function_of(other, name)
    if f then
        module.functions[#module.functions + 1] = renamed(f, entry.name)
    elseif entry.name:sub(1, 1) ~= "_" then
        module.values[#module.values + 1] = { name = entry.name, text = entry.text,
            module = not from and file.requires[entry.value] or nil }
    end
end

--- A module: its functions and values.
---@param name string
---@return table module {name, functions, values, hidden}
function methods:module(name)
    local file = assert(self.files[name], "there is no module " .. name)
    local module = { name = name, functions = {}, values = {}, hidden = {} }
    for _, entry in ipairs(file.values) do
        if entry.object == file.returned then
            take_value(self, module, file, entry)
        end
    end
    for _, f in ipairs(file.functions) do
        if f.object == file.returned and not f.method and M.is_internal(f) then
            module.hidden[f.name] = true
        elseif f.object == file.returned and not f.method then
            module.functions[#module.functions + 1] = f
        end
    end
    return module
end

local function names_of_block(block, into)
    for _, list in ipairs { block and block.params or {}, block and block.returns or {} } do
        for _, entry in ipairs(list) do
            for _, name in ipairs(entry.names) do
                into[#into + 1] = name
            end
        end
    end
end

local function names_of_class(class, into)
    if class.alias then
        for _, name in ipairs(class.alias.names) do
            into[#into + 1] = name
        end
    end
    for _, field in ipairs(class.fields) do
        for _, name in ipairs(field.names) do
            into[#into + 1] = name
        end
    end
    for _, f in ipairs(class.methods) do
        names_of_block(f.block, into)
    end
end

-- The classes that a module's functions name, and those that these name, each in its module.
local function add_classes(self, module, modules, seen)
    local queue, at = {}, 1
    for _, f in ipairs(module.functions) do
        names_of_block(f.block, queue)
    end
    while queue[at] do
        local name = queue[at]
        local class = self.by_name[name]
        if class and not seen[name] and is_public_class(name) then
            local classes = (modules[self.home[name]] or module).classes
            seen[name], classes[#classes + 1] = true, class
            names_of_class(class, queue)
        end
        at = at + 1
    end
end

--- Gives modules the classes that their functions lead to.
---@param modules table[] of module()
function methods:add_classes(modules)
    local by_name, seen = {}, {}
    for _, module in ipairs(modules) do
        by_name[module.name], module.classes = module, {}
    end
    for _, module in ipairs(modules) do
        add_classes(self, module, by_name, seen)
    end
end

return M
