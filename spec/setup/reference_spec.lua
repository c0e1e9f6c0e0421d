-- docs/reference.md is what tools/reference.lua makes of the annotations, and all that is public.
local annotations = require "tools.annotations"
local cache = require "moonwire.cache"
local cookies = require "moonwire.cookies"
local har = require "moonwire.har"
local http = require "moonwire.http"
local progress = require "moonwire.progress"
local reference = require "tools.reference"
local snippets = require "spec.support.snippets"
local support = require "spec.support"
local testing = require "moonwire.testing"
local types = require "tools.annotations.types"

local function report(list)
    assert.equal("", table.concat(list, "\n"))
end

describe("the reference", function()
    local page = snippets.read "docs/reference.md"
    local modules = reference.collect(support.root)

    it("is what make reference makes of the sources now", function()
        local made = reference.page(support.root)
        for line in made:gmatch "[^\n]+" do
            assert.is_truthy(page:find(line, 1, true), "make reference: it has no line " .. line)
        end
        assert.is_true(made == page, "docs/reference.md is old: make reference")
    end)

    it("has the modules that the README names, and those only", function()
        local wrong, listed = {}, {}
        local rows = snippets.read("README.md"):match "\n## Modules\n(.-)\n## "
        for name in rows:gmatch "\n| `(moonwire[%w_.]*)` |" do
            listed[name] = true
        end
        for _, name in ipairs(reference.modules()) do
            if not listed[name] then
                wrong[#wrong + 1] = "the README has no " .. name
            end
            listed[name] = nil
        end
        for name in pairs(listed) do
            wrong[#wrong + 1] = "the reference has no " .. name
        end
        report(wrong)
    end)

    it("has every name that a public module has", function()
        local wrong, seen = {}, 0
        for _, module in ipairs(modules) do
            local real = require(module.name)
            local short = module.name:match "[%w_]+$"
            for name, value in pairs(real) do
                if not module.hidden[name] and name:sub(1, 1) ~= "_" then
                    seen = seen + 1
                    local heading = type(value) == "function" and "\n#### `%s.%s("
                        or "\n- `%s.%s`: "
                    if not page:find(heading:format(short, name), 1, true) then
                        wrong[#wrong + 1] = module.name .. " has " .. name
                    end
                end
            end
            for _, f in ipairs(module.functions) do
                if type(real[f.name]) ~= "function" then
                    wrong[#wrong + 1] = module.name .. " has no function " .. f.name
                end
            end
        end
        report(wrong)
        assert.is_true(seen > 60, seen)
    end)

    it("says something of every function, and of each of its parameters", function()
        local wrong, seen = {}, 0
        local function look(where, f)
            seen = seen + 1
            local said, described = f.block and #f.block.text > 0, {}
            for _, param in ipairs(f.block and f.block.params or {}) do
                described[param.name] = true
            end
            if not said then
                wrong[#wrong + 1] = ("%s: %s says nothing"):format(where, f.name)
            end
            for _, name in ipairs(f.params) do
                if not described[name] then
                    wrong[#wrong + 1] = ("%s: %s doesn't tell its %s"):format(where, f.name, name)
                end
            end
        end
        for _, module in ipairs(modules) do
            for _, f in ipairs(module.functions) do
                look(module.name, f)
            end
            for _, class in ipairs(module.classes) do
                for _, f in ipairs(class.methods) do
                    look(class.name, f)
                end
            end
        end
        report(wrong)
        assert.is_true(seen > 200, seen)
    end)

    -- What refuses an unknown option names those that it knows.
    local OPTIONS = {
        ["moonwire.ClientOptions"] = function()
            http.client { nope = 1 }
        end,
        ["moonwire.RequestOptions"] = function()
            http.get("http://localhost/", { nope = 1 })
        end,
        ["moonwire.Timeouts"] = function()
            http.client { timeout = { nope = 1 } }
        end,
        ["moonwire.RedirectOptions"] = function()
            http.client { redirect = { nope = 1 } }
        end,
        ["moonwire.RetryOptions"] = function()
            http.client { retry = { nope = 1 } }
        end,
        ["moonwire.TlsOptions"] = function()
            http.client { tls = { nope = 1 } }
        end,
        ["moonwire.ProxyOptions"] = function()
            http.client { proxy = { nope = 1 } }
        end,
        ["moonwire.HarOptions"] = function()
            har.recorder(nil, { nope = 1 })
        end,
        ["moonwire.CacheOptions"] = function()
            cache.memory { nope = 1 }
        end,
        ["moonwire.CookieJarOptions"] = function()
            cookies.jar { nope = 1 }
        end,
        ["moonwire.progress.Options"] = function()
            progress.bar { nope = 1 }
        end,
        ["moonwire.testing.CassetteOptions"] = function()
            testing.cassette("/nowhere", { nope = 1 })
        end,
        ["moonwire.testing.Reply"] = function()
            testing.transport():on("GET", "/", { nope = 1 })
        end,
        ["moonwire.testing.RouteOptions"] = function()
            testing.transport():on("GET", "/", {}, { nope = 1 })
        end,
    }

    for name, provoke in pairs(OPTIONS) do
        it("has the options that the code knows: " .. name, function()
            local ok, problem = pcall(provoke)
            assert.is_false(ok)
            local known = {}
            for option in problem:match "%(known: ([^)]*)%)":gmatch "%S+" do
                known[#known + 1] = option
            end
            local told
            for _, module in ipairs(modules) do
                for _, class in ipairs(module.classes) do
                    told = class.name == name and class or told
                end
            end
            local fields = {}
            for i, field in ipairs(assert(told, name .. " isn't there").fields) do
                fields[i] = field.name
            end
            table.sort(fields)
            assert.same(known, fields)
        end)
    end

    it("knows of which class all methods are", function()
        local wrong, seen = {}, 0
        local _, paths = support.run(("cd %s && grep -rl '^---@class' lua/moonwire"):format(
            support.quote(support.root)))
        for path in paths:gmatch "[^\n]+" do
            local file = annotations.read(support.root .. "/" .. path)
            for _, f in ipairs(file.functions) do
                seen = seen + 1
                if f.method and not file.class_of[f.object] then
                    wrong[#wrong + 1] = ("%s: %s:%s"):format(path, f.object, f.name)
                end
            end
        end
        report(wrong)
        assert.is_true(seen > 500, seen)
    end)

    it("has nothing that is private, and no link to nowhere", function()
        assert.is_nil(page:find("auth.of_pair", 1, true)) -- "For client/auth.lua"
        assert.is_nil(page:find("response:finish", 1, true)) -- @package
        assert.is_nil(page:find("`settings`", 1, true)) -- a private field
        local headings, wrong = {}, {}
        for kind, name in page:gmatch "\n##+ (%w+) (moonwire[%w_.]*)\n" do
            local place = (kind .. "-" .. name:gsub("%.", "")):lower()
            while headings[place] do
                place = place .. "-1"
            end
            headings[place] = true
        end
        for place in page:gmatch "%(#([^)]+)%)" do
            if not headings[place] then
                wrong[#wrong + 1] = place
            end
        end
        report(wrong)
    end)
end)

describe("an annotation", function()
    local function read(text)
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write(text)
        file:close()
        local found = annotations.read(path)
        os.remove(path)
        return found
    end

    for text, type in pairs {
        ["string? the name"] = "string?",
        ["integer|table<string, any[]>|nil as it is"] = "integer|table<string, any[]>|nil",
        ["{[1]: string, n: integer?}[] pairs, in order"] = "{[1]: string, n: integer?}[]",
        ['"a b"|"c"? one of these'] = '"a b"|"c"?',
        ["fun(a: integer, ...): string?, any the token, or why"]
            = "fun(a: integer, ...): string?, any",
        ["(fun(): any)? is asked"] = "(fun(): any)?",
    } do
        it("begins with a type: " .. text, function()
            assert.equal(type, (types.type(text)))
            assert.equal(type, (types.type("x " .. text, 3)))
        end)
    end

    it("without one is told", function()
        assert.is_nil((types.type "{string the rest"))
        assert.is_nil((types.type "table<string the rest"))
        assert.is_nil((types.type ", what"))
    end)

    it("has members only where a bar isn't inside", function()
        assert.same({ "table<string|nil, x>[]", "fun(a: b|c)", '"d|e"', "nil" },
            types.members 'table<string|nil, x>[]|fun(a: b|c)|"d|e"|nil')
    end)

    it("of a field may name a place in a list", function()
        local file = read "---@class x.Pair\n---@field [1] string the first\nreturn M\n"
        local field = file.classes[1].fields[1]
        assert.same({ "[1]", "string", "the first" }, { field.name, field.type, field.text })
    end)

    it("goes on in the next line, and has several returns in one", function()
        local file = read(table.concat({
            "--- Does it.", "---@param name string? who", "---  is asked",
            "---@return string? text, x.Error? err kind \"limit\", mostly",
            "function M.go(name) end", "return M", "",
        }, "\n"))
        local f = file.functions[1]
        assert.equal("M", file.returned)
        assert.same({ "go", "Does it.", "who is asked" },
            { f.name, f.block.text[1], f.block.params[1].text })
        local first, second = f.block.returns[1], f.block.returns[2]
        assert.same({ "string?", "text", "x.Error?", "err", 'kind "limit", mostly' },
            { first.type, first.name, second.type, second.name, second.text })
    end)
end)
