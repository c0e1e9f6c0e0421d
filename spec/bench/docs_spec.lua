-- Runs what docs/bench.md shows, in shorter time, and holds its tables against the code.
local json = require "moonwire.json"
local options = require "moonwire.bench.options"
local serve = require "spec.support.serve"
local snippets = require "spec.support.snippets"
local support = require "spec.support"

local page = snippets.read "docs/bench.md"

describe("docs/bench.md", function()
    local process, env, folder

    setup(function()
        local url
        process, url = serve.start()
        env = { SERVER = url }
        folder = support.temp_dir()
        for _, block in ipairs(snippets.blocks(page, "lua")) do
            local file = assert(io.open(folder .. "/" .. block.text:match "^%-%- ([%w.]+): ", "w"))
            file:write(block.text)
            file:close()
        end
    end)

    teardown(function()
        process:kill()
    end)

    local function run(line)
        line = line:gsub("%-d 10s", "-d 200ms"):gsub("%-%-warmup 2s", "--warmup 50ms")
        if not line:find " %-[dn] " then
            line = line .. " -d 200ms"
        end
        return support.run(("cd %s && %s%s"):format(support.quote(folder),
            support.quote(support.moonwire()), line:match "^moonwire(.*)"), { env = env })
    end

    local commands = {}
    for _, block in ipairs(snippets.blocks(page, "sh")) do
        for line in block.text:gmatch "[^\n]+" do
            commands[#commands + 1] = line
            it("has a command that works: " .. line, function()
                local code, out, err = run(line)
                assert.equal("", err)
                assert.equal(0, code)
                assert.truthy(out:find("\n  requests      ", 1, true))
                assert.falsy(out:find("\n  errors", 1, true))
            end)
        end
    end

    it("has commands and scripts", function()
        assert.equal(6, #commands)
        assert.equal(2, #snippets.blocks(page, "lua"))
    end)

    it("has a script that fails when the service is too slow", function()
        local code, _, err = run("moonwire bench $SERVER/delay/0.1 -n 10 slo.lua 1")
        assert.equal(1, code)
        assert.truthy(err:find("^moonwire: bench: p99 is %d+%.%d ms, with 0 errors\n"), err)
    end)

    it("names every option", function()
        for name in options.USAGE:gmatch "%-%-(%l[%l-]*)" do
            assert.truthy(name == "help" or page:find("`--" .. name, 1, true)
                or page:find("--" .. name, 1, true), name)
        end
    end)

    it("names every field of the JSON", function()
        local _, out = support.run { support.moonwire(), "bench", env.SERVER .. "/get", "-n", "20",
            "--rate", "200", "--json", "-" }
        local fields = page:match "\n## JSON\n.*"
        local function check(value)
            for name, inner in pairs(value) do
                if type(name) == "string" and not name:find "^%d" then
                    assert.truthy(fields:find("%f[%w_]" .. name .. "%f[^%w_]"), name)
                end
                if type(inner) == "table" then
                    check(inner)
                end
            end
        end
        check(json.decode(out))
    end)
end)
