-- Real proxies between moonwire and a server of its own: squid, tinyproxy and microsocks, and
-- haproxy in front of squid, which makes it an https proxy.

local certs = require "spec.support.certs"
local http = require "moonwire.http"
local interop = require "spec.support.interop"
local moonwire = require "moonwire"
local server = require "moonwire.testing.server"
local support = require "spec.support"

local CLOSE = { close = true } -- tinyproxy ends connections without saying so before
local USER, PASSWORD = "me", "pass-word"
local LOGIN = "me:pass%2Dword@"

local SQUID = [[
http_port 127.0.0.1:%(port)
pid_filename %(dir)/squid.pid
cache_log %(dir)/cache.log
access_log none
cache_store_log none
cache deny all
cache_mem 4 MB
coredump_dir %(dir)
max_filedescriptors 1024
shutdown_lifetime 0 seconds
auth_param basic program /usr/lib/squid/basic_ncsa_auth %(dir)/passwd
auth_param basic credentialsttl 1 hour
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
]]

local TINYPROXY = [[
Port %(port)
Listen 127.0.0.1
Timeout 30
MaxClients 32
Allow 127.0.0.1
BasicAuth %(user) %(password)
LogFile "%(dir)/log"
LogLevel Error
]]

local HAPROXY = [[
global
    maxconn 64
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend secure
    bind 127.0.0.1:%(port) ssl crt %(dir)/both.pem
    default_backend squid
backend squid
    server squid 127.0.0.1:%(squidport)
]]

local made = certs.new()
made:root "root"
made:issue("origin", { by = "root", san = "DNS:localhost,IP:127.0.0.1" })
made:issue("proxy", { by = "root", san = "IP:127.0.0.1" })
local ORIGIN = { cert = made:path "origin.pem", key = made:path "origin.key" }
local TRUST = { ca_file = made:path "root.pem" }

-- A folder that a server may use that root starts and that then is somebody else.
local function new_dir()
    local dir = support.temp_dir()
    os.execute("chmod 777 " .. support.quote(dir))
    return dir
end

local function start_squid()
    local dir, port = new_dir(), support.free_port()
    local _, hash = support.run { "openssl", "passwd", "-apr1", PASSWORD }
    interop.write(dir .. "/passwd", USER .. ":" .. hash)
    local path = interop.configure(dir .. "/squid.conf", SQUID, { port = port, dir = dir })
    return interop.start({ "/usr/sbin/squid", "-N", "-f", path }, dir, { port }), port
end

local function start_tinyproxy()
    local dir, port = new_dir(), support.free_port()
    local path = interop.configure(dir .. "/tinyproxy.conf", TINYPROXY,
        { port = port, dir = dir, user = USER, password = PASSWORD })
    return interop.start({ "tinyproxy", "-d", "-c", path }, dir, { port }), port
end

local function start_haproxy(squid_port)
    local dir, port = new_dir(), support.free_port()
    support.run(("cat %s %s >%s/both.pem"):format(made:path "proxy.pem", made:path "proxy.key",
        dir))
    local path = interop.configure(dir .. "/haproxy.cfg", HAPROXY,
        { port = port, dir = dir, squidport = squid_port })
    return interop.start({ "/usr/sbin/haproxy", "-db", "-f", path }, dir, { port }), port
end

local function start_microsocks(...)
    local dir, port = new_dir(), support.free_port()
    return interop.start({ "microsocks", "-i", "127.0.0.1", "-p", port, ... }, dir, { port }), port
end

-- Runs f(client, plain, secure) with servers for http and https, each given with its url.
local function with_servers(proxy, f)
    support.in_loop(function()
        local plain, secure = assert(server.start()), assert(server.start { tls = ORIGIN })
        local client = http.client {
            proxy = { url = proxy, tls = TRUST }, tls = TRUST, timeout = 20,
        }
        local ok, problem = xpcall(f, debug.traceback, client, plain, secure)
        client:close()
        plain:close()
        secure:close()
        assert(ok, problem)
    end)
end

local function with(opts, body)
    return { close = opts and opts.close, body = body }
end

-- What has to work through any proxy.
local function passes(url, opts)
    with_servers(url, function(client, plain, secure)
        local body = ("abcdefghij"):rep(5000)
        for _, s in ipairs { plain, secure } do
            local response = assert(client:get(s.url .. "/headers", opts))
            assert.equal(200, response.status)
            assert.is_nil(response:text():lower():find("proxy-auth", 1, true))
            response = assert(client:post(s.url .. "/post", with(opts, body)))
            assert.is_true(body == assert(response:json()).data)
            response = assert(client:put(s.url .. "/upload",
                with(opts, ("y"):rep(3000000))))
            assert.equal(3000000, assert(response:json()).bytes)
            response = assert(client:get(s.url .. "/bytes/300000", opts))
            assert.equal(300000, #assert(response:text()))
            assert.equal(204, assert(client:get(s.url .. "/status/204", opts)).status)
            assert.equal(s.url .. "/get", assert(client:get(s.url .. "/redirect/2", opts)).url)
        end
        assert.equal(opts and 8 or 1, secure.connections)
    end)
end

describe("moonwire through", function()
    local processes, ports = {}, {}

    setup(function()
        processes.squid, ports.squid = start_squid()
        processes.tinyproxy, ports.tinyproxy = start_tinyproxy()
        processes.haproxy, ports.haproxy = start_haproxy(ports.squid)
        processes.microsocks, ports.microsocks = start_microsocks("-u", USER, "-P", PASSWORD)
        processes.open, ports.open = start_microsocks()
    end)

    teardown(function()
        for _, process in pairs(processes) do
            process:kill()
        end
    end)

    for name, scheme in pairs { squid = "http", tinyproxy = "http", haproxy = "https" } do
        describe(name, function()
            local function url(login)
                return ("%s://%s127.0.0.1:%d"):format(scheme, login, ports[name])
            end

            it("reaches http and https servers", function()
                passes(url(LOGIN), name == "tinyproxy" and CLOSE or nil)
            end)

            it("serves many at once", function()
                with_servers(url(LOGIN), function(client, plain, secure)
                    local numbers = {}
                    for i = 1, 40 do
                        numbers[i] = i
                    end
                    local echoed = moonwire.map(numbers, function(i)
                        local s = i % 2 == 0 and plain or secure
                        local response = assert(client:get(s.url .. "/get?n=" .. i, CLOSE))
                        return tonumber(assert(response:json()).args.n)
                    end)
                    assert.same(numbers, echoed)
                end)
            end)

            it("is told when its password is wrong, or missing", function()
                for login, words in pairs {
                    [""] = "it wants to know who asks",
                    ["me:secret@"] = "it doesn't take this user and password",
                } do
                    with_servers(url(login), function(client, plain, secure)
                        local status = name == "tinyproxy" and login ~= "" and 401 or 407
                        assert.equal(status, assert(client:get(plain.url .. "/get")).status)
                        local _, err = client:get(secure.url .. "/get")
                        assert.equal("connect", err.kind)
                        assert.equal(status, err.status)
                        assert.truthy(err.message:find(words, 1, true), err.message)
                        assert.is_nil(tostring(err):find("secret", 1, true))
                        assert.equal(0, plain.requests + secure.connections)
                    end)
                end
            end)

            it("says that nobody answers", function()
                local port = support.free_port()
                with_servers(url(LOGIN), function(client)
                    local _, err = client:get(("https://127.0.0.1:%d/"):format(port))
                    assert.equal("connect", err.kind)
                    assert.truthy(err.status >= 500 and err.status < 600)
                    assert.truthy(err.message:find(("has not connected to 127.0.0.1:%d: it"
                        .. " answered 5"):format(port), 1, true), err.message)
                end)
            end)
        end)
    end

    describe("microsocks", function()
        for _, kind in ipairs { "socks5", "socks5h" } do
            it("reaches http and https servers as " .. kind, function()
                passes(("%s://%s127.0.0.1:%d"):format(kind, LOGIN, ports.microsocks))
                passes(("%s://127.0.0.1:%d"):format(kind, ports.open))
            end)
        end

        it("looks names up, or doesn't have to", function()
            for _, kind in ipairs { "socks5", "socks5h" } do
                with_servers(("%s://127.0.0.1:%d"):format(kind, ports.open), function(client, _, s)
                    local response = assert(client:get(("https://localhost:%d/get"):format(s.port)))
                    assert.equal(200, response.status)
                end)
            end
        end)

        it("is told when its password is wrong, or missing", function()
            for login, words in pairs {
                [""] = "it wants to know who asks",
                ["me:secret@"] = "it doesn't take this user and password",
            } do
                local url = ("socks5h://%s127.0.0.1:%d"):format(login, ports.microsocks)
                with_servers(url, function(client, plain)
                    local _, err = client:get(plain.url .. "/get")
                    assert.equal("connect", err.kind)
                    assert.truthy(err.message:find(words, 1, true), err.message)
                    assert.is_nil(tostring(err):find("secret", 1, true))
                end)
            end
        end)

        it("says that nobody answers", function()
            local port = support.free_port()
            with_servers("socks5h://127.0.0.1:" .. ports.open, function(client)
                local _, err = client:get(("http://127.0.0.1:%d/"):format(port))
                assert.equal("connect", err.kind)
                assert.truthy(err.message:find(("has not connected to 127.0.0.1:%d: connection"
                    .. " refused"):format(port), 1, true), err.message)
            end)
        end)
    end)
end)
