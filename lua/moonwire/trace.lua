-- trace.lua - a transcript like curl -v's: what is sent, what comes, and what becomes of the
-- connections, with secrets left out.  It never changes what it watches.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local host = require "moonwire.backend.host"
local secrets = require "moonwire.secrets"

local shown = secrets.shown

---@class moonwire.Trace
---@field private write fun(text: string)
local methods = {}
local Trace = { __index = methods, __name = "moonwire.Trace" }

-- Control bytes could move a terminal's cursor or colour what follows.
local function printable(text)
    return (text:gsub("[%z\1-\8\10-\31\127]", "?"))
end

--- For moonwire's own parts: writes one line down.
---@param mark string "*", ">" or "<"
---@param text string
function methods:line(mark, text)
    self.write((text == "" and mark or mark .. " " .. printable(text)) .. "\n")
end

--- For moonwire's own parts: notes what happened to a connection.
---@param format string
---@param ... any
function methods:note(format, ...)
    self:line("*", format:format(...))
end

--- For moonwire's own parts: writes a request head down.
---@param bytes string as it is sent
function methods:request(bytes)
    for line in bytes:gmatch "([^\r\n]*)\r\n" do
        local name, value = line:match "^([^%s:]+): ?(.*)$"
        self:line(">", name and name .. ": " .. shown(name, value) or secrets.line(line))
    end
end

--- For moonwire's own parts: writes a response head down.
---@param status integer
---@param reason string
---@param version string
---@param headers moonwire.core.Headers
function methods:response(status, reason, version, headers)
    self:line("<", ("HTTP/%s %d %s"):format(version, status, reason))
    for name, value in headers:each() do
        self:line("<", name .. ": " .. shown(name, value))
    end
    self:line("<", "")
end

local M = {}

-- To a C program's log where one has opened a context, else to stderr.
local function to_log(text)
    local log = core.state.log
    if log then
        return log("trace", text)
    end
    io.stderr:write(text)
end

--- Makes a transcript that goes to `write`, for one connection or client (`trace = ...`).
---@param write? fun(text: string) nil: to stderr, or to the log of the host: of a C program, or
---  nginx's (level info)
---@return moonwire.Trace
function M.new(write)
    if write ~= nil then
        errors.check(2, "write", "function", write)
    end
    return setmetatable({ write = write or host.log or to_log }, Trace)
end

--- Turns the transcript on for every connection made from now on.
---@param write? fun(text: string) nil: to stderr, or to the log of the host: of a C program, or
---  nginx's (level info)
function M.enable(write)
    core.state.trace = M.new(write)
end

--- Turns it off for every connection made from now on.
function M.disable()
    core.state.trace = nil
end

--- For moonwire's own parts: turns it on where the environment says MOONWIRE_TRACE=1.
function M.from_environment()
    local value = os.getenv "MOONWIRE_TRACE"
    if value and value ~= "" and value ~= "0" then
        M.enable()
    end
end

return M
