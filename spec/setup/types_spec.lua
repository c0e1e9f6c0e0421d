-- The LuaCATS annotations say what is there: names, parameters and types, read as text and compared
-- with the code and with the C module.
local annotations = require "tools.annotations"
local core = require "moonwire.core"
local support = require "spec.support"

local BUILTIN = {}
for name in ([[any boolean nil integer number string table function thread userdata lightuserdata
    true false self fun file* async]]):gmatch "%S+" do
    BUILTIN[name] = true
end

local PUBLIC = [[init http request headers body cookies net connection client response url scope
    task channel semaphore signal error pool auth download progress testing/mock testing/server]]

-- All types that stand in a file's annotations: {type, names, line}.
local function types_in(file)
    local list = {}
    local function take(entries)
        for _, entry in ipairs(entries) do
            list[#list + 1] = entry
        end
    end
    for _, block in ipairs(file.blocks) do
        take(block.params)
        take(block.fields)
        take(block.returns)
        list[#list + 1] = block.alias or block.of or block.overload
    end
    return list
end

local paths, files, defined = {}, {}, {}
for path in io.popen(("find %s/lua -name '*.lua' | LC_ALL=C sort")
    :format(support.quote(support.root))):lines() do
    local short = path:sub(#support.root + 2)
    paths[#paths + 1] = short
    files[short] = annotations.read(path)
    for _, class in ipairs(files[short].classes) do
        defined[class.name] = true
    end
    for _, alias in ipairs(files[short].aliases) do
        defined[alias.name] = true
    end
end

local function report(list)
    assert.equal("", table.concat(list, "\n"))
end

describe("the annotations", function()
    it("name the parameters as the functions do", function()
        local wrong, seen = {}, 0
        for _, path in ipairs(paths) do
            for _, f in ipairs(files[path].functions) do
                local real = {}
                for _, name in ipairs(f.params) do
                    real[name] = true
                end
                for _, param in ipairs(f.block and f.block.params or {}) do
                    seen = seen + 1
                    if not real[param.name] then
                        wrong[#wrong + 1] = ("%s:%d: %s has no parameter %s"):format(path,
                            param.line, f.name, param.name)
                    end
                end
            end
        end
        report(wrong)
        assert.is_true(seen > 100)
    end)

    it("name types that are defined somewhere", function()
        local wrong, seen = {}, 0
        for _, path in ipairs(paths) do
            for _, entry in ipairs(types_in(files[path])) do
                if not entry.type then
                    wrong[#wrong + 1] = ("%s:%d: this is no type"):format(path, entry.line)
                end
                for _, name in ipairs(entry.names) do
                    seen = seen + 1
                    if not defined[name] and not BUILTIN[name] then
                        wrong[#wrong + 1] = ("%s:%d: %s"):format(path, entry.line, name)
                    end
                end
            end
            for _, class in ipairs(files[path].classes) do
                if class.parent and not defined[class.parent] then
                    wrong[#wrong + 1] = ("%s:%d: %s"):format(path, class.line, class.parent)
                end
            end
        end
        report(wrong)
        assert.is_true(seen > 500)
    end)

    it("stand above every function that scripts call", function()
        local wrong, seen = {}, 0
        for module in PUBLIC:gmatch "%S+" do
            local path = "lua/moonwire/" .. module .. ".lua"
            for _, f in ipairs(files[path].functions) do
                seen = seen + 1
                if not f.block and not f.name:find "^__" then
                    wrong[#wrong + 1] = ("%s:%d: %s"):format(path, f.line, f.name)
                end
            end
        end
        report(wrong)
        assert.is_true(seen > 80, seen)
    end)

    -- what a module or class has, and what its annotations say that it has, as sorted names
    local function compare(real, described, what, wrong)
        for name in pairs(real) do
            if not described[name] then
                wrong[#wrong + 1] = what .. " has " .. name .. ", which is not described"
            end
        end
        for name in pairs(described) do
            if not real[name] then
                wrong[#wrong + 1] = what .. " has no " .. name
            end
        end
    end

    local META = { files["lua/moonwire/_meta/core.lua"], files["lua/moonwire/_meta/files.lua"] }

    local function described(object)
        local names = {}
        for _, file in ipairs(META) do
            for _, f in ipairs(file.functions) do
                if f.object == object then
                    names[f.name] = true
                end
            end
        end
        return names
    end

    -- The methods of a C class: its __index, or what a function there looks into.
    local function methods_of(class)
        local meta = debug.getregistry()[class]
        local index = assert(meta, "there is no class " .. class).__index
        if type(index) == "function" then
            index = select(2, debug.getupvalue(index, 1))
        end
        return index
    end

    it("of the C classes say exactly what they have", function()
        local wrong, count, class_of = {}, 0, {}
        for _, file in ipairs(META) do
            for variable, class in pairs(file.class_of) do
                class_of[variable] = class
            end
        end
        for variable, class in pairs(class_of) do
            if variable ~= "core" then
                local methods, names = {}, described(variable)
                for name in pairs(methods_of(class)) do
                    methods[name] = true
                end
                if variable == "Tls" then -- which has those of an open Tcp that make sense for it
                    for name in pairs(described("Tcp")) do
                        names[name] = names[name] or methods[name]
                    end
                end
                compare(methods, names, class, wrong)
                count = count + 1
            end
        end
        local functions = {}
        for name, value in pairs(core) do
            functions[name] = type(value) == "function" or nil
        end
        compare(functions, described("core"), "moonwire.core", wrong)
        table.sort(wrong)
        report(wrong)
        assert.equal(14, count)
    end)
end)
