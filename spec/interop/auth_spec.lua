-- Servers that want to know who is asking: httpbin, Apache's httpd, nginx.

local auth = require "moonwire.auth"
local core = require "moonwire.core"
local interop = require "spec.support.interop"
local moonwire = require "moonwire"
local nginx = require "spec.support.nginx"
local support = require "spec.support"

local CONFIG = [[
ServerRoot %(dir)
ServerName 127.0.0.1
PidFile %(dir)/pid
DefaultRuntimeDir %(dir)
ErrorLog %(dir)/error.log
User www-data
Group www-data
Mutex file:%(dir)
ScriptSock %(dir)/cgi.sock
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authn_file_module /usr/lib/apache2/modules/mod_authn_file.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule cgid_module /usr/lib/apache2/modules/mod_cgid.so
LoadModule auth_digest_module /usr/lib/apache2/modules/mod_auth_digest.so
StartServers 1
ThreadsPerChild 8
ServerLimit 1
MaxRequestWorkers 8
MinSpareThreads 1
MaxSpareThreads 8
KeepAlive On
Listen 127.0.0.1:%(port)
DocumentRoot %(dir)/www
ScriptAlias /cgi %(cgi)
<Directory />
    Options +ExecCGI
</Directory>
<Location />
    AuthType Digest
    AuthName "the realm"
    AuthUserFile %(dir)/users
    AuthDigestNonceLifetime 1
    Require valid-user
</Location>
]]

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

describe("auth against Apache's mod_auth_digest", function()
    local all, url, process = interop.bodies(), nil, nil

    setup(function()
        local dir, port = support.temp_dir(), support.free_port()
        os.execute("mkdir " .. support.quote(dir .. "/www"))
        write(dir .. "/www/page", "the page")
        write(dir .. "/users", ('me:the realm:%s\n'):format(
            core.digest("MD5", 'me:the realm:secret'):finish()))
        url = "http://127.0.0.1:" .. port
        process = interop.start({ "/usr/sbin/apache2", "-D", "FOREGROUND", "-f",
            interop.configure(dir .. "/httpd.conf", CONFIG, {
                dir = dir, port = port, cgi = interop.install_cgi(all, dir),
            }) }, dir, { port })
    end)

    teardown(function()
        process:kill()
    end)

    it("is let in, at once the next time, and again once its nonce is stale", function()
        interop.with_client(function(client)
            for i = 1, 3 do
                local response = assert(client:get(url .. "/page?" .. i))
                assert.equal(200, response.status)
                assert.equal("the page", response:text())
                assert.equal(1 + i, client:stats().requests)
            end
            moonwire.sleep(1.1)
            assert.equal(200, assert(client:get(url .. "/page")).status)
            assert.equal(6, client:stats().requests)
            assert.equal(1, client:stats().opened)
        end, { auth = auth.digest("me", "secret"), timeout = 20 })
    end)

    it("is asked who sends it before it gets a body that goes only once", function()
        interop.with_client(function(client)
            local body = all[4]
            for i = 1, 2 do
                local response = assert(client:post(url .. "/cgi/echo", {
                    body = interop.generator(body), timeout = { expect = 10 },
                }))
                assert.equal("POST " .. body.md5, response:text():match "^%u+ %x+")
                assert.equal(1 + i, client:stats().requests)
            end
        end, { auth = auth.digest("me", "secret"), timeout = 20 })
    end)

    it("is told no once", function()
        interop.with_client(function(client)
            assert.equal(401, assert(client:get(url .. "/page")).status)
            assert.equal(2, client:stats().requests)
        end, { auth = auth.digest("me", "other"), timeout = 20 })
    end)
end)

describe("auth against nginx's auth_basic", function()
    local server

    setup(function()
        local dir = support.temp_dir()
        os.execute("chmod 755 " .. support.quote(dir))
        write(dir .. "/users", "me:{PLAIN}s e \195\164\n")
        server = nginx.start(([[
            location /in { auth_basic "in"; auth_basic_user_file %s/users;
                default_type text/plain; try_files /none @page; }
            location @page { return 200 "$remote_user"; }
        ]]):format(dir))
    end)

    teardown(function()
        server.process:kill()
    end)

    it("is let in with the right password", function()
        interop.with_client(function(client)
            local response = assert(client:get(server.url .. "/in", {
                auth = { "me", "s e \195\164" },
            }))
            assert.equal(200, response.status)
            assert.equal("me", response:text())
            assert.equal(401, assert(client:get(server.url .. "/in", {
                auth = { "me", "other" },
            })).status)
            assert.equal(401, assert(client:get(server.url .. "/in")).status)
        end)
    end)
end)

describe("auth against httpbin", function()
    local url, process

    setup(function()
        local port, dir = support.free_port(), support.temp_dir()
        url = "http://127.0.0.1:" .. port
        process = support.spawn_process({
            "/usr/bin/python3", "-m", "gunicorn", "--bind", "127.0.0.1:" .. port,
            "--threads", "4", "--keep-alive", "30", "--worker-tmp-dir", dir, "httpbin:app",
        }, { output = dir .. "/output", cwd = dir })
        support.wait_port(port, 30)
    end)

    teardown(function()
        process:kill()
    end)

    for _, algorithm in ipairs { "MD5", "SHA-256", "SHA-512" } do
        for _, qop in ipairs { "auth", "auth-int", "auth,auth-int" } do
            it(("is let in by digest, %s %s"):format(algorithm, qop), function()
                interop.with_client(function(client)
                    local path = ("%s/digest-auth/%s/me/secret/%s"):format(url, qop, algorithm)
                    for i = 1, 3 do
                        local response = assert(client:get(path))
                        assert.equal(200, response.status)
                        assert.same({ authenticated = true, user = "me" }, response:json())
                        assert.equal(1 + i, client:stats().requests)
                    end
                    assert.equal(1, client:stats().opened)
                end, { auth = auth.digest("me", "secret"), timeout = 20 })
            end)
        end
    end

    it("gets a new nonce there when the old one is stale", function()
        interop.with_client(function(client)
            -- its cookies say how often that is to be
            local path = url .. "/digest-auth/auth/me/secret/MD5/1"
            local response = assert(client:get(path, { headers = {
                Cookie = "stale_after=0; last_nonce=x; fake=fake_value",
            } }))
            assert.equal(401, response.status)
            assert.equal(3, client:stats().requests)
        end, { auth = auth.digest("me", "secret"), timeout = 20 })
    end)

    it("is let in by basic, and by a token", function()
        interop.with_client(function(client)
            local path = url .. "/basic-auth/me/secret"
            assert.equal(200, assert(client:get(path, { auth = { "me", "secret" } })).status)
            assert.equal(401, assert(client:get(path, { auth = { "me", "Secret" } })).status)
            assert.equal(401, assert(client:get(path)).status)
            assert.equal(200, assert(client:get((path:gsub("//", "//me:secret@")))).status)
            assert.equal(200, assert(client:get(url .. "/bearer", {
                auth = auth.bearer "abc",
            })).status)
            assert.equal(401, assert(client:get(url .. "/bearer")).status)
            assert.equal(200, assert(client:get(path, { auth = function(_, response)
                return response and { Authorization = "Basic bWU6c2VjcmV0" }
            end })).status)
        end)
    end)
end)
