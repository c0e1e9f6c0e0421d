-- TLS by nginx's cosockets: verified, with client certificates, and never mixed up in the pool.
local certs = require "spec.support.certs"
local handlers = require "spec.support.nginx_handlers"
local support = require "spec.support"

local SERVER = [[
    server {
        listen 127.0.0.1:%(port) ssl;
        ssl_certificate %(cert);
        ssl_certificate_key %(key);
        %(more)
        location / { return 200 "$ssl_client_s_dn|$ssl_server_name|$connection_requests"; }
    }
]]

describe("TLS inside nginx", function()
    local nginx, made

    local function server(port, name, more)
        return (SERVER:gsub("%%%((%w+)%)", {
            port = port, cert = made:path(name .. ".pem"), key = made:path(name .. ".key"),
            more = more or "",
        }))
    end

    setup(function()
        made = certs.new()
        made:root "root"
        made:root "foreign"
        made:issue("localhost", { by = "root", san = "DNS:localhost" })
        made:issue("stranger", { by = "foreign", san = "DNS:localhost" })
        made:issue("client", { by = "root", usage = "clientAuth" })
        local good, bad, asking = support.free_port(), support.free_port(), support.free_port()
        local urls = ('local good, bad, asking = "https://localhost:%d/", '
            .. '"https://localhost:%d/", "https://localhost:%d/"\n'):format(good, bad, asking)
        local locations = {
            good = [[
                local res = assert(http.get(good))
                say(res:text(), res.timing.reused, res.timing.tls ~= nil)]],
            name = [[say(select(2, http.get((good:gsub("localhost", "127.0.0.1")))))]],
            server_name = [[
                local url = good:gsub("localhost", "127.0.0.1")
                say(http.get(url, { tls = { server_name = "localhost" } }):text())]],
            bad = [[
                local _, err = http.get(bad)
                say(err.kind, err.phase, err.code, err)]],
            unverified = [[
                say(http.get(bad, { tls = { verify = false } }):text())
                say(http.get(bad, { tls = { verify = false } }).timing.reused)
                say(select(2, http.get(bad)).kind)]],
            clients = ([[
                local cert = { cert = "%s", key = "%s" }
                say(http.get(asking).status)
                say(http.get(asking, { tls = cert }):text())
                say(http.get(asking).status)]]):format(made:path "client.pem",
                made:path "client.key"),
            wrong_key = ([[
                say(pcall(http.get, asking, { tls = { cert = "%s", key = "/nothing/here" } }))
                say(http.get(asking, { tls = { cert = "%s", key = "%s" } }))]]):format(
                made:path "client.pem", made:path "client.pem", made:path "localhost.key"),
            options = [[
                for _, name in ipairs { "ca_file", "min_version", "ciphers", "pins" } do
                    local value = name == "pins" and { "sha256/x" } or "x"
                    say(select(2, pcall(http.client, { tls = { [name] = value } })))
                end
                say(select(2, pcall(http.get, good, { tls = { alpn = { "h2" } } })))
                say(require("moonwire.backend").current().capabilities.alpn)]],
            streams = ([[
                local net = require "moonwire.net"
                local stream = assert(net.connect("localhost", %d))
                say((stream:start_tls({ server_name = "localhost" })))
                stream:write "GET / HTTP/1.0\r\n\r\n"
                say((stream:read_until "\n"))
                stream:close()
                stream = assert(net.connect("localhost", %d))
                say(select(2, stream:start_tls({ server_name = "localhost" })).kind)
                say(stream:is_closed())]]):format(good, bad),
        }
        for name, code in pairs(locations) do
            locations[name] = urls .. code
        end
        nginx = handlers.start(locations, {
            http = ("lua_ssl_trusted_certificate %s;\n"):format(made:path "root.pem")
                .. server(good, "localhost") .. server(bad, "stranger")
                .. server(asking, "localhost", ("ssl_verify_client on; ssl_client_certificate %s;")
                    :format(made:path "root.pem")),
        })
    end)

    teardown(function()
        nginx:finish()
    end)

    it("is verified, names its server, and is kept", function()
        assert.equal("|localhost|1 | false | true\n", (nginx:ask "good"))
        assert.equal("|localhost|2 | true | true\n", (nginx:ask "good"))
    end)

    it("is refused for another name, unless it is given", function()
        assert.matches("certificate", (nginx:ask "name"))
        assert.matches("|localhost|1", (nginx:ask "server_name"), 1, true)
    end)

    it("is refused by an unknown CA, with what to do", function()
        local text = nginx:ask "bad"
        assert.matches("^tls | tls | ETLS_CERTIFICATE | ", text)
        assert.matches("unable to verify the first certificate", text, 1, true)
        assert.matches("lua_ssl_trusted_certificate", text, 1, true)
    end)

    it("without verification is kept apart from what is verified", function()
        assert.equal("|localhost|1\ntrue\ntls\n", (nginx:ask "unverified"))
    end)

    it("shows a client's certificate, and only where it was asked to", function()
        local text = nginx:ask "clients"
        assert.matches("^400\nCN=client|localhost|1\n400\n$", text)
    end)

    it("says what is wrong with a certificate", function()
        local text = nginx:ask "wrong_key"
        assert.matches("false | tls.key: /nothing/here: No such file or directory", text, 1, true)
        assert.matches("\nnil | .*does tls.key belong to tls.cert", text)
    end)

    it("says at once what cosockets can't do, and where it is set", function()
        local text = nginx:ask "options"
        assert.matches("tls.ca_file can't be set inside nginx: it is set in nginx.conf, with "
            .. "lua_ssl_trusted_certificate", text, 1, true)
        assert.matches("lua_ssl_protocols", text, 1, true)
        assert.matches("lua_ssl_ciphers", text, 1, true)
        assert.matches("tls.pins can't be set inside nginx", text, 1, true)
        assert.matches("tls.alpn can't be set inside nginx", text, 1, true)
        assert.matches("\nfalse\n$", text)
    end)

    it("is gone over to on a stream", function()
        assert.equal("true\nHTTP/1.1 200 OK\r\n\ntls\ntrue\n", (nginx:ask "streams"))
    end)
end)
