-- Proxies of moonwire.resty: the whole URI to one for http, CONNECT through one for https.

local certs = require "spec.support.certs"
local net = require "moonwire.net"
local resty = require "moonwire.resty"
local moonwire = require "moonwire"
local with = require "spec.support.resty"

-- Runs body(uri, heads) with a proxy. It keeps the head of each request that it gets, answers those
-- for http by itself, and CONNECT by a tunnel, or by `refusal`.
local function with_proxy(refusal, body)
    local heads = {}
    local function tunnel(stream, head)
        local other = assert(net.connect("127.0.0.1", tonumber(head:match ":(%d+) HTTP")))
        stream:write "HTTP/1.1 200 Connection established\r\n\r\n"
        local function pump(from, to)
            repeat
                local data = from:read()
                local ok = data and to:write(data)
            until not ok
            to:shutdown()
        end
        moonwire.scope(function(scope)
            scope:spawn(pump, stream, other)
            scope:spawn(pump, other, stream)
        end)
        other:close()
    end
    with.peer(function(stream)
        local head = stream:read_until "\r\n\r\n"
        while head do
            heads[#heads + 1] = head
            if not head:find "^CONNECT" then
                stream:write "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nproxied"
            elseif refusal then
                stream:write(refusal)
            else
                return tunnel(stream, head)
            end
            head = stream:read_until "\r\n\r\n"
        end
    end, function(port)
        body("http://127.0.0.1:" .. port, heads)
    end)
end

local made = certs.new()
made:root "root"
made:issue("good", { by = "root", san = "DNS:localhost,IP:127.0.0.1" })
local ROOT = made:path "root.pem"
local SERVER = { tls = { cert = made:path "good.pem", key = made:path "good.key" } }

describe("moonwire.resty: a proxy for http", function()
    it("is told the whole URI, and who asks", function()
        with.real(function(httpc)
            with_proxy(nil, function(uri, heads)
                httpc:set_proxy_options {
                    http_proxy = uri, http_proxy_authorization = "Basic eA==",
                }
                assert.equal("proxied", assert(httpc:request_uri("http://far.test:81/a?b=1")).body)
                assert(httpc:request_uri("http://far.test:81/", {
                    headers = { ["Proxy-Authorization"] = "Basic eQ==" },
                }))
                assert.truthy(heads[1]:find("^GET http://far%.test:81/a%?b=1 HTTP/1%.1\r\n"))
                assert.truthy(heads[1]:find("\r\nHost: far.test:81\r\n", 1, true))
                assert.truthy(heads[1]:find("\r\nProxy-Authorization: Basic eA==\r\n", 1, true))
                assert.truthy(heads[2]:find("\r\nProxy-Authorization: Basic eQ==\r\n", 1, true))
                assert.is_nil(heads[2]:find("eA==", 1, true))
            end)
        end)
    end)

    it("is for one connection with proxy_opts, and not for those of others", function()
        with.real(function(httpc, s)
            with_proxy(nil, function(uri, heads)
                for times = 0, 1 do
                    assert(httpc:connect(with.place(s, { proxy_opts = { http_proxy = uri } })))
                    assert.equal(times, (httpc:get_reused_times()))
                    assert.equal("proxied", assert(httpc:request { path = "/get" }):read_body())
                    assert.equal(1, (httpc:set_keepalive()))
                end
                assert(httpc:connect(with.place(s)))
                assert.equal(0, (httpc:get_reused_times()))
                assert.equal(200, assert(httpc:request { path = "/status/200" }).status)
                assert.equal(1, s.connections)
                assert.equal(2, #heads)
            end)
        end)
    end)

    it("is not for the subdomains of those of no_proxy", function()
        with.mock(function(httpc, _, m)
            m:hosts { ["proxy.test"] = { "10.0.0.1" } }
            m:listen_at("10.0.0.1", 80, { { expect = "\r\n\r\n" },
                { send = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx" } })
            for host, is_proxied in pairs {
                ["a.test"] = false, ["www.A.TEST"] = false, ["aa.test"] = true,
                ["b.internal"] = false, ["internal.c"] = true,
            } do
                httpc:set_proxy_options {
                    http_proxy = "http://proxy.test", no_proxy = "a.test,.internal",
                }
                local res, problem = httpc:request_uri("http://" .. host .. "/",
                    { keepalive = false })
                assert.equal(is_proxied, res ~= nil, host .. " " .. tostring(problem))
            end
        end)
    end)

    it("is not for the hosts of no_proxy", function()
        with.real(function(httpc, s)
            with_proxy(nil, function(uri, heads)
                for list, is_proxied in pairs {
                    ["a.test, 127.0.0.1"] = false, ["*"] = false, ["a.test"] = true,
                    ["0.0.1"] = true, [".0.0.1"] = true,
                } do
                    httpc:set_proxy_options { http_proxy = uri, no_proxy = list }
                    heads[1] = nil
                    assert(httpc:request_uri(s.url .. "/get", { keepalive = false }))
                    assert.equal(is_proxied, heads[1] ~= nil, list)
                end
            end)
        end)
    end)
end)

describe("moonwire.resty: a proxy for https", function()
    it("connects to the server, which TLS is spoken with, and is kept like that", function()
        with.real(function(httpc, s)
            with_proxy(nil, function(uri, heads)
                httpc:set_proxy_options {
                    https_proxy = uri, https_proxy_authorization = "Basic eA==",
                }
                for times = 0, 1 do
                    assert(httpc:connect(with.place(s, { ssl_trusted_certificate = ROOT })))
                    assert.equal(times, (httpc:get_reused_times()))
                    local res = assert(httpc:request { path = "/headers" })
                    assert.is_nil(res:read_body():find("Proxy", 1, true))
                    assert.equal(1, (httpc:set_keepalive()))
                end
                assert.equal(1, #heads)
                assert.truthy(heads[1]:find("^CONNECT 127%.0%.0%.1:" .. s.port .. " HTTP/1%.1\r\n"))
                assert.truthy(heads[1]:find("\r\nProxy-Authorization: Basic eA==\r\n", 1, true))
            end)
        end, SERVER)
    end)

    it("that refuses is quoted", function()
        with.real(function(httpc, s)
            with_proxy("HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n", function(uri)
                httpc:set_proxy_options { https_proxy = uri }
                local ok, problem = httpc:connect(with.place(s))
                assert.is_nil(ok)
                assert.truthy(problem:find("has not connected to 127.0.0.1:" .. s.port
                    .. ": it answered 407 Who are you", 1, true), problem)
                assert.equal(0, s.connections)
            end)
        end, SERVER)
    end)

    it("does not stand in for the server's certificate", function()
        with.real(function(httpc, s)
            with_proxy(nil, function(uri)
                httpc:set_proxy_options { https_proxy = uri }
                local ok, problem = httpc:connect(with.place(s))
                assert.is_nil(ok)
                assert.truthy(problem:find("certificate", 1, true), problem)
            end)
        end, SERVER)
    end)
end)

describe("moonwire.resty: a proxy that can't be one", function()
    it("is refused with a reason", function()
        local httpc = resty.new()
        for uri, words in pairs {
            ["https://p.test/"] = "by http:// only", ["http://u:p@p.test"] =
                "http_proxy_authorization", ["p.test"] = "bad http_proxy",
        } do
            httpc:set_proxy_options { http_proxy = uri }
            local ok, problem = httpc:connect { scheme = "http", host = "a.test" }
            assert.is_nil(ok)
            assert.truthy(problem:find(words, 1, true), problem)
        end
        assert.has_error(function()
            httpc:set_proxy_options { http = "http://p.test" }
        end, "bad argument 'proxy_opts' (unknown option \"http\")")
        assert.has_error(function()
            httpc:set_proxy_options { no_proxy = { "a.test" } }
        end, "bad argument 'proxy_opts.no_proxy' (string expected, got table)")
        assert.has_error(function()
            httpc:connect_proxy("http://p.test", "http", "a.test", 80)
        end, "connect_proxy is not offered: use connect{..., proxy_opts = {...}}, which sees to "
            .. "the tunnel and to TLS")
    end)
end)
