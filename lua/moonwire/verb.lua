-- `moonwire get URL` and its siblings: one request, whose answer goes to the terminal, a pipe or a
-- file. What the arguments mean is in verb/options.lua; lua/moonwire/cli/commands.lua names it.
local cli = require "moonwire.cli"
local core = require "moonwire.core"
local fetch = require "moonwire.verb.fetch"
local gauges = require "moonwire.verb.gauge"
local har = require "moonwire.har"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local options_of = require "moonwire.verb.options"
local output = require "moonwire.verb.output"
local secrets = require "moonwire.secrets"
local trace = require "moonwire.trace"

local STDERR = 2
local WRONG_USAGE, INTERRUPTED = 2, 130
local CLIENT_ERROR, SERVER_ERROR = 4, 5
local SHORTEST_WAIT, LONGEST_WAIT = 0.001, 0.05 -- seconds, for standard input

local verb = {}

local function complainer(name)
    return function(text)
        io.stderr:write("moonwire: ", name, ": ", text, "\n")
    end
end

-- Gives the pieces of standard input as they come. The loop can't watch what may be a file, so it
-- is asked again and again; meanwhile all else goes on.
local function stdin_reader(host)
    local wait = SHORTEST_WAIT
    return function()
        while true do
            local piece, problem = host.read_input()
            if piece ~= false then
                wait = SHORTEST_WAIT
                return piece, problem
            end
            local ok, err = moonwire.sleep(wait)
            if not ok then
                return nil, err
            end
            wait = math.min(wait * 2, LONGEST_WAIT)
        end
    end
end

-- Calls f(...): true and what it returns; nil and the sentence where its arguments were wrong. They
-- are told from our own mistakes by the place that Lua puts before those.
local function try(f, ...)
    local ok, result, err = pcall(f, ...)
    if ok then
        return true, result, err
    elseif type(result) == "string" and not result:find "^[^%s:]+:%d+: " then
        return nil, result
    end
    error(result, 0)
end

local function is_refused(response, options)
    return response.status >= 400
        and (options.fail or options.output ~= nil and options.output ~= "-")
end

local function code_of(status)
    return status < 500 and CLIENT_ERROR or SERVER_ERROR
end

local function refusal(response)
    return code_of(response.status), ("the server answered %d %s (%s)"):format(response.status,
            (response.reason or ""):gsub("%c", "?"), secrets.url(response.url))
end

-- The words for an error, with what may have been meant.
local function words_of(err, options)
    if err.phase == "tls" and options.has_no_scheme then
        return ("%s; https was taken because the URL has no scheme: is it http://?"):format(
            tostring(err))
    end
    return tostring(err)
end

local function download(client, options, host)
    local ok, result, err = try(fetch.run, client, options, host)
    if not ok then
        return WRONG_USAGE, result
    end
    local code = 0
    if not result then
        code = err.status and err.status >= 400 and code_of(err.status) or 1
    elseif options.include then
        local done, failure, problem = output.head(result.response, output.look(options, host))
        if not done then
            return failure, problem
        end
    end
    return code, fetch.notice(options, result, err)
end

-- As the root task: the exit code, and what to say.
local function perform(client, options, host)
    if fetch.is_wanted(options) then
        return download(client, options, host)
    end
    local ok, response, err = try(client.request, client, options.method, options.url,
        options.request)
    if not ok then
        return WRONG_USAGE, response
    elseif not response then
        return 1, words_of(err, options)
    end
    local refused = is_refused(response, options)
    local code, problem = output.give(response, options, host, refused)
    if refused and code == 0 then
        code, problem = refusal(response)
    end
    return code, problem
end

local function check(options, host)
    local path = options.output
    if path and path ~= "-" and host.is_terminal(STDERR) then
        options.gauge = gauges.new(path:match "[^/]*$")
        options.request.progress = options.gauge.tell
    end
    if path and options.method == "HEAD" then
        return nil, "the answer to head has no body that -o could take"
    elseif path and path ~= "-" and not fetch.is_wanted(options) then
        local ok, problem = output.check(path)
        if not ok then
            return nil, problem
        end
    end
    if options.cookies and core.path_kind(options.cookies) then
        local count, problems = options.client.cookies:load(options.cookies)
        if not count then
            return nil, problems.message
        end
    end
    local ok, client = try(http.client, options.client)
    if not ok then
        return nil, client
    end
    return client
end

-- What is kept for later: the exit code.
local function keep(options, recorder, code, complain)
    local ok, err = true, nil
    if options.cookies then
        ok, err = options.client.cookies:save(options.cookies)
    end
    if ok and recorder then
        recorder:stop()
        ok, err = recorder:save(options.har)
    end
    if not ok then
        complain(err.message)
        return code == 0 and 1 or code
    end
    return code
end

local function run(client, options, host, complain)
    local recorder = options.har and har.recorder(client)
    local interrupted, ran, code, problem = cli.run(host, perform, client, options, host)
    if not ran then
        code, problem = 1, cli.describe(code)
    end
    if problem and not (ran and interrupted) then
        complain(problem)
    end
    return keep(options, recorder, interrupted and INTERRUPTED or code, complain)
end

--- Does what the arguments say.
---@param host table from src/main.c
---@param args string[] args[0] is the command, args[1] the verb
---@return integer exit_code
function verb.main(host, args)
    local name = args[1]
    local complain = complainer(name)
    host.ignore_broken_pipes()
    local ok, options, message = try(options_of.parse, name:upper(), args, 2, stdin_reader(host))
    if not ok then
        options, message = nil, options
    end
    if not options then
        complain(("%s\nmoonwire %s --help lists the options"):format(message, name))
        return WRONG_USAGE
    elseif options.help then
        io.write((options_of.USAGE:gsub("VERB", name, 1)))
        return 0
    end
    local client
    client, message = check(options, host)
    if not client then
        complain(message)
        return WRONG_USAGE
    end
    if options.verbose then
        trace.enable()
    else
        trace.from_environment()
    end
    if options.insecure then
        complain "-k: no certificate is verified"
    end
    return run(client, options, host, complain)
end

return verb
