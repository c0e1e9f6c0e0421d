-- The rows that set moonwire against itself: waiting requests, many connections, starting, and the
-- pool's cost.

local compare = require "bench.harness.compare"
local measure = require "bench.harness.measure"
local moonwire = require "moonwire"
local site_of = require "bench.harness.site"
local tables = require "bench.harness.tables"

local WAITING = 10000

local function script(site, name, ...)
    return { site.moonwire, site.root .. "/bench/clients/" .. name .. ".lua", ... }
end

-- As many of 10,000 connections as the scale and the system allow.
local function crowd(options)
    return math.max(100, math.min(site_of.most_connections(),
        math.floor(WAITING * math.min(1, options.scale / options.full_scale))))
end

local function thousands(n)
    return (("%d"):format(n):reverse():gsub("(%d%d%d)(%d)", "%1,%2"):reverse())
end

-- Memory ------------------------------------------------------------------------------------------

local function status_kib(pid, name)
    return tonumber(measure.read_file("/proc/" .. pid .. "/status"):match(name .. ":%s*(%d+)"))
end

-- The process that `measure` runs.
local function child_of(pid)
    return measure.read_file(("/proc/%d/task/%d/children"):format(pid, pid)):match "%d+"
end

-- KiB of a client while `count` requests of it wait for their answers.
local function resident(site, command, count)
    local port, server, words = site:start("slow", count, 600)
    local client, output = measure.spawn(site, measure.client_cpu, command(
        ("http://127.0.0.1:%d/s"):format(port), count))
    local full = site_of.wait_word(words, "full", 60)
    moonwire.sleep(0.3) -- the last of them have gone to sleep
    local pid = child_of(client.pid)
    local kib = full and pid and status_kib(pid, "VmRSS")
    client:kill()
    server:kill()
    return kib, not kib and measure.read_file(output):match "([^\n]+)\n*$" or nil
end

local function memory_cases(site)
    return {
        {
            name = "moonwire", command = function(url, count)
                return script(site, "get", "client", url, count, count)
            end,
        },
        {
            name = "wrk", command = function(url, count)
                return { "wrk", "-t1", "-c" .. count, "-d60s", "--timeout", "60s", url }
            end,
        },
    }
end

local memory = { name = "memory", title = "memory per waiting request" }

function memory.run(site, options)
    local count, per_request, rows, problem = crowd(options), {}, {}, nil
    for _, case in ipairs(memory_cases(site)) do
        local all, bases = {}, {}
        for round = 1, math.min(3, options.rounds) do
            local base, trouble = resident(site, case.command, 1)
            local kib, more = resident(site, case.command, count)
            problem = problem or trouble or more
            if base and kib then
                all[#all + 1] = (kib - base) / (count - 1)
                bases[#bases + 1] = base
            end
            io.stderr:write((" %d"):format(round))
        end
        local median, least, most = compare.median(all)
        per_request[case.name] = { median = median, least = least, most = most }
        rows[#rows + 1] = {
            case.name, median and ("%.2f"):format(median) or "not measured",
            median and ("%d"):format(compare.median(bases)) or "-",
        }
    end
    local own = per_request.moonwire
    return {
        verdicts = {
            {
                work = ("memory per waiting request, %s of them"):format(thousands(count)),
                target = "≤ 4 KiB",
                measured = own.median and ("%.2f KiB"):format(own.median) or "not measured",
                range = own.median and ("%.2f-%.2f"):format(own.least, own.most) or "-",
                met = own.median and own.median <= 4 and "yes" or "no",
            },
        },
        text = tables.format({ "client", "KiB per waiting request", "KiB with one" }, rows),
        problem = problem,
    }
end

-- Many connections --------------------------------------------------------------------------------

local function own_cost(sample)
    return sample.own_cost
end

local crowded = { name = "many_connections", title = "CPU per request at 10,000 connections" }

function crowded.cases(site, options)
    local many, n = crowd(options), math.max(1000, math.floor(100000 * options.scale))
    local floor = site.programs .. "/floor"
    return {
        { name = "moonwire, 50", cost = own_cost,
            command = script(site, "get", "client", site.url, 50, n, "warm") },
        { name = "moonwire, 10,000", cost = own_cost,
            command = script(site, "get", "client", site.url, many, n, "warm") },
        { name = "floor, 50", cost = own_cost, command = { floor, site.port, "/s", 50, n } },
        { name = "floor, 10,000", cost = own_cost, command = { floor, site.port, "/s", many, n } },
    }
end

crowded.unit = { word = "µs/request", factor = 1e6 }
crowded.targets = {
    {
        work = "CPU per request at 10,000 connections", case = "moonwire, 10,000",
        against = "moonwire, 50", at_most = 1.30,
    },
    {
        work = "the same without any parsing", case = "floor, 10,000", against = "floor, 50",
    },
}

-- From start to exit ------------------------------------------------------------------------------

local SLACK = 0.005 -- seconds

local startup = { name = "startup", title = "moonwire -e '' from start to exit" }

function startup.run(site, options)
    local runs = math.max(5, math.floor(10 * options.rounds * math.min(1, options.scale)))
    local samples, problems = compare.rounds(site, {
        { name = "luajit", command = { "luajit", "-e", "" } },
        { name = "moonwire", command = { site.moonwire, "-e", "" } },
    }, runs)
    local rows, wall = {}, {}
    for _, name in ipairs { "luajit", "moonwire" } do
        local median, least, most = compare.median(compare.pick(samples[name], runs, "wall"))
        wall[name] = median
        rows[#rows + 1] = {
            name, median and ("%.2f"):format(median * 1e3) or problems[name],
            median and ("%.2f-%.2f"):format(least * 1e3, most * 1e3) or "-",
        }
    end
    local limit = wall.luajit and 1.5 * wall.luajit + SLACK
    local fits = limit and wall.moonwire and wall.moonwire <= limit
    return {
        verdicts = {
            {
                work = "moonwire -e '' from start to exit",
                target = limit and ("≤ 1.5 × luajit + 5 ms = %.1f ms"):format(limit * 1e3)
                    or "≤ 1.5 × luajit + 5 ms",
                measured = wall.moonwire and ("%.1f ms"):format(wall.moonwire * 1e3)
                    or "not measured",
                range = rows[2][3], met = fits and "yes" or "no",
            },
        },
        text = tables.format({ "command", "ms from start to exit", "range" }, rows),
        problem = problems.luajit or problems.moonwire,
    }
end

-- The pool ----------------------------------------------------------------------------------------

-- What is still called flat: with one connection alone some branches are never taken.
local FLAT = 2.0

-- How the connections are spread and asked for; the last one leaves the CPU's caches, so that it
-- is shown and not judged.
local KINDS = { "one", "some", "all" }

local checkout = { name = "pool_checkout", title = "a pool's take and give_back" }

function checkout.run(site, options)
    local rounds, all, problem = options.rounds, {}, nil
    for round = 1, rounds do
        local sample, trouble = measure.run(site, script(site, "pool_checkout",
            math.max(2000, math.floor(1000000 * options.scale))))
        problem = problem or trouble
        for kind, count, ns in (sample and sample.text or ""):gmatch "(%a+) (%d+) ([%d.]+)" do
            all[kind] = all[kind] or {}
            all[kind][count] = all[kind][count] or {}
            table.insert(all[kind][count], tonumber(ns))
        end
        io.stderr:write((" %d"):format(round))
    end
    local rows, worst = {}, nil
    for _, count in ipairs { "1", "10", "100", "1000", "10000" } do
        local row = { thousands(tonumber(count)) }
        for _, kind in ipairs(KINDS) do
            local ns = compare.median((all[kind] or {})[count] or {})
            local first = compare.median((all[kind] or {})["1"] or {})
            row[#row + 1] = ns and ("%.0f"):format(ns) or "-"
            row[#row + 1] = ns and ("%.2f"):format(ns / first) or "-"
            if ns and kind ~= "all" then
                worst = math.max(worst or 0, ns / first)
            end
        end
        rows[#rows + 1] = row
    end
    return {
        verdicts = {
            {
                work = "a pool's take and give_back, 10,000 idle connections",
                target = ("flat: ≤ %.2f × 1 connection"):format(FLAT),
                measured = worst and ("%.2f × at worst"):format(worst) or "not measured",
                range = "-", met = worst and worst <= FLAT and "yes" or "no",
            },
        },
        text = tables.format({
            "idle connections", "ns, one origin", "× 1", "an origin each, 50 asked", "× 1",
            "all asked", "× 1",
        }, rows),
        problem = problem,
    }
end

return { memory, crowded, startup, checkout }
