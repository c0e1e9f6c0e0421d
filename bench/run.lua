-- Measures moonwire against its targets:  make bench, make bench ROW=small_get, make bench ROW=list
-- ROUNDS says how often, SCALE how much (1: 200,000 requests, 1 GiB). The whole table goes into
-- bench/RESULTS.md as well; a row alone is only shown.

local support = require "spec.support"

local machine = require "bench.harness.machine"
local measure = require "bench.harness.measure"
local moonwire = require "moonwire"
local report = require "bench.harness.report"
local rows = require "bench.harness.rows"
local site_of = require "bench.harness.site"
local tables = require "bench.harness.tables"

local FULL_SCALE = 0.5 -- from here on as many connections as the targets name

local function usage(message)
    io.stderr:write("bench: ", message, "\n")
    os.exit(2)
end

local function setting(name, default, least)
    local text = os.getenv(name)
    if not text or text == "" then
        return default
    end
    local value = tonumber(text)
    if not value or value ~= value or value < least or value == math.huge then
        usage(("%s must be a number from %g"):format(name, least))
    end
    return value
end

local options = {
    rounds = math.floor(setting("ROUNDS", 5, 1)),
    scale = setting("SCALE", FULL_SCALE, 0.0001),
    full_scale = FULL_SCALE,
}

local function list_rows()
    for _, row in ipairs(rows) do
        print(("%-18s%s%s"):format(row.name, row.title, row.alone and " (only by its name)" or ""))
    end
end

-- The rows that a word asks for: names with commas between, or nothing for the whole table.
local function chosen(word)
    local list, left = {}, {}
    for name in (word or ""):gmatch "[^,%s]+" do
        left[name] = true
    end
    local all = next(left) == nil
    for _, row in ipairs(rows) do
        if left[row.name] or all and not row.alone then
            list[#list + 1] = row
            left[row.name] = nil
        end
    end
    if next(left) then
        usage("no row has the name " .. next(left) .. "; make bench ROW=list names them")
    end
    return list, all
end

local function run(list, all)
    local lines, results, failed = machine.lines(), {}, {}
    print("- " .. table.concat(lines, "\n- ") .. "\n")
    local site = site_of.start(os.getenv "BENCH_PROGRAMS" or support.build .. "/bench",
        options.scale)
    for _, row in ipairs(list) do
        local result = report.run(row, site, options)
        results[#results + 1] = { row = row, result = result }
        print(("\n%s\n\n%s"):format(row.title, result.text))
        if #result.verdicts > 0 then
            print(tables.verdicts(result.verdicts))
        end
        if result.problem then
            failed[#failed + 1] = ("%s: %s"):format(row.name, result.problem)
        end
    end
    if all and #failed == 0 then
        local file = assert(io.open("bench/RESULTS.md", "w"))
        file:write(report.markdown(results, lines, options))
        file:close()
        print "bench/RESULTS.md is written"
    end
    for _, line in ipairs(failed) do
        print("not measured: " .. line)
    end
    return #failed == 0
end

if arg[1] == "list" then
    list_rows()
    os.exit(0)
end
local list, all = chosen(arg[1])
measure.stay_away()
local fine
moonwire.run(function()
    for _, name in ipairs { "INT", "TERM" } do
        moonwire.on_signal(name, function()
            os.exit(1, true) -- closing the state stops what was started and removes the files
        end)
    end
    fine = run(list, all)
end)
os.exit(fine and 0 or 1, true)
