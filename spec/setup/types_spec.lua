-- The LuaCATS annotations say what is there: names, parameters and types, read as text and compared
-- with the code and with the C module. It knows the parts of the language that moonwire uses.
local core = require "moonwire.core"
local support = require "spec.support"

local BUILTIN = {}
for name in ([[any boolean nil integer number string table function thread userdata lightuserdata
    true false self fun file* async]]):gmatch "%S+" do
    BUILTIN[name] = true
end

local PUBLIC = [[init http request headers body cookies net connection client response url scope
    task channel semaphore signal error pool auth download progress testing/mock testing/server]]

-- Every annotated declaration of a file: {name, params, documented, public, line}.
local function read(path)
    local file = assert(io.open(path))
    local found = { functions = {}, classes = {}, types = {} }
    local block, number = {}, 0
    for line in file:lines() do
        number = number + 1
        local tag, rest = line:match "^%-%-%-%s*@([%w]+)%s*(.*)"
        if line:match "^%-%-%-" then
            block.any = true
            if tag == "class" then
                local name, parents = rest:match "^([%w_.]+)%s*:?%s*([^@]*)"
                found.classes[#found.classes + 1] = name
                block.class = name
                found.types[#found.types + 1] = { text = parents:match "^[%w_.]*", line = number }
            elseif tag == "alias" then
                found.classes[#found.classes + 1] = rest:match "^[%w_.]+"
            elseif tag == "field" then
                local text = rest:gsub("^private ", ""):gsub("^package ", "")
                found.types[#found.types + 1] = { text = text:match "^%S+%s+(.*)", line = number }
            elseif tag == "param" then
                local name, text = rest:match "^([%w_.]+)%??%s+(.*)"
                block[#block + 1] = { name = name, line = number }
                found.types[#found.types + 1] = { text = text, line = number }
            elseif tag == "return" or tag == "type" then
                found.types[#found.types + 1] = { text = rest, line = number }
            end
        else
            local object, separator, name, params =
                line:match "^function ([%w_]+)([.:])([%w_]+)%(([^)]*)%)"
            if object then
                found.functions[#found.functions + 1] = { object = object, name = name,
                    method = separator == ":", params = params, block = block, line = number }
            end
            local variable = block.class and line:match "^local ([%w_]+) ="
            if variable then
                found.classes[variable] = block.class
            end
            block = {}
        end
    end
    file:close()
    return found
end

-- The names in a type, which ends where words for people begin.
local function type_names(text)
    local names, depth, i = {}, 0, 1
    text = text:gsub('"[^"]*"', "string")
    while i <= #text do
        local char = text:sub(i, i)
        local word = text:match("^[%a_][%w_.%-]*%*?", i)
        if word then
            local after = text:match("^%??%s*:", i + #word)
            if word ~= "fun" and not (after and depth > 0) then
                names[#names + 1] = word
            end
            i = i + #word
            if depth == 0 and text:match("^[%]%[?]*%s", i) and not text:match("^[^%s]*%s*|", i)
                and not text:match("^[%]%[?]*%s*,", i) then
                break
            end
        else
            if char:match "[({<]" then
                depth = depth + 1
            elseif char:match "[)}>]" then
                depth = depth - 1
                if depth == 0 and text:match("^[%]%[?]*%s+[%a_]", i + 1) then
                    break
                end
            end
            i = i + 1
        end
    end
    return names
end

local paths, files, defined = {}, {}, {}
for path in io.popen(("find %s/lua -name '*.lua' | LC_ALL=C sort")
    :format(support.quote(support.root))):lines() do
    local short = path:sub(#support.root + 2)
    paths[#paths + 1] = short
    files[short] = read(path)
    for _, name in ipairs(files[short].classes) do
        defined[name] = true
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
                for name in f.params:gmatch "[%w_.]+" do
                    real[name] = true
                end
                for _, param in ipairs(f.block) do
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
            for _, type in ipairs(files[path].types) do
                for _, name in ipairs(type_names(type.text or "")) do
                    seen = seen + 1
                    if name:find("moonwire", 1, true) and not defined[name] then
                        wrong[#wrong + 1] = ("%s:%d: %s"):format(path, type.line, name)
                    elseif not name:find("moonwire", 1, true) and not BUILTIN[name] then
                        wrong[#wrong + 1] = ("%s:%d: %s"):format(path, type.line, name)
                    end
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
                if not f.block.any and not f.name:find "^__" then
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

    local function described(file, object)
        local names = {}
        for _, f in ipairs(file.functions) do
            if f.object == object then
                names[f.name] = true
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
        local file = files["lua/moonwire/_meta/core.lua"]
        local wrong, count = {}, 0
        for variable, class in pairs(file.classes) do
            if type(variable) == "string" and variable ~= "core" then
                local methods, names = {}, described(file, variable)
                for name in pairs(methods_of(class)) do
                    methods[name] = true
                end
                if variable == "Tls" then -- which has those of an open Tcp that make sense for it
                    for name in pairs(described(file, "Tcp")) do
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
        compare(functions, described(file, "core"), "moonwire.core", wrong)
        table.sort(wrong)
        report(wrong)
        assert.equal(14, count)
    end)
end)
