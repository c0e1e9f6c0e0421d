-- HTTPS over moonwire.resty: verified unless somebody says otherwise.

local certs = require "spec.support.certs"
local resty = require "moonwire.resty"
local with = require "spec.support.resty"

local made = certs.new()
made:root "root"
made:issue("good", { by = "root", san = "DNS:localhost,DNS:a.test,IP:127.0.0.1" })
made:issue("client", { by = "root", cn = "me" })

local ROOT = made:path "root.pem"
local SERVER = { tls = { cert = made:path "good.pem", key = made:path "good.key" } }
local ASKING = { tls = {
    cert = made:path "good.pem", key = made:path "good.key", ca_file = ROOT,
} }

local place = with.place

local function refused(words, ok, problem, err)
    assert.is_nil(ok)
    assert.truthy(problem:find(words, 1, true), problem)
    assert.equal("tls", err.kind)
end

describe("moonwire.resty: https", function()
    it("refuses a certificate that nobody here trusts", function()
        with.real(function(httpc, s)
            refused("certificate", httpc:request_uri(s.url .. "/get"))
            refused("certificate", httpc:connect(place(s)))
            refused("certificate", httpc:connect(place(s, { ssl_verify = true })))
            assert.equal("closed", (select(2, httpc:request {})))
        end, SERVER)
    end)

    it("takes one of the CA that was named, and keeps the connection", function()
        with.real(function(httpc, s)
            for times = 0, 1 do
                assert.equal(1, (httpc:connect(place(s, { ssl_trusted_certificate = ROOT }))))
                assert.equal(times, (httpc:get_reused_times()))
                assert.equal(200, assert(httpc:request { path = "/get" }).status)
                assert.equal(1, (httpc:set_keepalive()))
            end
            local res = assert(httpc:request_uri(s.url .. "/get",
                { ssl_trusted_certificate = ROOT }))
            assert.equal(200, res.status)
            assert.equal(1, s.connections)
        end, SERVER)
    end)

    it("takes any with ssl_verify = false", function()
        with.real(function(httpc, s)
            assert.equal(200, assert(httpc:request_uri(s.url .. "/get",
                { ssl_verify = false })).status)
        end, SERVER)
    end)

    it("wants the certificate for ssl_server_name where that is given", function()
        with.real(function(httpc, s)
            local given = { ssl_trusted_certificate = ROOT, ssl_server_name = "a.test" }
            assert.equal(200, assert(httpc:request_uri(s.url .. "/get", given)).status)
            given.ssl_server_name = "b.test"
            refused("b.test", httpc:request_uri(s.url .. "/get", given))
        end, SERVER)
    end)

    it("shows a certificate of ours", function()
        with.real(function(httpc, s)
            s:on("/who", function(request, respond)
                respond(200, request.tls and "seen" or "?")
            end)
            local given = { ssl_trusted_certificate = ROOT }
            assert.is_nil((httpc:request_uri(s.url .. "/who", given)))
            given.ssl_client_cert = made:path "client.pem"
            given.ssl_client_priv_key = made:path "client.key"
            assert.equal("seen", assert(httpc:request_uri(s.url .. "/who", given)).body)
        end, ASKING)
    end)

    it("says which of its files isn't there", function()
        local httpc = resty.new()
        local ok, problem = httpc:connect { scheme = "https", host = "127.0.0.1", port = 1,
            ssl_client_cert = "/nowhere.pem" }
        assert.is_nil(ok)
        assert.truthy(problem:find("/nowhere.pem", 1, true), problem)
    end)
end)

describe("moonwire.resty: ssl_handshake", function()
    it("verifies, unless it is told not to", function()
        with.real(function(httpc, s)
            assert(httpc:connect("127.0.0.1", s.port))
            refused("certificate", httpc:ssl_handshake(nil, "a.test"))
            assert(httpc:connect("127.0.0.1", s.port))
            assert.is_true(httpc:ssl_handshake(nil, "a.test", false))
            s:on("/tls", function(request, respond)
                respond(200, request.tls.version)
            end)
            assert.equal("TLSv1.3", assert(httpc:request { path = "/tls" }):read_body())
        end, SERVER)
    end)

    it("is for connections that aren't kept", function()
        with.real(function(httpc, s)
            assert(httpc:connect("127.0.0.1", s.port))
            assert.is_true(httpc:ssl_handshake(nil, "a.test", false))
            assert(assert(httpc:request { path = "/get" }):read_body())
            local ok, problem = httpc:set_keepalive()
            assert.equal(2, ok)
            assert.equal("connection must be closed", problem)
        end, SERVER)
    end)

    it("is for nothing but the old form of connect", function()
        with.real(function(httpc, s)
            assert.equal("not initialized", (select(2, httpc:ssl_handshake(nil, "a.test"))))
            assert(httpc:connect(place(s, { ssl_verify = false })))
            assert.has_error(function()
                httpc:ssl_handshake(nil, "a.test")
            end, "connect{...} sees to TLS: ssl_handshake is for connect(host, port)")
        end, SERVER)
    end)
end)
