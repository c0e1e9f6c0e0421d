-- Runs what docs/embedding.md shows of C programs, as it stands there.
local c_program = require "spec.support.c_program"
local serve = require "spec.support.serve"
local snippets = require "spec.support.snippets"
local support = require "spec.support"

local section = snippets.read("docs/embedding.md"):match "\n(## C programs\n.-)\n## "

describe("docs/embedding.md on C programs", function()
    local home, folder, process, url

    setup(function()
        home = support.temp_dir()
        folder = support.temp_dir()
        process, url = serve.start()
        local file = assert(io.open(folder .. "/first.c", "w"))
        file:write(snippets.blocks(section, "c")[1].text)
        file:close()
    end)

    teardown(function()
        process:kill()
    end)

    it("has commands that install, build and run its first program", function()
        local commands, ran = {}, 0
        for _, block in ipairs(snippets.blocks(section, "sh")) do
            for line in block.text:gmatch "[^\n]+" do
                if line:find "^make " then
                    c_program.make(line:sub(6):gsub("%$HOME", home))
                else
                    local cc = c_program.cc:gsub("%%", "%%%%")
                    commands[#commands + 1] = line:gsub("^cc ", cc .. " ")
                    ran = ran + (line:find("./first", 1, true) and 1 or 0)
                end
            end
        end
        local code, out, err = support.run(("cd %s && set -e\n%s\n"):format(
            support.quote(folder), table.concat(commands, "\n")),
            { env = { HOME = home, SERVER = url }, timeout = 120 })
        assert.equal("", err)
        assert.equal(("status 200\n"):rep(ran), out)
        assert.equal(2, ran)
        assert.equal(0, code)
        c_program.make("uninstall PREFIX=" .. support.quote(home .. "/moonwire"))
    end)

    it("names files that exist", function()
        for path in section:gmatch "%]%(%.%./([%w/._-]+)%)" do
            local file = io.open(support.root .. "/" .. path)
            assert.is_not_nil(file, path)
            file:close()
        end
    end)
end)
