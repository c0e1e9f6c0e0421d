-- Runs several commands in turn, round after round (A B C, A B C ...), and sets what each has cost
-- against another of the same round: the machine may be noisy, but it is so for both.

local measure = require "bench.harness.measure"

local compare = {}

---@class bench.Case
---@field name string
---@field command any[]
---@field n integer? what its CPU is divided by, when it doesn't say itself
---@field wants {path: string, size: integer}? a file that must be there afterwards; it is removed
---@field cost (fun(sample: table): number)? in place of CPU seconds divided by n
---@field optional boolean? a peer: where it can't run, the others go on

---@class bench.Target
---@field work string what is done, in words
---@field case string the name of the case that is judged
---@field against string the case of the same round that it is divided by
---@field at_most number? nil: shown, and not judged

local function cpu_cost(sample)
    return sample.cpu / sample.n
end

local function file_size(path)
    local file = io.open(path, "rb")
    local size = file and file:seek "end"
    if file then
        file:close()
    end
    return size
end

local function run_case(tools, case)
    local sample, problem = measure.run(tools, case.command)
    if sample and case.wants then
        local size = file_size(case.wants.path)
        os.remove(case.wants.path)
        if size ~= case.wants.size then
            return nil, ("it saved %s bytes instead of %d"):format(size or "no", case.wants.size)
        end
    end
    if sample then
        sample.cost = (case.cost or cpu_cost)(sample)
    end
    return sample, problem
end

--- Runs the cases that often.
---@param tools bench.Tools
---@param cases bench.Case[]
---@param rounds integer
---@return table<string, table[]> samples by case and round; holes where a case failed
---@return table<string, string> problems by case
function compare.rounds(tools, cases, rounds)
    local samples, problems = {}, {}
    for round = 1, rounds do
        for _, case in ipairs(cases) do
            samples[case.name] = samples[case.name] or {}
            if not problems[case.name] then
                local sample, problem = run_case(tools, case)
                samples[case.name][round] = sample
                problems[case.name] = problem
            end
        end
        io.stderr:write((" %d"):format(round))
    end
    return samples, problems
end

--- The middle of some numbers, the least and the greatest.
---@param list number[]
---@return number? median, number? least, number? greatest
function compare.median(list)
    local sorted = { unpack(list) }
    table.sort(sorted)
    local half = math.floor((#sorted + 1) / 2)
    if #sorted == 0 then
        return nil
    elseif #sorted % 2 == 1 then
        return sorted[half], sorted[1], sorted[#sorted]
    end
    return (sorted[half] + sorted[half + 1]) / 2, sorted[1], sorted[#sorted]
end

--- One number of each sample.
---@param list table[] of samples, with holes
---@param rounds integer
---@param pick string|fun(sample: table): number
---@return number[]
function compare.pick(list, rounds, pick)
    local numbers = {}
    for round = 1, rounds do
        local sample = list and list[round]
        if sample then
            numbers[#numbers + 1] = type(pick) == "string" and sample[pick] or pick(sample)
        end
    end
    return numbers
end

--- What a case has cost, divided by what another has in the same round.
---@return number[]
function compare.ratios(samples, case, against, rounds)
    local ratios = {}
    for round = 1, rounds do
        local one, other = (samples[case] or {})[round], (samples[against] or {})[round]
        if one and other and other.cost > 0 then
            ratios[#ratios + 1] = one.cost / other.cost
        end
    end
    return ratios
end

--- Judges a target.
---@param target bench.Target
---@return table verdict work, target, measured, range, met ("yes", "no", "-")
function compare.judge(target, samples, rounds)
    local ratio, least, most = compare.median(
        compare.ratios(samples, target.case, target.against, rounds))
    local verdict = {
        work = target.work,
        target = target.at_most and ("≤ %.2f × %s"):format(target.at_most, target.against) or "-",
        measured = "not measured", range = "-", met = "-",
    }
    if ratio then
        verdict.measured = ("%.2f × %s"):format(ratio, target.against)
        verdict.range = ("%.2f-%.2f"):format(least, most)
        verdict.met = target.at_most and (ratio <= target.at_most and "yes" or "no") or "-"
    elseif target.at_most then
        verdict.met = "no"
    end
    return verdict
end

return compare
