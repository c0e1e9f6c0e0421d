-- bench/html.lua - the summary of a run as one page with plots, which asks for nothing else: no
-- script, no font, no image. It is well-formed XML as well.
local escape = require "moonwire.bench.escape"
local plot = require "moonwire.bench.plot"
local words = require "moonwire.bench.words"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local BARS = 60 -- of the histogram
local LEAST = 1e-7 -- seconds: what a logarithmic axis has in place of 0

local huge, max, min = math.huge, math.max, math.min

local html = {}

local STYLE = [[
:root { color-scheme: light dark; --fg: #1c2430; --dim: #5d6878; --bg: #ffffff; --card: #f4f6f9;
  --grid: #dde2e9; --a: #0b66c3; --b: #b45309; --c: #a21caf; }
@media (prefers-color-scheme: dark) { :root { --fg: #e6eaf0; --dim: #9aa6b6; --bg: #12161c;
  --card: #1b2129; --grid: #2c3541; --a: #5aaeff; --b: #f5a742; --c: #e58cf0; } }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; background: var(--bg);
  color: var(--fg); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.3rem; overflow-wrap: anywhere; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p.note { background: var(--card); border-left: 4px solid var(--b); padding: .5rem .8rem; }
table { border-collapse: collapse; } th { text-align: left; font-weight: 600; }
th, td { padding: .15rem 1.2rem .15rem 0; vertical-align: top; overflow-wrap: anywhere; }
svg { display: block; width: 100%; background: var(--card); border-radius: 6px; }
svg text { fill: var(--dim); font-size: 11px; } svg text.label { fill: var(--fg); }
svg .grid { stroke: var(--grid); stroke-width: 1; } svg .bar { fill: var(--a); }
svg polyline, svg line.a, svg line.b, svg line.c { fill: none; stroke-width: 1.8; }
svg .a { stroke: var(--a); } svg .b { stroke: var(--b); } svg .c { stroke: var(--c); }
footer { margin-top: 2rem; color: var(--dim); font-size: .85rem; }
]]

local function add(out, format, ...)
    out[#out + 1] = format:format(...)
end

local function sorted(counts)
    local names, parts = {}, {}
    for name in each(counts) do
        names[#names + 1] = name
    end
    table.sort(names)
    for i, name in ipairs(names) do
        parts[i] = name .. ": " .. words.count(counts[name])
    end
    return #parts > 0 and table.concat(parts, ", ") or "none"
end

local function rows_of(s)
    local latency = s.latency
    local rows = {
        { "Requests", ("%s answered, %s a second"):format(words.count(s.requests.answered),
            words.rate(s.requests.per_second)) },
        { "Statuses", sorted(s.statuses) },
        { "Errors", sorted(s.errors) },
        { "Received", ("%s, %s a second"):format(words.size(s.bytes.received),
            words.size(s.bytes.received_per_second)) },
        { "Load", ("%s connections%s, %s"):format(words.count(s.concurrency),
            s.schedule and (", %s requests a second wanted"):format(words.rate(s.schedule.rate))
                or ", each sends when it was answered", words.time(s.seconds)) },
        { "Connections", ("%s opened, %s answers over one that had served before"):format(
            words.count(s.connections.opened), words.count(s.connections.reused)) },
        { "Client", ("%.0f %% of a CPU"):format(s.client.cpu * 100) },
    }
    if latency.count > 0 then
        table.insert(rows, 2, { "Latency", ("p50 %s, p90 %s, p99 %s, p99.9 %s, max %s; mean %s, "
            .. "standard deviation %s"):format(words.time(latency.p50), words.time(latency.p90),
            words.time(latency.p99), words.time(latency.p99_9), words.time(latency.max),
            words.time(latency.mean), words.time(latency.stdev)) })
    end
    return rows
end

local function notes_of(s)
    local notes = {}
    if s.schedule and not s.schedule.kept then
        notes[#notes + 1] = ("The rate was not kept: of %s requests that were due %s were not sent."
            ):format(words.count(s.schedule.due), words.count(s.schedule.unsent))
    end
    if s.client.bottleneck then
        notes[#notes + 1] = "The client had no CPU to spare, so the server may be faster than this."
    end
    if s.interrupted then
        notes[#notes + 1] = "The run was interrupted."
    end
    if s.first_error then
        notes[#notes + 1] = "The first error: " .. s.first_error
    end
    return notes
end

-- Percentiles on an axis that spreads the last of them: 90, 99, 99.9 ... at equal distances.
local function percentile_plot(latency)
    local count, points, ticks = latency.count, {}, {}
    local last = max(10, count)
    local nines = math.log10(last)
    for i = 0, 200 do
        local rest = 10 ^ (-nines * i / 200) -- of the requests are slower
        points[#points + 1] = { 1 / rest, latency:percentile(100 * (1 - rest)) }
    end
    points[#points + 1] = { last, latency.max }
    for i, text in ipairs { "0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %" } do
        if 10 ^ (i - 1) <= last then
            ticks[#ticks + 1] = { 10 ^ (i - 1), text }
        end
    end
    local x = { from = 1, to = last, log = true, ticks = ticks,
        label = "so many of the requests were at least as fast" }
    return plot.draw("Latency by percentile", x,
        plot.linear(latency.max, words.tick, "latency"),
        { { name = "latency", class = "a", points = points } })
end

local function histogram_plot(latency)
    local x = plot.logarithmic(max(latency.min, LEAST), max(latency.max, latency.min * 1.01, LEAST),
        words.tick, "latency")
    local limits, bars, most = {}, {}, 0
    for i = 0, BARS do
        limits[i + 1] = x.from * (x.to / x.from) ^ (i / BARS)
    end
    for i, value in ipairs(latency:spread(limits)) do
        if value > 0 then
            bars[#bars + 1] = { from = limits[i], to = limits[i + 1], value = value,
                text = ("%s to %s: %s requests"):format(words.time(limits[i]),
                    words.time(limits[i + 1]), words.count(value)) }
            most = max(most, value)
        end
    end
    return plot.draw("How many requests took how long", x,
        plot.linear(most, words.count, "requests"), {}, bars)
end

-- A line of the series; points without a value are left out.
local function line_of(series, name, class, value_of)
    local points = {}
    for _, point in ipairs(series) do
        local value = value_of(point)
        if value then
            points[#points + 1] = { point.at - point.seconds / 2, value }
        end
    end
    return { name = name, class = class, points = points }
end

local function extent(lines)
    local least, most = huge, 0
    for _, line in ipairs(lines) do
        for _, point in ipairs(line.points) do
            least, most = min(least, point[2]), max(most, point[2])
        end
    end
    return least, most
end

local function time_axis(s)
    local last = s.series[#s.series].at
    return plot.linear(last, function(value)
        return ("%.10g s"):format(value)
    end, "time")
end

local function throughput_plot(s)
    local lines = { line_of(s.series, "answers/s", "a", function(point)
        return point.requests / max(point.seconds, 1e-9)
    end) }
    if s.requests.failed > 0 then
        lines[2] = line_of(s.series, "errors/s", "c", function(point)
            return point.errors / max(point.seconds, 1e-9)
        end)
    end
    local _, most = extent(lines)
    return plot.draw("Answers a second over time", time_axis(s),
        plot.linear(most, words.rate, "a second"), lines)
end

local function latency_plot(s)
    local lines = {}
    for i, name in ipairs { "p50", "p99", "max" } do
        lines[i] = line_of(s.series, name, ("abc"):sub(i, i), function(point)
            return point[name]
        end)
    end
    local least, most = extent(lines)
    least = max(min(least, most), LEAST)
    return plot.draw("Latency over time", time_axis(s),
        plot.logarithmic(least, max(most, least * 1.01), words.tick, "latency"), lines)
end

--- Writes the page.
---@param s table of bench.summary
---@param latency moonwire.bench.Histogram
---@return string
function html.page(s, latency)
    local out = {}
    add(out, '<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" lang="en">\n<head>\n'
        .. '<meta charset="utf-8"/>\n<meta name="viewport" content="width=device-width"/>\n'
        .. "<title>moonwire bench: %s</title>\n<style>\n%s</style>\n</head>\n<body>",
        escape(s.url), STYLE)
    add(out, "<h1>%s %s</h1>", escape(s.method), escape(s.url))
    for _, note in ipairs(notes_of(s)) do
        add(out, '<p class="note">%s</p>', escape(note))
    end
    out[#out + 1] = "<table>"
    for _, row in ipairs(rows_of(s)) do
        add(out, "<tr><th>%s</th><td>%s</td></tr>", row[1], escape(row[2]))
    end
    out[#out + 1] = "</table>"
    local plots = { { "Answers a second over time", throughput_plot(s) } }
    if latency.count > 0 then
        table.insert(plots, 1, { "Latency by percentile", percentile_plot(latency) })
        table.insert(plots, 2, { "How many requests took how long", histogram_plot(latency) })
        table.insert(plots, { "Latency over time", latency_plot(s) })
    end
    for _, one in ipairs(plots) do
        add(out, "<h2>%s</h2>\n%s", one[1], one[2])
    end
    add(out, "<footer>moonwire %s</footer>\n</body>\n</html>\n", escape(s.moonwire))
    return table.concat(out, "\n")
end

return html
