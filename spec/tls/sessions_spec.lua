-- Sessions that are resumed: each ticket of TLS 1.3 once, and never by anybody else.

local certs = require "spec.support.certs"
local hello = require "spec.support.client_hello"
local http = require "moonwire.http"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local server = require "moonwire.testing.server"
local tap = require "spec.support.tap"
local tls = require "moonwire.backend.tls"

local made = certs.new()
made:root "root"
made:issue("good", { by = "root", san = "DNS:localhost,DNS:other.example,IP:127.0.0.1" })
made:issue("me", { by = "root" })

local TRUST = { ca_file = made:path "root.pem" }
local NOTHING = { threads = 0, watchers = 0, tcp = 0, lookups = 0 }

-- The tickets in a client's first message (RFC 8446, 4.2.11).
local function tickets_of(line)
    local text, list = hello.extensions(table.concat(line.up))[41] or "", {}
    local at, last = 3, text ~= "" and 2 + hello.number(text, 1, 2) or 0
    while at < last do
        local size = hello.number(text, at, 2)
        list[#list + 1] = text:sub(at + 2, at + 1 + size)
        at = at + 2 + size + 4
    end
    return list
end

-- Runs f(w) on a mock with a server behind a tap.
local function world(own, f)
    local m = mock.new()
    m:hosts { ["other.example"] = { "127.0.0.1" } }
    m:run(function()
        local opts = { cert = made:path "good.pem", key = made:path "good.key" }
        for name, value in pairs(own) do
            opts[name] = value
        end
        local s = assert(server.start { tls = opts })
        local line = tap.new(s.port)
        local client = http.client { tls = TRUST }
        f { tap = line, client = client, server = s, url = "https://localhost:" .. line.port }
        client:close()
        line:close()
        s:close()
    end)
    assert.same(NOTHING, m:stats())
end

-- A request over a connection of its own; whether its session was an earlier one's.
local function resumed(w, opts, host, client)
    client = client or w.client
    local response, err = client:get(w.url:gsub("localhost", host or "localhost") .. "/get", opts)
    assert(response, tostring(err))
    response:text()
    client:close_idle()
    return response.tls.resumed
end

describe("a session", function()
    it("of TLS 1.3 is resumed once with each ticket", function()
        world({ min_version = "1.3" }, function(w)
            assert.is_false(resumed(w))
            for _ = 1, 6 do
                assert.is_true(resumed(w))
            end
            moonwire.scope(function(s) -- one ticket is there: one of these has it
                for _ = 1, 4 do
                    s:spawn(w.client.get, w.client, w.url .. "/delay/1")
                end
            end)
            w.client:close_idle()
            for _ = 1, 5 do -- four are there, and each connection brings another
                assert.is_true(resumed(w))
            end
            local seen, count, without = {}, 0, 0
            assert.equal(16, #w.tap.lines)
            for _, line in ipairs(w.tap.lines) do
                local tickets = tickets_of(line)
                assert.is_true(#tickets <= 1)
                without = without + (tickets[1] and 0 or 1)
                for _, ticket in ipairs(tickets) do
                    assert.is_nil(seen[ticket])
                    seen[ticket], count = true, count + 1
                end
            end
            assert.equal(12, count)
            assert.equal(4, without)
        end)
    end)

    it("of TLS 1.2 is resumed as often as one likes", function()
        world({ max_version = "1.2" }, function(w)
            assert.is_false(resumed(w))
            for _ = 1, 6 do
                assert.is_true(resumed(w))
            end
        end)
    end)

    for _, version in ipairs { "1.2", "1.3" } do
        it("is resumed although its connection was closed behind the response, TLS " .. version,
            function()
                world({ min_version = version, max_version = version }, function(w)
                    for i = 1, 4 do
                        local response = assert(w.client:get(w.url .. "/get", { close = true }))
                        assert(response:text())
                        assert.equal(i > 1, response.tls.resumed)
                    end
                end)
            end)

        it("is not resumed with other options, by another client or host, TLS " .. version,
            function()
                world({ min_version = version, max_version = version }, function(w)
                    assert.is_false(resumed(w))
                    assert.is_true(resumed(w))
                    for name, value in pairs {
                        verify = false, ca_path = made.dir, min_version = version,
                        max_version = version, server_name = "127.0.0.1",
                        pins = { made:pin "good" }, alpn = { "http/1.1", "http/1.0" },
                        cert = made:path "me.pem", ciphers = "HIGH:TLS_AES_128_GCM_SHA256",
                    } do
                        local opts = { tls = { [name] = value } }
                        if name == "cert" then
                            opts.tls.key = made:path "me.key"
                        end
                        assert.is_false(resumed(w, opts), name)
                        assert.is_true(resumed(w, opts), name)
                    end
                    assert.is_false(resumed(w, nil, "127.0.0.1"))
                    assert.is_false(resumed(w, nil, "other.example"))
                    local client = http.client { tls = TRUST }
                    assert.is_false(resumed(w, nil, nil, client))
                    client:close()
                    assert.is_true(resumed(w))
                end)
            end)

        it("that was made without verification verifies nothing later, TLS " .. version, function()
            world({ min_version = version, max_version = version }, function(w)
                local client = http.client()
                for _ = 1, 2 do
                    resumed(w, { tls = { verify = false } }, nil, client)
                    local _, err = client:get(w.url .. "/get")
                    assert.equal("ETLS_CERTIFICATE", err.code)
                end
                client:close()
            end)
        end)

        it("is held against pins when it is resumed, TLS " .. version, function()
            world({ min_version = version, max_version = version }, function(w)
                local opts = { tls = { pins = { made:pin "good" } } }
                assert.is_false(resumed(w, opts))
                assert.is_true(resumed(w, opts))
                local sessions, stolen = w.client.settings.tls.sessions, nil
                for key, list in pairs(sessions) do
                    stolen, sessions[key] = table.remove(list), nil
                end
                local context = tls.context({ ca_file = TRUST.ca_file, pins = { made:pin "me" } },
                    1)
                local stream = assert(net.connect("localhost", w.tap.port))
                local ok, err = stream:start_tls(tls.for_host(context, "localhost"), nil, stolen)
                assert.is_nil(ok)
                assert.equal("ETLS_PIN", err.code)
            end)
        end)

        it("that the server has forgotten is begun afresh, TLS " .. version, function()
            world({ min_version = version, max_version = version }, function(w)
                assert.is_false(resumed(w))
                local port = w.server.port
                w.server:close()
                local s = assert(server.start { port = port, tls = {
                    cert = made:path "good.pem", key = made:path "good.key",
                    min_version = version, max_version = version,
                } })
                assert.is_false(resumed(w))
                assert.is_true(resumed(w))
                s:close()
            end)
        end)

        it("is used up by an attempt that fails, TLS " .. version, function()
            world({ min_version = version, max_version = version }, function(w)
                assert.is_false(resumed(w))
                w.tap.down = { stop = 60, then_do = "reset" }
                assert.is_nil((w.client:get(w.url .. "/get")))
                w.tap.down = nil
                assert.is_false(resumed(w))
            end)
        end)
    end
end)
