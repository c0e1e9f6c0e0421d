local certs = require "spec.support.certs"
local http = require "moonwire.http"
local mock = require "moonwire.testing.mock"
local net = require "moonwire.net"
local server = require "moonwire.testing.server"
local support = require "spec.support"

local made = certs.new()
made:root "root"
made:issue("good", { by = "root", san = "DNS:localhost,IP:127.0.0.1" })
made:issue("me", { by = "root" })

local ROOT = made:path "root.pem"
local OWN = { cert = made:path "good.pem", key = made:path "good.key" }

local function with(more)
    local tls = { cert = OWN.cert, key = OWN.key }
    for name, value in pairs(more or {}) do
        tls[name] = value
    end
    return tls
end

-- Runs f(server, client); both are closed afterwards.
local function serving(tls, client_tls, f)
    support.in_loop(function()
        local s = assert(server.start { tls = tls })
        local client = http.client { base_url = s.url, tls = client_tls }
        local ok, problem = xpcall(f, debug.traceback, s, client)
        client:close()
        s:close()
        assert.is_true(ok, problem)
    end)
end

local function raises(words, tls)
    local ok, problem = pcall(function()
        assert(server.start { tls = tls })
    end)
    assert.is_false(ok)
    assert.is_truthy(problem:find(words, 1, true), problem)
    assert.is_truthy(problem:find "^[^:]*server_tls_spec.lua:", problem)
end

describe("the loopback server with TLS", function()
    it("has an https url and its routes", function()
        serving(OWN, { ca_file = ROOT }, function(s, client)
            assert.equal("https://127.0.0.1:" .. s.port, s.url)
            assert.equal("moon", assert(client:get "/get?name=moon"):json().args.name)
            local body = ("x"):rep(300000)
            assert.equal(#body, assert(client:put("/upload", { body = body })):json().bytes)
            assert.equal(500000, #assert(client:get "/bytes/500000"):text())
            assert.equal(1, s.connections)
        end)
    end)

    it("tells its handlers what is spoken", function()
        serving(OWN, { ca_file = ROOT, max_version = "1.2" }, function(s, client)
            local seen
            s:on("/seen", function(request, respond)
                seen = request.tls
                respond(204)
            end)
            assert.equal(204, assert(client:get "/seen").status)
            assert.equal("TLSv1.2", seen.version)
            assert.equal("http/1.1", seen.alpn)
            assert.is_false(seen.resumed)
            assert.is_string(seen.cipher)
        end)
    end)

    for _, version in ipairs { "1.2", "1.3" } do
        it("takes only clients with a certificate when it has CAs, TLS " .. version, function()
            local tls = with { ca_file = ROOT, min_version = version, max_version = version }
            serving(tls, { ca_file = ROOT }, function(s, client)
                local response, err = client:get "/get"
                assert.is_nil(response)
                assert.equal("ETLS_ALERT", err.code, tostring(err))
                assert.is_truthy(err.message:find("tls = { cert = ", 1, true), err.message)
                assert.is_truthy(s.last_tls_error.message:find("did not return a certificate", 1,
                    true), s.last_tls_error.message)
                assert.equal(200, assert(client:get("/get", {
                    tls = { cert = made:path "me.pem", key = made:path "me.key" },
                })).status)
            end)
        end)
    end

    it("tells of a client that doesn't trust it, and goes on", function()
        serving(OWN, nil, function(s, client)
            local _, err = client:get "/get"
            assert.equal("ETLS_CERTIFICATE", err.code)
            local response = assert(client:get("/get", { tls = { ca_file = ROOT } }))
            assert.equal(200, response.status)
            assert.equal("the peer refused TLS: alert \"unknown ca\"",
                s.last_tls_error.message:match "the peer.*")
        end)
    end)

    it("takes nothing but TLS", function()
        serving(OWN, nil, function(s)
            local stream = assert(net.connect("127.0.0.1", s.port))
            assert(stream:write "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            local answer = stream:read()
            assert.is_truthy(answer == nil or answer:byte() == 21) -- an alert
            stream:close()
            assert.equal(0, s.requests)
            assert.is_truthy(s.last_tls_error.message:find "http request")
        end)
    end)

    it("chooses the first of its own protocols that is offered, or refuses", function()
        serving(with { alpn = { "b", "http/1.1" } }, nil, function(s)
            local function offer(...)
                local stream = assert(net.connect("127.0.0.1", s.port))
                local ok, err = stream:start_tls {
                    ca_file = ROOT, server_name = "localhost", alpn = { ... },
                }
                local chosen = ok and (stream:tls_info().alpn or "none")
                stream:close()
                return chosen, err
            end
            assert.equal("http/1.1", offer("http/1.1"))
            assert.equal("b", offer("http/1.1", "a", "b"))
            assert.equal("none", offer())
            local _, err = offer("h2", "spdy")
            assert.is_truthy(err.message:find("no application protocol", 1, true), err.message)
        end)
    end)

    it("runs on the mock as well", function()
        local m = mock.new()
        m:run(function()
            local s = assert(server.start { tls = OWN, port = 443 })
            local client = http.client { tls = { ca_file = ROOT } }
            for _ = 1, 2 do
                assert.equal(200, assert(client:get(s.url .. "/get")).status)
            end
            client:close()
            s:close()
        end)
        assert.same({ threads = 0, watchers = 0, tcp = 0, lookups = 0 }, m:stats())
    end)

    it("checks its options when it is started", function()
        raises("bad argument 'tls' (table expected", true)
        raises("bad argument 'tls.cert' (string expected, got nil)", {})
        raises("unknown option 'tls.verify' (known: alpn ca ca_file ca_path cert ciphers key "
            .. "key_password max_version min_version)", with { verify = false })
        raises("tls.cert '/nowhere': no such file", { cert = "/nowhere" })
        raises("is not the key of tls.cert", with { key = made:path "me.key" })
        raises("tls.ca holds no certificate", with { ca = "nothing" })
    end)
end)
