-- Downloads inside an nginx worker.
local handlers = require "spec.support.nginx_handlers"
local support = require "spec.support"

describe("a download in a worker", function()
    local server, dir

    setup(function()
        dir = support.temp_dir()
        os.execute("chmod 777 " .. support.quote(dir))
        server = handlers.start {
            whole = ([[
                local done, err = http.download(upstream .. "/range/1000000?cut=300000", "%s/file",
                    { sha256 = ngx.var.arg_hash, retry = { base = 0.01 } })
                say(done and done.bytes or err, done and done.attempts)
            ]]):format(dir),
            half = ([[
                local url = upstream .. "/range/1000000?cut=300000"
                local _, err = http.download(url, "%s/half", { resume = true, retry = false })
                local done = http.download(url, "%s/half", { resume = true, retry = { base = 0 } })
                say(err.kind, err.path ~= nil, done.resumed_from, done.bytes)
            ]]):format(dir, dir),
        }
    end)

    teardown(function()
        server:finish()
    end)

    it("goes on where it broke off, and hashes the file without keeping others waiting", function()
        local text = require("moonwire.testing.server.data").bytes(1000000)
        local hash = require("moonwire.core").digest("SHA-256", text):finish()
        assert.equal("1000000 | 4\n", server:ask("whole?hash=" .. hash))
        local file = assert(io.open(dir .. "/file", "rb"))
        assert.is_true(file:read "*a" == text)
        file:close()
    end)

    it("goes on in another request", function()
        assert.equal("closed | true | 300000 | 1000000\n", server:ask "half")
    end)
end)
