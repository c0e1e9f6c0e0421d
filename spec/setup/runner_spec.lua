-- tools/spec: what counts as passed and as failed, and the line it closes with.

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

    local command = "SPEC_TIMEOUT=2 MOONWIRE_SAN= MOONWIRE_LUAJIT=luajit tools/spec"

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
