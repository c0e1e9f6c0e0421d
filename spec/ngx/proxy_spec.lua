-- Proxies from inside nginx: http, CONNECT and SOCKS5 over cosockets, and what nginx's pool keeps
-- of them. The environment counts only where it is asked for.
local certs = require "spec.support.certs"
local handlers = require "spec.support.nginx_handlers"
local interop = require "spec.support.interop"
local support = require "spec.support"

local SERVER = [[
    server {
        listen 127.0.0.1:%d ssl;
        ssl_certificate %s;
        ssl_certificate_key %s;
        location / { return 200 "$connection_requests"; }
    }
]]

describe("a proxy inside nginx", function()
    local nginx, processes, made, proxy_port

    setup(function()
        made = certs.new()
        made:root "root"
        made:issue("localhost", { by = "root", san = "DNS:localhost" })
        local dir, secure, socks_port = support.temp_dir(), support.free_port(), support.free_port()
        proxy_port = support.free_port()
        local path = interop.configure(dir .. "/tinyproxy.conf", "Port %(port)\nListen 127.0.0.1\n"
            .. "Allow 127.0.0.1\nBasicAuth me secret\nTimeout 30\nLogLevel Error\n",
            { port = proxy_port })
        processes = {
            interop.start({ "tinyproxy", "-d", "-c", path }, dir, { proxy_port }),
            interop.start({ "microsocks", "-i", "127.0.0.1", "-p", socks_port, "-u", "me", "-P",
                "secret" }, dir, { socks_port }),
        }
        local places = ([[
            local secure = "https://localhost:%d/"
            local proxy = "http://me:secret@127.0.0.1:%d"
            local wrong = "http://me:wrong@127.0.0.1:%d"
            local socks = "socks5h://me:secret@127.0.0.1:%d"
        ]]):format(secure, proxy_port, proxy_port, socks_port)
        local locations = {
            plain = [[
                local res = assert(http.get(upstream .. "/headers", {
                    proxy = proxy, close = true,
                }))
                say(res.status, (res:text():find "roxy%-Auth"))]],
            tunnel = [[
                local res = assert(http.get(secure, { proxy = proxy }))
                say(res:text(), res.timing.reused)]],
            others = [[
                say(http.get(secure):text())
                local _, err = http.get(secure, { proxy = wrong })
                say(err.kind, err.status, err)]],
            socks = [[
                local client = http.client { proxy = socks }
                for _, url in ipairs { secure, upstream .. "/get" } do
                    for _ = 1, 2 do
                        local res = assert(client:get(url))
                        say(res.status, res.timing.reused)
                        res:text()
                    end
                end
                say(select(2, client:get("http://a.test/", {
                    proxy = socks:gsub("socks5h", "socks5") })))]],
            tls = [[
                say(select(2, http.get(secure, { proxy = "https://localhost:" ..
                    secure:match ":(%d+)" })))]],
            environment = [[
                say(http.get(upstream .. "/get").status)
                say(http.get("http://a.test/", { proxy = "environment" }))]],
        }
        for name, code in pairs(locations) do
            locations[name] = places .. code
        end
        nginx = handlers.start(locations, {
            main = "env http_proxy;",
            env = { http_proxy = "http://me:secret@127.0.0.1:1" },
            http = ("lua_ssl_trusted_certificate %s;\n"):format(made:path "root.pem")
                .. SERVER:format(secure, made:path "localhost.pem", made:path "localhost.key"),
        })
    end)

    teardown(function()
        for _, process in ipairs(processes) do
            process:kill()
        end
        nginx:finish()
    end)

    it("is told the whole URL of http, and who asks", function()
        assert.equal("200 | nil\n", (nginx:ask "plain"))
    end)

    it("leads to https, over a connection that is kept for whoever goes the same way", function()
        assert.equal("1 | false\n", (nginx:ask "tunnel"))
        assert.equal("2 | true\n", (nginx:ask "tunnel"))
        local text = nginx:ask "others"
        assert.matches("^1\nconnect | 401 | the proxy http://127.0.0.1:" .. proxy_port, text)
        assert.is_nil(text:find("wrong", 1, true))
        assert.equal("3 | true\n", (nginx:ask "tunnel"))
    end)

    it("may be one of SOCKS5", function()
        local text = nginx:ask "socks"
        assert.matches("^200 | false\n200 | true\n200 | false\n200 | true\n", text)
        assert.matches("looking up a.test: nginx looks a name up while it connects", text, 1, true)
    end)

    it("can't be spoken to by TLS where TLS has to go on in it", function()
        assert.matches("here the host does TLS, and none within TLS", (nginx:ask "tls"), 1, true)
    end)

    it("is not the environment's, unless one says so", function()
        local text = nginx:ask "environment"
        assert.matches("^200\nnil | the proxy http://127.0.0.1:1: connecting to 127.0.0.1:1", text)
        assert.is_nil(text:find("secret", 1, true))
    end)
end)
