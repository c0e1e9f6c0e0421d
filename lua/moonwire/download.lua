-- download.lua - a download that finishes: goes on where it broke off, again and again, and gives
-- the file its name when it is whole. The client sends its requests; it never looks at bytes.

local errors = require "moonwire.error"
local meters = require "moonwire.progress.meter"
local options = require "moonwire.client.options"
local plans = require "moonwire.download.plan"
local repeating = require "moonwire.client.retry"
local taking = require "moonwire.download.taking"
local words = require "moonwire.progress.words"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local huge, max, min = math.huge, math.max, math.min

---@class moonwire.Download
---@field path string of the file
---@field bytes integer
---@field resumed_from integer how many of them an earlier run had
---@field attempts integer requests that were sent
---@field sha256 string? if it was asked for
---@field response moonwire.Response the last one; its body is in the file

local download = { plan = plans.check }

-- How the next request is sent.
local function sending_of(job)
    local given, part = job.plan.sending, job.part
    local opts = {}
    for name, value in each(given) do
        opts[name] = value
    end
    if job.timeouts.total then
        opts.timeout = {}
        for name, value in each(job.timeouts) do
            opts.timeout[name] = value
        end
        opts.timeout.total = max(job.deadline - job.backend:now(), 0.001)
    end
    if job.max_body then
        opts.max_body = max(job.max_body - (part and part:can_go_on() and part.size or 0), 0)
    end
    if job.plan.progress then
        opts.progress = function(received)
            if job.base then
                taking.report(job, job.base + received)
            end
        end
    end
    return opts
end

local function request_of(job)
    local part, fields = job.part, { ["Accept-Encoding"] = "identity" }
    if part and part:can_go_on() then
        fields["Range"] = ("bytes=%d-"):format(part.size)
        fields["If-Range"] = part.validator
    end
    return job.request:with { headers = fields }, fields["Range"] ~= nil
end

-- One request, and what comes of it.
local function attempt(job)
    local request, is_part = request_of(job)
    job.attempts = job.attempts + 1
    local response, err = job.client:request(request, sending_of(job))
    if not response then
        return job.policy.kinds[err.kind] and "retry" or "fail", err
    end
    job.response = response
    local outcome
    if response.status == 200 or response.status == 203 then
        outcome, err = taking.whole(job, response)
    elseif response.status == 206 then
        outcome, err = taking.part(job, response)
    elseif response.status == 416 and is_part then
        outcome, err = taking.none(job, response)
    else
        outcome, err = taking.fail(response, "body",
            ("the server answered %d %s"):format(response.status, response.reason or ""))
        err.status = response.status
        if job.policy.statuses[response.status] then
            outcome = "retry"
        end
    end
    return outcome, err
end

-- The whole ---------------------------------------------------------------------------------------

-- An attempt has failed that may be repeated: waits for its turn. Nil: it isn't worth it.
local function wait_for_next(job, err)
    job.retries = job.retries + 1
    if job.retries >= job.policy.attempts or err.timeout == "total" then
        return nil, err
    end
    -- the first wait is that after the first failure
    local since = { backend = job.backend, deadline = job.deadline, retries = job.retries - 1 }
    local seconds = repeating.pause(since, job.policy, err.status and job.response)
    if not seconds then
        return nil, err
    end
    taking.note(job, ("again in %.1f s: %s"):format(seconds, err.message))
    local problem = repeating.wait(job, seconds)
    if problem then
        problem.url, problem.cause = job.request.url, err
        return nil, problem
    end
    return true
end

local function fetch(job)
    while true do
        local outcome, err = attempt(job)
        if outcome == "done" then
            return true
        elseif outcome == "retry" then
            local ok, problem = wait_for_next(job, err)
            if not ok then
                return nil, problem
            end
        elseif outcome == "fail" then
            return nil, err
        end
    end
end

local function complete(job)
    local part, wanted = job.part, job.plan.sha256
    if job.tell then
        taking.report(job, part.size)
    end
    if wanted then
        taking.note(job, "checking")
        local hash, err = part:sha256(job.backend)
        if not hash then
            return nil, err
        elseif hash ~= wanted then
            part.validator = nil -- nothing to go on with
            return nil, errors.new {
                kind = "body", phase = "body", url = job.response.url,
                message = ("the file's SHA-256 is %s, and should be %s"):format(hash, wanted),
            }
        end
    end
    local ok, err = part:publish(job.plan.overwrites)
    if not ok then
        return nil, err
    end
    return true
end

local function run(job)
    local ok, err = true, nil
    if job.plan.target then
        ok, err = taking.open(job, job.plan.target)
    end
    if ok then
        ok, err = fetch(job)
    end
    if ok then
        ok, err = complete(job)
    end
    return ok, err
end

-- What is said of a download that failed, beside why.
local function explain(job, err, kept)
    local part = job.part
    err.path = kept
    if part and part.size > 0 and err.kind ~= "system" and kept then
        err.message = ("the download broke off after %s%s: %s"):format(words.bytes(part.size),
            part.total and " of " .. words.bytes(part.total) or "", err.message)
    end
    return err
end

--- Downloads what a request asks for.
---@param client moonwire.Client
---@param settings moonwire.client.Settings of it
---@param request moonwire.Request
---@param plan moonwire.download.Plan
---@param backend moonwire.Backend
---@return moonwire.Download? download, moonwire.Error? err
function download.run(client, settings, request, plan, backend)
    local timeouts = options.timeouts(plan.sending.timeout, settings.timeouts, 1)
    local started = backend:now()
    local job = {
        client = client, request = request, plan = plan, policy = plan.policy, backend = backend,
        timeouts = timeouts, deadline = timeouts.total and started + timeouts.total or huge,
        max_body = plan.sending.max_body or settings.max_body,
        meter = plan.progress and meters.new(), attempts = 0, retries = 0, best = 0,
    }
    local ran, ok, err = pcall(run, job)
    local part = job.part
    if ran and ok then
        if job.bar then
            job.bar:finish()
        end
        return {
            path = part.target, bytes = part.size, resumed_from = min(part.resumed_from, part.size),
            attempts = job.attempts, sha256 = plan.sha256, response = job.response,
        }
    end
    local kept = part and part:leave(plan.resume) or nil
    if job.bar then
        job.bar:finish "failed"
    end
    if not ran then -- what the script's progress has raised
        if job.response then
            job.response:close()
        end
        error(ok, 0)
    end
    return nil, explain(job, err, kept)
end

return download
