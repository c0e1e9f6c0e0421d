-- The one error value of moonwire: made here, read everywhere; it never raises but for wrong
-- arguments, and never looks into a message to decide something.
local core = require "moonwire.core"
local secrets = require "moonwire.secrets"

--- What failed at run time. `tostring(err)` is a sentence; `assert(nil, err)` prints it.
---@class moonwire.Error
---@field kind string "resolve" "connect" "tls" "timeout" "protocol" "closed" "cancelled" "limit"
---  "redirect" "auth" "body" "system"
---@field phase string? "pool" "resolve" "connect" "tls" "write" "headers" "body"
---@field message string what went wrong, without the url
---@field code string? name of the code, "ECONNREFUSED" or "EH1_LENGTH"
---@field errno integer? the system's number, when a system call failed
---@field url string? of the request, without credentials
---@field cause any the error below this one
---@field attempts moonwire.Error[]? of connecting: one for each address that was tried
---@field address string? of such an attempt, numeric
---@field elapsed number? seconds that the request, or such an attempt, had taken
---@field timeout string? which limit on time had passed: "total" "pool" "connect" "tls" "headers"
---  "idle"
---@field traceback string? where it was raised, once it has gone through a task or a scope
---@field partial string? bytes that had come when a read ended early
---@field reused boolean? the connection had served another request before
---@field bytes_sent integer? of this exchange
---@field bytes_received integer? of this exchange
---@field status integer? that a proxy answered CONNECT with, in place of a 2xx; that the server
---  answered a download with
---@field path string? of a download: what another one can go on with
---@field safe_to_retry boolean? the server can't have acted on the request
local methods = {}
local Error = { __index = methods, __name = "moonwire.Error" }

local errors = {}

--- Whether the error is of that kind.
---@param kind string
---@return boolean
function methods:is(kind)
    return self.kind == kind
end

--- The message, with the url and the phase when there is a url. Values of the query that are
--- secrets by their names (`token=...`) are left out of it; err.url has them.
---@return string
function Error:__tostring()
    if not self.url then
        return self.message
    end
    local url = secrets.url(self.url)
    if not self.phase then
        return self.message .. " (" .. url .. ")"
    end
    return self.message .. " (" .. url .. ", phase " .. self.phase .. ")"
end

--- Makes an error value out of its fields; the table given becomes the error.
---@param fields table `kind` and `message` must be there
---@return moonwire.Error
function errors.new(fields)
    return setmetatable(fields, Error)
end

--- Whether a value is an error of moonwire, and, if a kind is given, of that kind.
---@param value any
---@param kind string?
---@return boolean
function errors.is(value, kind)
    -- by name, because the module may have been loaded twice
    local meta = type(value) == "table" and getmetatable(value)
    return type(meta) == "table" and meta.__name == Error.__name
        and (kind == nil or value.kind == kind)
end

-- A peer that goes away is one kind, whatever the system calls it, and so is a way to it that does.
-- ETIMEDOUT: the peer confirms nothing any more; no timeout of ours has passed.
local CLOSED = {
    ECONNRESET = true, EPIPE = true, ECONNABORTED = true, ENOTCONN = true, EHOSTUNREACH = true,
    ENETUNREACH = true, EHOSTDOWN = true, ENETDOWN = true, ENETRESET = true, ETIMEDOUT = true,
}

local function kind_of(code, name, errno, phase)
    local kind = core.error_kind(code)
    if kind ~= "system" or errno == 0 then
        return kind
    elseif phase == "connect" then
        return "connect"
    elseif CLOSED[name] then
        return "closed"
    end
    return "system"
end

--- For moonwire's own parts: makes an error value out of a code of the C core.
---@param code integer below 0
---@param phase string? where in the exchange it happened
---@param prefix string? what was being done: "connecting to 127.0.0.1:80"
---@param extra table? further fields; this table becomes the error
---@return moonwire.Error
function errors.from_code(code, phase, prefix, extra)
    local err = extra or {}
    local errno = core.error_errno(code)
    local text = core.error_text(code)
    err.code = core.error_name(code)
    err.errno = errno ~= 0 and errno or nil
    err.kind = err.kind or kind_of(code, err.code, errno, phase)
    err.phase = err.phase or phase
    err.message = prefix and prefix .. ": " .. text or text
    return setmetatable(err, Error)
end

-- Where a type was expected its type says enough, where a range was the value does.
local TYPES = { string = true, number = true, boolean = true, table = true, ["function"] = true }

local function describe(value, expected)
    if not TYPES[expected] and (type(value) == "number" or type(value) == "boolean") then
        return tostring(value)
    elseif type(value) == "table" and getmetatable(value) and getmetatable(value).__name then
        return tostring(getmetatable(value).__name)
    end
    return type(value)
end

--- For moonwire's own parts: raises what the programmer did wrong, such as "bad argument 'url'
--- (string expected, got nil)".
---@param level integer as for error(): 1 the function that calls this one, 2 its caller
---@param name string of the argument
---@param expected string what it should have been
---@param value any what it was
function errors.argument(level, name, expected, value)
    local got = describe(value, expected)
    error(("bad argument '%s' (%s expected, got %s)"):format(name, expected, got), level + 1)
end

--- For moonwire's own parts: raises unless the value has the type.
---@param level integer as for error(): 1 the function that calls this one, 2 its caller
---@param name string of the argument
---@param expected string "number", "string", "table", "function" (anything callable) …
---@param value any
---@return any value
function errors.check(level, name, expected, value)
    local fits = type(value) == expected
    if not fits and expected == "function" then
        local meta = getmetatable(value)
        fits = type(meta) == "table" and meta.__call ~= nil
    end
    if fits then
        return value
    end
    errors.argument(level + 1, name, expected, value) -- no tail call: it counts levels
end

--- For moonwire's own parts: the handler for xpcall at the edge of a task or scope, which notes
--- where an error came from, once. An error value gets the field `traceback`, a string the
--- traceback's lines; others stay.
---@param value any what was raised
---@return any value
function errors.handler(value)
    if type(value) == "string" then
        if value:find("\nstack traceback:\n", 1, true) then
            return value
        end
        return debug.traceback(value, 2)
    elseif errors.is(value) and not value.traceback then
        value.traceback = debug.traceback("", 2):gsub("^\n", "")
    end
    return value
end

return errors
