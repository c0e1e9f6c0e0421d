local certs = require "spec.support.certs"
local connections = require "moonwire.connection"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local nginx = require "spec.support.nginx"
local requests = require "moonwire.request"
local support = require "spec.support"

local made = certs.new()
made:root "root"
made:root "stranger"
made:issue("middle", { by = "root", ca = true })
made:issue("fenced", { by = "root", ca = true, constraints = "permitted;DNS:inside.example" })
for name, opts in pairs {
    good = { san = "DNS:localhost,IP:127.0.0.1" },
    rsa = { san = "DNS:localhost", key = "rsa" },
    expired = { san = "DNS:localhost", from = "200101", till = "210203" },
    early = { san = "DNS:localhost", from = "390405" },
    elsewhere = { san = "DNS:one.example,DNS:two.example,IP:127.0.0.9" },
    wild = { san = "DNS:*.host.example,DNS:a*.part.example,DNS:*.example,DNS:www.*.mid.example,"
        .. "DNS:*.*.two.example,DNS:*,DNS:*.0.0.1,DNS:xn--*.idn.example" },
    common = { cn = "localhost" },
    behind = { san = "DNS:localhost", by = "middle" },
    outside = { san = "DNS:localhost", by = "fenced" },
    inside = { san = "DNS:www.inside.example", by = "fenced" },
    short = { san = "DNS:localhost", key = "short" },
    sha1 = { san = "DNS:localhost", key = "rsa", md = "sha1" },
    client = { cn = "me" },
    foreign = { cn = "me", by = "stranger" },
} do
    opts.by = opts.by or "root"
    made:issue(name, opts)
end

local ROOT = made:path "root.pem"

local BROKEN = "-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n"

local function text_of(name)
    local file = assert(io.open(made:path(name)))
    local text = file:read "*a"
    file:close()
    return text
end

-- Starts `openssl s_server` with a certificate; gives its port and process.
local function serve(name, words, chain)
    local port = support.free_port()
    local argv = {
        "openssl", "s_server", "-accept", "127.0.0.1:" .. port, "-www", "-quiet",
        "-cert", made:path(name .. ".pem"), "-key", made:path(name .. ".key"),
    }
    if chain then
        argv[#argv + 1], argv[#argv + 2] = "-cert_chain", made:path(chain)
    end
    for _, word in ipairs(words or {}) do
        argv[#argv + 1] = word
    end
    local process = support.spawn_process(argv)
    support.wait_port(port)
    return port, process
end

-- A request of a client of its own; the server is gone behind it.
local function get(server, host, tls, opts)
    local port, process = serve(server[1], server[2], server.chain)
    local status, err
    support.in_loop(function()
        local client = http.client { tls = tls, timeout = opts and opts.timeout }
        local response, problem = client:get(("https://%s:%d/"):format(host, port))
        status, err = response and response.status, problem
        if response then
            local text
            text, err = response:text()
            status = text and status
        end
        client:close()
    end)
    process:kill()
    return status, err
end

local function refused(code, words, ...)
    local status, err = get(...)
    assert.is_nil(status)
    assert.equal("tls", err.kind, tostring(err))
    assert.equal(code, err.code, tostring(err))
    assert.is_truthy(tostring(err):find(words, 1, true), tostring(err))
    return err
end

local function refused_certificate(words, ...)
    local err = refused("ETLS_CERTIFICATE", words, ...)
    assert.equal("tls", err.phase)
    assert.is_truthy(err.url:find "^https://localhost:%d+/$" or err.url:find "^https://127")
end

local function unknown(issuer)
    return ("its issuer is unknown and was not sent along (CN=%s)"):format(issuer)
end

local TRUST = { ca_file = ROOT }

describe("certificates", function()
    it("are taken when their CA is trusted and the host is theirs", function()
        assert.equal(200, (get({ "good" }, "localhost", TRUST)))
        assert.equal(200, (get({ "rsa" }, "localhost", TRUST)))
        assert.equal(200, (get({ "behind", chain = "middle.pem" }, "localhost", TRUST)))
        assert.equal(200, (get({ "good" }, "localhost", { ca = text_of "root.pem" })))
    end)

    it("are taken when they, or their issuer, are named themselves, roots or not", function()
        assert.equal(200, (get({ "behind", chain = "middle.pem" }, "localhost",
            { ca_file = made:path "middle.pem" })))
        assert.equal(200, (get({ "good" }, "localhost", { ca_file = made:path "good.pem" })))
        refused_certificate(unknown "root", { "good" }, "localhost",
            { ca_file = made:path "rsa.pem" })
    end)

    it("name addresses as such", function()
        assert.equal(200, (get({ "good" }, "127.0.0.1", TRUST)))
        refused_certificate("it is not for 127.0.0.1 but for localhost",
            { "rsa" }, "127.0.0.1", TRUST)
    end)

    it("are refused before and after their time", function()
        refused_certificate("it expired at 2021-02-03 00:00 UTC", { "expired" }, "localhost", TRUST)
        refused_certificate("it is not yet valid, only from 2039-04-05 00:00 UTC",
            { "early" }, "localhost", TRUST)
    end)

    it("are refused for another host, whose names are told", function()
        refused_certificate(
            "it is not for localhost but for one.example, two.example, 127.0.0.9",
            { "elsewhere" }, "localhost", TRUST)
        assert.equal(200, (get({ "elsewhere" }, "localhost",
            { ca_file = ROOT, server_name = "two.example" })))
    end)

    it("have no say with their common name", function()
        refused_certificate("it has no subjectAltName", { "common" }, "localhost", TRUST)
    end)

    it("match one whole label with a star, below two labels", function()
        local function named(name)
            return { ca_file = ROOT, server_name = name }
        end
        assert.equal(200, (get({ "wild" }, "localhost", named "a.host.example")))
        assert.equal(200, (get({ "wild" }, "localhost", named "A.Host.Example.")))
        assert.equal(200, (get({ "wild" }, "localhost", named "xn--a.host.example")))
        for _, name in ipairs {
            "host.example", "a.b.host.example", "ab.part.example", "x.example",
            "www.a.mid.example", "a.b.two.example", "localhost", "xn--a.idn.example", "127.0.0.1",
        } do
            refused_certificate("it is not for " .. name .. " but for *.host.example, ",
                { "wild" }, "localhost", named(name))
        end
    end)

    it("are refused when nobody trusted has issued them", function()
        local where = "Looked in tls.ca_file '" .. ROOT .. "'; tls = { ca_file = ... } names "
            .. "what to trust instead"
        local other = { ca_file = made:path "stranger.pem" }
        refused_certificate(unknown "root", { "good" }, "localhost", other)
        refused_certificate("it is self-signed (CN=stranger)", { "stranger" }, "localhost", TRUST)
        refused_certificate("its CA is not trusted (CN=root)",
            { "good", chain = "root.pem" }, "localhost", other)
        refused_certificate(unknown "middle", { "behind" }, "localhost", TRUST)
        refused_certificate(where, { "behind" }, "localhost", TRUST)
        refused_certificate("(CN=root)", { "good" }, "localhost", nil)
    end)

    it("are refused where their CA has no say", function()
        refused_certificate("permitted subtree violation",
            { "outside", chain = "fenced.pem" }, "localhost", TRUST)
        assert.equal(200, (get({ "inside", chain = "fenced.pem" }, "localhost",
            { ca_file = ROOT, server_name = "www.inside.example" })))
    end)

    it("are refused with a key or a digest that is too weak", function()
        refused_certificate("EE certificate key too weak",
            { "short", { "-cipher", "ALL:@SECLEVEL=0" } }, "localhost", TRUST)
        refused_certificate("CA signature digest algorithm too weak",
            { "sha1", { "-cipher", "ALL:@SECLEVEL=0" } }, "localhost", TRUST)
    end)

    it("are all taken with verify = false", function()
        assert.equal(200, (get({ "expired" }, "127.0.0.1", { verify = false })))
    end)

    it("are held against pins", function()
        local pin = made:pin "good"
        assert.equal(200, (get({ "good" }, "localhost",
            { ca_file = ROOT, pins = { made:pin "rsa", pin } })))
        refused("ETLS_PIN", "it is " .. pin, { "good" }, "localhost",
            { ca_file = ROOT, pins = { made:pin "rsa" } })
        refused("ETLS_PIN", "it is " .. pin, { "good" }, "localhost",
            { verify = false, pins = { made:pin "rsa" } })
    end)
end)

describe("versions", function()
    it("begin with 1.2", function()
        assert.equal(200, (get({ "good", { "-tls1_2" } }, "localhost", TRUST)))
        assert.equal(200, (get({ "good", { "-tls1_3" } }, "localhost", TRUST)))
        for _, old in ipairs { "-tls1", "-tls1_1" } do
            refused("ETLS_ALERT", "no version of TLS is spoken by both",
                { "rsa", { old, "-cipher", "ALL:@SECLEVEL=0" } }, "localhost", TRUST)
        end
        refused("ETLS_ALERT", "protocol version", { "good", { "-tls1_2" } }, "localhost",
            { ca_file = ROOT, min_version = "1.3" })
        refused("ETLS_ALERT", "protocol version", { "good", { "-tls1_3" } }, "localhost",
            { ca_file = ROOT, max_version = "1.2" })
    end)
end)

describe("a client certificate", function()
    for _, version in ipairs { "-tls1_2", "-tls1_3" } do
        local asking = { "good", { "-Verify", "1", "-verify_return_error", "-CAfile", ROOT,
            version } }

        it("is shown to a server that asks for one, " .. version, function()
            assert.equal(200, (get(asking, "localhost", { ca_file = ROOT,
                cert = made:path "client.pem", key = made:path "client.key" })))
        end)

        it("is missed with words on what to do, " .. version, function()
            local words = version == "-tls1_3" and "certificate required" or "handshake failure"
            refused("ETLS_ALERT", words, asking, "localhost", TRUST)
            refused("ETLS_ALERT", "tls = { cert = ", asking, "localhost", TRUST)
        end)

        it("is refused when it isn't the right one, " .. version, function()
            refused("ETLS_ALERT", "alert \"", asking, "localhost", { ca_file = ROOT,
                cert = made:path "foreign.pem", key = made:path "foreign.key" })
        end)
    end
end)

describe("options", function()
    local function raises(words, tls)
        local ok, problem = pcall(http.client, { tls = tls })
        assert.is_false(ok)
        assert.is_truthy(problem:find(words, 1, true), problem)
        assert.is_nil(problem:find "traceback")
    end

    it("are checked when the client is made", function()
        raises("tls.ca_file '/nowhere': no such file", { ca_file = "/nowhere" })
        raises("tls.ca_path '/nowhere': not a folder", { ca_path = "/nowhere" })
        raises("tls.ca_file '/dev/null': no certificate", { ca_file = "/dev/null" })
        raises("tls.ca holds no certificate", { ca = "nothing" })
        raises("tls.ca '(PEM)': bad", { ca = BROKEN })
        raises("tls.ca '(PEM)': bad", { ca = text_of "root.pem" .. BROKEN })
        raises("tls.cert '/nowhere': no such file", { cert = "/nowhere" })
        raises("good.key': no certificate in PEM form is in it", { cert = made:path "good.key" })
        raises("tls.cert '(PEM)': bad", { cert = text_of "client.pem" .. BROKEN,
            key = made:path "client.key" })
        raises("client.pem': no readable private key in PEM form is in it; tls.key names its file",
            { cert = made:path "client.pem" })
        raises("root.pem': no readable private key in PEM form is in it",
            { cert = made:path "client.pem", key = made:path "root.pem" })
        raises("is not the key of tls.cert", {
            cert = made:path "client.pem", key = made:path "good.key",
        })
        raises("there is no tls.cert", { key = made:path "good.key" })
        raises("\"1.2\" or \"1.3\"", { min_version = "1.1" })
        raises("tls.ciphers 'nonsense'", { ciphers = "nonsense" })
        raises("bad argument 'tls.pins'", { pins = { "sha256/short" } })
        local digits = ("A"):rep(42)
        for _, pin in ipairs {
            "sha256//" .. digits, "sha256/A" .. digits, "sha256//A" .. digits, -- curl has two
        } do
            http.client({ tls = { pins = { pin .. "=" } } }):close()
        end
        raises("bad argument 'tls.verify' (boolean expected", { verify = 0 })
        raises("unknown option 'tls.verfy'", { verfy = false })
        raises("bad argument 'tls' (table expected", true)
        raises("bad argument 'tls.server_name' (host name or address", { server_name = "a b" })
        raises("bad argument 'tls.server_name' (host name or address", { server_name = ".a" })
        raises("bad argument 'tls.server_name' (string without NUL", { server_name = "a\0b" })
        raises("bad argument 'tls.alpn' (list of protocol names", { alpn = { "" } })
        raises("\"1.2\" or \"1.3\"", { min_version = "1.3", max_version = "1.2" })
    end)

    it("take certificates and keys as PEM, and both from one file", function()
        local cert, key = text_of "client.pem", text_of "client.key"
        for _, tls in ipairs {
            { cert = cert, key = key }, { cert = cert .. key }, { cert = key .. cert },
        } do
            http.client({ tls = tls }):close()
        end
    end)

    it("open a key with its password and never ask at the terminal", function()
        support.run { "openssl", "ec", "-in", made:path "client.key", "-aes128", "-passout",
            "pass:secret", "-out", made:path "locked.key" }
        local cert, key = made:path "client.pem", made:path "locked.key"
        raises("tls.key_password opens it", { cert = cert, key = key })
        raises("no private key that can be read",
            { cert = cert, key = key, key_password = "wrong" })
        http.client { tls = { cert = cert, key = key, key_password = "secret" } }:close()
    end)
end)

describe("SSL_CERT_FILE", function()
    local SCRIPT = [[
        local response = assert(require("moonwire.http").get(os.getenv "URL"))
        print(response.status, #response:text() > 0)
    ]]

    for _, name in ipairs { "moonwire", "luajit" } do
        it("is enough for https:// without options, with " .. name, function()
            local port, process = serve "good"
            local code, out, problem = support.run({ support[name](), "-e", SCRIPT }, {
                env = { SSL_CERT_FILE = ROOT, URL = "https://localhost:" .. port },
            })
            process:kill()
            assert.equal("200\ttrue\n", out, problem)
            assert.equal(0, code)
        end)
    end

    it("lets a script end with a response that nobody has read", function()
        local port, process = serve "good"
        local code, out, problem = support.run({
            support.moonwire(), "-e", 'print(require("moonwire.http").get(os.getenv "URL").status)',
        }, { env = { SSL_CERT_FILE = ROOT, URL = "https://localhost:" .. port } })
        process:kill()
        assert.equal("200\n", out, problem)
        assert.equal(0, code)
    end)

    it("is named where CAs were looked for, as are SSL_CERT_DIR and the system's", function()
        local port, process = serve "good"
        local code = 'print(select(2, require("moonwire.http").get(os.getenv "URL")))'
        for env, words in pairs {
            [""] = "Looked in the system's CAs",
            ["SSL_CERT_FILE=" .. made:path "stranger.pem"] = "Looked in '"
                .. made:path "stranger.pem" .. "' (SSL_CERT_FILE) and '",
            ["SSL_CERT_DIR=" .. made.dir] = " and '" .. made.dir .. "' (SSL_CERT_DIR); tls = {",
        } do
            local _, out = support.run(("env -u SSL_CERT_FILE -u SSL_CERT_DIR %s %s -e %s"):format(
                env, support.quote(support.moonwire()), support.quote(code)),
                { env = { URL = "https://localhost:" .. port } })
            assert.is_truthy(out:find(words, 1, true), out)
            assert.is_truthy(out:find("names what to trust instead", 1, true), out)
        end
        process:kill()
    end)

    it("must name a file that is there", function()
        local _, _, problem = support.run({ support.moonwire(), "-e", SCRIPT }, {
            env = { SSL_CERT_FILE = "/nowhere.pem", URL = "https://localhost:1" },
        })
        assert.is_truthy(problem:find("SSL_CERT_FILE '/nowhere.pem': no such file", 1, true),
            problem)
    end)
end)

-- Starts a server of ours (spec/support/tls_peer.py); gives its port and process.
local function serve_ours(how)
    local port = support.free_port()
    local process = support.spawn_process { "python3", support.root .. "/spec/support/tls_peer.py",
        port, made:path "good.pem", made:path "good.key", how }
    support.wait_port(port)
    return port, process
end

describe("the end", function()
    local function peer(how, use)
        local port, process = serve_ours(how)
        support.in_loop(function()
            local client = http.client { tls = TRUST }
            use(client, "https://localhost:" .. port)
            client:close()
        end)
        process:kill()
    end

    it("of a body is good with close_notify only", function()
        peer("whole", function(client, url)
            assert.equal("hello", assert(client:get(url)):text())
        end)
        peer("cut", function(client, url)
            local text, err = assert(client:get(url)):text()
            assert.is_nil(text)
            assert.equal("closed", err.kind)
            assert.equal("ETLS_TRUNCATED", err.code)
        end)
    end)

    it("of a handshake comes with its timeout or a cancel", function()
        peer("mute", function(client, url)
            local _, err = client:get(url, { timeout = { tls = 0.05 } })
            assert.equal("timeout", err.kind)
            assert.equal("tls", err.phase)
            assert.is_truthy(tostring(err):find("timeout.tls = 0.05 s; ", 1, true), tostring(err))
            _, err = moonwire.timeout(0.05, client.get, client, url)
            assert.equal("timeout", err.kind)
            assert.equal(0, client:stats().total)
        end)
    end)

    it("is known to be none when the peer does not speak TLS", function()
        support.in_loop(function()
            local listener = assert(net.listen("127.0.0.1", 0))
            moonwire.scope(function(s)
                s:spawn(function()
                    local stream = listener:accept()
                    stream:read()
                    stream:write "HTTP/1.1 400 Bad Request\r\n\r\n"
                    stream:close()
                end)
                local _, err = http.get("https://localhost:" .. listener:address().port)
                assert.equal("tls", err.kind)
                assert.is_truthy(tostring(err):find("what came is not TLS", 1, true))
            end)
            listener:close()
            http.default():close()
        end)
    end)
end)

describe("connections to nginx", function()
    local server, url

    setup(function()
        local port = support.free_port()
        server = nginx.start(([[
            listen 127.0.0.1:%d ssl;
            ssl_protocols TLSv1.2 TLSv1.3;
            ssl_certificate %s;
            ssl_certificate_key %s;
            client_max_body_size 0;
            location = /number { return 200 "$connection $ssl_session_reused"; }
            location = /once { keepalive_timeout 0; return 200 "$ssl_session_reused"; }
            location /dav/ { dav_methods PUT; create_full_put_path on; }
        ]]):format(port, made:path "good.pem", made:path "good.key"))
        url = "https://localhost:" .. port
    end)

    teardown(function()
        server.process:kill()
    end)

    local function with_client(tls, use)
        support.in_loop(function()
            local client = http.client { tls = tls }
            use(client)
            client:close()
        end)
    end

    it("are kept, unless the tickets behind the handshake look like something to read", function()
        with_client(TRUST, function(client)
            local first = assert(client:get(url .. "/number")):text()
            moonwire.sleep(0.05)
            assert.equal(first, assert(client:get(url .. "/number")):text())
        end)
    end)

    it("are not shared by requests with other TLS options", function()
        with_client(TRUST, function(client)
            local function number(tls)
                return assert(client:get(url .. "/number", { tls = tls })):text():match "%d+"
            end
            local seen = { [number()] = true }
            for _, tls in ipairs {
                { verify = false }, { min_version = "1.3" }, { max_version = "1.2" },
                { server_name = "127.0.0.1" }, { pins = { made:pin "good" } },
                { ca_path = made.dir }, { alpn = { "http/1.1", "http/1.0" } },
                { cert = made:path "client.pem", key = made:path "client.key" },
                { ciphers = "TLS_AES_128_GCM_SHA256" },
            } do
                local one = number(tls)
                assert.is_nil(seen[one])
                seen[one] = true
                assert.equal(one, number(tls))
            end
        end)
    end)

    for _, version in ipairs { "1.2", "1.3" } do
        it("are resumed, TLS " .. version, function()
            with_client({ ca_file = ROOT, min_version = version, max_version = version },
                function(client)
                    local function reused()
                        return assert(client:get(url .. "/number")):text():match " (.)"
                    end
                    assert.equal(".", reused())
                    for _ = 1, 3 do
                        client:close_idle()
                        assert.equal("r", reused())
                    end
                end)
        end)
    end

    it("carry large bodies in both directions", function()
        local size = 5 * 1024 * 1024
        with_client(TRUST, function(client)
            local piece, sent = ("0123456789abcdef"):rep(4096), 0
            local response = assert(client:put(url .. "/dav/large", { body = function()
                if sent < size then
                    sent = sent + #piece
                    return piece
                end
            end }))
            assert.equal(201, response.status)
            assert.equal("", response:text())
            assert.equal(piece:rep(size / #piece), assert(client:get(url .. "/dav/large")):text())
        end)
    end)

    it("are made of any stream by start_tls", function()
        support.in_loop(function()
            local stream = assert(net.connect("localhost", tonumber(url:match "%d+$")))
            assert(stream:start_tls({ ca_file = ROOT, server_name = "localhost" },
                moonwire.now() + 5))
            assert.equal("http/1.1", stream:tls_info().alpn)
            assert(stream:write "GET /once HTTP/1.0\r\n\r\n")
            assert.equal("HTTP/1.1 200 OK\r\n", stream:read_until "\r\n")
            stream:close()
        end)
    end)

    it("go through another TLS, as through a proxy's tunnel", function()
        local port, process = serve_ours(url:match "%d+$")
        support.in_loop(function()
            local stream = assert(net.connect("localhost", port))
            local tls = { ca_file = ROOT, server_name = "localhost" }
            assert(stream:start_tls(tls, moonwire.now() + 5))
            assert(stream:start_tls(tls, moonwire.now() + 5))
            local connection = connections.new(stream)
            local piece = ("0123456789abcdef"):rep(4096)
            local response = assert(connection:request(requests.new {
                method = "PUT", url = url .. "/dav/inside", body = piece:rep(10),
            }))
            assert.equal(201, response.status)
            response:text()
            local again = requests.new { url = url .. "/dav/inside" }
            for _ = 1, 2 do
                response = assert(connection:request(again))
                assert.equal(piece:rep(10), response:text())
                moonwire.sleep(0.02)
                assert.equal("idle", connection.state)
            end
            connection:close()

            stream = assert(net.connect("localhost", port))
            assert(stream:start_tls(tls, moonwire.now() + 5))
            tls.server_name = "other.example"
            local ok, err = stream:start_tls(tls, moonwire.now() + 5)
            assert.is_nil(ok)
            assert.is_truthy(err.message:find("it is not for other.example", 1, true), err.message)
        end)
        process:kill()
    end)
end)
