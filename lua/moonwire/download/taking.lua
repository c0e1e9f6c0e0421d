-- download/taking.lua - what a download makes of a response: writes its body to the part, or says
-- why it can't. It sends nothing.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local names = require "moonwire.download.name"
local parts = require "moonwire.download.part"
local progress = require "moonwire.progress"
local ranges = require "moonwire.download.range"

local HEADWAY = 64 * 1024 -- new bytes after which the attempts are counted anew

--- One download.
---@class moonwire.download.Job
---@field client moonwire.Client
---@field request moonwire.Request
---@field plan moonwire.download.Plan
---@field policy moonwire.client.RetryPolicy
---@field backend moonwire.Backend
---@field timeouts table<string, number>
---@field deadline number
---@field max_body integer?
---@field attempts integer requests that were sent
---@field retries integer attempts in a row without headway
---@field best integer bytes there were when those began
---@field part moonwire.download.Part? once it is known what the file is called
---@field response moonwire.Response? the last one
---@field distrusted boolean? the server has contradicted itself
---@field meter moonwire.progress.Meter|false
---@field tell fun(info: moonwire.ProgressInfo)|nil
---@field bar moonwire.progress.Bar?
---@field base integer? bytes there were before the body that is read now

local taking = {}

--- Tells how far it is.
---@param job moonwire.download.Job
---@param bytes integer
function taking.report(job, bytes)
    local part = job.part
    local info = job.meter:update(bytes, part.total, job.backend:now())
    info.path = part.target
    job.tell(info)
end

--- Says what happens, beside the bar and in the transcript.
---@param job moonwire.download.Job
---@param text string
function taking.note(job, text)
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

-- How an attempt ended.
local DONE, AGAIN, RETRY, FAIL = "done", "again", "retry", "fail"

--- The end of it.
---@param response moonwire.Response
---@param kind string
---@param message string
---@return "fail" outcome, moonwire.Error err
function taking.fail(response, kind, message)
    local err = errors.new {
        kind = kind, phase = "body", url = response.url, message = message,
    }
    response:close()
    return FAIL, err
end

-- The server contradicts itself: once, all begins anew.
local function distrust(job, response, problem)
    if job.distrusted then
        return taking.fail(response, "protocol", problem)
    end
    job.distrusted = true
    taking.note(job, "starting over: " .. problem)
    response:close()
    local ok, err = job.part:begin()
    if not ok then
        return FAIL, err
    end
    return AGAIN
end

--- Opens the part for a file.
---@param job moonwire.download.Job
---@param target string
---@return true? ok, moonwire.Error? err
function taking.open(job, target)
    local plan = job.plan
    local kind = core.path_kind(target)
    if kind == "folder" or kind == "other" or kind == "link" then
        return nil, parts.failure(target, kind == "folder" and "Is a directory"
            or "it is no regular file")
    elseif kind and not plan.overwrites then
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
        taking.report(job, part.size)
    end
    job.base = part.size
    local ok, err, is_file = part:write(response)
    job.base = nil
    local gets_on = part.size - job.best >= HEADWAY
    if gets_on then
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
        return gets_on and AGAIN or RETRY, errors.new {
            kind = "closed", phase = "body", url = response.url,
            message = ("the server sent a part only, up to byte %d of %d"):format(part.size,
                part.total),
        }
    end
    if last and not part.total then
        return gets_on and AGAIN or RETRY, errors.new {
            kind = "closed", phase = "body", url = response.url,
            message = "the server sent a part, and doesn't say how much there is of the whole",
        }
    end
    part.total = part.size
    return DONE
end

--- A response with all of it (200, 203).
---@param job moonwire.download.Job
---@param response moonwire.Response
---@return string outcome, moonwire.Error? err
function taking.whole(job, response)
    local head = response.head
    local validator, is_date = ranges.validator(head)
    local total = ranges.length(head)
    if not job.part then
        local ok, err = taking.open(job, job.plan.folder .. names.of(head, job.request.url))
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
        return taking.fail(response, "limit",
            ("the body is larger than max_body (%d bytes)"):format(job.max_body))
    elseif part.size > 0 then
        taking.note(job, "starting over: the server sends all of it")
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

--- A response with the bytes that were asked for (206).
---@param job moonwire.download.Job
---@param response moonwire.Response
---@return string outcome, moonwire.Error? err
function taking.part(job, response)
    local part = job.part
    local last, total = ranges.check(response.head, part or { size = 0 })
    if not part then
        return taking.fail(response, "protocol", total)
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

--- There are no bytes behind those that are here (416): because these are all?
---@param job moonwire.download.Job
---@param response moonwire.Response
---@return string outcome, moonwire.Error? err
function taking.none(job, response)
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

return taking
