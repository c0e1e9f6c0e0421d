-- verb/output.lua - takes a response to where it was asked to go: the terminal, a pipe, a file.
-- What it can't write it says; it ends nothing.

local core = require "moonwire.core"
local moonwire = require "moonwire"
local screen = require "moonwire.verb.screen"

local STDOUT = 1
local EINTR, EPIPE = 4, 32
local BROKEN_PIPE = 141 -- as a shell has it for SIGPIPE

local output = {}

---@class moonwire.verb.Outlook
---@field is_screen boolean a person looks at it
---@field has_colours boolean

--- How an answer is shown.
---@param options moonwire.verb.Options
---@param host table from src/main.c
---@return moonwire.verb.Outlook
function output.look(options, host)
    local is_terminal = host.is_terminal(STDOUT)
    local no_color, term = os.getenv "NO_COLOR", os.getenv "TERM"
    local has_colours = options.color == "always" or options.color == "auto" and is_terminal
        and (no_color or "") == "" and term ~= "dumb"
    return {
        is_screen = options.output == nil and (is_terminal or options.color == "always"),
        has_colours = has_colours,
    }
end

-- The exit code, and what to say, where bytes could not be written.
local function write_failure(name, problem, errno)
    if errno == EPIPE then
        return BROKEN_PIPE -- whoever reads has enough
    elseif errno == EINTR then
        moonwire.sleep(1) -- Ctrl-C, which the loop hasn't seen yet: the wait ends at once
    end
    return 1, ("can't write to %s: %s"):format(name, problem)
end

-- A function that writes a text to a file: true, or nil, exit code and problem.
local function writer(file, name)
    return function(text)
        local ok, problem, errno = file:write(text)
        if not ok then
            return nil, write_failure(name, problem, errno)
        end
        return true
    end
end

-- Every piece as it is. Each returns the exit code and what to say.
local function copy(response, write, piece)
    local err
    while piece do
        local ok, code, problem = write(piece)
        if not ok then
            return code, problem
        end
        piece, err = response:read()
    end
    if err then
        return 1, tostring(err)
    end
    return 0
end

-- A body as a person can read it.
local function show(response, write, piece, outlook)
    if screen.is_binary(response, piece) then
        response:close()
        return 0, screen.notice(response)
    end
    local formatter = screen.formatter(response, outlook.has_colours)
    local last, err = "\n", nil
    while piece do
        local text = formatter:feed(piece)
        if text ~= "" then
            local ok, code, problem = write(text)
            if not ok then
                return code, problem
            end
            last = text
        end
        piece, err = response:read()
    end
    local rest = formatter:finish()
    last = rest ~= "" and rest or last
    local ok, code, problem = write(rest .. (last:byte(-1) ~= 10 and "\n" or ""))
    if not ok then
        return code, problem
    elseif err then
        return 1, tostring(err)
    end
    return 0
end

local function print_body(response, outlook, write)
    local piece, err = response:read()
    if err then
        return 1, tostring(err)
    elseif not piece then
        return 0
    elseif outlook.is_screen then
        return show(response, write, piece, outlook)
    end
    return copy(response, write, piece)
end

local function save(path, response, options)
    local gauge = options.gauge
    if gauge then
        gauge:begin()
    end
    local ok, err = response:save(path)
    if gauge then
        gauge:finish(ok ~= nil)
    end
    if not ok then
        return 1, tostring(err)
    end
    return 0
end

--- Whether what -o says can be written to, as far as that is known before.
---@param path string
---@return boolean ok, string? problem
function output.check(path)
    local kind, folder = core.path_kind(path), path:match "^(.*)/[^/]*$"
    folder = folder == "" and "/" or folder or "."
    if kind == "folder" then
        return false, ("-o %s: that is a folder"):format(path)
    elseif core.path_kind(folder) ~= "folder" then
        return false, ("-o %s: there is no folder %s"):format(path, folder)
    end
    return true
end

--- Writes status and headers to standard output: true, or nil, the exit code and what to say.
---@param response moonwire.Response
---@param outlook moonwire.verb.Outlook
---@return true? ok, integer? exit_code, string? problem
function output.head(response, outlook)
    local write = writer(io.stdout, "standard output")
    return write(outlook.is_screen and screen.head(response, outlook.has_colours)
        or screen.raw_head(response))
end

--- Takes the response to where it goes.
---@param response moonwire.Response
---@param options moonwire.verb.Options
---@param host table from src/main.c
---@param is_refused boolean it has a body that isn't wanted
---@return integer exit_code, string? notice what to say on stderr
function output.give(response, options, host, is_refused)
    local outlook, path = output.look(options, host), options.output
    io.stdout:setvbuf "no" -- a pipe gets each piece as it comes
    if options.include or options.method == "HEAD" or outlook.is_screen and not options.verbose then
        local ok, code, problem = output.head(response, outlook)
        if not ok then
            response:close()
            return code, problem
        end
    end
    if is_refused then
        response:close()
        return 0
    elseif path and path ~= "-" then
        return save(path, response, options)
    end
    local code, problem = print_body(response, outlook, writer(io.stdout, "standard output"))
    response:close()
    return code, problem
end

return output
