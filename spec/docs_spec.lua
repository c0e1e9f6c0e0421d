-- Runs the scripts of the pages in docs/ that have no spec of their own.
local certs = require "spec.support.certs"
local serve = require "spec.support.serve"
local snippets = require "spec.support.snippets"
local support = require "spec.support"

local ELSEWHERE = {
    ["conformance.md"] = "spec/conformance_spec.lua", ["embedding.md"] = "spec/ngx/page_spec.lua",
    ["reference.md"] = "spec/setup/reference_spec.lua",
    ["resty.md"] = "spec/resty/docs_spec.lua", ["bench.md"] = "spec/bench/docs_spec.lua",
    ["command.md"] = "spec/verb/docs_spec.lua",
}

-- What else than SERVER stands in the environment of a page's scripts, and who answers there.
local BESIDE = {
    ["guide.md"] = function(env)
        local made = certs.new()
        made:root "ca"
        made:issue("server", { by = "ca", san = "IP:127.0.0.1" })
        local tls, unix
        tls, env.TLS_SERVER = serve.start_tls(made:path "server.pem", made:path "server.key")
        unix, env.UNIX_SOCKET = serve.start_unix '{"Version":"27.1"}'
        env.CA_FILE = made:path "ca.pem"
        return { tls, unix }
    end,
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
        local process, env, others

        setup(function()
            local url
            process, url = serve.start()
            env = { SERVER = url }
            others = BESIDE[page] and BESIDE[page](env) or {}
        end)

        teardown(function()
            process:kill()
            for _, other in ipairs(others) do
                other:kill()
            end
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
