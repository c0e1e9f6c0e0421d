-- What a client makes of TLS, on the mock: its transcript, its timing, tunnels.

local certs = require "spec.support.certs"
local connections = require "moonwire.connection"
local hello = require "spec.support.client_hello"
local http = require "moonwire.http"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local requests = require "moonwire.request"
local server = require "moonwire.testing.server"
local tap = require "spec.support.tap"
local trace = require "moonwire.trace"

local made = certs.new()
made:root "root"
made:issue("good", { by = "root",
    san = "DNS:localhost,DNS:inner.example,DNS:proxy.example,IP:127.0.0.1,IP:::1" })

local TRUST = { ca_file = made:path "root.pem" }
local OWN = { cert = made:path "good.pem", key = made:path "good.key" }
local NOTHING = { threads = 0, watchers = 0, tcp = 0, lookups = 0 }

local function on_mock(f)
    local m = mock.new()
    m:run(f, m)
    collectgarbage()
    assert.same(NOTHING, m:stats())
end

-- Runs f(client, url) with a server; gives the transcript.
local function transcript(tls, f)
    local lines = {}
    on_mock(function()
        local s = assert(server.start { tls = OWN })
        trace.enable(function(text)
            lines[#lines + 1] = text
        end)
        local client = http.client { tls = tls }
        local ok, problem = pcall(f, client, "https://localhost:" .. s.port .. "/get")
        client:close()
        trace.disable()
        s:close()
        assert(ok, problem)
    end)
    return table.concat(lines)
end

local function count(text, words)
    local total, at = 0, 0
    repeat
        at = text:find(words, at + 1, true)
        total = total + (at and 1 or 0)
    until not at
    return total
end

local function get_once(client, url, opts)
    assert(client:get(url, opts)):text()
    client:close_idle()
end

describe("the transcript of https", function()
    it("says what is spoken, with whom, and whom we trust", function()
        local text = transcript(TRUST, function(client, url)
            get_once(client, url)
            get_once(client, url)
        end)
        assert.equal(2, count(text, "* TLSv1.3 with TLS_"))
        assert.equal(1, count(text, ", resumed\n"))
        assert.equal(2, count(text, "* the certificate is for localhost; CAs: tls.ca_file '"
            .. TRUST.ca_file .. "'\n"))
        assert.equal(0, count(text, "WARNING"))
    end)

    it("warns of verify = false, once", function()
        local WARNING = "* WARNING: verify = false: nobody knows whether this is localhost\n"
        local text = transcript({ verify = false }, function(client, url)
            for _ = 1, 3 do
                get_once(client, url)
            end
        end)
        assert.equal(1, count(text, WARNING))
        assert.equal(0, count(text, "the certificate is for"))
        text = transcript(TRUST, function(client, url)
            for _ = 1, 3 do
                get_once(client, url, { tls = { verify = false } })
                get_once(client, url)
            end
        end)
        assert.equal(1, count(text, WARNING))
        assert.equal(3, count(text, "the certificate is for"))
    end)
end)

-- A server that answers one request of each connection, `seconds` after it was connected to.
local function serve_late(seconds, reply)
    local listener = assert(net.listen("127.0.0.1", 0))
    return listener, moonwire.spawn(net.serve, listener, function(stream)
        moonwire.sleep(seconds)
        assert(stream:accept_tls(OWN))
        while stream:read_until "\r\n\r\n" do
            stream:write(reply or "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        end
    end)
end

describe("a response over TLS", function()
    it("tells how long the handshake took and what is spoken", function()
        on_mock(function()
            local listener, task = serve_late(3)
            local client = http.client { tls = TRUST }
            local url = "https://localhost:" .. listener:address().port
            local first, second = assert(client:get(url)), assert(client:get(url))
            local timing = first.timing
            for name, value in pairs { queued = 3, dns = 0, connect = 0, tls = 3, first_byte = 0,
                total = 0, reused = false } do
                assert.equal(value, timing[name], name)
            end
            assert.equal(0, second.timing.tls)
            assert.is_true(second.timing.reused)
            for _, response in ipairs { first, second } do
                assert.equal("TLSv1.3", response.tls.version)
                assert.matches("^TLS_", response.tls.cipher)
                assert.equal("http/1.1", response.tls.alpn)
                assert.is_false(response.tls.resumed)
            end
            client:close()
            listener:close()
            task:join()
        end)
    end)

    it("has no such facts without TLS", function()
        on_mock(function()
            local s = assert(server.start())
            local response = assert(http.get(s.url .. "/get"))
            assert.is_nil(response.tls)
            assert.equal(0, response.timing.tls)
            http.default():close()
            s:close()
        end)
    end)
end)

describe("what a client says first", function()
    -- The extensions of its first message.
    local function said(host, tls)
        local text
        on_mock(function()
            local s = assert(server.start { tls = OWN })
            local line = tap.new(s.port)
            local client = http.client { tls = tls }
            get_once(client, ("https://%s:%d/get"):format(host, line.port))
            text = table.concat(line.lines[1].up)
            client:close()
            line:close()
            s:close()
        end)
        return hello.extensions(text)
    end

    it("names the host, but no address", function()
        assert.equal("\0\12\0\0\9localhost", said("localhost", TRUST)[0])
        assert.equal("\0\12\0\0\9localhost", said("127.0.0.1",
            { ca_file = TRUST.ca_file, server_name = "localhost" })[0])
        assert.is_nil(said("127.0.0.1", TRUST)[0])
    end)

    it("offers TLS 1.3 and 1.2, and HTTP/1.1", function()
        local extensions = said("localhost", TRUST)
        assert.equal("\4\3\4\3\3", extensions[43])
        assert.equal("\0\9\8http/1.1", extensions[16])
        extensions = said("localhost", { ca_file = TRUST.ca_file, alpn = {}, min_version = "1.3" })
        assert.equal("\2\3\4", extensions[43])
        assert.is_nil(extensions[16])
    end)
end)

describe("https", function()
    it("is spoken with addresses of IPv6", function()
        on_mock(function()
            local s = assert(server.start { tls = OWN, host = "::1" })
            local client = http.client { tls = TRUST }
            assert.matches("^https://%[::1%]:", s.url)
            assert.equal(200, assert(client:get(s.url .. "/get")).status)
            local _, err = client:get(s.url, { tls = { server_name = "::2" } })
            assert.is_truthy(err.message:find("it is not for ::2 but for ", 1, true), err.message)
            client:close()
            s:close()
        end)
    end)

    it("is spoken over unix sockets, with the URL's host", function()
        on_mock(function()
            local listener = assert(net.listen { path = "/run/x" })
            local task = moonwire.spawn(net.serve, listener, function(stream)
                if stream:accept_tls(OWN) then
                    stream:read_until "\r\n\r\n"
                    stream:write "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                end
            end)
            local client = http.client { tls = TRUST, unix_socket = "/run/x" }
            assert.equal("ok", assert(client:get "https://inner.example/"):text())
            local _, err = client:get "https://other.example/"
            assert.equal("ETLS_CERTIFICATE", err.code)
            client:close()
            listener:close()
            task:join()
        end)
    end)
end)

-- A proxy that answers CONNECT and passes bytes on; `secure`: it speaks TLS itself.
local function start_proxy(secure)
    local listener = assert(net.listen("127.0.0.1", 0))
    local function pump(from, to)
        local data = from:read()
        while data and to:write(data) do
            data = from:read()
        end
        to:shutdown()
    end
    local task = moonwire.spawn(net.serve, listener, function(stream)
        if secure then
            assert(stream:accept_tls(OWN))
        end
        local head = assert(stream:read_until "\r\n\r\n")
        local host, port = head:match "^CONNECT ([^:]+):(%d+) HTTP/1.1\r\n"
        assert.equal("inner.example", host)
        local inner = assert(net.connect("127.0.0.1", tonumber(port)))
        assert(stream:write "HTTP/1.1 200 Connection established\r\n\r\n")
        moonwire.scope(function(s)
            s:spawn(pump, stream, inner)
            s:spawn(pump, inner, stream)
        end)
        inner:close()
    end)
    return listener, task
end

describe("TLS in a tunnel", function()
    for _, secure in ipairs { false, true } do
        it("through a proxy's CONNECT" .. (secure and ", in TLS" or ""), function()
            on_mock(function()
                local s = assert(server.start { tls = OWN })
                local listener, task = start_proxy(secure)
                local stream = assert(net.connect("127.0.0.1", listener:address().port))
                if secure then
                    assert(stream:start_tls { ca_file = TRUST.ca_file,
                        server_name = "proxy.example" })
                end
                local outer = connections.new(stream)
                local response = assert(outer:request(requests.new {
                    method = "CONNECT", target = "inner.example:" .. s.port,
                }))
                assert.equal(200, response.status)
                stream = assert(response:upgrade())
                assert(stream:start_tls { ca_file = TRUST.ca_file, server_name = "inner.example" })
                local inner = connections.new(stream)
                local body = ("0123456789abcdef"):rep(20000)
                for _ = 1, 3 do
                    response = assert(inner:request(requests.new {
                        method = "PUT", url = "https://inner.example/anything", body = body,
                    }))
                    assert.is_true(response:json().data == body)
                    assert.equal("TLSv1.3", response.tls.version)
                    assert.equal("idle", inner.state)
                end
                inner:close()
                listener:close()
                task:join()
                s:close()
            end)
        end)
    end

    it("takes nothing for its own that came before it", function()
        on_mock(function()
            local listener = assert(net.listen("127.0.0.1", 0))
            local task = moonwire.spawn(net.serve, listener, function(stream)
                stream:write "220 go on\r\ninjected"
                stream:read()
            end)
            local stream = assert(net.connect("127.0.0.1", listener:address().port))
            assert.equal("220 go on\r\n", stream:read_until "\r\n")
            local ok, err = stream:start_tls { server_name = "localhost" }
            assert.is_nil(ok)
            assert.equal("tls", err.kind)
            assert.is_truthy(err.message:find("bytes came before it", 1, true))
            assert.is_true(stream:is_closed())
            listener:close()
            task:join()
        end)
    end)
end)
