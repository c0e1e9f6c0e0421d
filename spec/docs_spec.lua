-- Runs the scripts of the pages in docs/ that have no spec of their own.
local serve = require "spec.support.serve"
local snippets = require "spec.support.snippets"
local support = require "spec.support"

local ELSEWHERE = {
    ["conformance.md"] = "spec/conformance_spec.lua", ["embedding.md"] = "spec/ngx/page_spec.lua",
    ["resty.md"] = "spec/resty/docs_spec.lua", ["bench.md"] = "spec/bench/docs_spec.lua",
    ["command.md"] = "spec/verb/docs_spec.lua",
}

local _, pages = support.run("ls " .. support.quote(support.root) .. "/docs")

for page in pages:gmatch "[^\n]+" do
    describe("docs/" .. page, function()
        if ELSEWHERE[page] then
            it("has a spec of its own", function()
                assert(io.open(support.root .. "/" .. ELSEWHERE[page])):close()
            end)
            return
        end
        local process, env

        setup(function()
            local url
            process, url = serve.start()
            env = { SERVER = url }
        end)

        teardown(function()
            process:kill()
        end)

        local scripts = snippets.blocks(snippets.read("docs/" .. page), "lua")
        snippets.declare(it, scripts, function()
            return env
        end)

        it("has scripts", function()
            assert.is_true(#scripts > 0)
        end)
    end)
end
