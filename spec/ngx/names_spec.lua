-- Host names inside nginx: looked up by its resolver, against a name server of ours.
local dns = require "spec.support.dns"
local handlers = require "spec.support.nginx_handlers"

describe("host names inside nginx", function()
    local nginx, server

    setup(function()
        server = dns.start()
        nginx = handlers.start({
            found = [[
                local port = upstream:match "%d+$"
                local res = assert(http.get("http://ttl-60-a.test:" .. port .. "/get"))
                say(res.status, res:json().headers.Host:match "^[^:]+")
                say(http.get("http://ttl-60-a.test:" .. port .. "/get").timing.reused)
                say(http.get("http://ttl-60-b.test:" .. port .. "/get").timing.reused)]],
            unknown = [[
                local _, err = http.get "http://nobody.test/"
                say(err.kind, err.phase, err.code, err)]],
            silent = [[
                local started = moonwire.now()
                local _, err = http.get("http://silent.test/", { timeout = 0.2 })
                say(err.kind, err.timeout, moonwire.now() - started < 2)
                local ok
                ok, err = moonwire.timeout(0.1, http.get, "http://silent.test/")
                say(ok, err.kind)]],
            side_by_side = [[
                -- a scope that is left while a name is looked up
                moonwire.race(function()
                    http.get "http://silent.test/"
                end, function()
                    moonwire.sleep(0.05)
                end)
                say(http.get(upstream .. "/get").status)]],
        }, { http = ("resolver 127.0.0.1:%d ipv6=off; resolver_timeout 5s;"):format(server.port) })
    end)

    teardown(function()
        nginx:finish()
        server:stop()
    end)

    it("are looked up, and their connections kept by name", function()
        assert.equal("200 | ttl-60-a.test\ntrue\nfalse\n", (nginx:ask "found"))
    end)

    it("that don't exist are told apart", function()
        local text = nginx:ask "unknown"
        assert.matches("^resolve | resolve | ENOTFOUND | connecting to nobody.test:80: no such "
            .. "host name: nobody.test could not be resolved %(3: Host not found%)", text)
    end)

    it("wait no longer than the request may, and can be cancelled", function()
        server:pause()
        assert.equal("timeout | total | true\nnil | timeout\n", (nginx:ask "silent"))
        assert.equal("200\n", (nginx:ask "side_by_side"))
    end)
end)
