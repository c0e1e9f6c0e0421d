-- testing/replies.lua - makes a response, or a failure, of what a test says a server does. It opens
-- nothing.

local core = require "moonwire.core"
local deadlines = require "moonwire.deadline"
local errors = require "moonwire.error"
local headers_of = require "moonwire.headers"
local json = require "moonwire.json"
local made = require "moonwire.response.made"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local replies = {}

---@class moonwire.testing.Reply
---@field status integer? 200
---@field reason string?
---@field headers table|moonwire.core.Headers|nil
---@field body string|nil|fun(): string?, any
---@field json any a value that the body says, as JSON
---@field chunks (string|table)[]? pieces of a body of unknown length; a table among them is an
---  error that breaks it off: { "half of i", { kind = "closed" } }
---@field trailers table|moonwire.core.Headers|nil
---@field delay number? seconds before the head is there
---@field error table? the request fails: fields of an error, such as { kind = "connect" }

local KNOWN = {
    status = "number", reason = "string", headers = true, body = true, json = true,
    chunks = "table", trailers = true, delay = "number", error = "table",
}
local PHASES = { -- where an error of that kind mostly happens
    resolve = "resolve", connect = "connect", tls = "tls", timeout = "headers",
    protocol = "headers", closed = "headers", limit = "headers", system = "connect",
}
local NO_BODY = { [204] = true, [304] = true }

--- Raises for what isn't a reply.
---@param reply any
---@param level integer whose fault a wrong value is: 1 the caller
function replies.check(reply, level)
    if type(reply) == "function" then
        return
    elseif type(reply) ~= "table" then
        errors.argument(level + 1, "reply", "table or function", reply)
    elseif reply[1] ~= nil then
        for _, one in ipairs(reply) do
            replies.check(one, level + 1)
        end
        return
    end
    for name, value in each(reply) do
        if not KNOWN[name] then
            error(("unknown field '%s' of a reply (known: body chunks delay error headers json "
                .. "reason status trailers)"):format(tostring(name)), level + 1)
        elseif KNOWN[name] ~= true then
            errors.check(level + 1, "reply." .. name, KNOWN[name], value)
        end
    end
end

local function failure(fields, request)
    local err = {}
    for name, value in each(fields) do
        err[name] = value
    end
    err.kind = err.kind or "connect"
    err.phase = err.phase or PHASES[err.kind]
    err.message = err.message or ("the test has this request fail with kind %q"):format(err.kind)
    err.url = request.url
    return errors.new(err)
end

-- Waits as for a server that takes its time.
local function wait(seconds, request, job)
    local backend, timeouts = job.backend, job.plan.timeouts
    local ends = backend:now() + seconds
    local limit = math.min(job.deadline, backend:now() + timeouts.headers)
    local code = backend:wait(math.min(ends, limit))
    if code == core.ETIMEOUT and ends <= limit then
        return nil
    end
    local err = errors.from_code(code, "headers", "no complete response head after the request",
        { url = request.url })
    err.elapsed = backend:now() - job.started
    if err.kind == "timeout" then
        err.timeout = limit >= job.deadline and "total" or "headers"
        deadlines.explain(err, "timeout." .. err.timeout, timeouts[err.timeout])
    end
    return err
end

local function chunks_reader(chunks, request)
    local i = 0
    return function()
        i = i + 1
        if type(chunks[i]) == "table" then
            local fields = chunks[i]
            local err = failure(fields, request)
            err.phase = fields.phase or "body"
            return nil, err
        end
        return chunks[i]
    end
end

local function body_of(reply, request, headers)
    if request.method == "HEAD" or NO_BODY[reply.status] then
        return nil
    elseif reply.json ~= nil then
        if not headers:has "content-type" then
            headers:add("Content-Type", "application/json")
        end
        return assert(json.encode(reply.json))
    elseif reply.chunks then
        return chunks_reader(reply.chunks, request)
    end
    return reply.body
end

--- Does what a reply says.
---@param reply moonwire.testing.Reply
---@param request moonwire.Request
---@param job moonwire.client.Job
---@return moonwire.Response? response, moonwire.Error? err
function replies.play(reply, request, job)
    local err = reply.delay and reply.delay > 0 and wait(reply.delay, request, job)
    if err then
        return nil, err
    elseif reply.error then
        return nil, failure(reply.error, request)
    end
    local headers = headers_of.new(reply.headers)
    local body = body_of(reply, request, headers)
    if type(body) == "string" and not headers:has "content-length" then
        headers:add("Content-Length", tostring(#body))
    end
    return made.new(job.backend, {
        request = request, status = reply.status or 200, reason = reply.reason, headers = headers,
        body = body, trailers = reply.trailers and headers_of.new(reply.trailers) or nil,
        max_body = job.opts.max_body or job.settings.max_body,
    })
end

return replies
