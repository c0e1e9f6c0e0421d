-- client/retry.lua - sends a request again when it has failed, as the script's policy says: for
-- which failures, how often, after which wait. It never sends what may not be sent twice.

local core = require "moonwire.core"
local dates = require "moonwire.date"
local errors = require "moonwire.error"
local events = require "moonwire.client.events"
local requests = require "moonwire.request"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local min, max = math.min, math.max

local STATUSES = { 429, 502, 503, 504 }
local KINDS = { "resolve", "connect", "timeout", "closed" }
local ALL_KINDS = {
    resolve = true, connect = true, tls = true, timeout = true, protocol = true, closed = true,
}
local BEFORE_SENDING = { pool = true, resolve = true, connect = true, tls = true }
local RESERVE = 10 -- repetitions that a client has from the start, and can save up

---@class moonwire.RetryOptions
---@field attempts integer? how often a request is sent at most, the first time included: 3
---@field statuses integer[]? that are failures: 429, 502, 503 and 504
---@field kinds string[]? of errors that may be repeated: "resolve" "connect" "timeout" "closed"
---@field methods string[]? that may be sent twice, in place of GET HEAD OPTIONS TRACE PUT DELETE
---  and QUERY; what has an Idempotency-Key, or was not sent at all, may be in any case
---@field base number? seconds: the n-th wait is a random part of base * 2^(n-1), 0.5 if not given
---@field max number? seconds that such a part is taken of at most: 30
---@field max_retry_after number? seconds that are waited where the server says Retry-After; a
---  response that asks for more is the result: 60
---@field budget number? how many repetitions there may be for each request of the client, in the
---  long run: 0.2. Ten more may be spent at any time

---@class moonwire.client.RetryPolicy
---@field attempts integer
---@field statuses table<integer, boolean>
---@field kinds table<string, boolean>
---@field methods table<string, boolean>|false
---@field base number
---@field max number
---@field max_retry_after number
---@field budget number

local NUMBERS = { base = 0.5, max = 30, max_retry_after = 60, budget = 0.2 }
local LISTS = { statuses = "number", kinds = "string", methods = "string" }

local function set_of(name, list, kind, level)
    errors.check(level + 1, "retry." .. name, "table", list)
    local set = {}
    for _, value in ipairs(list) do
        errors.check(level + 1, "retry." .. name, kind, value)
        set[value] = true
    end
    return set
end

local function check_table(given, level)
    local policy = { attempts = 3, methods = false }
    for name, value in each(given) do
        if name == "attempts" then
            if type(value) ~= "number" or value < 1 or value % 1 ~= 0 then
                errors.argument(level + 1, "retry.attempts", "whole number from 1", value)
            end
            policy.attempts = value
        elseif NUMBERS[name] then
            if type(value) ~= "number" or value < 0 or value ~= value then
                errors.argument(level + 1, "retry." .. name, "number from 0", value)
            end
            policy[name] = value
        elseif LISTS[name] then
            policy[name] = set_of(name, value, LISTS[name], level + 1)
        else
            error(("unknown option 'retry.%s' (known: attempts base budget kinds max"
                .. " max_retry_after methods statuses)"):format(tostring(name)), level + 1)
        end
    end
    for name, value in each(NUMBERS) do
        policy[name] = policy[name] or value
    end
    policy.statuses = policy.statuses or set_of("statuses", STATUSES, "number", level)
    policy.kinds = policy.kinds or set_of("kinds", KINDS, "string", level)
    for kind in each(policy.kinds) do
        if not ALL_KINDS[kind] then
            error(("bad argument 'retry.kinds' (%q can't be repeated; these can: closed connect"
                .. " protocol resolve timeout tls)"):format(kind), level + 1)
        end
    end
    return policy
end

local function check(value, level)
    if value == nil then
        return true
    elseif type(value) == "boolean" then
        return value
    elseif type(value) ~= "table" then
        errors.argument(level + 1, "retry", "boolean or table, such as { attempts = 3 }", value)
    end
    local policy = check_table(value, level + 1)
    return policy
end

local retry = { client_options = { retry = check }, request_options = { retry = check } }

local function may_be_sent_twice(policy, request, err)
    local data = requests.data(request)
    if data.body and not data.body.rewindable then
        return false
    elseif err and BEFORE_SENDING[err.phase] or data.headers:has "idempotency-key" then
        return true
    elseif policy.methods then
        return policy.methods[data.method] or false
    end
    return data.idempotent
end

-- Seconds that the server asks for: nil where it doesn't, or says nothing one can understand.
local function retry_after(response)
    local text = response and response.head:get "retry-after"
    if not text then
        return nil
    elseif text:find "^%d+$" then
        return tonumber(text)
    end
    local moment = dates.parse(text)
    return moment and max(0, moment - os.time())
end

-- From 0 up to 1, differently in each process: many clients that failed at once come back one by
-- one.
local function random()
    local a, b, c = core.random_bytes(3):byte(1, 3)
    return (a * 65536 + b * 256 + c) / 16777216
end

-- How long to wait before the request goes again; nil: it had better not.
local function pause(job, policy, response)
    local asked = retry_after(response)
    if asked and asked > policy.max_retry_after then
        return nil
    end
    local own = random() * min(policy.max, policy.base * 2 ^ job.retries)
    local seconds = max(own, asked or 0)
    return job.backend:now() + seconds < job.deadline and seconds or nil
end

local function has_failed(policy, response, err)
    if response then
        return policy.statuses[response.status]
    end
    return policy.kinds[err.kind]
end

local function wait(job, seconds)
    local backend = job.backend
    local code = backend:wait(backend:now() + seconds)
    if code ~= core.ETIMEOUT then
        return errors.from_code(code, "write", "waiting before the request is sent again")
    end
end

local function note(job, request, seconds, response, err)
    local trace = core.state.trace
    if trace then
        trace:note("sending it again in %.2f s, for the %d. time: %s", seconds, job.retries,
            response and "the server said " .. response.status or tostring(err))
    end
    local client = job.client
    client.repeated = client.repeated + 1
    if events.is_watched(client.supply) then
        events.emit(client.supply, "retry", {
            request = request, response = response, err = err, seconds = seconds,
            attempt = job.retries + 1,
        })
    end
end

--- For downloads, which repeat in their own way: seconds to wait before the request goes again;
--- nil: it had better not.
---@param job {backend: moonwire.Backend, deadline: number, retries: integer}
---@param policy moonwire.client.RetryPolicy
---@param response moonwire.Response? the answer that is a failure
---@return number? seconds
retry.pause = pause

--- Waits so long.
---@param job {backend: moonwire.Backend}
---@param seconds number
---@return moonwire.Error? err it was cancelled
retry.wait = wait

--- Whether a policy is among these options.
---@param opts table
---@return boolean
function retry.wants(opts)
    return type(opts.retry) == "table"
end

---@param job moonwire.client.Job
---@param request moonwire.Request
---@param go moonwire.client.Go
---@return moonwire.Response? response, moonwire.Error? err
function retry.send(job, request, go)
    local own, policy = job.opts.retry, job.settings.retry
    if own ~= nil and (own == false or type(own) == "table") then
        policy = check(own, 1)
    end
    if type(policy) ~= "table" then
        return go(job, request)
    end
    local settings, sent = job.settings, 0
    settings.retry_tokens = min((settings.retry_tokens or RESERVE) + policy.budget, RESERVE)
    while true do
        local response, err = go(job, request)
        sent = sent + 1
        if response and job.retries > 0 then
            response.retries = job.retries
        end
        if not has_failed(policy, response, err) or sent >= policy.attempts
            or settings.retry_tokens < 1 or not may_be_sent_twice(policy, request, err) then
            return response, err
        end
        local seconds = pause(job, policy, response)
        if not seconds then
            return response, err
        end
        job.retries, settings.retry_tokens = job.retries + 1, settings.retry_tokens - 1
        note(job, request, seconds, response, err)
        if response then
            response:close()
        end
        local problem = wait(job, seconds)
        if problem then
            problem.url, problem.cause = request.url, err
            return nil, problem
        end
    end
end

return retry
