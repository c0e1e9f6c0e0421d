-- client/auth.lua - has a request say who is asking, and say it once more where a 401 wants to know
-- more. It knows no scheme: moonwire.auth does.

local auths = require "moonwire.auth"
local errors = require "moonwire.error"
local headers_of = require "moonwire.headers"
local requests = require "moonwire.request"
local scope = require "moonwire.scope"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local ORIGINS_MOST = 256 -- of which a client remembers what they have asked for

local huge = math.huge

local function check(value, level)
    if value == nil or value == false then
        return false
    elseif auths.is(value) then
        return value
    elseif type(value) == "function" then
        return auths.of_function(value)
    elseif type(value) ~= "table" or getmetatable(value) then
        errors.argument(level + 1, "auth",
            "{user, password}, a value of moonwire.auth, function or false", value)
    end
    local pair = auths.of_pair(value, level + 1)
    return pair
end

local auth = { client_options = { auth = check }, request_options = { auth = check } }

-- What applies to a request; nil: nothing does. A header that the script has set itself is stronger
-- than all. Behind a redirect it can be the user's of an URL, which counts for nothing.
local function auth_for(job)
    local found = job.settings.auth
    if job.opts.auth ~= nil then
        found = check(job.opts.auth, 1)
    end
    if not found or job.left_origin or job.plan.data.given.headers:has "authorization" then
        return nil
    end
    return found
end

local function count(map)
    local n = 0
    for _ in each(map) do
        n = n + 1
    end
    return n
end

-- By origin, what requests of this client have learned with one value; kept as long as that is.
local function kept_by(settings, found, origin)
    if not found.asks_first then
        return nil
    end
    local all = settings.auth_kept
    if not all then
        all = setmetatable({}, { __mode = "k" })
        settings.auth_kept = all
    end
    local kept = all[found]
    if not kept or not kept[origin] and count(kept) >= ORIGINS_MOST then
        kept = {}
        all[found] = kept
    end
    return kept
end

local function failure(message, cause)
    return errors.new { kind = "auth", phase = "write", message = message, cause = cause }
end

-- What a script's function has failed with. An error of moonwire is told as it is: a token could
-- not be fetched in time, say.
local function problem_of(problem, raised)
    if errors.is(problem) then
        return problem
    end
    return failure(("the request's auth %s: %s"):format(raised and "failed" or "gave up",
        tostring(problem)), problem)
end

-- Calls a function of the script's within the time of the request.
local function call_script(job, f, ...)
    local left = job.deadline - job.backend:now()
    local ok, fields, problem
    if left == huge then
        ok, fields, problem = xpcall(f, errors.handler, ...)
    elseif left <= 0 then
        return nil, errors.new { kind = "timeout", phase = "write", timeout = "total",
            message = "the time for the request is over before it is sent" }
    else
        ok, fields, problem = scope.timeout(left, xpcall, f, errors.handler, ...)
        if ok == nil then
            fields.phase, fields.timeout = fields.phase or "write", "total"
            return nil, fields
        end
    end
    if not ok then
        return nil, problem_of(fields, true)
    elseif fields == nil or fields == false then
        return nil, problem ~= nil and problem_of(problem, false) or nil
    elseif type(fields) ~= "table" and not headers_of.is(fields) then
        return nil, failure(("the request's auth gave a %s, not headers"):format(type(fields)))
    end
    return fields
end

local function ask(job, found, f, ...)
    if found.waits then
        return call_script(job, f, ...)
    end
    return f(...)
end

-- The request with headers that replace its own. With an Authorization the URL's user is gone.
local function with_fields(request, fields, expect)
    local list = headers_of.new(fields)
    local named = list:has "authorization" or not headers_of.is(fields) and fields.Authorization
    return request:with {
        url = named and request.url or nil, headers = fields, expect = expect,
    }
end

local function dress(found, request, fields, expect)
    if not found.waits then
        return with_fields(request, fields, expect)
    end
    local ok, dressed = pcall(with_fields, request, fields, expect)
    if not ok then
        return nil, failure("the request's auth gave headers that can't be sent: "
            .. tostring(dressed):gsub("^.-:%d+: ", ""))
    end
    return dressed
end

-- A body that goes only once is kept back until the server has nothing against the request, unless
-- the script doesn't want that at all.
local function expect_for(found, request)
    local data = requests.data(request)
    if found.asks_first and data.body and not data.body.rewindable and data.expect ~= false then
        return true
    end
end

local function told(err, request)
    err.url = err.url or request.url
    return nil, err
end

-- Sends a request with what `f` says about it: nil, and no error, when it has nothing to say and
-- the request isn't sent without.
local function send_with(job, found, attempt, request, response, go)
    local fields, err = ask(job, found, response and found.again or found.first, attempt, request,
        response)
    if not fields and (err or response) then
        return nil, err
    end
    local body = request.body
    if response and body and not (body.rewindable or response.held_back) then
        return nil, failure("the server asks who sends this (401), and the request's body can't be"
            .. " sent a second time: give a string or body.file(path)")
    end
    local dressed = request
    if fields then
        dressed, err = dress(found, request, fields, expect_for(found, request))
        if not dressed then
            return nil, err
        end
    end
    if response then
        response:close()
        attempt.answers = attempt.answers + 1
    end
    return go(job, dressed)
end

--- Whether these options, or settings, say who is asking.
---@param opts table
---@return boolean
function auth.wants(opts)
    return opts.auth ~= nil and opts.auth ~= false
end

---@param job moonwire.client.Job
---@param request moonwire.Request
---@param go moonwire.client.Go
---@return moonwire.Response? response, moonwire.Error? err
function auth.send(job, request, go)
    local found = auth_for(job)
    if not found then
        return go(job, request)
    end
    local attempt = {
        origin = request.origin, kept = kept_by(job.settings, found, request.origin), answers = 0,
        used = nil,
    }
    local response, err = send_with(job, found, attempt, request, nil, go)
    while response and response.status == 401 and found.again do
        local next_one
        next_one, err = send_with(job, found, attempt, request, response, go)
        if not next_one and not err then
            return response
        elseif not next_one then
            response:close()
        end
        response = next_one
    end
    if not response then
        return told(err, request)
    end
    if found.seen then
        found.seen(attempt, response)
    end
    return response
end

return auth
