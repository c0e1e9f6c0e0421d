-- Runs what docs/resty.md shows, and holds its tables against the code.

local resty = require "moonwire.resty"
local serve = require "spec.support.serve"
local snippets = require "spec.support.snippets"

local page = snippets.read "docs/resty.md"

describe("docs/resty.md", function()
    local process, env

    setup(function()
        local url
        process, url = serve.start()
        env = { SERVER = url }
    end)

    teardown(function()
        process:kill()
    end)

    local scripts = snippets.blocks(page, "lua")
    snippets.declare(it, scripts, function()
        return env
    end)

    it("has scripts", function()
        assert.equal(4, #scripts)
    end)

    it("names every method there is", function()
        for name in pairs(getmetatable(resty.new()).__index) do
            assert.truthy(page:find(name, 1, true), name)
        end
        for name in pairs(resty) do
            assert.truthy(name == "_VERSION" or page:find(name, 1, true), name)
        end
    end)
end)
