-- Runs what the README shows: each Lua block as a script, each line that calls the command.
local serve = require "spec.support.serve"
local snippets = require "spec.support.snippets"
local support = require "spec.support"

local moonwire = support.moonwire()

-- What other specs or CI run, and where.
local RUN_ELSEWHERE = {
    ["make demo"] = "the last spec here",
    ["make test"] = ".ci/run",
    ["make"] = "spec/setup/make_spec.lua",
    ["make install PREFIX=/usr/local"] = "spec/setup/make_spec.lua, with another PREFIX",
    ["tools/deps build"] = "spec/setup/deps_spec.lua",
    ["export SERVER=http://127.0.0.1:8080"] = "the environment of each of these runs",
}

local blocks = snippets.blocks
local readme = snippets.read "README.md"

describe("the README", function()
    local process, env

    setup(function()
        local url
        process, url = serve.start()
        env = { SERVER = url }
    end)

    teardown(function()
        process:kill()
    end)

    snippets.declare(it, blocks(readme, "lua"), function()
        return env
    end)

    local commands = 0
    for _, block in ipairs(blocks(readme, "sh")) do
        for line in block.text:gmatch "[^\n]+" do
            commands = commands + 1
            local word = line:match "^%S+"
            if word == "moonwire" or word == "luajit" then
                local long = line:find("sleep(600)", 1, true)
                it("has a command that works: " .. line:sub(1, 60), function()
                    local rest = line:sub(#word + 1)
                    if long then
                        rest = rest:gsub("8080", tostring(support.free_port()))
                            :gsub("sleep%(600%)", "sleep(0.1)")
                    end
                    local program = word == "moonwire" and moonwire or support.luajit()
                    local code, out, err = support.run(("cd %s && %s%s"):format(
                        support.quote(support.root), support.quote(program), rest), { env = env })
                    assert.equal(0, code, err)
                    if line:find("-v", 1, true) and not line:find("--version", 1, true) then
                        assert.truthy(err:find("\n< HTTP/1.1 200 OK\n", 1, true))
                    else
                        assert.equal("", err)
                        assert.is_true(#out > 0)
                    end
                end)
            else
                it("has a command that something runs: " .. line, function()
                    assert.is_string(RUN_ELSEWHERE[line])
                end)
            end
        end
    end

    it("has scripts and commands", function()
        assert.is_true(#blocks(readme, "lua") >= 8)
        assert.is_true(commands >= 9)
    end)

    -- under the sanitizers this would be another build
    if not os.getenv "MOONWIRE_SAN" then
        it("begins with make demo, which works", function()
            local code, out, err = support.run(("cd %s && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "
                .. "-u MAKEOVERRIDES make --no-print-directory demo"):format(
                support.quote(support.root)), { timeout = 300 })
            assert.equal(0, code, err)
            assert.truthy(out:find("all ten took", 1, true))
        end)
    end

    it("lists the defaults that the code has", function()
        local limits = require("moonwire.pool").new().limits
        for _, row in ipairs {
            ("| %d, %d | client: `pool = { max_total, max_per_origin }` |"):format(
                limits.max_total, limits.max_per_origin),
            ("| %d, %d | client: `pool = { idle_total, idle_per_origin }` |"):format(
                limits.idle_total, limits.idle_per_origin),
            ("| how long one is kept idle | %d s, or a second less"):format(limits.idle_timeout),
            ("| %d s, a tenth more or less; any number | client: `pool = { max_age, max_r"):format(
                limits.max_age),
        } do
            assert.truthy(readme:find(row, 1, true), row)
        end
    end)

    it("names modules and files that exist", function()
        for name in readme:gmatch "\n| `(moonwire[%w._]*)` |" do
            assert.is_true(pcall(require, name), name)
        end
        for path in readme:gmatch "%]%(([%w/._-]+)%)" do
            local ok = io.open(support.root .. "/" .. path)
            assert.is_not_nil(ok, path)
            ok:close()
        end
    end)
end)
