-- `moonwire bench`: measures a server. Reads the arguments, runs, and writes the reports; what is
-- sent and timed is in bench/run.lua. lua/moonwire/cli/commands.lua names it.
local cli = require "moonwire.cli"
local hooks_of = require "moonwire.bench.hooks"
local html = require "moonwire.bench.html"
local json = require "moonwire.json"
local options_of = require "moonwire.bench.options"
local report = require "moonwire.bench.report"
local runs = require "moonwire.bench.run"
local signals = require "moonwire.signal"
local summaries = require "moonwire.bench.summary"

local WRONG_USAGE, INTERRUPTED = 2, 130
local STDERR = 2

local bench = {}

local function complain(text)
    io.stderr:write("moonwire: bench: ", text, "\n")
end

-- A report that can't be written is better known before the run.
local function check_file(path)
    if not path or path == "-" then
        return true
    end
    local file, problem = io.open(path, "ab")
    if file then
        file:close()
    end
    return file ~= nil, problem
end

local function write_file(path, text)
    local file, problem = io.open(path, "wb")
    local ok = file
    if file then
        ok, problem = file:write(text)
        local closed, late = file:close()
        ok, problem = ok and closed, problem or late
    end
    if not ok then
        complain(("can't write %s: %s"):format(path, problem))
    end
    return ok
end

-- Everything that is wanted of a run's numbers; false when something could not be written.
local function write_reports(options, summary, latency)
    local fine = true
    if options.json == "-" then
        io.write(assert(json.encode(summary)), "\n")
    elseif options.json then
        fine = write_file(options.json, assert(json.encode(summary)) .. "\n")
    end
    if options.html then
        fine = write_file(options.html, html.page(summary, latency)) and fine
    end
    if not options.quiet and options.json ~= "-" then
        io.write(report.text(summary))
    end
    return fine
end

-- As the root task: the exit code, and what to say where it is none of the reports' business.
local function measure(options, host)
    local hooks = hooks_of.none()
    if options.script then
        local problem
        hooks, problem = hooks_of.load(options.script, options.args)
        if not hooks then
            return 1, problem
        end
    end
    if hooks.init then
        hooks.init(options.args)
    end
    local run = runs.new(options, hooks)
    if host.is_interruptible() then
        signals.on("INT", function()
            run:interrupt()
        end)
    end
    local on_second, clear
    if host.is_terminal(STDERR) and not options.quiet then
        on_second, clear = report.progress(run, function(text)
            io.stderr:write(text)
        end)
    end
    local ok, err = run:run(on_second)
    if clear then
        clear()
    end
    if not ok then
        return run.interrupted and INTERRUPTED or 1, not run.interrupted and tostring(err) or nil
    end
    local summary = summaries.of(run)
    local fine = write_reports(options, summary, run.latency)
    if hooks.done then
        hooks.done(summary, run.latency)
    end
    return fine and summary.requests.succeeded > 0 and 0 or 1
end

local function check(options)
    for _, path in ipairs { options.json or false, options.html or false } do
        local ok, problem = check_file(path)
        if not ok then
            return nil, "can't write " .. problem
        end
    end
    if options.json then
        local text, err = json.encode {}
        return text ~= nil, err and err.message
    end
    return true
end

--- Does what the arguments say.
---@param host table from src/main.c
---@param args string[] args[0] is the command, args[1] "bench"
---@return integer exit_code
function bench.main(host, args)
    local options, message = options_of.parse(args, 2)
    if not options then
        complain(message .. "\n" .. options_of.USAGE:gsub("\n$", ""))
        return WRONG_USAGE
    elseif options.help then
        io.write(options_of.USAGE)
        return 0
    end
    local ok
    ok, message = check(options)
    if not ok then
        complain(message)
        return WRONG_USAGE
    end
    local interrupted, ran, code, problem = cli.run(host, measure, options, host)
    if not ran then
        problem, code = cli.describe(code), 1
    end
    if problem and not (ran and interrupted) then
        complain(problem)
    end
    return interrupted and INTERRUPTED or code
end

return bench
