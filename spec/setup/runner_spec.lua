-- tools/spec: what counts as passed and as failed, what runs beside what, the line it closes with.

local tree = dofile("spec/support/tree.lua")

describe("tools/spec", function()
    local t

    before_each(function()
        t = tree.new()
        t:copy("tools/spec", "tools/spec_run.lua", "tools/spec_output.lua", ".busted")
        t:write("spec/support.lua", "")
    end)

    after_each(function()
        t:remove()
    end)

    local command = "SPEC_JOBS=2 SPEC_TIMEOUT=2 MOONWIRE_SAN= MOONWIRE_LUAJIT=luajit tools/spec"

    -- Runs the file as a spec of its own project; the last line and the status come back.
    local function spec(text)
        if text then
            t:write("spec/a_spec.lua", text)
        end
        local status, output = t:run(command)
        return output:match("([^\n]*)\n$"), status, output
    end

    it("counts all files together", function()
        t:write("spec/deep/b_spec.lua", 'it("b", function() end) it("c", function() end)\n')
        t:write("spec/data/no_spec.lua", "error()\n")
        t:write("spec/support/no_spec.lua", "error()\n")
        t:write("spec/no.lua", "error()\n")
        local last, status, output = spec('describe("a", function() it("b", function() end) end)\n')
        assert.equal("3 passed, 0 failed", last)
        assert.equal(0, status)
        assert.equal(1, select(2, output:gsub("%d+ passed, %d+ failed", "")))
    end)

    it("shows a failure with its name and where it is", function()
        local last, status, output = spec([[
describe("adding", function()
    it("works", function() assert.equal(3, 1 + 1) end)
end)
]])
        assert.equal("0 passed, 1 failed", last)
        assert.equal(1, status)
        assert.matches("FAILED: adding works\n    spec/a_spec.lua:2: Expected", output, 1, true)
    end)

    for what, text in pairs({
        ["an error in a test"] = 'it("a", function() error("oh") end)',
        ["an error value"] = 'it("a", function() error({ kind = "x" }) end)',
        ["an error outside of a test"] = 'describe("a", function() error("oh") end)',
        ["an error in setup"] = 'setup(error) it("b", function() end)',
        ["an error while loading"] = "error('oh')",
        ["a syntax error"] = 'it("a" function',
        ["a test that is put off"] = 'pending("later")',
        ["a file without tests"] = "",
        ["a test that exits"] = 'it("a", function() os.exit(0) end)',
        ["a crash"] = 'it("a", function() require("ffi").cast("int *", 0)[0] = 1 end)',
        ["a hang"] = 'it("a", function() while true do end end)',
    }) do
        it("takes " .. what .. " for a failure", function()
            local last, status = spec(text)
            assert.equal("0 passed, 1 failed", last)
            assert.equal(1, status)
        end)
    end

    it("counts what fails in each of the files, and names them in their order", function()
        t:write("spec/c_spec.lua", 'it("c", function() end) it("d", function() error("oh") end)\n')
        t:write("spec/b_spec.lua", 'it("b", function() end)\n')
        local last, status, output = spec('it("a", function() os.exit(3) end)\n')
        assert.equal("2 passed, 2 failed", last)
        assert.equal(1, status)
        assert.matches("\nfailed in: spec/a_spec.lua spec/c_spec.lua\n", output, 1, true)
    end)

    -- Passes when the other one has begun, or does so within some hundredths of a second.
    local MEETING = [[
        it("meets the other one", function()
            local me, other = "%s", "%s"
            io.open(me .. ".here", "w"):close()
            for _ = 1, %d do
                if io.open(other .. ".here") then return end
                os.execute("sleep 0.01")
            end
            error("nobody came")
        end)
    ]]

    local function meeting(one, other, tries)
        for name, whom in pairs({ [one] = other, [other] = one }) do
            t:write("spec/" .. name .. "_spec.lua", MEETING:format((name:gsub("/", ".")),
                (whom:gsub("/", ".")), tries))
        end
    end

    it("runs two files at once", function()
        meeting("a", "b", 150)
        assert.equal("2 passed, 0 failed", (spec()))
    end)

    it("runs one after the other where there is one job", function()
        meeting("a", "b", 5)
        local _, output = t:run("SPEC_JOBS=1 " .. command:gsub("SPEC_JOBS=2 ", ""))
        assert.matches("\n1 passed, 1 failed\n$", output)
        assert.matches("failed in: spec/a_spec.lua\n", output, 1, true)
    end)

    it("runs what measures with nothing beside it", function()
        meeting("load/a", "load/b", 5)
        assert.equal("1 passed, 1 failed", (spec()))
    end)

    it("runs what measures after all others", function()
        meeting("load/a", "b", 5)
        local _, _, output = spec()
        assert.matches("failed in: spec/b_spec.lua\n1 passed, 1 failed\n$", output)
    end)

    it("gives a spec that runs it one job", function()
        assert.equal("1 passed, 0 failed",
            (spec('it("a", function() assert.equal("1", os.getenv("SPEC_JOBS")) end)\n')))
    end)

    it("keeps together what a file prints", function()
        for _, name in ipairs({ "a", "b", "c", "d" }) do
            t:write("spec/" .. name .. "_spec.lua", ([[
                it("prints", function()
                    for i = 1, 2000 do
                        io.stdout:setvbuf("no")
                        io.stdout:write("from %s\n")
                    end
                end)
            ]]):format(name))
        end
        local _, _, output = spec()
        local changes, last = 0, nil
        for name in output:gmatch("from (%l)\n") do
            changes = changes + (name == last and 0 or 1)
            last = name
        end
        assert.equal(4, changes)
        assert.equal(8000, select(2, output:gsub("from %l\n", "")))
    end)

    for name in pairs({ INT = true, TERM = true }) do
        it("ends all that it started at SIG" .. name, function()
            for _, file in ipairs({ "a", "b" }) do
                t:write("spec/" .. file .. "_spec.lua", ([[
                    it("hangs", function()
                        os.execute("exec >%s.pid; echo $PPID")
                        while true do end
                    end)
                ]]):format(file))
            end
            local _, output = t:run(([[true
                env --default-signal %s &
                until [ -s a.pid ] && [ -s b.pid ]; do sleep 0.01; done
                kill -%s $! && wait $!
                status=$?
                if kill -0 $(cat a.pid) || kill -0 $(cat b.pid); then status=left; fi 2>/dev/null
                echo ended with $status]]):format(command, name))
            assert.matches("ended with 130\n$", output)
        end)
    end

    it("fails when there is no spec at all", function()
        local last, status = spec()
        assert.equal("0 passed, 0 failed", last)
        assert.equal(1, status)
    end)

    it("closes the Lua state at the end, so that finalizers run", function()
        local _, _, output = spec('local kept = newproxy(true)\n' ..
            'getmetatable(kept).__gc = function() print("collected") end\n' ..
            '_G.kept = kept\nit("a", function() end)\n')
        assert.matches("collected", output, 1, true)
    end)

    it("tests the build that it was told to test", function()
        local path = package.searchpath("moonwire.core", package.cpath)
        assert.equal(os.getenv("MOONWIRE_BUILD") .. "/moonwire/core.so", path)
    end)

    it("runs under LuaJIT, also below", function()
        assert.matches("^LuaJIT 2%.", jit.version)
        local _, output = tree.run(os.getenv("MOONWIRE_LUAJIT") .. " -e 'print(jit.version_num)'")
        assert.matches("^2%d+\n$", output)
    end)
end)
