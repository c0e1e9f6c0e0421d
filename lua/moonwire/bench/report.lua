-- bench/report.lua - the summary of a run as text, and the line that tells how far it has come.
local words = require "moonwire.bench.words"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local report = {}

-- "2xx 1,234  5xx 6", in the order of the names.
local function counts_of(counts, only)
    local names, parts = {}, {}
    for name in each(counts) do
        if not only or name:find(only) then
            names[#names + 1] = name
        end
    end
    table.sort(names)
    for i, name in ipairs(names) do
        parts[i] = name .. " " .. words.count(counts[name])
    end
    return table.concat(parts, "  ")
end

local function row(lines, name, ...)
    local text = { ("  %-12s"):format(name) }
    for _, value in ipairs { ... } do
        text[#text + 1] = value
    end
    lines[#lines + 1] = (table.concat(text, "  "):gsub("%s+$", ""))
end

-- In columns; µ is one character of two bytes.
local function cell(name, seconds)
    local text = words.time(seconds)
    local width = #text - (text:find("µ", 1, true) and 1 or 0)
    return ("%-6s%s%s"):format(name, (" "):rep(8 - width), text)
end

local function add_requests(lines, s)
    local requests = s.requests
    row(lines, "requests", ("%s answered, %s/s"):format(words.count(requests.answered),
        words.rate(requests.per_second)))
    row(lines, "received", ("%s, %s/s"):format(words.size(s.bytes.received),
        words.size(s.bytes.received_per_second)))
    if requests.answered > 0 then
        local bad = counts_of(s.statuses, "^[45]")
        row(lines, "statuses", counts_of(s.classes) .. (bad ~= "" and "  (" .. bad .. ")" or ""))
    end
    if requests.failed > 0 then
        row(lines, "errors", counts_of(s.errors))
        row(lines, "", "the first: " .. s.first_error)
    end
    if requests.unfinished > 0 then
        row(lines, "unfinished", words.count(requests.unfinished))
    end
    row(lines, "connections", ("%s opened, %s answers over one that had served before"):format(
        words.count(s.connections.opened), words.count(s.connections.reused)))
end

local function add_latency(lines, latency)
    if latency.count == 0 then
        return
    end
    row(lines, "latency", cell("p50", latency.p50), cell("mean", latency.mean))
    row(lines, "", cell("p90", latency.p90), cell("stdev", latency.stdev))
    row(lines, "", cell("p99", latency.p99), cell("min", latency.min))
    row(lines, "", cell("p99.9", latency.p99_9), cell("max", latency.max))
end

local function add_client(lines, s)
    row(lines, "client", ("%.0f %% of a CPU, %s a request"):format(s.client.cpu * 100,
        words.time(s.client.cpu_seconds / math.max(1, s.requests.answered))))
end

local function add_warnings(lines, s)
    local schedule = s.schedule
    if schedule and not schedule.kept then
        lines[#lines + 1] = ("warning: the rate was not kept: of %s requests that were due %s were "
            .. "not sent, for no connection was free (-c)"):format(words.count(schedule.due),
            words.count(schedule.unsent))
    end
    if schedule and schedule.backlog_max > 0 then
        lines[#lines + 1] = ("note: up to %s requests were due and waited for a connection; that "
            .. "is in their latency"):format(words.count(schedule.backlog_max))
    end
    if s.client.bottleneck then
        lines[#lines + 1] = "warning: the client had no CPU to spare, so the server may be faster "
            .. "than this: it is one thread"
    end
    if s.interrupted then
        lines[#lines + 1] = "note: interrupted"
    end
end

--- The report for people.
---@param s table of bench.summary
---@return string
function report.text(s)
    local load = s.schedule and (", %s requests/s wanted"):format(words.rate(s.schedule.rate)) or ""
    local lines = {
        ("%s %s"):format(s.method, s.url),
        ("%s connection%s%s, %s"):format(words.count(s.concurrency),
            s.concurrency == 1 and "" or "s", load, words.time(s.seconds)),
        "",
    }
    add_requests(lines, s)
    add_latency(lines, s.latency)
    add_client(lines, s)
    add_warnings(lines, s)
    return table.concat(lines, "\n") .. "\n"
end

--- The line of progress, made anew each second.
---@param run moonwire.bench.Run
---@param write fun(text: string)
---@return fun(run: moonwire.bench.Run, now: number) on_second
---@return fun() clear
function report.progress(run, write)
    local answered, at, shown = 0, nil, false
    local function on_second(_, now)
        local passed = now - (at or run.begins - run.options.warmup)
        local errors = run.failed > 0 and (", %s errors"):format(words.count(run.failed)) or ""
        local goal = run.options.duration and " of " .. words.time(run.options.duration)
            or (" %s of %s requests"):format(words.count(run.answered),
                words.count(run.options.requests))
        write(("\r\27[K%s: %s%s, %s requests/s%s"):format(
            now < run.begins and "warming up" or "measuring",
            words.time(math.abs(now - run.begins)), goal,
            words.rate(math.max(0, run.answered - answered) / math.max(passed, 1e-3)), errors))
        answered, at, shown = run.answered, now, true
    end
    return on_second, function()
        if shown then
            write "\r\27[K"
        end
    end
end

return report
