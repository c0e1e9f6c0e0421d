-- Several functions side by side, each a task of one scope: gather, race, map.
local backend = require "moonwire.backend"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local scope = require "moonwire.scope"

local gather = {}

-- The functions of a call f(f1, f2, ...) or f{f1, f2, ...}, checked; and whether it was a list.
local function functions_of(...)
    local first, count, is_list = ..., select("#", ...), false
    local list = { ... }
    if type(first) == "table" and not (getmetatable(first) and getmetatable(first).__call) then
        list, count, is_list = first, #first, true
    end
    for i = 1, count do
        errors.check(3, "f" .. i, "function", list[i])
    end
    return list, count, is_list
end

--- Runs functions side by side and waits for all. The first failure cancels the others and is
--- raised. Of each function the first result counts; use assert in it to make `nil, err` a failure.
---@param ... function|function[] gather(f1, f2) or gather{f1, f2}
---@return any ... the results in order; for a list: a table of them, and a table of the second
---  results (the errors) of those that gave nil
function gather.gather(...)
    local list, count, is_list = functions_of(...)
    local results, problems = {}, {}
    local function run(i)
        local result, problem = list[i]()
        results[i] = result
        if result == nil then
            problems[i] = problem
        end
    end
    scope.open(function(s)
        for i = 1, count do
            s:spawn(run, i)
        end
    end)
    if is_list then
        return results, problems
    end
    return unpack(results, 1, count)
end

--- Runs functions side by side until the first has finished; the others are cancelled, and what
--- they give or raise from then on is dropped.
---@param ... function|function[] race(f1, f2) or race{f1, f2}
---@return any ... what the first one returned; what it raised is raised
function gather.race(...)
    local list, count = functions_of(...)
    if count == 0 then
        errors.argument(2, "f1", "function", nil)
    end
    local decided, ok, results, length = false, nil, nil, 0
    local function decide(s, success, ...)
        if not decided then
            decided, ok, results, length = true, success, { ... }, select("#", ...)
            s:cancel()
        end
    end
    scope.open(function(s)
        for i = 1, count do
            s:spawn(function()
                decide(s, xpcall(list[i], errors.handler))
            end)
        end
    end)
    if not ok then
        error(results[1], 0)
    end
    return unpack(results, 1, length)
end

--- Calls f(item, index) for each item of a list, `concurrency` at a time (all at once when not
--- given). The first failure cancels the others and is raised.
---@param list any[]
---@param f fun(item: any, index: integer): any, any
---@param opts {concurrency: integer?}?
---@return any[]? results in the order of the list, holes where f gave nil; nil when the calling
---  task was cancelled before all items had their turn
---@return table|moonwire.Error problems by index the second result (the error) of those that gave
---  nil; the error of kind "cancelled"
function gather.map(list, f, opts)
    errors.check(2, "list", "table", list)
    errors.check(2, "f", "function", f)
    local count = #list
    local limit = opts and opts.concurrency or count
    if type(limit) ~= "number" or limit < 1 and count > 0 then
        errors.argument(2, "concurrency", "a number of 1 or more", limit)
    end
    local results, problems, next_index, stopped = {}, {}, 1, false
    local function work()
        local me = backend.thread()
        while next_index <= count do
            if me.cancelled or me.backend:now() >= me.deadline then
                stopped = true
                return
            end
            local i = next_index
            next_index = i + 1
            local result, problem = f(list[i], i)
            results[i] = result
            if result == nil then
                problems[i] = problem
            end
        end
    end
    scope.open(function(s)
        for _ = 1, math.min(limit, count) do
            s:spawn(work)
        end
    end)
    if stopped then
        return nil, errors.from_code(core.ECANCELLED, nil, "map")
    end
    return results, problems
end

return gather
