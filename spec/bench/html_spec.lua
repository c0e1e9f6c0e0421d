local histograms = require "moonwire.bench.histogram"
local html = require "moonwire.bench.html"
local support = require "spec.support"
local words = require "moonwire.bench.words"

-- A summary with all that one can have, of so many requests.
local function summary_of(latency, change)
    local some = latency.count > 0
    local s = {
        moonwire = "0.0.0", url = "http://h/?a=1&b=<script>\"'\1", method = "GET", concurrency = 10,
        seconds = 2.5, warmup = 0, timeout = 5, interrupted = false,
        requests = { answered = latency.count, succeeded = latency.count, failed = 3,
            unfinished = 0, late = 0, per_second = latency.count / 2.5 },
        bytes = { received = 1234567, sent = 345, received_per_second = 1234567 / 2.5 },
        latency = { count = latency.count, p50 = latency:percentile(50),
            p90 = latency:percentile(90), p99 = latency:percentile(99),
            p99_9 = latency:percentile(99.9), max = some and latency.max or nil,
            mean = latency:mean(), stdev = latency:stdev() },
        statuses = { ["200"] = latency.count }, classes = { ["2xx"] = latency.count },
        errors = { timeout = 3 }, first_error = "no answer from <h> & friends",
        connections = { opened = 10, reused = 0 },
        client = { cpu_seconds = 1, cpu = 0.4, bottleneck = false },
        series = {},
    }
    for i = 1, 10 do
        s.series[i] = { at = i / 4, seconds = 0.25, requests = 10 * i, errors = i % 2, bytes = 1,
            p50 = some and i / 1000 or nil, p99 = some and i / 100 or nil,
            max = some and i / 50 or nil }
    end
    for name, value in pairs(change or {}) do
        s[name] = value
    end
    return s
end

local function filled(n, seconds)
    local latency = histograms.new()
    for i = 1, n do
        latency:record(seconds(i))
    end
    return latency
end

local CHECK = [[
import sys, xml.dom.minidom
page = xml.dom.minidom.parse(sys.stdin.buffer)
for name in ("html", "head", "title", "body", "h1", "svg", "polyline", "rect", "script", "circle"):
    print(name, len(page.getElementsByTagName(name)))
print("title:", page.getElementsByTagName("title")[0].firstChild.data)
for attribute in ("src", "href", "xlink:href", "onload", "style"):
    for element in page.getElementsByTagName("*"):
        if element.hasAttribute(attribute):
            print("has", attribute)
]]

-- How often each element is there, by an XML parser: it stops at what is not well-formed.
local function elements(page)
    local path = support.temp_dir() .. "/check.py"
    local file = assert(io.open(path, "w"))
    file:write(CHECK)
    file:close()
    local code, out, problem = support.run({ "python3", path }, { stdin = page })
    assert.equal("", problem)
    assert.equal(0, code)
    local counts = {}
    for name, count in out:gmatch "([%a:]+) (%d+)\n" do
        counts[name] = tonumber(count)
    end
    assert.is_nil(out:find("has ", 1, true), out)
    return counts, out
end

describe("the page of plots", function()
    it("is well-formed, with four plots, and asks for nothing else", function()
        local latency = filled(1000, function(i)
            return i / 1000
        end)
        local page = html.page(summary_of(latency), latency)
        local counts, out = elements(page)
        assert.equal(4, counts.svg)
        assert.equal(0, counts.script)
        assert.equal(6, counts.polyline) -- percentiles; answers, errors; p50, p99, max
        assert.is_true(counts.rect > 10)
        assert.truthy(out:find("title: moonwire bench: http://h/?a=1&b=<script>\"'?\n", 1, true))
        for url in page:gmatch "https?://[^\"<]*" do
            assert.truthy(url:find "^http://www%.w3%.org/" or url:find "^http://h/", url)
        end
        assert.is_nil(page:find("@import", 1, true))
        assert.is_nil(page:find("url(", 1, true))
        assert.is_nil(page:find("<script", 1, true))
        assert.truthy(page:find("prefers-color-scheme: dark", 1, true))
        assert.truthy(page:find("no answer from &lt;h&gt; &amp; friends", 1, true))
    end)

    -- every number in a plot is one, and inside it
    local function check_places(page)
        for svg in page:gmatch "<svg.-</svg>" do
            assert.is_nil(svg:find("nan", 1, true))
            assert.is_nil(svg:find("inf", 1, true))
            for points in svg:gmatch 'points="([^"]+)"' do
                for x, y in points:gmatch "(%S+),(%S+)" do
                    assert.is_true(tonumber(x) >= 0 and tonumber(x) <= 720, x)
                    assert.is_true(tonumber(y) >= 0 and tonumber(y) <= 280, y)
                end
            end
            for number in svg:gmatch 'height="([^"]+)"' do
                assert.is_true(tonumber(number) >= 0)
            end
        end
    end

    for name, latency in pairs {
        ["nothing"] = filled(0, nil),
        ["one request"] = filled(1, function() return 0.01 end),
        ["requests that took no time"] = filled(5, function() return 0 end),
        ["requests that all took the same"] = filled(1000, function() return 0.02 end),
        ["times over nine powers of ten"] = filled(9000, function(i)
            return 10 ^ (i / 1000 - 6)
        end),
        ["hours"] = filled(100, function(i) return 3600 * i end),
    } do
        it("can show " .. name, function()
            local page = html.page(summary_of(latency), latency)
            local counts = elements(page)
            assert.equal(latency.count > 0 and 4 or 1, counts.svg)
            check_places(page)
        end)
    end

    it("can show a series of one point, and what is to be noted", function()
        local latency = filled(10, function(i) return i / 1000 end)
        local page = html.page(summary_of(latency, {
            series = { { at = 0.01, seconds = 0.01, requests = 10, errors = 0, bytes = 100,
                p50 = 0.001, p99 = 0.001, max = 0.001 } },
            schedule = { rate = 1000, due = 2500, unsent = 2400, backlog_max = 2401, kept = false },
            client = { cpu_seconds = 2.5, cpu = 1, bottleneck = true },
            interrupted = true,
        }), latency)
        assert.equal(5, elements(page).circle)
        check_places(page)
        assert.truthy(page:find("The rate was not kept: of 2,500 requests that were due 2,400", 1,
            true))
        assert.truthy(page:find("The client had no CPU to spare", 1, true))
        assert.truthy(page:find("The run was interrupted", 1, true))
    end)
end)

describe("numbers in words", function()
    it("are times", function()
        for seconds, text in pairs {
            [0] = "0.00 µs", [1.234e-6] = "1.23 µs", [9.996e-6] = "10.0 µs",
            [0.000999999] = "1.00 ms",
            [0.0123] = "12.3 ms", [0.5] = "500 ms", [1] = "1.00 s", [59.9] = "59.9 s",
            [90] = "1.50 min", [7200] = "120 min",
        } do
            assert.equal(text, words.time(seconds))
        end
        assert.equal("-", words.time(nil))
        assert.equal("0", words.tick(0))
        assert.equal("2 ms", words.tick(0.002))
        assert.equal("2.5 ms", words.tick(0.0025))
        assert.equal("200 ms", words.tick(0.2))
    end)

    it("are sizes, counts and rates", function()
        assert.equal("999 B", words.size(999))
        assert.equal("1.00 kB", words.size(1000))
        assert.equal("12.3 MB", words.size(12345678))
        assert.equal("5.00 TB", words.size(5e12))
        assert.equal("0", words.count(0))
        assert.equal("999", words.count(999))
        assert.equal("1,234,567", words.count(1234567))
        assert.equal("0.50", words.rate(0.5))
        assert.equal("12,346", words.rate(12345.6))
        assert.equal(1, select("#", words.count(1000)))
    end)
end)
