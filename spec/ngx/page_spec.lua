-- What docs/embedding.md shows of nginx: the configuration as it stands there, with moonwire
-- installed, on free ports.
local serve = require "spec.support.serve"
local snippets = require "spec.support.snippets"
local support = require "spec.support"

local function run(command)
    local code, out, err = support.run(command, { timeout = 100 })
    assert.equal(0, code, out .. err)
    return out
end

describe("docs/embedding.md, inside nginx,", function()
    local page = snippets.read "docs/embedding.md":match "(## Inside nginx\n.-\n)## "

    it("has a configuration that answers", function()
        local dir, port = support.temp_dir(), support.free_port()
        local server, upstream = serve.start()
        run(("make -C %s install PREFIX=%s/usr >%s/install"):format(
            support.quote(support.root), dir, dir))
        local blocks = snippets.blocks(page, "nginx")
        assert.equal(1, #blocks)
        local text = blocks[1].text
        local words = { ["127.0.0.1:8080"] = "127.0.0.1:" .. port,
            ["http://127.0.0.1:8081"] = upstream, ["/usr/local"] = dir .. "/usr" }
        for from, to in pairs(words) do
            local count
            text, count = text:gsub(from:gsub("%p", "%%%0"), to)
            assert.is_true(count > 0, from)
        end
        local file = assert(io.open(dir .. "/nginx.conf", "w"))
        file:write(text)
        file:close()
        local command = page:match "\nnginx (%-c %S+)\n":gsub("%$PWD", dir)
        local globals = ("daemon off; master_process off; pid %s/pid; error_log %s/log warn;")
            :format(dir, dir)
        local process = support.spawn_process({
            "sh", "-c", ("exec nginx %s -e stderr -g '%s'"):format(command, globals),
        }, { output = dir .. "/output" })
        support.wait_port(port)
        local out = run((page:match "\n(curl http://%S+)\n":gsub("8080", port) .. " 2>/dev/null"))
        process:kill()
        server:kill()
        assert.matches('"url": *"http:', out)
        assert.equal("", run("cat " .. dir .. "/log"))
    end)

    it("names modules and files that are there", function()
        for name in page:gmatch 'require[ (]"(moonwire[%w.]*)"' do
            assert.truthy(require(name))
        end
        for path in page:gmatch "%]%(%.%./([^)]+)%)" do
            assert.truthy(io.open(support.root .. "/" .. path), path)
        end
    end)
end)
