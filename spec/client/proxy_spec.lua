local clients = require "moonwire.client"
local kit = require "spec.support.mock_client"
local moonwire = require "moonwire"
local proxies = require "spec.support.proxies"
local requests = require "moonwire.request"
local trace = require "moonwire.trace"

local run = proxies.run
local fails = kit.fails
local CONNECTED = proxies.CONNECTED
local EMPTY = "Content-Length: 0\r\n\r\n"

local function line(head)
    return head:match "^[^\r]*"
end

local function field(head, name)
    return head:match("\r\n" .. name:gsub("%-", "%%-") .. ": ([^\r]*)")
end

describe("a request to http through an http proxy", function()
    it("says the whole URL, and to the proxy alone who asks", function()
        run({ proxy = "http://u:p@proxy:3128" }, function(client, m)
            local log = proxies.http(m, "10.0.0.1", 3128)
            local response = assert(client:get("http://user:pw@far.test:81/a?b=1#c"))
            assert.equal("ok", response:text())
            assert.equal("http://far.test:81/a?b=1", response.url)
            local head = log.heads[1]
            assert.equal("GET http://far.test:81/a?b=1 HTTP/1.1", line(head))
            assert.equal("far.test:81", field(head, "Host"))
            assert.equal("Basic dTpw", field(head, "Proxy-Authorization"))
            assert.equal("Basic dXNlcjpwdw==", field(head, "Authorization"))
            assert.is_nil(response.request.headers:get "proxy-authorization")
            assert.equal("/a?b=1", response.request.target)
        end)
    end)

    it("shares connections with those to other origins, not with others' credentials", function()
        run(nil, function(client, m)
            local log = proxies.http(m, "10.0.0.1", 80)
            for _, case in ipairs {
                { "http://a.test/", "http://proxy", 1 }, { "http://b.test:81/", "http://proxy", 1 },
                { "http://a.test/", "http://u:p@proxy", 2 },
                { "http://a.test/", "http://u:q@proxy", 3 },
                { "http://b.test/", "http://u:p@proxy", 3 },
                { "http://b.test/", "http://proxy:80/", 3 },
                { "http://b.test/", { url = "http://proxy", headers = { A = "b" } }, 4 },
                { "http://a.test/", { url = "http://proxy", headers = { a = "b" } }, 4 },
            } do
                assert(client:get(case[1], { proxy = case[2] })):text()
                assert.equal(case[3], #log.peers)
            end
            assert.equal("b", field(log.heads[7], "A"))
        end)
    end)

    it("sends a body, asks before, and does without after 417, all by the proxy", function()
        run({ proxy = "http://u:p@proxy" }, function(client, m)
            local log = kit.serve(m, "10.0.0.1", 80, function(head, number)
                if number == 1 then
                    return "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"
                end
                return head:find "Expect" and "no" or kit.OK
            end)
            m:listen_at("10.0.0.2", 80, {})
            local response = assert(client:put("http://far.test/x", {
                body = "text", expect = true,
            }))
            assert.equal(200, response.status)
            for i, head in ipairs(log.heads) do
                assert.equal("PUT http://far.test/x HTTP/1.1", line(head))
                assert.equal("Basic dTpw", field(head, "Proxy-Authorization"))
                assert.equal(i == 1 and "100-continue" or nil, field(head, "Expect"))
            end
            assert.equal(2, #log.heads)
        end)
    end)

    it("has a body that is measured late", function()
        run({ proxy = "http://u:p@proxy" }, function(client, m)
            local bodies = {}
            local log = kit.serve(m, "10.0.0.1", 80, function(_, _, _, body)
                bodies[#bodies + 1] = body
                return kit.OK
            end)
            local path = os.tmpname()
            local file = assert(io.open(path, "w"))
            file:write "from a file"
            file:close()
            assert(client:put("http://far.test/x", { body = assert(io.open(path)) }))
            os.remove(path)
            assert.equal("from a file", bodies[1])
            assert.equal("PUT http://far.test/x HTTP/1.1", line(log.heads[1]))
            assert.equal("Basic dTpw", field(log.heads[1], "Proxy-Authorization"))
        end)
    end)

    it("gets the proxy's own answers as they are", function()
        run({ proxy = "http://proxy" }, function(client, m)
            kit.serve(m, "10.0.0.1", 80, function()
                return "HTTP/1.1 407 Who\r\nContent-Length: 2\r\n\r\nno"
            end)
            local response = assert(client:get "http://far.test/")
            assert.equal(407, response.status)
            assert.equal("no", response:text())
        end)
    end)

    it("goes through a tunnel where it offers another protocol", function()
        run({ proxy = "http://proxy" }, function(client, m)
            local log = proxies.http(m, "10.0.0.1", 80)
            assert(client:get("http://far.test/chat", { upgrade = "websocket" }))
            assert.equal("CONNECT far.test:80 HTTP/1.1", line(log.heads[1]))
            assert.equal("GET /chat HTTP/1.1", line(log.heads[2]))
        end)
    end)
end)

describe("a request to https through an http proxy", function()
    local OPTS = { proxy = {
        url = "http://u:p@proxy:3128", headers = { ["X-For-Proxy"] = "1" },
    } }

    it("goes through a tunnel, of which proxy and origin are told what is for them", function()
        run(OPTS, function(client, m)
            local log = proxies.http(m, "10.0.0.1", 3128)
            for i = 1, 2 do
                local response = assert(client:get("https://far.test/a?b", {
                    headers = { Cookie = "c=1", ["User-Agent"] = "me" },
                }))
                assert.equal("ok", response:text())
                assert.equal(i == 2, response.timing.reused)
            end
            assert.equal(1, #log.peers)
            local connect, get = log.heads[1], log.heads[2]
            assert.equal("CONNECT far.test:443 HTTP/1.1", line(connect))
            assert.equal("far.test:443", field(connect, "Host"))
            assert.equal("Basic dTpw", field(connect, "Proxy-Authorization"))
            assert.equal("1", field(connect, "X-For-Proxy"))
            assert.is_nil(field(connect, "Cookie"))
            assert.not_equal("me", field(connect, "User-Agent"))
            assert.equal("GET /a?b HTTP/1.1", line(get))
            assert.is_nil(field(get, "Proxy-Authorization"))
            assert.is_nil(field(get, "X-For-Proxy"))
            assert.equal("c=1", field(get, "Cookie"))
        end)
    end)

    it("never takes a Proxy-Authorization to the origin", function()
        run({ proxy = "http://proxy" }, function(client, m)
            local log = proxies.http(m, "10.0.0.1", 80)
            assert(client:get("https://far.test/", { headers = { ["Proxy-Authorization"] = "x" } }))
            assert(client:get("http://far.test/", { headers = { ["Proxy-Authorization"] = "x" } }))
            assert.is_nil(field(log.heads[1], "Proxy-Authorization"))
            assert.is_nil(field(log.heads[2], "Proxy-Authorization"))
            assert.equal("x", field(log.heads[3], "Proxy-Authorization"))
        end)
    end)

    it("asks for an IPv6 address in brackets, without its zone", function()
        run({ proxy = "http://proxy" }, function(client, m)
            local log = proxies.http(m, "10.0.0.1", 80)
            assert(client:get "https://[fe80::1%25eth0]:444/")
            assert.equal("CONNECT [fe80::1]:444 HTTP/1.1", line(log.heads[1]))
        end)
    end)

    it("fails where the proxy refuses, with what it said", function()
        local function refused(answer, status, words, opts)
            run(opts or { proxy = "http://proxy" }, function(client, m)
                local log = proxies.http(m, "10.0.0.1", 80, answer)
                local err = fails("connect", "connect", client:get "https://h/")
                assert.equal("the proxy http://proxy:80 has not connected to h:443: " .. words,
                    err.message)
                assert.equal(status, err.status)
                assert.equal("https://h/", err.url)
                m:advance(0)
                assert.is_true(log.peers[1]:is_closed())
            end)
        end
        local body = "Content-Length: 6\r\n\r\nsecret"
        refused("HTTP/1.1 502 Bad Gateway\r\n" .. body, 502, "it answered 502 Bad Gateway")
        refused("HTTP/1.1 302 Found\r\nLocation: http://evil/\r\n" .. body, 302,
            "it answered 302 Found")
        refused("HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=x\r\n" .. body, 407, "it"
            .. " answered 407 Who: it wants to know who asks; http://user:password@... says that")
        refused("HTTP/1.1 407 Who\r\nProxy-Authenticate: Digest realm=x\r\n" .. body, 407, "it"
            .. " answered 407 Who: it wants Digest, and only Basic is spoken with proxies")
        refused("HTTP/1.1 407 Who\r\n" .. body, 407, "it answered 407 Who: it doesn't take this"
            .. " user and password", { proxy = "http://u:p@proxy" })
        refused("HTTP/1.1 407 Who\r\nTransfer-Encoding: chunked\r\n\r\n", 407, "it answered 407"
            .. " Who: it wants to know who asks; http://user:password@... says that")
    end)
end)

describe("a request through a SOCKS5 proxy", function()
    it("has the proxy look up the name", function()
        for _, url in ipairs { "http://nowhere.test:81/x", "https://nowhere.test:81/x" } do
            run({ proxy = "socks5h://proxy" }, function(client, m)
                local log = proxies.socks5(m, "10.0.0.1", 1080)
                for i = 1, 2 do
                    local response = assert(client:get(url))
                    assert.equal("ok", response:text())
                    assert.equal(i == 2, response.timing.reused)
                end
                assert.same({ "nowhere.test 81" }, log.places)
                assert.equal("GET /x HTTP/1.1", line(log.heads[1]))
                assert.equal("nowhere.test:81", field(log.heads[1], "Host"))
            end)
        end
    end)

    it("or has it looked up here", function()
        run({ proxy = "socks5://u:p@proxy:1" }, function(client, m)
            local log = proxies.socks5(m, "10.0.0.1", 1, { user = "u:p" })
            assert(client:get "http://h/")
            assert(client:get "http://[2001:db8::1]/")
            assert(client:get "http://9.8.7.6/")
            assert.same({ "127.0.0.1 80", "2001:db8:0:0:0:0:0:1 80", "9.8.7.6 80" }, log.places)
            fails("resolve", "resolve", client:get "http://nowhere.test/")
        end)
    end)

    it("tries other addresses, of both families", function()
        run({ proxy = "socks5://proxy" }, function(client, m)
            m:hosts { many = { "1.0.0.1", "1.0.0.2", "1.0.0.3", "fd00::1", "1.0.0.4" } }
            local log = proxies.socks5(m, "10.0.0.1", 1080, { reply = function(place)
                return place:find "^1.0.0.3" and 0 or 4
            end })
            assert.equal("ok", assert(client:get("http://many/")):text())
            assert.same({ "1.0.0.1 80", "fd00:0:0:0:0:0:0:1 80", "1.0.0.2 80", "1.0.0.3 80" },
                log.places)
        end)
    end)

    it("tells of all that it has tried, and stops where the rules are against it", function()
        run({ proxy = "socks5://proxy" }, function(client, m)
            m:hosts { many = { "1.0.0.1", "fd00::1", "1.0.0.2" } }
            local log = proxies.socks5(m, "10.0.0.1", 1080, { reply = function(place)
                return place:find "fd00" and 2 or 5
            end })
            local err = fails("connect", "connect", client:get "http://many/")
            assert.equal("the proxy socks5://proxy:1080 has not connected to 1.0.0.1:80: connection"
                .. " refused; the proxy socks5://proxy:1080 has not connected to [fd00::1]:80: its"
                .. " rules don't allow that", err.message)
            assert.equal(2, #log.places)
        end)
    end)

    it("takes the addresses of resolve, and those that on_resolve lets through", function()
        local asked = {}
        local opts = {
            proxy = "socks5://proxy", resolve = { ["far.test:80"] = { "9.9.9.9", "9.9.9.8" } },
            on_resolve = function(host, addresses)
                asked[#asked + 1] = host
                return host == "far.test" and { addresses[2] } or host == "proxy", "not allowed"
            end,
        }
        run(opts, function(client, m)
            local log = proxies.socks5(m, "10.0.0.1", 1080)
            assert(client:get "http://far.test/")
            assert.same({ "9.9.9.8 80" }, log.places)
            assert.same({ "far.test", "proxy" }, asked)
            local err = fails("resolve", "resolve", client:get "http://h/")
            assert.truthy(err.message:find("on_resolve refused h: not allowed", 1, true))
            assert.equal(1, #log.peers)
        end)
    end)
end)

describe("a proxy", function()
    it("is asked once more for each step of a redirect", function()
        run({ proxy = { http = "http://u:p@proxy", https = "http://v:q@second" } },
            function(client, m)
                local log = kit.serve(m, "10.0.0.1", 80, function(head)
                    if head:find "^GET http://a" then
                        return "HTTP/1.1 302 X\r\nLocation: https://b.test/\r\n" .. EMPTY
                    end
                end)
                local other = proxies.http(m, "10.0.0.2", 80)
                local response = assert(client:get "http://a.test/")
                assert.equal("https://b.test/", response.url)
                assert.equal("GET http://a.test/ HTTP/1.1", line(log.heads[1]))
                assert.equal("Basic dTpw", field(log.heads[1], "Proxy-Authorization"))
                assert.equal("CONNECT b.test:443 HTTP/1.1", line(other.heads[1]))
                assert.equal("Basic djpx", field(other.heads[1], "Proxy-Authorization"))
                assert.is_nil(field(other.heads[2], "Proxy-Authorization"))
            end)
    end)

    it("of a request stands before the client's, and a unix socket of it as well", function()
        run({ proxy = "http://proxy" }, function(client, m)
            local first, second = proxies.http(m, "10.0.0.1", 80), proxies.http(m, "10.0.0.2", 80)
            local direct, near = kit.serve(m, "127.0.0.1", 80), kit.serve(m, "/run/x.sock")
            assert(client:get "http://h/")
            assert(client:get("http://h/", { proxy = "http://second" }))
            assert(client:get("http://h/", { proxy = false }))
            assert(client:get("http://h/", { unix_socket = "/run/x.sock" }))
            assert(client:get("http://h/", { proxy = { url = "http://second", no_proxy = "h" } }))
            assert(client:request(requests.new { url = "http://h/" }))
            assert.same({ 2, 1, 2, 1 }, { #first.heads, #second.heads, #direct.heads, #near.heads })
        end)
    end)

    it("stands beside no unix socket", function()
        local words = "bad argument 'proxy' (there is unix_socket as well, which nothing stands"
            .. " before)"
        assert.has_error(function()
            clients.new { proxy = "http://p", unix_socket = "/run/x.sock" }
        end, words)
        run(nil, function(client)
            assert.has_error(function()
                client:get("http://h/", { proxy = "http://p", unix_socket = "/run/x.sock" })
            end, words)
            assert.has_error(function()
                client:get("http://h/", { proxy = "p" })
            end, "bad argument 'proxy' (http://, https://, socks5:// or socks5h://host:port"
                .. " expected)")
            assert.has_error(function()
                client:request(requests.new { url = "http://h/" }, { proxy = 1 })
            end, "bad argument 'proxy' (URL, table, \"environment\" or false expected, got 1)")
            assert.equal(0, client:stats().requests)
        end)
    end)

    it("is connected to beforehand, and through", function()
        run({ proxy = "http://proxy" }, function(client, m)
            local log = proxies.http(m, "10.0.0.1", 80)
            assert.equal(2, client:preconnect("https://h/", 2))
            assert.equal("CONNECT h:443 HTTP/1.1", line(log.heads[2]))
            assert.equal(1, client:preconnect("http://h/", 1))
            assert(client:get "https://h/")
            assert(client:get "http://other/")
            assert.equal(3, #log.peers)
        end)
    end)

    it("is looked up as a host is: resolve, on_resolve and local_address count", function()
        local hosts = {}
        run({ proxy = "http://far.proxy:81", resolve = { ["far.proxy:81"] = { "10.0.0.1" } },
            local_address = "10.0.0.9",
            on_resolve = function(host, addresses)
                hosts[#hosts + 1] = host .. " " .. addresses[1].address
                return true
            end }, function(client, m)
            local log = proxies.http(m, "10.0.0.1", 81)
            assert(client:get "https://no.such.host/")
            assert.same({ "far.proxy 10.0.0.1" }, hosts)
            assert.equal("10.0.0.9", (log.peers[1].socket:peer()))
        end)
    end)

    it("that isn't there is named", function()
        run({ proxy = "http://u:secret@proxy" }, function(client)
            for _, url in ipairs { "http://h/", "https://h/" } do
                local err = fails("connect", "connect", client:get(url))
                assert.equal("the proxy http://proxy:80: connecting to proxy:80: 10.0.0.1:"
                    .. " connection refused", err.message)
                assert.equal(url, err.url)
                assert.equal("ECONNREFUSED", err.code)
                assert.equal(1, #err.attempts)
            end
            local err = fails("resolve", "resolve",
                client:get("http://h/", { proxy = "socks5://x" }))
            assert.truthy(err.message:find("^the proxy socks5://x:1080: looking up x"), err.message)
        end)
    end)

    it("has the time of connect for dialing and for its answer", function()
        local opts = { proxy = "http://proxy", timeout = { connect = 3, total = 9 } }
        run(opts, function(client, m)
            kit.serve(m, "10.0.0.1", 80, function() return "HTTP/1.1 2" end, { delay = 1 })
            local began = m:now()
            local err = fails("timeout", "connect", client:get "https://h/")
            assert.equal(3, m:now() - began)
            assert.equal("connect", err.timeout)
            assert.equal("the proxy http://proxy:80 has not connected to h:443 (timeout.connect ="
                .. " 3 s; 3 s in all)", err.message)
            began = m:now()
            err = fails("timeout", "connect", client:get("https://h/", { timeout = 2 }))
            assert.equal(2, m:now() - began)
            assert.equal("total", err.timeout)
            m:listen_at("10.0.0.1", 1080, {})
            for _, kind in ipairs { "socks5", "socks5h" } do
                began = m:now()
                err = fails("timeout", "connect",
                    client:get("http://h/", { proxy = kind .. "://proxy" }))
                assert.equal(3, m:now() - began)
                assert.equal("connect", err.timeout)
            end
        end)
    end)

    it("is let go when the request is cancelled", function()
        for _, url in ipairs { "http://proxy", "socks5://proxy:80", "socks5h://proxy:80" } do
            run({ proxy = url }, function(client, m)
                local log = kit.serve(m, "10.0.0.1", 80, function() return "" end)
                local _, err = moonwire.timeout(2, function()
                    return client:get "https://h/"
                end)
                assert.equal("timeout", err.kind)
                m:advance(0)
                assert.equal(1, #log.peers)
                assert.is_true(log.peers[1]:is_closed())
            end)
        end
    end)

    it("is let go when the client is closed meanwhile", function()
        for _, url in ipairs { "http://proxy", "socks5://proxy:80", "socks5h://proxy:80" } do
            run({ proxy = url }, function(client, m)
                local log = kit.serve(m, "10.0.0.1", 80, function() return "" end)
                local task = moonwire.spawn(client.get, client, "https://h/")
                m:advance(1)
                assert.equal(1, #log.peers)
                client:close()
                local err = fails("closed", "pool", task:join())
                assert.equal("https://h/", err.url)
                m:advance(0)
                assert.is_true(log.peers[1]:is_closed())
            end)
        end
    end)

    it("gives a connection to whichever of the requests to http can use it first", function()
        run({ proxy = "http://proxy", pool = { max_per_origin = 1 } }, function(client, m)
            local log = proxies.http(m, "10.0.0.1", 80, nil, { delay = 1 })
            local texts = moonwire.map({ "a", "b", "c" }, function(host)
                return assert(client:get("http://" .. host .. ".test/")):text()
            end)
            assert.same({ "ok", "ok", "ok" }, texts)
            assert.equal(1, #log.peers)
            for i, host in ipairs { "a", "b", "c" } do
                assert.equal(host .. ".test", field(log.heads[i], "Host"))
            end
            m:refuse_at("10.0.0.1", 80)
            client:close_idle()
            local errs = moonwire.map({ "a", "b" }, function(host)
                return select(2, client:get("http://" .. host .. ".test/"))
            end)
            assert.equal("http://a.test/", errs[1].url)
            assert.equal("http://b.test/", errs[2].url)
        end)
    end)

    it("has no part in what is shown: stats, metrics, errors and transcript", function()
        local lines = {}
        trace.enable(function(text)
            lines[#lines + 1] = text
        end)
        local ok, problem = pcall(run, { proxy = "http://user:hunter2@proxy" }, function(client, m)
            proxies.http(m, "10.0.0.1", 80, function(head)
                return head:find "h:443" and CONNECTED or "HTTP/1.1 407 X\r\n" .. EMPTY
            end)
            assert(client:get "https://h/")
            assert(client:get "http://h/")
            local shown = { tostring(select(2, client:get "https://other/")), client:metrics(),
                table.concat(lines) }
            for name in pairs(client:stats().origins) do
                shown[#shown + 1] = name
            end
            local text = table.concat(shown, "\n")
            assert.truthy(text:find("http://* by http://proxy:80 proxy", 1, true))
            assert.truthy(text:find("https://h:443 by http://proxy:80 proxy", 1, true))
            assert.truthy(text:find("* to https://h:443 by the proxy http://proxy:80\n", 1, true))
            assert.truthy(text:find("> CONNECT h:443 HTTP/1.1", 1, true))
            assert.truthy(text:find("> Proxy-Authorization: <redacted>", 1, true))
            for _, secret in ipairs { "hunter2", "user:", "dXNlcjpodW50ZXIy" } do
                assert.is_nil(text:gsub("//user:password@", ""):find(secret, 1, true))
            end
        end)
        trace.disable()
        assert(ok, problem)
    end)
end)

describe("the environment's proxy", function()
    local real = os.getenv

    -- Runs f with variables in place of the environment's.
    local function with(variables, opts, f)
        local asked = 0
        os.getenv = function(name) -- luacheck: ignore 122
            asked = asked + (name == "http_proxy" and 1 or 0)
            return variables[name]
        end
        local ok, problem = pcall(run, opts, function(client, m)
            f(client, m, function()
                return asked
            end)
        end)
        os.getenv = real -- luacheck: ignore 122
        assert(ok, problem)
    end

    it("is not asked for by itself where a test or another host runs us", function()
        with({ http_proxy = "http://proxy" }, nil, function(client, m, asked)
            local direct = kit.serve(m, "127.0.0.1", 80)
            assert(client:get "http://h/")
            assert.equal(1, #direct.heads)
            assert.equal(0, asked())
        end)
    end)

    it("is read once by each client that has it, and spares this machine", function()
        with({ http_proxy = "http://proxy", no_proxy = "other" }, { proxy = "environment" },
            function(client, m, asked)
                local log, direct = proxies.http(m, "10.0.0.1", 80), kit.serve(m, "127.0.0.1", 80)
                local spared = kit.serve(m, "127.0.0.2", 80)
                assert(client:get "http://h/")
                assert(client:get("http://far.test/", { timeout = 9 }))
                assert(client:get "http://127.0.0.1/")
                assert(client:get "http://localhost/")
                assert(client:get "http://other/")
                assert.same({ 2, 2, 1 }, { #log.heads, #direct.heads, #spared.heads })
                assert.equal(1, asked())
            end)
    end)

    it("counts by itself where the backend says so, but not before what the script says", function()
        with({ http_proxy = "http://proxy" }, nil, function(client, m)
            m.backend.capabilities.environment = true
            local log, direct = proxies.http(m, "10.0.0.1", 80), kit.serve(m, "127.0.0.1", 80)
            local near = kit.serve(m, "/run/x.sock")
            assert(client:get "http://h/")
            assert(client:get("http://h/", { proxy = false }))
            assert(client:get("http://h/", { unix_socket = "/run/x.sock" }))
            assert.same({ 1, 1, 1 }, { #log.heads, #direct.heads, #near.heads })
            local other = clients.new { proxy = false }
            assert(other:get "http://h/")
            assert.equal(2, #direct.heads)
            other:close()
            other = clients.new { unix_socket = "/run/x.sock" }
            assert(other:get "http://h/")
            assert.equal(2, #near.heads)
            other:close()
        end)
    end)

    it("that is none is an error that names the variable", function()
        with({ https_proxy = "http://u:hunter2@p:port" }, { proxy = "environment" },
            function(client, m)
                kit.serve(m, "127.0.0.1", 80)
                local err = fails("connect", "connect", client:get "https://h/")
                assert.truthy(err.message:find("^the environment's https_proxy is no proxy: "))
                assert.is_nil(tostring(err):find "hunter2")
                assert.equal("https://h/", err.url)
                assert(client:get "http://h/")
                assert.has_error(function()
                    assert(client:preconnect "https://h/")
                end)
            end)
    end)
end)
