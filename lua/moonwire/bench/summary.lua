-- bench/summary.lua - the numbers of a run as one table: what a script's done() is given, what
-- --json writes and the reports show. Its fields are documented in docs/bench.md, and stay.
local version = require "moonwire.version"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local BUSY = 0.9 -- of a CPU: from here on the client may have been what was slow
local KEPT = 0.01 -- of a schedule may be unsent in the end

local PERCENTILES = { 50, 75, 90, 95, 99, 99.9, 99.99, 99.999, 100 }

local summary = {}

local function latency_of(latency)
    if latency.count == 0 then
        return { count = 0 }
    end
    local percentiles = {}
    for i, percent in ipairs(PERCENTILES) do
        percentiles[i] = { percent = percent, seconds = latency:percentile(percent) }
    end
    return {
        count = latency.count, min = latency.min, max = latency.max, mean = latency:mean(),
        stdev = latency:stdev(), p50 = latency:percentile(50), p90 = latency:percentile(90),
        p99 = latency:percentile(99), p99_9 = latency:percentile(99.9),
        percentiles = percentiles,
    }
end

local function schedule_of(run)
    local window, rate = run.window, run.options.rate
    if not rate then
        return nil
    end
    local due = window.claimed + window.backlog
    return {
        rate = rate, due = due, unsent = window.backlog, backlog_max = run.backlog_max,
        kept = window.backlog <= KEPT * due,
    }
end

local function by_name(counts)
    local named = {}
    for name, count in each(counts) do
        named[tostring(name)] = count
    end
    return named
end

local function succeeded(run)
    local count = 0
    for status, times in each(run.statuses) do
        count = count + (status < 400 and times or 0)
    end
    return count
end

--- Makes the summary of a run that has ended. Times are seconds, sizes bytes.
---@param run moonwire.bench.Run
---@return table
function summary.of(run)
    local options, window = run.options, run.window
    local seconds = math.max(window.seconds, 1e-9)
    return {
        moonwire = version,
        url = options.url.href,
        method = options.request.method,
        script = options.script,
        concurrency = options.connections,
        seconds = window.seconds,
        warmup = options.warmup,
        timeout = options.timeout,
        interrupted = run.interrupted,
        requests = {
            answered = run.answered, succeeded = succeeded(run), failed = run.failed,
            unfinished = run.unfinished, late = run.answered - window.answered,
            per_second = window.answered / seconds,
        },
        bytes = {
            received = window.received, sent = window.sent,
            received_per_second = window.received / seconds,
        },
        latency = latency_of(run.latency),
        statuses = by_name(run.statuses),
        classes = run:classes(),
        errors = by_name(run.errors),
        first_error = run.first_error and tostring(run.first_error) or nil,
        connections = { opened = run:opened(), reused = run.reused },
        schedule = schedule_of(run),
        client = {
            cpu_seconds = window.cpu, cpu = window.cpu / seconds,
            bottleneck = window.cpu / seconds > BUSY,
        },
        series = run.series,
    }
end

return summary
