-- Runs the tests of a spec file inside an nginx worker, for a request's content handler: each one
-- becomes a line of the answer as soon as it has ended.
local suite = require "spec.support.suite"

local PATIENCE = 10 -- seconds for one test

local worker = {}

local ESCAPES = { ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(text)
    return (text:gsub("[\\\n\r\t]", ESCAPES))
end

-- Runs a test in a light thread of its own, so that one which hangs can be given up.
local function run_guarded(tests, test)
    local ok, problem
    local thread = ngx.thread.spawn(function()
        ok, problem = tests:run(test)
    end)
    local guard = ngx.thread.spawn(function() -- spawn takes no C function
        ngx.sleep(PATIENCE)
    end)
    ngx.thread.wait(thread, guard)
    if ok == nil then
        ngx.thread.kill(thread)
        return false, ("it did not end within %d seconds"):format(PATIENCE)
    end
    ngx.thread.kill(guard)
    return ok, problem
end

--- Answers the running request with the outcome of a spec file: "number TAB ok|failed TAB message"
--- a line, and "end" at last.
---@param file string
---@param ... any given to the file
function worker.run(file, ...)
    local tests = suite.read(file, ...)
    for number, test in ipairs(tests.tests) do
        local ok, problem = run_guarded(tests, test)
        ngx.say(number, "\t", ok and "ok" or "failed", "\t", escape(problem or ""))
        ngx.flush(true)
    end
    tests:finish()
    ngx.say "end"
end

return worker
