-- TLS of nginx, caddy and haproxy, each in front of a server of ours (openssl s_server:
-- spec/io/tls_spec.lua).

local certs = require "spec.support.certs"
local http = require "moonwire.http"
local interop = require "spec.support.interop"
local moonwire = require "moonwire"
local nginx = require "spec.support.nginx"
local server = require "moonwire.testing.server"
local support = require "spec.support"

local made = certs.new()
made:root "root"
made:root "stranger"
made:issue("middle", { by = "root", ca = true })
made:issue("good", { by = "middle", san = "DNS:localhost,IP:127.0.0.1" })
made:issue("me", { by = "root", usage = "clientAuth" })
made:issue("foreign", { by = "stranger", usage = "clientAuth" })
support.run(("cd %s && cat good.pem middle.pem > chain.pem && cat chain.pem good.key > all.pem"
    .. " && chmod 755 . && chmod 644 *.pem *.key"):format(support.quote(made.dir)))

local TRUST = { ca_file = made:path "root.pem" }
local BODY = ("0123456789abcdef"):rep(65536)

local NGINX = [[
    keepalive_timeout 60s;
    client_max_body_size 0;
    ssl_certificate %(dir)/chain.pem;
    ssl_certificate_key %(dir)/good.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:all:1m;
    location / {
        proxy_pass http://127.0.0.1:%(back);
        proxy_http_version 1.1;
    }
}
server {
    listen 127.0.0.1:%(port) ssl http2;
    include common.conf;
}
server {
    listen 127.0.0.1:%(strict) ssl;
    ssl_verify_client on;
    ssl_client_certificate %(dir)/root.pem;
    include common.conf;
}
server {
    listen 127.0.0.1:%(idle) ssl;
    include idle.conf;
]]

local CADDY = [[
{
    admin off
    auto_https off
    default_sni localhost
    servers :%(idle) {
        timeouts {
            idle 300ms
        }
    }
}
https://localhost:%(port), https://localhost:%(idle), https://127.0.0.1:%(port) {
    tls %(dir)/chain.pem %(dir)/good.key
    reverse_proxy 127.0.0.1:%(back)
}
https://localhost:%(strict) {
    tls %(dir)/chain.pem %(dir)/good.key {
        client_auth {
            mode require_and_verify
            trusted_ca_cert_file %(dir)/root.pem
        }
    }
    reverse_proxy 127.0.0.1:%(back)
}
]]

local HAPROXY = [[
global
    maxconn 64
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout http-keep-alive 30s
frontend main
    bind 127.0.0.1:%(port) ssl crt %(dir)/all.pem alpn h2,http/1.1
    default_backend ours
frontend strict
    bind 127.0.0.1:%(strict) ssl crt %(dir)/all.pem ca-file %(dir)/root.pem verify required
    default_backend ours
frontend idle
    bind 127.0.0.1:%(idle) ssl crt %(dir)/all.pem
    timeout http-keep-alive 300ms
    default_backend ours
backend ours
    server ours 127.0.0.1:%(back)
]]

local start = {}

function start.nginx(words)
    local dir = support.temp_dir()
    local text = NGINX:gsub("%%%((%w+)%)", words)
    local common = text:match "^(.-)}\nserver"
    interop.write(dir .. "/common.conf", common)
    interop.write(dir .. "/idle.conf", (common:gsub("60s", "300ms")))
    local rest = text:match "^.-}\n(server.*)$":gsub("include ", "include " .. dir .. "/")
    return nginx.start("}\n" .. rest).process
end

function start.caddy(words)
    local dir = support.temp_dir()
    local path = interop.configure(dir .. "/Caddyfile", CADDY, words)
    return interop.start({ "caddy", "run", "--config", path, "--adapter", "caddyfile" }, dir,
        { words.port, words.strict, words.idle }, { env = { HOME = dir, XDG_DATA_HOME = dir } })
end

function start.haproxy(words)
    local dir = support.temp_dir()
    local path = interop.configure(dir .. "/haproxy.cfg", HAPROXY, words)
    return interop.start({ "/usr/sbin/haproxy", "-db", "-f", path }, dir,
        { words.port, words.strict, words.idle })
end

for _, name in ipairs { "nginx", "caddy", "haproxy" } do
    describe(name .. " with TLS", function()
        local ports, process, url, strict, idle

        setup(function()
            ports = {
                back = support.free_port(), port = support.free_port(),
                strict = support.free_port(), idle = support.free_port(), dir = made.dir,
            }
            process = start[name](ports)
            url = "https://localhost:" .. ports.port
            strict = "https://localhost:" .. ports.strict .. "/get"
            idle = "https://localhost:" .. ports.idle .. "/get"
        end)

        teardown(function()
            process:kill()
        end)

        -- Runs f(client) with the server of ours behind.
        local function with_client(tls, f)
            support.in_loop(function()
                local back = assert(server.start { port = ports.back })
                local client = http.client { tls = tls, timeout = 20 }
                local ok, problem = xpcall(f, debug.traceback, client)
                client:close()
                back:close()
                assert.is_true(ok, problem)
            end)
        end

        it("serves over a connection that is kept", function()
            with_client(TRUST, function(client)
                for i = 1, 5 do
                    local response = assert(client:get(url .. "/get?i=" .. i))
                    assert.equal(tostring(i), response:json().args.i)
                    assert.equal(i > 1, response.timing.reused)
                    assert.equal(i == 1, response.timing.tls > 0)
                    assert.equal("TLSv1.3", response.tls.version)
                    assert.equal("http/1.1", response.tls.alpn)
                    moonwire.sleep(0.02) -- tickets come
                end
                assert.equal(200, assert(client:get("https://127.0.0.1:" .. ports.port
                    .. "/get")).status)
            end)
        end)

        it("takes and sends large bodies", function()
            with_client(TRUST, function(client)
                local response = assert(client:put(url .. "/anything", { body = BODY }))
                assert.is_true(response:json().data == BODY)
                local sent = 0
                response = assert(client:put(url .. "/upload", { body = function()
                    sent = sent + 1
                    return sent <= 50 and BODY:sub(1, 40000) or nil
                end }))
                assert.equal(2000000, response:json().bytes)
            end)
        end)

        for _, version in ipairs { "1.2", "1.3" } do
            it("resumes sessions, TLS " .. version, function()
                with_client({ ca_file = TRUST.ca_file, min_version = version,
                    max_version = version }, function(client)
                    for i = 1, 4 do
                        local response = assert(client:get(url .. "/get"))
                        assert.equal(200, response.status)
                        assert.is_string(response:text())
                        assert.equal("TLSv" .. version, response.tls.version)
                        assert.equal(i > 1, response.tls.resumed)
                        moonwire.sleep(0.02)
                        client:close_idle()
                    end
                end)
            end)

            it("wants a client certificate, TLS " .. version, function()
                with_client({ ca_file = TRUST.ca_file, min_version = version,
                    max_version = version }, function(client)
                    local function get(who)
                        local response, err = client:get(strict, { tls = who and {
                            cert = made:path(who .. ".pem"), key = made:path(who .. ".key"),
                        } or nil })
                        return response and response.status, err
                    end
                    assert.equal(200, get "me")
                    for _, who in ipairs { false, "foreign" } do
                        local status, err = get(who)
                        if name == "nginx" then -- it says so in HTTP
                            assert.equal(400, status)
                        else
                            assert.is_nil(status)
                            assert.equal("ETLS_ALERT", err.code, tostring(err))
                        end
                    end
                end)
            end)
        end

        it("is refused when it isn't trusted, or by another name", function()
            with_client(nil, function(client)
                local _, err = client:get(url)
                assert.equal("ETLS_CERTIFICATE", err.code)
                _, err = client:get(url, { tls = {
                    ca_file = TRUST.ca_file, server_name = "other.example",
                } })
                assert.equal("tls", err.kind, tostring(err)) -- some know no such name
            end)
        end)

        it("has a say in what is spoken", function()
            with_client(TRUST, function(client)
                local function get(...)
                    return client:get(url .. "/get", { tls = { alpn = { ... } } })
                end
                assert.is_nil(assert(get()).tls.alpn)
                assert.equal("http/1.1", assert(get("x", "http/1.1")).tls.alpn)
                local response, err = get("h2", "http/1.1")
                assert.is_nil(response)
                assert.equal("tls", err.kind)
                assert.is_truthy(err.message:find('chose "h2"', 1, true), err.message)
            end)
        end)

        it("may close an idle connection", function()
            with_client(TRUST, function(client)
                assert.equal(200, assert(client:get(idle)).status)
                local ends = moonwire.now() + 10
                while client:stats().total > 0 and moonwire.now() < ends do
                    moonwire.sleep(0.02)
                end
                assert.equal(1, client:stats().idle_closed_by_peer)
                assert.equal(200, assert(client:get(idle)).status)
            end)
        end)
    end)
end
