-- Downloads over TLS, and what they leave in the transcript.

local certs = require "spec.support.certs"
local data = require "moonwire.testing.server.data"
local http = require "moonwire.http"
local server = require "moonwire.testing.server"
local support = require "spec.support"
local trace = require "moonwire.trace"

local made = certs.new()
made:root "root"
made:issue("good", { by = "root", san = "DNS:localhost" })

describe("a download over TLS", function()
    it("goes on where it broke off", function()
        local lines, dir = {}, support.temp_dir()
        support.in_loop(function()
            local s = assert(server.start {
                tls = { cert = made:path "good.pem", key = made:path "good.key" },
            })
            local client = http.client { tls = { ca_file = made:path "root.pem" } }
            trace.enable(function(text)
                lines[#lines + 1] = text
            end)
            local done, err = client:download(
                ("https://localhost:%d/range/5000000?cut=2000000"):format(s.port), dir .. "/file",
                { retry = { base = 0.01 }, auth = { "me", "a-secret" } })
            trace.disable()
            client:close()
            s:close()
            assert(done, err)
            assert.equal(3, done.attempts)
            assert.equal(206, done.response.status)
        end)
        local file = assert(io.open(dir .. "/file", "rb"))
        assert.is_true(file:read "*a" == data.bytes(5000000))
        file:close()
        local text = table.concat(lines)
        assert.truthy(text:find "download: again in %d")
        assert.is_nil(text:find("a-secret", 1, true))
        assert.is_nil(text:find("bWU6", 1, true)) -- the same in base64
    end)

    it("is made by nobody whose certificate isn't trusted, and leaves nothing", function()
        local dir = support.temp_dir()
        support.in_loop(function()
            local s = assert(server.start {
                tls = { cert = made:path "good.pem", key = made:path "good.key" },
            })
            local client = http.client()
            local url = ("https://localhost:%d/range/10"):format(s.port)
            local done, err = client:download(url, dir .. "/file", { resume = true })
            assert.is_nil(done)
            assert.equal("tls", err.kind)
            assert.is_nil(err.path)
            local ok, problem = pcall(client.download, client, url, dir .. "/file", {
                tls = { ca_file = dir .. "/none.pem" },
            })
            assert.is_false(ok)
            assert.truthy(tostring(problem):find "none.pem")
            client:close()
            s:close()
        end)
        local _, names = support.run { "ls", "-A", dir }
        assert.equal("", names)
    end)
end)
