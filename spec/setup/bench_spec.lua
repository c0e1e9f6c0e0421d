-- make bench, with as little as it can measure: that each kind of row runs and says what it should.
-- No number is looked at that depends on how fast this machine is.

local compare = require "bench.harness.compare"
local report = require "bench.harness.report"
local support = require "spec.support"
local tables = require "bench.harness.tables"

local under_sanitizers = os.getenv "MOONWIRE_SAN" == "1"

-- The cells of the first table with that heading behind a title.
local function table_of(output, title, heading)
    local _, at = output:find("\n" .. title .. "\n", 1, true)
    assert(at, "there is no row " .. title .. " in\n" .. output)
    local lines, inside = {}, false
    for line in output:sub(at + 1):gmatch "([^\n]*)\n" do
        if line:sub(1, #heading + 2) == "| " .. heading then
            inside = true
        elseif inside and line:sub(1, 1) ~= "|" then
            break
        end
        if inside and line:sub(1, 1) == "|" then
            local cells = {}
            for cell in line:gmatch "| *([^|]-) *%f[|]" do
                cells[#cells + 1] = cell
            end
            lines[#lines + 1] = cells
        end
    end
    table.remove(lines, 2) -- the rule
    return lines
end

describe("bench/run.lua", function()
    local programs

    setup(function()
        programs = support.temp_dir()
        local code, out, err = support.run(("cd %s && make -s BUILD=%s bench-programs"):format(
            support.quote(support.root), support.quote(programs)))
        assert(code == 0, out .. err)
    end)

    local function bench(row, env)
        local words = {
            LUA_PATH = ("%s/?.lua;"):format(support.root) .. package.path,
            LUA_CPATH = package.cpath,
            BENCH_PROGRAMS = programs .. "/bench",
            ROUNDS = "1", SCALE = "0.0005",
        }
        for name, value in pairs(env or {}) do
            words[name] = value
        end
        return support.run({
            "env", "-C", support.root, support.luajit(), "bench/run.lua", row,
        }, { env = words, timeout = 120 })
    end

    local function verdicts_of(output, title)
        local list = table_of(output, title, "work")
        assert.same({ "work", "target", "median", "range", "met" }, table.remove(list, 1))
        for _, cells in ipairs(list) do
            assert.equal(5, #cells)
        end
        return list
    end

    local function check_verdict(cells, target, measured, range)
        assert.matches("^" .. target .. "$", cells[2])
        assert.matches("^" .. measured .. "$", cells[3])
        assert.matches("^" .. range .. "$", cells[4])
        assert.is_true(cells[5] == "yes" or cells[5] == "no" or cells[2] == "-", cells[5])
    end

    it("names its rows", function()
        local code, out = bench "list"
        assert.equal(0, code)
        for _, name in ipairs { "small_get", "memory", "pool_checkout", "instructions" } do
            assert.matches("\n" .. name .. " +%S", "\n" .. out)
        end
    end)

    it("refuses a row, or a number, that it doesn't know", function()
        local code, out, err = bench "nothing"
        assert.equal(2, code, out)
        assert.equal("bench: no row has the name nothing; make bench ROW=list names them\n", err)
        code, out, err = bench("small_get", { ROUNDS = "no" })
        assert.equal(2, code, out)
        assert.equal("bench: ROUNDS must be a number from 1\n", err)
    end)

    local output, code, err

    it("runs rows of each kind to their end", function()
        local rows = "small_get,download_file,upload_chunked,https_download,memory,"
            .. "many_connections,pool_checkout"
        code, output, err = bench(rows .. (under_sanitizers and "" or ",startup"))
        assert.equal(0, code, output .. err)
        assert.not_matches("RESULTS", output, 1, true) -- it is for the whole table
    end)

    it("tells the machine and the versions", function()
        assert.matches("^%- [^\n]+ CPUs, Linux %S+, load %S+ before\n%- moonwire %d", output)
        assert.matches("\n- nginx %d[^\n]* wrk %S+[^\n]* curl %d", output)
    end)

    it("sets small requests against wrk", function()
        local list = verdicts_of(output, "small GET, 50 connections")
        assert.equal(2, #list)
        for i, most in ipairs { "1%.00", "1%.25" } do
            check_verdict(list[i], "≤ " .. most .. " × wrk", "%d+%.%d%d × wrk",
                "%d+%.%d%d%-%d+%.%d%d")
        end
        local clients = table_of(output, "small GET, 50 connections", "client")
        assert.same({ "client", "CPU µs/request", "× wrk", "a second" }, clients[1])
        assert.equal("1.00", clients[3][3])
        for i, name in ipairs { "floor", "wrk", "moonwire connection", "moonwire client" } do
            assert.equal(name, clients[i + 1][1])
            assert.matches("^[%d.]+ %([%d.]+%-[%d.]+%)$", clients[i + 1][2])
        end
        for i = 6, #clients do -- a peer runs, or the table says why not
            assert.is_true(clients[i][2]:find "^[%d.]+ %(" ~= nil
                or clients[i][2]:find "^not measured: %S" ~= nil, clients[i][2])
        end
    end)

    for title, most in pairs {
        ["1 GiB download to a file: res:save(path)"] = "0%.50",
        ["1 GiB upload of a file, chunked"] = "0%.65",
        ["HTTPS 1 GiB download, discarded"] = "0%.90",
    } do
        it("sets curl against: " .. title, function()
            check_verdict(verdicts_of(output, title)[1], "≤ " .. most .. " × curl",
                "%d+%.%d%d × curl", "%d+%.%d%d%-%d+%.%d%d")
        end)
    end

    it("sets moonwire against itself", function()
        local list = verdicts_of(output, "memory per waiting request")
        assert.equal("memory per waiting request, 100 of them", list[1][1])
        check_verdict(list[1], "≤ 4 KiB", "%-?%d+%.%d%d KiB", ".*")
        list = verdicts_of(output, "CPU per request at 10,000 connections")
        check_verdict(list[1], "≤ 1%.30 × moonwire, 50", "%d+%.%d%d × moonwire, 50", ".*")
        if not under_sanitizers then
            check_verdict(verdicts_of(output, "moonwire -e '' from start to exit")[1],
                "≤ 1%.5 × luajit %+ 5 ms = %d+%.%d ms", "%d+%.%d ms", ".*")
        end
    end)

    it("shows what a checkout costs with 1 to 10,000 connections", function()
        local list = table_of(output, "a pool's take and give_back", "idle connections")
        for i, count in ipairs { "1", "10", "100", "1,000", "10,000" } do
            assert.equal(count, list[i + 1][1])
            for column = 2, 6, 2 do
                assert.matches("^%d+$", list[i + 1][column])
                assert.matches("^%d+%.%d%d$", list[i + 1][column + 1])
            end
        end
        assert.equal("1.00", list[2][3])
        check_verdict(verdicts_of(output, "a pool's take and give_back")[1],
            "flat: ≤ 2%.00 × 1 connection", "%d+%.%d%d × at worst", "%-")
    end)

    it("fails and says why when a client that it needs does not run", function()
        local bin = support.temp_dir()
        local file = assert(io.open(bin .. "/curl", "w"))
        file:write "#!/bin/sh\necho 'curl: no such thing' >&2\nexit 7\n"
        file:close()
        assert.equal(0, (support.run("chmod +x " .. bin .. "/curl")))
        local status, out = bench("download_discard", { PATH = bin .. ":" .. os.getenv "PATH" })
        assert.equal(1, status, out)
        assert.matches("not measured: download_discard: curl: exit code 7: curl: no such thing\n",
            out, 1, true)
        local cells = verdicts_of(out, "1 GiB download, discarded")[1]
        assert.same({ "not measured", "-", "no" }, { cells[3], cells[4], cells[5] })
    end)
end)

describe("the numbers of bench", function()
    local function samples(...)
        local list = {}
        for i, cost in ipairs { ... } do
            list[i] = cost and { cost = cost, n = 10, secs = 2 } or nil
        end
        return list
    end

    it("are medians, with the least and the greatest", function()
        assert.same({ 3, 1, 9 }, { compare.median { 9, 1, 3 } })
        assert.same({ 2.5, 1, 9 }, { compare.median { 9, 1, 3, 2 } })
        assert.same({}, { compare.median {} })
    end)

    it("are ratios of what ran in the same round", function()
        local all = { a = samples(2, false, 9), b = samples(1, 4, 3) }
        assert.same({ 2, 3 }, compare.ratios(all, "a", "b", 3))
        assert.same({}, compare.ratios(all, "a", "missing", 3))
    end)

    it("are judged by the median", function()
        local target = { work = "w", case = "a", against = "b", at_most = 2 }
        local function met(...)
            return compare.judge(target, { a = samples(...), b = samples(1, 1, 1) }, 3).met
        end
        assert.equal("yes", met(2, 9, 1))
        assert.equal("no", met(2.1, 9, 1))
        assert.equal("no", met())
        target.at_most = nil
        assert.equal("-", met(2.1, 9, 1))
    end)

    it("stand in a table whose columns are as wide as they need be", function()
        assert.equal("| µ    | b   |\n| ---- | --- |\n| long | 2   |\n",
            tables.format({ "µ", "b" }, { { "long", "2" } }))
    end)

    it("go into a report with the machine and each row", function()
        local text = report.markdown({
            {
                row = { name = "one", title = "First row" },
                result = {
                    text = "| details |\n",
                    verdicts = {
                        { work = "w", target = "t", measured = "m", range = "r", met = "yes" },
                    },
                },
            },
        }, { "a machine", "versions" }, { rounds = 5, scale = 0.5 })
        assert.matches("with ROUNDS=5 and SCALE=0.5.", text, 1, true)
        assert.matches("\n- a machine\n- versions\n", text, 1, true)
        assert.matches("| w    | t      | m      | r     | yes |\n", text, 1, true)
        assert.matches("## First row\n\n`make bench ROW=one`\n\n| details |\n", text, 1, true)
    end)
end)
