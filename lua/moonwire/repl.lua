-- The prompt of `moonwire -i`: reads a chunk, runs it as a task, shows its values. The terminal
-- itself (editing, SIGINT) is src/editor.c's.
local cli = require "moonwire.cli"
local editors = require "moonwire.editor"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local show = require "moonwire.repl.show"

local PROMPT, MORE = "> ", ">> "

local repl = {}

-- A chunk that stops in the middle of a statement. The message is all that Lua gives to tell by.
local function is_incomplete(message)
    return message:find("near '<eof>'$") ~= nil
end

local function values(...)
    return ...
end

--- Compiles what was typed: an expression, else statements.
---@param text string
---@param env table
---@return function? chunk, string? message, boolean? incomplete more lines may make it right
function repl.compile(text, env)
    local expression = text:gsub("^%s*=", "")
    local chunk, why_not = loadstring("return " .. expression, "=prompt")
    if chunk then
        -- handed on as arguments: what is called isn't a tail call then, and its errors have a line
        local passing = loadstring("return (...)(" .. expression .. "\n)", "=prompt")
        if passing then
            setfenv(passing, env)
            return function()
                return passing(values)
            end
        end
        return setfenv(chunk, env) -- a list of no values
    end
    local message
    chunk, message = loadstring(text, "=prompt")
    if not chunk then
        return nil, message, is_incomplete(message) or is_incomplete(why_not)
    end
    return setfenv(chunk, env)
end

-- Reads lines until they make a chunk: the chunk, or nil and why ("end", "empty", a message).
local function read_chunk(source, env)
    local text
    while true do
        local line, why = source.read(text and MORE or PROMPT)
        if not line then
            if why == "interrupted" then
                return nil, "empty"
            end
            return nil, text and select(2, repl.compile(text, env)) or "end"
        end
        text = text and text .. "\n" .. line or line
        if not text:find("%S") then
            return nil, "empty"
        end
        local chunk, message, incomplete = repl.compile(text, env)
        if chunk or not incomplete then
            source.remember(text)
            return chunk, message
        end
    end
end

local function show_results(ok, ...)
    if not ok then
        io.stderr:write(cli.describe((...)), "\n")
        return
    end
    local shown = {}
    for i = 1, select("#", ...) do
        shown[i] = show.value((select(i, ...)))
    end
    if #shown > 0 then
        io.write(table.concat(shown, "\t"), "\n")
    end
end

local function show_outcome(interrupted, ok, ...)
    if interrupted then
        io.stderr:write("interrupted\n")
    else
        show_results(ok, ...)
    end
end

local function history_path()
    local path = os.getenv "MOONWIRE_HISTORY"
    if path then
        return path ~= "" and path or nil
    end
    local home = os.getenv "HOME"
    return home and home .. "/.moonwire_history"
end

-- A person at a terminal.
local function terminal_source()
    local editor, path = editors.open(), history_path()
    if path then
        editor:load(path)
    end
    io.write("moonwire ", moonwire.version, " (", jit.version,
        ")  res = http.get \"http://...\"  Ctrl-D leaves\n")
    return {
        read = function(prompt)
            io.flush()
            return editor:read(prompt)
        end,
        remember = function(text)
            editor:add(text)
            if path then
                editor:save(path) -- at once: a second Ctrl-C ends the process
            end
        end,
        close = function()
            io.write "\n"
            if path and not editor:save(path) then
                io.stderr:write("moonwire: can't write the history to ", path, "\n")
            end
            editor:close()
        end,
    }
end

-- Lines from a pipe or a file: no prompt, no history.
local function plain_source()
    return {
        read = function()
            return (io.read "*l")
        end,
        remember = function() end,
        close = function() end,
    }
end

--- Runs the prompt until its input ends.
---@param host table from src/main.c
---@return integer exit_code
function repl.main(host)
    local source = host.is_terminal() and terminal_source() or plain_source()
    -- what is typed sees the globals, and its own assignments go here
    local env = setmetatable({ http = http, moonwire = moonwire }, { __index = getfenv(0) })
    while true do
        local chunk, message = read_chunk(source, env)
        if chunk then
            show_outcome(cli.run(host, chunk))
        elseif message == "end" then
            break
        elseif message ~= "empty" then
            io.stderr:write(message, "\n")
        end
    end
    source.close()
    return 0
end

return repl
