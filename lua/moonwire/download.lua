-- download.lua - a download that finishes: goes on where it broke off, again and again, and gives
-- the file its name when it is whole. The client sends its requests; it never looks at bytes.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local meters = require "moonwire.progress.meter"
local names = require "moonwire.download.name"
local options = require "moonwire.client.options"
local parts = require "moonwire.download.part"
local progress = require "moonwire.progress"
local ranges = require "moonwire.download.range"
local repeating = require "moonwire.client.retry"
local words = require "moonwire.progress.words"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local huge, max, min = math.huge, math.max, math.min

local OWN = { resume = true, sha256 = true, progress = true, overwrite = true, retry = true }
local CONTENT = { headers = true, query = true }
local OWN_HEADERS = { "range", "if-range", "accept-encoding" }
local POLICY = { attempts = 5, statuses = { 429, 500, 502, 503, 504 } }
local ONCE = { attempts = 1 } -- for each request: it is repeated here
local HEADWAY = 64 * 1024 -- new bytes after which the attempts are counted anew

local download = {}

---@class moonwire.DownloadOptions: moonwire.RequestOptions
---@field resume boolean? go on with what an earlier run has left, and leave what another one can go
---  on with
---@field sha256 string? of the whole file, in hexadecimal: what has another one isn't kept
---@field progress boolean|moonwire.progress.Bar|fun(info: moonwire.ProgressInfo)|nil  true: a bar
---  on the terminal, or lines now and then where stderr is none
---@field overwrite boolean? replace a file of that name: true for a path that names a file, false
---  where the server has a say in the name
---@field retry boolean|moonwire.RetryOptions|nil {attempts = 5} if not given; they are counted anew
---  after each 64 KiB

---@class moonwire.Download
---@field path string of the file
---@field bytes integer
---@field resumed_from integer how many of them an earlier run had
---@field attempts integer requests that were sent
---@field sha256 string? if it was asked for
---@field response moonwire.Response the last one; its body is in the file

---@class moonwire.download.Plan what was asked for, checked
---@field resume boolean
---@field sha256 string?
---@field progress any
---@field overwrite boolean?
---@field policy moonwire.client.RetryPolicy|boolean
---@field content table options that make the request
---@field sending table options that say how it is sent
---@field target string? nil: the name comes with the response
---@field folder string? with a slash at its end

-- Options -----------------------------------------------------------------------------------------

local function check_progress(value, level)
    if value ~= nil and type(value) ~= "boolean" then
        errors.check(level + 1, "progress", "function", value)
    end
end

local function check_sha256(value, level)
    if value == nil then
        return nil
    end
    errors.check(level + 1, "sha256", "string", value)
    if not value:find("^" .. ("%x"):rep(64) .. "$") then
        error("bad argument 'sha256' (64 hexadecimal digits expected)", level + 1)
    end
    return value:lower()
end

local function check_headers(given, level)
    if type(given) ~= "table" and type(given) ~= "userdata" then
        return -- the request says what is wrong with it
    end
    for _, name in ipairs(OWN_HEADERS) do
        for key, value in each(type(given) == "table" and given or {}) do
            key = type(value) == "table" and type(key) == "number" and value[1] or key
            if type(key) == "string" and key:lower() == name then
                error(("bad header %q: a download sets it itself"):format(key), level + 1)
            end
        end
        if type(given) == "userdata" and given:has(name) then
            error(("bad header %q: a download sets it itself"):format(name), level + 1)
        end
    end
end

-- What is repeated: the client's policy where it has one. A policy says what is unlike ours.
local function check_retry(given, own, level)
    if given == nil or given == true then
        if type(own) == "table" then
            return own
        end
        given = own
    end
    local policy = {}
    for name, value in each(POLICY) do
        policy[name] = value
    end
    if given == false then
        policy.attempts = 1
    elseif type(given) == "table" then
        for name, value in each(given) do
            policy[name] = value
        end
    elseif given ~= true then
        policy = given
    end
    local checked = repeating.request_options.retry(policy, level + 1)
    return checked
end

-- Sorts the options: those that make the request, and those that say how it is sent.
local function sort_options(opts, level)
    local content, sending = {}, {}
    for name, value in each(opts) do
        if CONTENT[name] then
            content[name] = value
        elseif not OWN[name] and options.SENDING[name] and name ~= "upload_progress" then
            sending[name] = value
        elseif not OWN[name] then
            options.unknown(name, level + 1, OWN, CONTENT, options.SENDING)
        end
    end
    for _, name in ipairs { "resume", "overwrite" } do
        if opts[name] ~= nil then
            errors.check(level + 1, name, "boolean", opts[name])
        end
    end
    options.request(sending, false, true, level + 1)
    return content, sending
end

-- Where it goes: a file, or a folder that it gets a name in.
local function check_path(plan, path, level)
    if path == nil then
        plan.folder = "./"
        return
    end
    errors.check(level + 1, "path", "string", path)
    if path == "" or path:find("%z") then
        error("bad argument 'path' (the name of a file or folder expected)", level + 1)
    elseif path:sub(-1) == "/" or core.path_kind(path) == "folder" then
        plan.folder = path:sub(-1) == "/" and path or path .. "/"
    else
        plan.target = path
    end
end

--- Checks what a script gives.
---@param path string? of a file; of a folder, or nil for the one we are in: the name is found out
---@param opts moonwire.DownloadOptions?
---@param settings moonwire.client.Settings
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.download.Plan
function download.plan(path, opts, settings, level)
    if opts == nil then
        opts = {}
    elseif type(opts) ~= "table" then
        errors.argument(level + 1, "opts", "table", opts)
    end
    local content, sending = sort_options(opts, level + 1)
    check_headers(opts.headers, level + 1)
    check_progress(opts.progress, level + 1)
    sending.retry = opts.retry ~= false and ONCE or false
    local plan = {
        resume = opts.resume or false, sha256 = check_sha256(opts.sha256, level + 1),
        progress = opts.progress or false, overwrite = opts.overwrite,
        policy = check_retry(opts.retry, settings.retry, level + 1),
        content = content, sending = sending,
    }
    check_path(plan, path, level + 1)
    return plan
end

-- What is told meanwhile --------------------------------------------------------------------------

local function report(job, bytes)
    local part = job.part
    local info = job.meter:update(bytes, part.total, job.backend:now())
    info.path = part.target
    job.tell(info)
end

local function note(job, text)
    if job.bar then
        job.bar:note(text)
    end
    local trace = core.state.trace
    if trace then
        trace:note("download: %s", text)
    end
end

-- Once it is known what the file is called.
local function begin_to_tell(job)
    local wanted = job.plan.progress
    if wanted == true then
        job.bar = progress.bar(job.part.target:match "[^/]*$")
        wanted = job.bar
    end
    job.tell = wanted
end

-- Parts of an attempt -----------------------------------------------------------------------------

-- How an attempt ended.
local DONE, AGAIN, RETRY, FAIL = "done", "again", "retry", "fail"

local function fail(response, kind, message)
    local err = errors.new {
        kind = kind, phase = "body", url = response.url, message = message,
    }
    response:close()
    return FAIL, err
end

-- The server contradicts itself: once, all begins anew.
local function distrust(job, response, problem)
    if job.distrusted then
        return fail(response, "protocol", problem)
    end
    job.distrusted = true
    note(job, "starting over: " .. problem)
    response:close()
    local ok, err = job.part:begin()
    if not ok then
        return FAIL, err
    end
    return AGAIN
end

local function open_part(job, target)
    local plan = job.plan
    local kind = core.path_kind(target)
    if kind == "folder" or kind == "other" then
        return nil, parts.failure(target, kind == "folder" and "Is a directory"
            or "it is no regular file")
    elseif kind and not job.overwrites then
        return nil, parts.failure(target, "File exists", "; overwrite = true replaces it")
    end
    local part, err = parts.open(target, job.request.url, plan.resume)
    if not part then
        return nil, err
    end
    job.part, job.best = part, part.size
    if plan.progress then
        begin_to_tell(job)
    end
    return true
end

-- The body goes to the file. `last` is the last byte that is in it, where that is known.
local function write(job, response, last)
    local part = job.part
    if job.tell then
        report(job, part.size)
    end
    job.base = part.size
    local ok, err, is_file = part:write(response)
    job.base = nil
    if part.size - job.best >= HEADWAY then
        job.retries, job.best = 0, part.size
    end
    if not ok then
        response:close()
        if is_file then
            err.url = response.url
            return FAIL, err
        end
        return job.policy.kinds[err.kind] and RETRY or FAIL, err
    elseif last and part.size ~= last + 1 then
        return distrust(job, response, ("the server's Content-Range ends with byte %d, and its"
            .. " body with byte %d"):format(last, part.size - 1))
    elseif part.total and part.size < part.total then
        return job.retries == 0 and AGAIN or RETRY, errors.new {
            kind = "closed", phase = "body", url = response.url,
            message = ("the server sent a part only, up to byte %d of %d"):format(part.size,
                part.total),
        }
    end
    part.total = part.size
    return DONE
end

local function take_whole(job, response)
    local head = response.head
    local validator, is_date = ranges.validator(head)
    local total = ranges.length(head)
    if not job.part then
        local ok, err = open_part(job, job.plan.folder .. names.of(head, job.request.url))
        if not ok then
            response:close()
            return FAIL, err
        end
        local part = job.part
        if part:can_go_on() and part.validator == validator and part.total == total then
            response:close()
            return AGAIN -- with what is here, of which we know only now
        end
    end
    local part = job.part
    if total and job.max_body and total > job.max_body then
        return fail(response, "limit", ("the body is larger than max_body (%d bytes)"):format(
            job.max_body))
    elseif part.size > 0 then
        note(job, "starting over: the server sends all of it")
    end
    local ok, err = part:begin(validator, is_date, total)
    if ok then
        ok, err = part:reserve()
    end
    if not ok then
        err.url = response.url
        response:close()
        return FAIL, err
    end
    return write(job, response)
end

local function take_part(job, response)
    local part = job.part
    local last, total = ranges.check(response.head, part or { size = 0 })
    if not part then
        return fail(response, "protocol", total)
    elseif not last then
        return distrust(job, response, total)
    end
    part.total = part.total or total
    local ok, err = part:reserve()
    if not ok then
        err.url = response.url
        response:close()
        return FAIL, err
    end
    return write(job, response, last)
end

-- There are no bytes behind those that are here: because these are all?
local function take_none(job, response)
    local part, text = job.part, response.head:get "content-range"
    local _, _, total = ranges.parse(text or "")
    if total ~= part.size or part.total and part.total ~= total then
        return distrust(job, response, ("the server has no bytes from %d on (%s)"):format(part.size,
            text or "no Content-Range"))
    end
    response:close()
    part.total = total
    return DONE
end

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
                report(job, job.base + received)
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
        return job.policy.kinds[err.kind] and RETRY or FAIL, err
    end
    job.response = response
    local outcome
    if response.status == 200 or response.status == 203 then
        outcome, err = take_whole(job, response)
    elseif response.status == 206 then
        outcome, err = take_part(job, response)
    elseif response.status == 416 and is_part then
        outcome, err = take_none(job, response)
    else
        outcome, err = fail(response, "body", ("the server answered %d %s"):format(response.status,
            response.reason or ""))
        err.status = response.status
        if job.policy.statuses[response.status] then
            outcome = RETRY
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
    note(job, ("again in %.1f s: %s"):format(seconds, err.message))
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
        if outcome == DONE then
            return true
        elseif outcome == RETRY then
            local ok, problem = wait_for_next(job, err)
            if not ok then
                return nil, problem
            end
        elseif outcome == FAIL then
            return nil, err
        end
    end
end

local function complete(job)
    local part, wanted = job.part, job.plan.sha256
    if job.tell then
        report(job, part.size)
    end
    if wanted then
        note(job, "checking")
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
    local ok, err = part:publish(job.overwrites)
    if not ok then
        return nil, err
    end
    return true
end

local function run(job)
    local ok, err = true, nil
    if job.plan.target then
        ok, err = open_part(job, job.plan.target)
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
    local overwrites = plan.overwrite
    if overwrites == nil then
        overwrites = plan.target ~= nil
    end
    local job = {
        client = client, request = request, plan = plan, policy = plan.policy, backend = backend,
        timeouts = timeouts, deadline = timeouts.total and started + timeouts.total or huge,
        max_body = plan.sending.max_body or settings.max_body, overwrites = overwrites,
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
