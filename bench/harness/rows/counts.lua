-- What can be counted and not only timed: system calls and instructions of a small GET.

local measure = require "bench.harness.measure"
local small = require "bench.harness.rows.small"
local tables = require "bench.harness.tables"

-- The command under another one, which counts. `n`: requests, where the command can be told.
local function counting(words, command, n)
    local argv = {}
    for _, list in ipairs { words, command } do
        for _, word in ipairs(list) do
            argv[#argv + 1] = word
        end
    end
    if command[1] ~= "wrk" then
        argv[#argv] = n -- it stands last
    end
    return argv
end

-- Runs a command twice, the second time with three times as many requests, and gives the
-- difference, so that what starting takes cancels out. wrk runs once: it counts by seconds.
local function per_request(site, case, words, less, read)
    local wrk = case.command[1] == "wrk"
    local function run(n)
        local sample, problem = measure.run(site, counting(words, case.command, n),
            { wrk = wrk, seconds = 300 })
        if not sample then
            return nil, problem
        end
        local counts = read(sample)
        return counts, not counts and words[1] .. " has counted nothing", sample.n
    end
    local first, problem, n = run(less)
    if not first or wrk then
        return first, problem, n
    end
    local second
    second, problem = run(3 * less)
    if not second then
        return nil, problem
    end
    for name, count in pairs(second) do
        second[name] = count - (first[name] or 0)
    end
    return second, nil, 2 * less
end

-- Counts of strace -c by name, and their sum as "total".
local function parse_strace(text)
    local calls = { total = 0 }
    for line in text:gmatch "[^\n]+" do
        local count, rest = line:match "^%s*[%d.]+%s+[%d.]+%s+%d+%s+(%d+)%s+(.*)$"
        local name = rest and rest:match "([%w_]+)$"
        if name and name ~= "total" then
            calls[name] = tonumber(count)
            calls.total = calls.total + calls[name]
        end
    end
    return calls.total > 0 and calls or nil
end

-- The most frequent ones of a request.
local function main_calls(calls, n)
    local list = {}
    for name, count in pairs(calls) do
        if name ~= "total" and count / n >= 0.02 then
            list[#list + 1] = { name = name, count = count / n }
        end
    end
    table.sort(list, function(a, b)
        return a.count > b.count
    end)
    local words = {}
    for i = 1, math.min(6, #list) do
        words[i] = ("%s %.2f"):format(list[i].name, list[i].count)
    end
    return table.concat(words, ", ")
end

local function traced(site, case, less)
    local path = site.dir .. "/strace"
    return per_request(site, case, { "strace", "-c", "-f", "-o", path }, less, function()
        return parse_strace(measure.read_file(path))
    end)
end

-- How many calls perf counts: it hardly slows the command down, so that it is what really happens.
local function counted(site, case, less)
    local path = site.dir .. "/perf"
    local words = {
        "perf", "stat", "-x", " ", "-o", path, "-e", "raw_syscalls:sys_enter", "--",
    }
    local counts, _, n = per_request(site, case, words, less, function()
        local total = tonumber(measure.read_file(path):match "\n(%d+)[^\n]*sys_enter")
        return total and { total = total }
    end)
    return counts and counts.total / n
end

local function cases_of(site, options, peers)
    local list = {}
    for _, case in ipairs(small[1].cases(site, options)) do
        if peers or case.name == "wrk" or case.name:find "^moonwire" then
            list[#list + 1] = case
        end
    end
    return list
end

local MOST_CALLS = 2.2

local syscalls = { name = "syscalls", title = "system calls of a small GET, 50 connections" }

function syscalls.run(site, options)
    local rows, problem, verdict = {}, nil, nil
    local less = math.max(200, math.floor(10000 * options.scale))
    for _, case in ipairs(cases_of(site, options, true)) do
        local calls, trouble, n = traced(site, case, less)
        local quiet = calls and counted(site, case, less)
        rows[#rows + 1] = calls and {
            case.name, quiet and ("%.2f"):format(quiet) or "-",
            ("%.2f"):format(calls.total / n), main_calls(calls, n),
        } or { case.name, "-", "-", "not measured: " .. trouble }
        if case.name == "moonwire connection" then
            local count = calls and calls.total / n
            verdict = {
                work = "system calls of a small GET: connection:request(prepared)",
                target = ("≤ %.1f"):format(MOST_CALLS),
                measured = count and ("%.2f"):format(count) or "not measured",
                range = "strace",
                met = count and count <= MOST_CALLS and "yes" or "no",
            }
        end
        if not case.optional then
            problem = problem or trouble
        end
        io.stderr:write "."
    end
    return {
        verdicts = { verdict },
        text = tables.format({ "client", "a request (perf)", "a request (strace)", "of which" },
            rows),
        problem = problem,
    }
end

local instructions = {
    name = "instructions", title = "instructions of a small GET in user space (callgrind)",
}

local function executed(site, case, less)
    local words = { "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null" }
    return per_request(site, case, words, less, function(sample)
        local total = tonumber(sample.text:match "Collected%s*:%s*(%d+)")
        return total and { total = total }
    end)
end

function instructions.run(site, options)
    local rows, problem = {}, nil
    local less = math.max(200, math.floor(6000 * options.scale))
    for _, case in ipairs(cases_of(site, options, false)) do
        if case.name ~= "wrk" then -- it can't be told how many requests to make
            local counts, trouble, n = executed(site, case, less)
            rows[#rows + 1] = {
                case.name, counts and ("%.0f"):format(counts.total / n)
                    or "not measured: " .. trouble,
            }
            problem = problem or trouble
            io.stderr:write "."
        end
    end
    return {
        verdicts = {}, problem = problem,
        text = tables.format({ "client", "instructions a request" }, rows),
    }
end

instructions.alone = true

return { syscalls, instructions }
