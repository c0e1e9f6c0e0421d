-- docs/conformance.md: every rule in it has a spec or a reason, and every spec named there exists.

local support = require "spec.support"

local function read(path)
    local file = io.open(path)
    if not file then
        return nil
    end
    local text = file:read "*a"
    file:close()
    return text
end

-- The rows of its tables: section, rule, what moonwire does, what shows it.
local function rows()
    local list = {}
    local number = 0
    for line in assert(read(support.root .. "/docs/conformance.md")):gmatch "([^\n]*)\n" do
        number = number + 1
        local section, rule, does, shown = line:match "^| (.-) | (.-) | (.-) | (.-) |$"
        if section and section ~= "Section" then
            list[#list + 1] = {
                number = number, section = section, rule = rule, does = does, shown = shown,
            }
        elseif line:find "^|" and not line:find "^|%-" and section ~= "Section" then
            error(("docs/conformance.md:%d: a row has four cells"):format(number))
        end
    end
    return list
end

-- What is wrong with one reference: nil where all is well.
local function problem(name, words)
    local is_trace = name:find "%.txt$"
    local text = read(support.root .. (is_trace and "/spec/data/h1/" or "/spec/") .. name)
    if not text then
        return name .. " does not exist"
    elseif not is_trace and not words then
        return name .. " is named without a spec in it"
    elseif words and not text:find(words, 1, true) then
        return ("%s has no %q"):format(name, words)
    end
    return nil
end

-- "`name.txt`, `name_spec.lua` "words"" and nothing else.
local function problems_of(row)
    local list = {}
    local rest = row.shown:gsub("`([^`]+)` \"([^\"]+)\"", function(name, words)
        list[#list + 1] = problem(name, words)
        return ""
    end):gsub("`([^`]+)`", function(name)
        list[#list + 1] = problem(name)
        return ""
    end)
    if rest:find "[^, –]" then
        list[#list + 1] = "not understood: " .. rest
    end
    return list
end

describe("docs/conformance.md", function()
    it("names specs and traces that exist", function()
        local list = {}
        for _, row in ipairs(rows()) do
            for _, text in ipairs(problems_of(row)) do
                list[#list + 1] = ("line %d: %s"):format(row.number, text)
            end
        end
        assert.equal("", table.concat(list, "\n"))
    end)

    it("has a spec for each rule, or the reason why there is none", function()
        local count = 0
        for _, row in ipairs(rows()) do
            count = count + 1
            if row.shown == "–" then
                assert.is_truthy(row.does:find "^None" or row.does:find "^The caller's",
                    "line " .. row.number)
                assert.is_true(#row.does > 20)
            end
        end
        assert.is_true(count >= 100)
    end)

    it("names each section by its number", function()
        for _, row in ipairs(rows()) do
            assert.is_truthy(row.section:find "^%d+[%d., ]*[%d()]*$", "line " .. row.number)
        end
    end)
end)
