-- A small stand-in for busted, for places where busted can't run: it reads a spec file with the
-- words of one, lists its tests, and runs them one by one. It prints nothing and ends no process.
local assert = require "luassert"
local spy = require "luassert.spy"
local stub = require "luassert.stub"

---@class spec.suite.Context
---@field name string of all describes up to here
---@field parent spec.suite.Context?
---@field state "new"|"ready"|"failed"
---@field problem string? why its setup failed

---@class spec.suite.Test
---@field name string with those of the describes around it, as busted writes it
---@field context spec.suite.Context
---@field body function

---@class spec.Suite
---@field tests spec.suite.Test[]
local methods = {}
local Suite = { __index = methods }

local HOOKS = { "setup", "teardown", "before_each", "after_each" }

local function new_context(parent, name)
    local context = { name = name, parent = parent, state = "new" }
    for _, hook in ipairs(HOOKS) do
        context[hook] = {}
    end
    return context
end

local function joined(context, name)
    return context.name == "" and name or context.name .. " " .. name
end

-- The words of a spec file, which declare into `self`.
local function words(self)
    local env = { assert = assert, spy = spy, stub = stub }
    function env.describe(name, body)
        local outer = self.context
        self.context = new_context(outer, joined(outer, name))
        setfenv(body, env)()
        self.context = outer
    end
    function env.it(name, body)
        self.tests[#self.tests + 1] = {
            name = joined(self.context, name), context = self.context, body = body,
        }
    end
    for _, hook in ipairs(HOOKS) do
        env[hook] = function(body)
            local list = self.context[hook]
            list[#list + 1] = body
        end
    end
    return setmetatable(env, { __index = _G })
end

local function explain(problem)
    local text = tostring(problem)
    if type(problem) == "string" then
        text = debug.traceback(text, 2)
    end
    return text
end

local function call_all(list)
    for _, body in ipairs(list) do
        body()
    end
end

-- The contexts around a test, the outermost first.
local function around(test)
    local list, context = {}, test.context
    while context do
        table.insert(list, 1, context)
        context = context.parent
    end
    return list
end

local function set_up(context)
    if context.state == "new" then
        local ok, problem = xpcall(call_all, explain, context.setup)
        context.state, context.problem = ok and "ready" or "failed", problem
    end
    if context.state == "failed" then
        error("setup: " .. context.problem, 0)
    end
end

local function run_inside(test)
    local contexts = around(test)
    for _, context in ipairs(contexts) do
        set_up(context)
    end
    for _, context in ipairs(contexts) do
        call_all(context.before_each)
    end
    local ok, problem = xpcall(test.body, explain)
    for i = #contexts, 1, -1 do
        call_all(contexts[i].after_each)
    end
    if not ok then
        error(problem, 0)
    end
end

--- Runs one test, with the setups that it needs and that were not run yet.
---@param test spec.suite.Test
---@return boolean ok
---@return string? problem
function methods:run(test) -- luacheck: ignore 212 (a test knows its contexts)
    local snapshot = assert:snapshot()
    local ok, problem = xpcall(run_inside, explain, test)
    snapshot:revert()
    return ok, not ok and tostring(problem) or nil
end

--- Takes down what the tests have set up.
function methods:finish()
    local seen = {}
    for i = #self.tests, 1, -1 do
        local contexts = around(self.tests[i])
        for j = #contexts, 1, -1 do
            local context = contexts[j]
            if context.state ~= "new" and not seen[context] then
                seen[context] = true
                call_all(context.teardown)
            end
        end
    end
end

local suite = {}

--- Reads the tests that `declare` declares: a function whose environment gets the words of busted,
--- or the path of a spec file.
---@param declare function|string
---@return spec.Suite
function suite.read(declare, ...)
    local self = setmetatable({ tests = {}, context = new_context(nil, "") }, Suite)
    if type(declare) == "string" then
        declare = assert(loadfile(declare))
    end
    setfenv(declare, words(self))(...)
    return self
end

return suite
