-- The `moonwire` command: what its arguments mean, and the script as the root task. src/main.c
-- calls main(); the prompt is in repl.lua.
local backends = require "moonwire.backend"
local commands = require "moonwire.cli.commands"
local errors = require "moonwire.error"
local har = require "moonwire.har"
local scope = require "moonwire.scope"
local signals = require "moonwire.signal"
local trace = require "moonwire.trace"
local version = require "moonwire.version"

local USAGE = [==[
usage: moonwire [-v] [--har FILE] [-e CODE] [-i] [script [args]]
       moonwire get URL [options]                       (moonwire get --help)
       moonwire head|post|put|patch|delete|options URL [options]
       moonwire bench URL [options] [script [args]]     (moonwire bench --help)

  -e CODE    runs the Lua text CODE; more than one is allowed
  -i         a prompt, after the script if there is one; http and moonwire are there
  -v         writes what goes over the wire to stderr (MOONWIRE_TRACE=1 does the same)
  --har FILE writes an HTTP Archive of all requests, when the script has ended
  --version  says which moonwire this is
  --help     this text
  --         ends the options
  -          runs standard input as the script

Without a script: the prompt on a terminal, else standard input.
]==]

local SIGINT = 2
local WRONG_USAGE = 2
local INTERRUPTED = 130

-- Where the runtime stands in a traceback, below the script.
local RUNTIME = { "/moonwire/scope%.lua:", "/moonwire/task%.lua:", "/moonwire/cli%.lua:",
    "/moonwire/bench%.lua:", "/moonwire/bench/%l+%.lua:",
    "/moonwire/backend/thread%.lua:", "^%s*%[C%]:" }

local cli = {}

---@class moonwire.cli.Options
---@field chunks string[] what came with -e
---@field prompt boolean
---@field trace boolean
---@field help boolean
---@field version boolean
---@field har string? path
---@field script string? "-" for standard input
---@field index integer where the script stands in the arguments, or behind the last of them

local FLAGS = {
    ["-i"] = "prompt", ["-v"] = "trace", ["--help"] = "help", ["--version"] = "version",
}

--- Reads the arguments.
---@param args string[] args[0] is the command
---@return moonwire.cli.Options? options, string? message what is wrong with them
function cli.parse(args)
    local options = { chunks = {}, prompt = false, trace = false, help = false, version = false }
    local i = 1
    while args[i] and args[i]:find("^%-.") do
        local word = args[i]
        i = i + 1
        if word == "--" then
            break
        elseif FLAGS[word] then
            options[FLAGS[word]] = true
        elseif word == "--har" then
            options.har = args[i]
            i = i + 1
            if not options.har then
                return nil, "--har needs the path of the file to be written"
            end
        elseif word:find("^%-e") then
            local code = word:sub(3)
            if code == "" then
                code = args[i]
                i = i + 1
            end
            if not code then
                return nil, "-e needs the code to run"
            end
            table.insert(options.chunks, code)
        else
            return nil, "there is no option " .. word
        end
    end
    options.script, options.index = args[i], i
    return options
end

-- The global `arg`, as in lua: the script at 0, its arguments from 1, what came before below 0.
local function make_arg(args, options)
    local shift = options.script and options.index or 0
    local arg = {}
    for i = 0, #args do
        arg[i - shift] = args[i]
    end
    return arg
end

-- Leaves out the frames of the runtime that every script stands on.
local function cut_traceback(text)
    local lines = {}
    for line in text:gmatch("[^\n]+") do
        lines[#lines + 1] = line
    end
    local function is_runtime(line)
        for _, pattern in ipairs(RUNTIME) do
            if line:find(pattern) then
                return true
            end
        end
        return false
    end
    while #lines > 1 and is_runtime(lines[#lines]) do
        table.remove(lines)
    end
    if #lines > 1 and lines[#lines] == "stack traceback:" then
        table.remove(lines) -- it was all runtime
    end
    return table.concat(lines, "\n")
end

--- The words for an uncaught error, with its traceback.
---@param problem any what was raised
---@return string
function cli.describe(problem)
    if errors.is(problem) and problem.traceback then
        return tostring(problem) .. "\n" .. cut_traceback(problem.traceback)
    elseif type(problem) == "string" then
        return cut_traceback(problem)
    end
    local meta = getmetatable(problem)
    if type(problem) == "number" or type(meta) == "table" and meta.__tostring then
        return tostring(problem)
    end
    return ("(the error is a %s value)"):format(type(problem))
end

local function keep(...)
    return { count = select("#", ...), ... }
end

-- Has SIGINT cancel the run, once; a second one is for src/main.c. Returns what ends the watch.
local function watch_interrupts(host, run)
    if not host.is_interruptible() then
        return function() end
    end
    local backend = backends.current()
    local watcher = backend:start(function()
        if backend:wait(math.huge) == SIGINT and not signals.is_asked_for(SIGINT) then
            run.interrupted = true
            run.root:cancel()
        end
    end)
    local signal = backend:signal(SIGINT, watcher)
    if signal then -- else another loop of this process has it
        host.guard()
    end
    return function()
        if signal then
            signal:close()
        end
        backends.cancel(watcher)
    end
end

--- Runs a function as the root task; the first SIGINT cancels it.
---@param host table from src/main.c
---@param fn function
---@return boolean interrupted, boolean ok, any ... what fn returned, or the error it raised
function cli.run(host, fn, ...)
    local run = { interrupted = false, root = nil }
    local unwatch = watch_interrupts(host, run)
    local results = keep(xpcall(scope.run, errors.handler, function(...)
        run.root = scope.current()
        return fn(...)
    end, ...))
    unwatch()
    return run.interrupted, unpack(results, 1, results.count)
end

-- Runs what the arguments name: nil, or why a part of it can't be loaded.
local function run_chunks(options, args)
    for _, text in ipairs(options.chunks) do
        local chunk, message = loadstring(text, "=(command line)")
        if not chunk then
            return message
        end
        chunk()
    end
    if options.script then
        local script, message = loadfile(options.script ~= "-" and options.script or nil)
        if not script then
            return message
        end
        script(unpack(args, options.index + 1))
    end
    return nil
end

local function complain(text)
    io.stderr:write("moonwire: ", text, "\n")
end

-- The exit code of the script and the chunks.
local function run_script(options, args, host)
    local interrupted, ok, problem, why = cli.run(host, run_chunks, options, args)
    if not ok then
        complain(cli.describe(problem))
    elseif type(problem) == "string" then
        complain(problem)
        return 1
    elseif why ~= nil and not interrupted then -- the root was cancelled, but by nobody outside
        complain(cli.describe(why))
        return 1
    end
    return interrupted and INTERRUPTED or ok and 0 or 1
end

-- The exit code, once the archive is written.
local function save_archive(recorder, path, code)
    recorder:stop()
    local ok, err = recorder:save(path)
    if not ok then
        complain(err.message)
        return code == 0 and 1 or code
    end
    return code
end

--- Does what the arguments say.
---@param host table from src/main.c
---@param args string[] args[0] is the command
---@return integer|string code the exit code, or the module whose main() goes on
---@return string[]? args for that
function cli.main(host, args)
    local command = commands[args[1]]
    if command then
        return command, args
    end
    local options, message = cli.parse(args)
    if not options then
        complain(message .. "\n" .. USAGE:gsub("\n$", ""))
        return WRONG_USAGE
    elseif options.help then
        io.write(USAGE)
        return 0
    elseif options.version then
        io.write("moonwire ", version, " (", jit.version, ")\n")
        return 0
    end
    if options.trace then
        trace.enable()
    else
        trace.from_environment()
    end
    if not options.script and #options.chunks == 0 then
        if host.is_terminal() or options.prompt then
            options.prompt = true
        else
            options.script = "-"
        end
    end
    getfenv(0).arg = make_arg(args, options)
    local recorder = options.har and har.recorder()
    local code = run_script(options, args, host)
    if recorder then
        code = save_archive(recorder, options.har, code)
    end
    if options.prompt and (code == 0 or code == INTERRUPTED) then
        return "moonwire.repl"
    end
    return code
end

return cli
