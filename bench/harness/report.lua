-- Runs a row and tells what came out: its targets, and a table of all that ran in it.

local compare = require "bench.harness.compare"
local tables = require "bench.harness.tables"

local report = {}

local function cost_cell(list, rounds, factor)
    local median, least, most = compare.median(compare.pick(list, rounds, "cost"))
    local digits = median * factor >= 100 and "%.0f" or "%.2f"
    local format = digits .. " (" .. digits .. "-" .. digits .. ")"
    return format:format(median * factor, least * factor, most * factor)
end

local function rate_cell(list, rounds)
    local rate = compare.median(compare.pick(list, rounds, function(sample)
        return sample.n / sample.secs
    end))
    return rate >= 100 and ("%.0f"):format(rate) or ("%.2f"):format(rate)
end

-- What all cases of a row have cost, and how that compares with the one the row is judged against.
local function cases_table(row, cases, samples, problems, rounds)
    local against, lines = row.targets[1].against, {}
    for _, case in ipairs(cases) do
        local list, name = samples[case.name], case.name
        if #compare.pick(list, rounds, "cost") > 0 then
            local ratio = compare.median(compare.ratios(samples, name, against, rounds))
            lines[#lines + 1] = {
                name, cost_cell(list, rounds, row.unit.factor),
                ratio and ("%.2f"):format(ratio) or "-", rate_cell(list, rounds),
            }
        else
            lines[#lines + 1] = { name, "not measured: " .. problems[name], "-", "-" }
        end
    end
    return tables.format({ "client", "CPU " .. row.unit.word, "× " .. against, "a second" }, lines)
end

-- A row of commands that run in turn.
local function run_cases(row, site, options)
    local cases = row.cases(site, options)
    local samples, problems = compare.rounds(site, cases, options.rounds)
    local result = { verdicts = {} }
    for i, target in ipairs(row.targets) do
        result.verdicts[i] = compare.judge(target, samples, options.rounds)
    end
    for _, case in ipairs(cases) do
        if problems[case.name] and not case.optional then
            result.problem = result.problem or case.name .. ": " .. problems[case.name]
        end
    end
    result.text = cases_table(row, cases, samples, problems, options.rounds)
    return result
end

--- Measures a row.
---@param row bench.Row
---@param site bench.Site
---@param options {rounds: integer, scale: number}
---@return {verdicts: table[], text: string, problem: string?} result problem: what should have run
---  and did not
function report.run(row, site, options)
    io.stderr:write(row.name, ":")
    local result = (row.run or function()
        return run_cases(row, site, options)
    end)(site, options)
    io.stderr:write "\n"
    return result
end

--- The whole report as Markdown.
---@param results {row: bench.Row, result: table}[]
---@param lines string[] about the machine
---@param options table
---@return string
function report.markdown(results, lines, options)
    local verdicts, details = {}, {}
    for _, one in ipairs(results) do
        for _, verdict in ipairs(one.result.verdicts) do
            verdicts[#verdicts + 1] = verdict
        end
        details[#details + 1] = ("## %s\n\n`make bench ROW=%s`\n\n%s"):format(one.row.title,
            one.row.name, one.result.text)
    end
    return ([[
# Results of the benchmark

Written by `make bench` on %s, with ROUNDS=%d and SCALE=%g. What is measured and how stands in
[README.md](README.md).

- %s

%s
%s]]):format(os.date "!%Y-%m-%d", options.rounds, options.scale, table.concat(lines, "\n- "),
        tables.verdicts(verdicts), table.concat(details, "\n"))
end

return report
