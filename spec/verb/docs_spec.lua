-- Runs what docs/command.md shows, and holds its tables against the code.
local address = require "moonwire.verb.address"
local items = require "moonwire.verb.items"
local options = require "moonwire.verb.options"
local serve = require "spec.support.serve"
local snippets = require "spec.support.snippets"
local support = require "spec.support"

local page = snippets.read "docs/command.md"

describe("docs/command.md", function()
    local process, env, folder

    setup(function()
        local url
        process, url = serve.start()
        env = { SERVER = url }
        folder = support.temp_dir()
        os.execute(("cp %s/README.md %s"):format(support.quote(support.root), folder))
    end)

    teardown(function()
        process:kill()
    end)

    local commands = 0
    for _, block in ipairs(snippets.blocks(page, "sh")) do
        for line in block.text:gmatch "[^\n]+" do
            commands = commands + 1
            it("has a command that works: " .. line, function()
                local code, out, err = support.run(("cd %s && %s %s"):format(folder,
                    support.quote(support.moonwire()), line:match "^moonwire (.*)"), { env = env })
                assert.equal("", err)
                assert.equal(0, code)
                assert.equal(line:find(" -o ", 1, true) == nil, #out > 0)
            end)
        end
    end

    it("has commands", function()
        assert.is_true(commands >= 7)
    end)

    it("names every option, and none that isn't there", function()
        local known, count = {}, 0
        for name in options.USAGE:gmatch "%-%-%l[%l-]*" do
            known[name] = true
            count = count + 1
            assert.truthy(page:find(name, 1, true), name)
        end
        assert.is_true(count > 20)
        for name in page:gmatch "`[^`\n]*`" do
            for option in name:gmatch "%f[%-%w]%-%-%l[%l-]*" do
                assert.is_true(known[option] or option == "--help" or option == "--compressed",
                    option)
            end
        end
    end)

    it("fills URLs in as the code does", function()
        local count = 0
        for text, url in page:gmatch "\n| `([^` ]+)` | `(https?://[^`]+)` |" do
            count = count + 1
            assert.equal(url, address.complete(text, false))
        end
        assert.equal(3, count)
    end)

    it("makes JSON as the code does", function()
        local count = 0
        for words, body in page:gmatch "\n| `(%-%-json [^`]+)` | `([^`]+)` |" do
            local list = {}
            for word in words:gsub("'", ""):gmatch "%-%-json (.-)%f[%z%-]" do
                list[#list + 1] = word:gsub(" $", "")
            end
            count = count + 1
            assert.equal(body, assert(items.json(list, error)).text)
        end
        assert.equal(4, count)
    end)
end)
