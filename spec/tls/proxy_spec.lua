-- TLS through proxies, and with them: each end has its own certificate, options and sessions.

local certs = require "spec.support.certs"
local forwarder = require "spec.support.forwarder"
local http = require "moonwire.http"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local server = require "moonwire.testing.server"

local made = certs.new()
made:root "root"
made:root "proxies"
made:issue("origin", { by = "root", san = "DNS:origin.example" })
made:issue("proxy", { by = "proxies", san = "DNS:localhost" })
made:issue("me", { by = "root", usage = "clientAuth" })

local ORIGIN = { cert = made:path "origin.pem", key = made:path "origin.key" }
local PROXY = { cert = made:path "proxy.pem", key = made:path "proxy.key" }
local TRUST = { ca_file = made:path "root.pem" }
local TRUST_PROXY = { ca_file = made:path "proxies.pem" }
local NOTHING = { threads = 0, watchers = 0, tcp = 0, lookups = 0 }

-- Runs f(client, proxy, url, s) with a server for TLS behind a proxy.
local function world(proxy_tls, client_options, f, own)
    local m = mock.new()
    m:run(function()
        local opts = {}
        for name, value in pairs(ORIGIN) do
            opts[name] = value
        end
        for name, value in pairs(own or {}) do
            opts[name] = value
        end
        local s = assert(server.start { tls = opts })
        local proxy = forwarder.start(s.port, proxy_tls)
        client_options.proxy = {
            url = ("%s://u:p@localhost:%d"):format(proxy_tls and "https" or "http", proxy.port),
            tls = client_options.proxy_tls,
        }
        client_options.proxy_tls, client_options.timeout = nil, 5
        local client = http.client(client_options)
        f(client, proxy, "https://origin.example", s)
        client:close()
        moonwire.sleep(0)
        proxy:close()
        s:close()
    end)
    collectgarbage()
    assert.same(NOTHING, m:stats())
end

describe("TLS with an origin through an http proxy", function()
    it("is verified as ever, and only the proxy is told the proxy's", function()
        world(nil, { tls = TRUST }, function(client, proxy, url, s)
            for _ = 1, 2 do
                local response = assert(client:get(url .. "/headers"))
                assert.equal(200, response.status)
                assert.equal("TLSv1.3", response.tls.version)
                assert.is_nil(response:text():find("roxy", 1, true))
            end
            assert.equal(1, #proxy.heads)
            assert.truthy(proxy.heads[1]:find "^CONNECT origin.example:443 HTTP/1.1\r\n")
            assert.equal(1, s.connections)
            local _, err = client:get(url, { tls = { server_name = "other.example" } })
            assert.equal("tls", err.kind)
            assert.equal("tls", err.phase)
            assert.truthy(err.message:find("other.example", 1, true))
            _, err = client:get(url, { tls = TRUST_PROXY })
            assert.equal("tls", err.kind)
            assert.equal(3, #proxy.heads)
        end)
    end)

    it("has all options of the client's: certificate, versions, pins", function()
        world(nil, { tls = {
            ca_file = TRUST.ca_file, cert = made:path "me.pem", key = made:path "me.key",
            max_version = "1.2", pins = { made:pin "origin" },
        } }, function(client, _, url, s)
            assert.equal("TLSv1.2", assert(client:get(url .. "/get")).tls.version)
            assert.is_nil(s.last_tls_error)
            local _, err = client:get(url, { tls = { pins = { made:pin "me" } } })
            assert.equal("tls", err.kind)
        end, { ca_file = TRUST.ca_file })
    end)

    it("goes on with its sessions", function()
        world(nil, { tls = TRUST }, function(client, _, url)
            for i = 1, 3 do
                local response = assert(client:get(url .. "/get"))
                assert.equal(i > 1, response.tls.resumed)
                response:text()
                client:close_idle()
            end
        end)
    end)

    it("has a limit of its own", function()
        local m = mock.new()
        m:run(function()
            local listener = assert(net.listen("127.0.0.1", 0)) -- which never shakes hands
            local task = moonwire.spawn(net.serve, listener, function(stream)
                stream:read()
                moonwire.sleep(100)
            end)
            local proxy = forwarder.start(listener:address().port)
            local client = http.client {
                proxy = "http://localhost:" .. proxy.port, timeout = { connect = 2, tls = 3 },
            }
            local began = m:now()
            local _, err = client:get "https://origin.example/"
            assert.equal("timeout", err.kind)
            assert.equal("tls", err.timeout)
            assert.equal(3, m:now() - began)
            client:close()
            proxy:close()
            task:cancel()
            task:join()
            listener:close()
        end)
        collectgarbage()
        assert.same(NOTHING, m:stats())
    end)
end)

describe("an https proxy", function()
    it("is spoken to by TLS, in which TLS with the origin goes on", function()
        world(PROXY, { tls = TRUST, proxy_tls = TRUST_PROXY }, function(client, proxy, url, s)
            for i = 1, 3 do
                local response = assert(client:post(url .. "/post", { body = ("x"):rep(100000) }))
                assert.equal(100000, #assert(response:json()).data)
                assert.equal(i > 1, response.tls.resumed)
                client:close_idle()
            end
            assert.same({ false, true, true }, proxy.resumed) -- sessions of each end, kept apart
            assert.equal(3, s.connections)
            assert.truthy(proxy.heads[1]:find "\r\nProxy%-Authorization: Basic dTpw\r\n")
        end)
    end)

    it("is told the whole URL of an http origin, over one connection or session", function()
        world(PROXY, { proxy_tls = TRUST_PROXY }, function(client, proxy)
            for _ = 1, 2 do
                assert.equal("proxied", assert(client:get "http://a.test/x"):text())
                assert.equal("proxied", assert(client:get "http://b.test/y"):text())
            end
            assert.same({ false }, proxy.resumed)
            assert.truthy(proxy.heads[2]:find "^GET http://b.test/y HTTP/1.1\r\n")
            client:close_idle()
            assert.equal("proxied", assert(client:get "http://a.test/x"):text())
            assert.same({ false, true }, proxy.resumed)
        end)
    end)

    it("doesn't learn by a session that two users are the same client", function()
        world(PROXY, { proxy_tls = TRUST_PROXY }, function(client, proxy)
            for _, user in ipairs { "a", "b", "a" } do
                client:get("http://h.test/", { proxy = {
                    url = ("https://%s:x@localhost:%d"):format(user, proxy.port), tls = TRUST_PROXY,
                } })
                client:close_idle()
            end
            assert.same({ false, false, true }, proxy.resumed)
        end)
    end)

    it("must show a certificate for its own name, by whom proxies are trusted to", function()
        for _, opts in ipairs {
            { tls = TRUST, proxy_tls = TRUST }, { tls = TRUST_PROXY }, -- the client's isn't asked
            { tls = TRUST, proxy_tls = { ca_file = TRUST_PROXY.ca_file, server_name = "x.test" } },
        } do
            world(PROXY, opts, function(client, proxy, url)
                local _, err = client:get(url)
                assert.equal("tls", err.kind)
                assert.equal("tls", err.phase)
                assert.truthy(err.message:find("^the proxy https://localhost:%d+: TLS handshake"))
                assert.same({}, proxy.heads)
            end)
        end
    end)

    it("doesn't get the client's certificate, but its own", function()
        local me = { ca_file = TRUST.ca_file, cert = made:path "me.pem", key = made:path "me.key",
            max_version = "1.2" }
        local asking = { cert = PROXY.cert, key = PROXY.key, ca_file = TRUST.ca_file }
        world(asking, { tls = me, proxy_tls = TRUST_PROXY }, function(client, proxy, url)
            assert.is_nil((client:get(url)))
            assert.same({}, proxy.heads)
            assert.is_truthy(proxy.last_error)
        end)
        world(asking, { tls = me, proxy_tls = { ca_file = TRUST_PROXY.ca_file,
            cert = me.cert, key = me.key } }, function(client, proxy, url)
            assert.equal(200, assert(client:get(url .. "/get")).status)
            assert.equal(1, #proxy.heads)
        end)
    end)

    it("has the time of tls for its handshake, and connect's goes on behind it", function()
        local m = mock.new()
        m:run(function()
            local seconds = 9
            local listener = assert(net.listen("127.0.0.1", 0))
            local task = moonwire.spawn(net.serve, listener, function(stream)
                moonwire.sleep(seconds)
                if stream:accept_tls(PROXY) then
                    stream:read_until "\r\n\r\n"
                    moonwire.sleep(100)
                end
            end)
            local client = http.client {
                proxy = {
                    url = "https://localhost:" .. listener:address().port, tls = TRUST_PROXY,
                },
                timeout = { connect = 2, tls = 3 },
            }
            local began = m:now()
            local _, err = client:get "https://origin.example/"
            assert.equal("timeout", err.kind)
            assert.equal("tls", err.timeout)
            assert.truthy(err.message:find("^the proxy https://localhost:"), err.message)
            assert.equal(3, m:now() - began)
            seconds, began = 2.5, m:now()
            _, err = client:get "https://origin.example/"
            assert.equal("timeout", err.kind)
            assert.equal("connect", err.timeout)
            assert.equal(4.5, m:now() - began)
            client:close()
            task:cancel()
            task:join()
            listener:close()
        end)
        collectgarbage()
        assert.same(NOTHING, m:stats())
    end)

    it("is refused at once where its TLS options are wrong", function()
        for words, own in pairs {
            ["/nothing/here"] = { ca_file = "/nothing/here" },
            ["unknown option 'tls.what'"] = { what = 1 },
        } do
            local ok, problem = pcall(function()
                local client = http.client { proxy = { url = "https://p", tls = own } }
                client:close()
            end)
            assert.is_false(ok)
            assert.truthy(problem:find(words, 1, true), problem)
            assert.truthy(problem:find("^spec/tls/proxy_spec.lua:"), problem)
        end
    end)
end)
