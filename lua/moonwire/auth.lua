-- auth.lua - who is asking: what a request says about that, and what it says after a 401. A value
-- for the option `auth`; client/auth.lua has it sent. It holds its secrets in closures, where no
-- log or dump finds them.

local base64 = require "moonwire.base64"
local challenges = require "moonwire.auth.challenge"
local digests = require "moonwire.auth.digest"
local errors = require "moonwire.error"
local netrcs = require "moonwire.auth.netrc"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local NETRC_MOST = 1024 * 1024 -- bytes
local STALE_MOST = 1 -- how often a request is answered anew because its nonce was too old

--- What one request has seen of its authentication.
---@class moonwire.auth.Attempt
---@field origin string
---@field kept table<string, any>? of one that asks_first: what a client has learned, by origin
---@field answers integer how often a 401 was answered
---@field used any what the request was made with

---@alias moonwire.auth.Fields table|moonwire.core.Headers

--- A way of saying who is asking.
---@class moonwire.Auth
---@field scheme string "basic" "bearer" "digest" "netrc" "custom"
---@field package waits boolean its functions are a script's: they may wait and fail
---@field package asks_first boolean what a request is sent with depends on a 401 before it
---@field package first fun(attempt: moonwire.auth.Attempt, request: moonwire.Request):
---  moonwire.auth.Fields?, any
---@field package again (fun(attempt: moonwire.auth.Attempt, request: moonwire.Request,
---  response: moonwire.Response): moonwire.auth.Fields?, any)|nil after a 401: nil when that is
---  the answer
---@field package seen fun(attempt: moonwire.auth.Attempt, response: moonwire.Response)|nil
local Auth = {
    __name = "moonwire.Auth",
    __tostring = function(self)
        return "moonwire.Auth (" .. self.scheme .. ")"
    end,
}

---@alias moonwire.AuthOption moonwire.Auth|{[1]: string, [2]: string}|function|false

local M = {}

--- Tells whether a value was made by this module.
---@param value any
---@return boolean
function M.is(value)
    return getmetatable(value) == Auth
end

local function make(scheme, fields)
    fields.scheme = scheme
    fields.waits, fields.asks_first = fields.waits or false, fields.asks_first or false
    return setmetatable(fields, Auth)
end

local function check_text(name, value, level)
    errors.check(level + 1, name, "string", value)
    if value:find "[%z\1-\31\127]" then
        error(("bad argument '%s' (there are control characters in it)"):format(name), level + 1)
    end
end

local function check_user(name, value, level)
    check_text(name, value, level + 1)
    if value:find(":", 1, true) then
        error(("bad argument '%s' (no colon can be in it)"):format(name), level + 1)
    end
end

local function basic_fields(user, password)
    return { Authorization = "Basic " .. base64.encode(user .. ":" .. password) }
end

--- For client/auth.lua: {user, password} as an option has it.
---@param given table
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.Auth
function M.of_pair(given, level)
    check_user("auth[1]", given[1], level + 1)
    check_text("auth[2]", given[2], level + 1)
    for name in each(given) do
        if name ~= 1 and name ~= 2 then
            error(("bad argument 'auth' ({user, password} expected, got '%s' as well)"):format(
                tostring(name)), level + 1)
        end
    end
    local fields = basic_fields(given[1], given[2])
    return make("basic", {
        first = function()
            return fields
        end,
    })
end

--- User and password as they are, with every request (RFC 7617); the same as {user, password}.
---@param user string without a colon; UTF-8, as it is
---@param password string
---@return moonwire.Auth
function M.basic(user, password)
    check_user("user", user, 2)
    check_text("password", password, 2)
    return M.of_pair({ user, password }, 2)
end

local function is_token(text)
    return type(text) == "string" and text:find "^[%w._~+/-]+=*$" ~= nil
end

-- The header for what a script's function gives as its token.
local function bearer_fields(attempt, token, problem)
    if token == nil or token == false then
        return nil, problem or "its function gives no token"
    elseif not is_token(token) then
        return nil, "its function gives what is no token (letters, digits and -._~+/ expected, and"
            .. " = at the end)"
    end
    attempt.used = token
    return { Authorization = "Bearer " .. token }
end

local function bearer_of(call)
    return make("bearer", {
        waits = true,
        first = function(attempt)
            return bearer_fields(attempt, call(false))
        end,
        again = function(attempt)
            local before = attempt.used
            if attempt.answers > 0 then
                return nil
            end
            local fields, problem = bearer_fields(attempt, call(true))
            if fields and attempt.used == before then
                return nil -- the server knows that one
            end
            return fields, problem
        end,
    })
end

--- A token with every request (RFC 6750).
---@param token string|fun(refresh: boolean): string?, any the token, or a function that is asked
---  for it before each request, and with `true` after a 401, once: when it gives another token then
---  the request is sent again. It may wait; nil and why there is none ends the request
---@return moonwire.Auth
function M.bearer(token)
    if type(token) == "function" then
        return bearer_of(token)
    elseif type(token) ~= "string" then
        errors.argument(2, "token", "string or function", token)
    elseif not is_token(token) then
        error("bad argument 'token' (letters, digits and -._~+/ expected, and = at the end)", 2)
    end
    local fields = { Authorization = "Bearer " .. token }
    return make("bearer", {
        first = function()
            return fields
        end,
    })
end

-- Digest ------------------------------------------------------------------------------------------

local function digest_fields(attempt, asked, request, user, password)
    attempt.used = asked
    local value, err = digests.authorization(asked, user, password, request.method, request.target,
        request.body)
    if not value then
        return nil, err
    end
    return { Authorization = value }
end

-- The challenge of a 401 that is to be answered; nil: it says no.
local function asked_by(attempt, response)
    local asked = digests.choose(challenges.list(response.head:get_all "www-authenticate"))
    local most = asked and asked.stale and 1 + STALE_MOST or 1
    if attempt.answers >= most then
        asked = nil
    end
    attempt.kept[attempt.origin] = asked
    return asked
end

--- User and password, of which the server is shown a hash (RFC 7616): MD5, SHA-256, SHA-512-256
--- and SHA-512, also with -sess; qop auth, auth-int and none. The first request to an origin is
--- sent twice, those after it once, with what was learned: so make the value once, and use it for
--- all.
---@param user string without a colon
---@param password string
---@return moonwire.Auth
function M.digest(user, password)
    check_user("user", user, 2)
    check_text("password", password, 2)
    return make("digest", {
        asks_first = true,
        first = function(attempt, request)
            local asked = attempt.kept[attempt.origin]
            if not asked then
                return { Authorization = {} } -- not the URL's user, whose password is readable
            end
            return digest_fields(attempt, asked, request, user, password)
        end,
        again = function(attempt, request, response)
            local asked = asked_by(attempt, response)
            if not asked then
                return nil
            end
            return digest_fields(attempt, asked, request, user, password)
        end,
        seen = function(attempt, response)
            local info = response.head:get "authentication-info"
            local asked = attempt.used
            local nonce = info and asked and challenges.params(info).nextnonce
            if nonce and digests.is_sendable(nonce) and asked == attempt.kept[attempt.origin] then
                asked.nonce, asked.count = nonce, 0
            end
        end,
    })
end

-- .netrc ------------------------------------------------------------------------------------------

local function netrc_path()
    local path = os.getenv "NETRC"
    if path and path ~= "" then
        return path
    end
    local home = os.getenv "HOME"
    return home and home ~= "" and home .. "/.netrc" or nil
end

local function read_netrc(path)
    local file, problem = io.open(path, "rb")
    local text
    if file then
        text, problem = file:read(NETRC_MOST + 1)
        file:close()
        if not text and not problem then
            text = ""
        elseif text and #text > NETRC_MOST then
            text, problem = nil, path .. ": it is longer than 1 MiB"
        end
    end
    return text, problem
end

local function netrc_failure(message)
    return nil, errors.new { kind = "auth", message = "the .netrc can't be used: " .. message }
end

--- User and password by host, out of a file as ftp and curl read it; it is read now, once. A host
--- that isn't in it is asked without.
---@param path string? $NETRC if none is given, or else ~/.netrc
---@return moonwire.Auth? auth, moonwire.Error? err it can't be read, or a line of it is wrong
function M.netrc(path)
    if path == nil then
        path = netrc_path()
        if not path then
            return netrc_failure "neither NETRC nor HOME says where it is"
        end
    end
    errors.check(2, "path", "string", path)
    local text, problem = read_netrc(path)
    if not text then
        return netrc_failure(problem)
    end
    local found
    found, problem = netrcs.parse(text)
    if not found then
        return netrc_failure(("%s, %s"):format(path, problem))
    end
    return make("netrc", {
        first = function(_, request)
            local entry = found.machines[request.peer:lower()] or found.default
            if entry and entry.login then
                return basic_fields(entry.login, entry.password or "")
            end
        end,
    })
end

-- A script's own ----------------------------------------------------------------------------------

--- For client/auth.lua: a function as an option has it.
---@param call function
---@return moonwire.Auth
function M.of_function(call)
    return make("custom", {
        waits = true,
        first = function(_, request)
            return call(request, nil)
        end,
        again = function(attempt, request, response)
            if attempt.answers > 0 then
                return nil
            end
            return call(request, response)
        end,
    })
end

--- A scheme of the script's own; the same as the function alone. It is called before the request is
--- sent, and once more, with the response, after a 401, whose body it may read. It gives headers to
--- send, nil for none (after a 401: that is the answer), or nil and an error. It may wait.
---@param call fun(request: moonwire.Request, response: moonwire.Response?): table?, any
---@return moonwire.Auth
function M.custom(call)
    errors.check(2, "call", "function", call)
    return M.of_function(call)
end

return M
