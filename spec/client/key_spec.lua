-- What connections are shared by: one spec for each part of a connection's identity, which shows
-- that it separates; and specs of what is the same place, however it is written.
local certs = require "spec.support.certs"
local clients = require "moonwire.client"
local kit = require "spec.support.mock_client"
local mock = require "moonwire.testing.mock"
local support = require "spec.support"

-- Runs f(count), where count(url, opts) sends a request and gives the number of connections so far.
-- TLS is taken for done: here only matters which connection a request goes over.
local function with_counter(f)
    local m, opened = mock.new(), 0
    m:hosts { h = { "127.0.0.1" }, other = { "127.0.0.1" } }
    local function answer(peer)
        opened = opened + 1
        peer:on_data(function(data)
            if data:find "^CONNECT" then
                peer:send "HTTP/1.1 200 OK\r\n\r\n"
            elseif data:find "^\5[\1\2]\0" then -- SOCKS5: its greeting, or a request
                peer:send(#data <= 4 and "\5\0" or "\5\0\0\1" .. ("\0"):rep(6))
            else
                peer:send(kit.OK)
            end
        end)
    end
    for _, port in ipairs { 80, 443, 8080, 3128 } do
        m:listen_at("127.0.0.1", port, answer)
        m:listen_at("127.0.0.2", port, answer)
        m:listen_at("::1", port, answer)
    end
    m:listen_at("/run/one.sock", nil, answer)
    m:listen_at("/run/two.sock", nil, answer)
    m:run(function()
        local client = clients.new()
        client.supply.tls.secure = function()
            return true
        end
        f(function(url, opts)
            assert(client:get(url, opts)):text()
            return opened
        end)
        client:close()
    end)
end

local function separates(one, two)
    with_counter(function(count)
        assert.equal(1, count(one[1], one[2]))
        assert.equal(2, count(two[1], two[2]))
        assert.equal(2, count(one[1], one[2]))
        assert.equal(2, count(two[1], two[2]))
    end)
end

local function shares(one, two)
    with_counter(function(count)
        assert.equal(1, count(one[1], one[2]))
        assert.equal(1, count(two[1], two[2]))
    end)
end

local function yes()
    return true
end

describe("connections are kept apart by", function()
    local PARTS = {
        { "the scheme", { "http://h:443/" }, { "https://h:443/" } },
        { "the host", { "http://h/" }, { "http://other/" } },
        { "the host, though the address is the same", { "http://h/" }, { "http://127.0.0.1/" } },
        { "the family, where the URL says it", { "http://[::1]/" }, { "http://127.0.0.1/" } },
        { "the port", { "http://h/" }, { "http://h:8080/" } },
        { "whether a unix socket is used", { "http://h/" },
            { "http://h/", { unix_socket = "/run/one.sock" } } },
        { "the path of the unix socket", { "http://h/", { unix_socket = "/run/one.sock" } },
            { "http://h/", { unix_socket = "/run/two.sock" } } },
        { "the host at a unix socket", { "http://h/", { unix_socket = "/run/one.sock" } },
            { "http://other/", { unix_socket = "/run/one.sock" } } },
        { "the local address", { "http://h/" }, { "http://h/", { local_address = "127.0.0.7" } } },
        { "which local address it is", { "http://h/", { local_address = "127.0.0.8" } },
            { "http://h/", { local_address = "127.0.0.7" } } },
        { "whether addresses are given", { "http://h/" },
            { "http://h/", { resolve = { ["h:80"] = { "127.0.0.1" } } } } },
        { "which addresses are given",
            { "http://h/", { resolve = { ["h:80"] = { "127.0.0.2" } } } },
            { "http://h/", { resolve = { ["h:80"] = { "127.0.0.1" } } } } },
        { "whether on_resolve has agreed", { "http://h/" }, { "http://h/", { on_resolve = yes } } },
        { "which on_resolve has agreed", { "http://h/", { on_resolve = yes } },
            { "http://h/", { on_resolve = function() return true end } } },
        { "on_resolve at a unix socket", { "http://h/", { unix_socket = "/run/one.sock" } },
            { "http://h/", { unix_socket = "/run/one.sock", on_resolve = yes } } },
    }
    for _, part in ipairs(PARTS) do
        it(part[1], function()
            separates(part[2], part[3])
        end)
    end

    local P = { proxy = "http://h:3128" }
    local function with_headers(value)
        return { proxy = { url = "http://h:3128", headers = { A = value } } }
    end
    local PROXIES = {
        { "whether there is a proxy", { "http://h:3128/" }, { "http://h:3128/", P } },
        { "whether there is a proxy for https", { "https://h/" }, { "https://h/", P } },
        { "the proxy's host", { "http://h/", P },
            { "http://h/", { proxy = "http://other:3128" } } },
        { "the proxy's port", { "http://h/", P }, { "http://h/", { proxy = "http://h:8080" } } },
        { "the proxy's kind", { "http://h/", P }, { "http://h/", { proxy = "https://h:3128" } } },
        { "the other kind of proxy", { "http://h/", P },
            { "http://h/", { proxy = "socks5h://h:3128" } } },
        { "who looks names up", { "http://h/", { proxy = "socks5://h:3128" } },
            { "http://h/", { proxy = "socks5h://h:3128" } } },
        { "whether the proxy knows who asks (CVE-2026-3784)", { "http://h/", P },
            { "http://h/", { proxy = "http://u:p@h:3128" } } },
        { "who asks the proxy", { "http://h/", { proxy = "http://u:p@h:3128" } },
            { "http://h/", { proxy = "http://v:p@h:3128" } } },
        { "with which password", { "https://h/", { proxy = "http://u:p@h:3128" } },
            { "https://h/", { proxy = "http://u:q@h:3128" } } },
        { "where the user ends and the password begins",
            { "https://h/", { proxy = "http://uv:p@h:3128" } },
            { "https://h/", { proxy = "http://u:vp@h:3128" } } },
        { "who asks a SOCKS5 proxy",
            { "http://h/", { proxy = "socks5h://u:p@h:3128" } },
            { "http://h/", { proxy = "socks5h://v:p@h:3128" } } },
        { "what the proxy is told besides", { "http://h/", with_headers "1" },
            { "http://h/", with_headers "2" } },
        { "the TLS options for the proxy",
            { "http://h/", { proxy = { url = "https://h:3128", tls = { verify = false } } } },
            { "http://h/", { proxy = { url = "https://h:3128", tls = { verify = true } } } } },
        { "the tunnel's host", { "https://h/", P }, { "https://other/", P } },
        { "the tunnel's port", { "https://h/", P }, { "https://h:444/", P } },
        { "the TLS options in the tunnel", { "https://h/", P },
            { "https://h/", { proxy = P.proxy, tls = { min_version = "1.3" } } } },
        { "the host behind a SOCKS5 proxy (CVE-2026-6734)",
            { "http://h/", { proxy = "socks5h://h:3128" } },
            { "http://other/", { proxy = "socks5h://h:3128" } } },
        { "the addresses given for the proxy", { "http://h/", P },
            { "http://h/", { proxy = P.proxy, resolve = { ["h:3128"] = { "127.0.0.2" } } } } },
        { "the addresses given for the host, where a SOCKS5 proxy is told them",
            { "http://h/", { proxy = "socks5://h:3128" } },
            { "http://h/", { proxy = "socks5://h:3128", resolve = { ["h:80"] = { "1.2.3.4" } } },
            } },
        { "on_resolve, which has agreed to the proxy", { "http://h/", P },
            { "http://h/", { proxy = P.proxy, on_resolve = yes } } },
    }
    for _, part in ipairs(PROXIES) do
        it(part[1], function()
            separates(part[2], part[3])
        end)
    end

    it("the client", function()
        local m = mock.new()
        local log = kit.serve(m, "127.0.0.1", 80)
        m:run(function()
            local one, two = clients.new(), clients.new()
            assert(one:get("http://127.0.0.1/")):text()
            assert(two:get("http://127.0.0.1/")):text()
            assert.equal(2, #log.peers)
            one:close()
            two:close()
        end)
    end)
end)

describe("TLS connections are kept apart by", function()
    local made

    setup(function()
        made = certs.new()
        made:root "root"
        made:root "other"
        made:issue("me", { by = "root", san = "DNS:me" })
        made:issue("you", { by = "root", san = "DNS:you" })
        made:pin "me"
        assert.equal(0, (support.run(("openssl pkey -in %s -aes128 -passout pass:secret -out %s")
            :format(made:path "me.key", made:path "locked.key"))))
    end)

    teardown(function()
        support.run("rm -rf " .. support.quote(made.dir))
    end)

    local function read(name)
        local file = assert(io.open(made:path(name)))
        local text = file:read "*a"
        file:close()
        return text
    end

    -- Values of an option that are to be kept apart, beside a base they are laid over.
    local OPTIONS = {
        verify = function() return true, false end,
        ca_file = function() return made:path "root.pem", made:path "other.pem" end,
        ca_path = function() return made.dir, "/" end,
        ca = function() return read "root.pem", read "other.pem" end,
        cert = function()
            return made:path "me.pem", read "me.pem", { key = made:path "me.key" }
        end,
        key = function()
            return made:path "me.key", read "me.key", { cert = made:path "me.pem" }
        end,
        key_password = function()
            return "secret", nil, { cert = made:path "me.pem", key = made:path "locked.key" }
        end,
        server_name = function() return "one.example", "two.example" end,
        min_version = function() return "1.2", "1.3" end,
        max_version = function() return "1.2", "1.3" end,
        ciphers = function() return "ECDHE+AESGCM", "ECDHE+CHACHA20" end,
        alpn = function() return { "http/1.1" }, { "http/1.0", "http/1.1" } end,
        pins = function() return { made:pin "me" }, { made:pin "you" } end,
    }

    local function with(base, name, value)
        local opts = { [name] = value }
        for key, other in pairs(base or {}) do
            opts[key] = other
        end
        return { tls = opts }
    end

    local names = {}
    for name in pairs(OPTIONS) do
        names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
        it(name, function()
            with_counter(function(count)
                local one, two, base = OPTIONS[name]()
                local expected = 1
                assert.equal(1, count "https://h/")
                for _, value in pairs { one, two } do
                    expected = expected + 1
                    assert.equal(expected, count("https://h/", with(base, name, value)))
                    assert.equal(expected, count("https://h/", with(base, name, value)))
                end
                assert.equal(expected, count "https://h/")
            end)
        end)
    end

    it("the certificate that is shown and its key, of two that both fit", function()
        local me = { cert = made:path "me.pem", key = made:path "me.key" }
        local you = { cert = made:path "you.pem", key = made:path "you.key" }
        separates({ "https://h/", { tls = me } }, { "https://h/", { tls = you } })
    end)

    it("the local address as well, beside equal options", function()
        separates({ "https://h/", { tls = { server_name = "x.example" } } }, { "https://h/",
            { tls = { server_name = "x.example" }, local_address = "127.0.0.7" } })
    end)

    it("every option that there is", function()
        local tls = require "moonwire.backend.tls"
        local _, problem = pcall(tls.context, { ["no such option"] = true }, 1)
        local known = 0
        for name in tostring(problem):match("known: ([%w_, ]+)"):gmatch "[%w_]+" do
            known = known + 1
            assert.is_truthy(OPTIONS[name], name .. " has no spec")
        end
        assert.equal(#names, known)
    end)
end)

describe("connections are shared by requests", function()
    local SAME = {
        { "with hosts that differ in case", { "http://h/" }, { "http://H/" } },
        { "with a dot behind the host and without", { "http://h/" }, { "http://h./" } },
        { "with the default port and without", { "http://h/" }, { "http://h:80/" } },
        { "with an empty port and without", { "http://h/" }, { "http://h:/" } },
        { "with the default port of https and without", { "https://h/" }, { "https://h:443/" } },
        { "with schemes that differ in case", { "http://h/" }, { "HTTP://h/" } },
        { "with other paths and queries", { "http://h/a" }, { "http://h/b?c" } },
        { "with equal TLS options",
            { "https://h/", { tls = { server_name = "x", min_version = "1.3" } } },
            { "https://h/", { tls = { min_version = "1.3", server_name = "x" } } } },
        { "with equal addresses given",
            { "http://h/", { resolve = { ["h:80"] = { "127.0.0.2" } } } },
            { "http://h/", { resolve = { ["H.:80"] = { "127.0.0.2" } } } } },
        { "with addresses given for other places", { "http://h/" },
            { "http://h/", { resolve = { ["other:80"] = { "127.0.0.2" } } } } },
        { "with the same on_resolve", { "http://h/", { on_resolve = yes } },
            { "http://h/", { on_resolve = yes } } },
        { "with equal local addresses", { "http://h/", { local_address = "127.0.0.7" } },
            { "http://h/", { local_address = "127.0.0.7" } } },
        { "with the same proxy, to whatever http host",
            { "http://h/", { proxy = "http://h:3128" } },
            { "http://other/", { proxy = { url = "HTTP://H:3128/" } } } },
        { "with equal credentials for the proxy", { "https://h/", { proxy = "http://u:p@h:3128" } },
            { "https://h/", { proxy = { https = "http://u:%70@h:3128" } } } },
        { "with equal headers for the proxy",
            { "http://h/", { proxy = { url = "http://h:3128", headers = { A = "1" } } } },
            { "http://other/", { proxy = { url = "http://h:3128", headers = { a = "1" } } } } },
        { "with addresses given for a host that a proxy looks up",
            { "https://h/", { proxy = "http://h:3128" } },
            { "https://h/", { proxy = "http://h:3128", resolve = { ["h:443"] = { "1.2.3.4" } } },
            } },
        { "with other limits and headers", { "http://h/" },
            { "http://h/", { timeout = 5, headers = { A = "b" }, max_body = 9, retry = false } } },
    }
    for _, case in ipairs(SAME) do
        it(case[1], function()
            shares(case[2], case[3])
        end)
    end
end)
