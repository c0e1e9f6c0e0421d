local clients = require "moonwire.client"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local requests = require "moonwire.request"
local world = require "spec.support.mock_client"

local fails, serve, with_client = world.fails, world.serve, world.with_client
local OK = world.OK

describe("client", function()
    it("gives one response for one call and keeps the connection", function()
        with_client(nil, function(client, m, log)
            local start = m:now()
            for i = 1, 3 do
                local response = assert(client:get("http://h/" .. i))
                assert.equal("ok", response:text())
                assert.equal(i > 1, response.timing.reused)
            end
            assert.equal(1, #log.peers)
            local stats = client:stats()
            assert.equal(3, stats.requests)
            assert.equal(1, stats.idle)
            assert.equal(2, stats.reused)
            assert.is_true(m:now() - start < 1)
        end)
    end)

    it("has a method for each method", function()
        local seen = {}
        with_client(nil, function(client)
            for _, name in ipairs { "get", "head", "post", "put", "patch", "delete", "options" } do
                assert(client[name](client, "http://h/"))
            end
            assert(client:request("QUERY", "http://h/"))
            assert(client:request { url = "http://h/" })
            assert(client:request { method = "TRACE", url = "http://h/" })
            assert(client:request(requests.new { method = "PURGE", url = "http://h/" }))
            assert.equal("GET HEAD POST PUT PATCH DELETE OPTIONS QUERY GET TRACE PURGE",
                table.concat(seen, " "))
        end, function(head)
            seen[#seen + 1] = head:match "^%S+"
            return seen[#seen] == "HEAD" and "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" or OK
        end)
    end)

    it("sends bodies, queries and headers, and its own headers below them", function()
        local headers = { ["X-One"] = "client", ["X-Two"] = "client" }
        with_client({ headers = headers }, function(client, _, log)
            assert(client:post("http://h/p?a=1", {
                query = { b = 2 }, form = { name = "a b" }, headers = { ["x-two"] = "request" },
            }))
            assert.is_truthy(log.heads[1]:find("^POST /p%?a=1&b=2 HTTP/1.1\r\n"))
            assert.is_truthy(log.heads[1]:find("X-One: client\r\n", 1, true))
            assert.is_truthy(log.heads[1]:find("x-two: request\r\n", 1, true))
            assert.is_nil(log.heads[1]:find("X-Two: client", 1, true))
            assert.is_truthy(log.heads[1]:find("application/x-www-form-urlencoded", 1, true))
            assert(client:put("http://h/j", { json = { 1, 2 } }))
            assert.is_truthy(log.heads[2]:find("application/json", 1, true))
            assert(client:get("http://h/plain"))
            assert.is_truthy(log.heads[3]:find("X-Two: client\r\n", 1, true))
        end)
    end)

    it("puts relative URLs behind its base URL and leaves absolute ones", function()
        with_client({ base_url = "http://h/api/" }, function(client, m, log)
            local other = serve(m, "127.0.0.2", 80)
            for _, url in ipairs { "users", "/users", "?x=1", "", "a/../b", "//evil/x" } do
                assert(client:get(url))
            end
            assert(client:get("http://other/abs"))
            local targets = {}
            for i, head in ipairs(log.heads) do
                targets[i] = head:match "^%S+ (%S+)"
                assert.is_truthy(head:find("\r\nHost: h\r\n", 1, true))
            end
            assert.same({ "/api/users", "/api/users", "/api/?x=1", "/api/", "/api/b",
                "/api/evil/x" }, targets)
            assert.is_truthy(other.heads[1]:find("^GET /abs "))
            client:close()
            other.peers[1]:close()
        end)
    end)

    it("keeps origins apart", function()
        with_client(nil, function(client, m, log)
            local other = serve(m, "127.0.0.2", 80)
            local third = serve(m, "127.0.0.1", 8080)
            assert(client:get("http://h/"))
            assert(client:get("http://other/"))
            assert(client:get("http://h:8080/"))
            assert(client:get("http://H:80/"))
            assert.equal("1 1 1", #log.peers .. " " .. #other.peers .. " " .. #third.peers)
            assert.equal(2, #log.heads)
            client:close()
            other.peers[1]:close()
            third.peers[1]:close()
        end)
    end)

    it("connects to a unix socket instead, and keeps that apart too", function()
        with_client(nil, function(client, m, log)
            local unix = serve(m, "/run/x.sock", nil)
            assert(client:get("http://h/", { unix_socket = "/run/x.sock" }))
            assert(client:get("http://h/"))
            assert(client:get("http://h/", { unix_socket = "/run/x.sock" }))
            assert.equal("2 1", #unix.heads .. " " .. #log.heads)
            assert.equal(1, #unix.peers)
            assert.is_truthy(unix.heads[1]:find("\r\nHost: h\r\n", 1, true))
            fails("connect", "connect", client:get("http://h/", { unix_socket = "/run/no.sock" }))
            client:close()
            unix.peers[1]:close()
        end)
    end)

    it("closes idle connections when their time is over, without any traffic", function()
        with_client({ pool = { idle_timeout = 5 } }, function(client, m, log)
            assert(client:get("http://h/"))
            m:advance(4.9)
            assert.equal(1, client:stats().idle)
            m:advance(0.2)
            assert.equal(0, client:stats().idle)
            assert.is_true(log.peers[1]:is_closed())
            assert.equal(1, m:stats().threads) -- only the mock's own: the watch has ended too
            assert(client:get("http://h/"))
            m:advance(6)
            assert.equal(0, client:stats().total)
        end)
    end)

    it("keeps a connection as long as the peer says, but a second less", function()
        local hint = "timeout=4"
        with_client({ pool = { idle_timeout = 60 } }, function(client, m, log)
            assert(client:get("http://h/"))
            m:advance(2.9)
            assert.equal(1, client:stats().idle)
            m:advance(0.2)
            assert.equal(0, client:stats().idle)
            hint = "timeout=100"
            assert(client:get("http://h/"))
            m:advance(58)
            hint = "timeout=4"
            assert(client:get("http://h/")) -- the watch now has to wake earlier
            m:advance(3.1)
            assert.equal(0, client:stats().idle)
            assert.equal(2, #log.peers)
        end, function()
            return OK:gsub("\r\n", "\r\nKeep-Alive: " .. hint .. "\r\n", 1)
        end)
    end)

    it("does not let the watch on idle connections keep a run alive", function()
        local m = mock.new()
        serve(m, "127.0.0.1", 80)
        local client, start = clients.new(), m:now()
        m:run(function()
            assert(client:get("http://127.0.0.1/"))
        end)
        assert.equal(1, client:stats().idle)
        assert.is_true(m:now() - start < 1)
        m:run(function()
            client:close()
        end)
    end)

    it("tries the next connection when the peer has closed an idle one", function()
        with_client(nil, function(client, m, log)
            moonwire.gather(
                function() assert(client:get("http://h/a")) end,
                function() assert(client:get("http://h/b")) end)
            assert.equal(2, #log.peers)
            log.peers[1]:eof()
            log.peers[2]:eof()
            m:advance(0)
            assert(client:post("http://h/c", { body = "x" }))
            assert.equal(3, #log.peers)
            assert.equal(1, client:stats().total)
            log.peers[3]:send("HTTP/1.1 408 Request Timeout\r\n\r\n") -- nobody asked
            m:advance(0)
            local response = assert(client:get("http://h/d"))
            assert.equal(200, response.status)
            assert.equal(4, #log.peers)
        end)
    end)

    it("sends a harmless request once more when a kept connection dies under it", function()
        local function is_gone(response, err) -- noticed while writing or while reading
            return fails("closed", err and err.phase == "write" and "write" or "headers", response,
                err)
        end
        local die = {}
        with_client(nil, function(client, _, log)
            assert(client:get("http://h/1"))
            die[2] = true
            local response = assert(client:get("http://h/2"))
            assert.equal("ok", response:text())
            assert.equal(2, #log.peers)
            assert.equal(3, #log.heads)
            die[4] = true
            assert(client:put("http://h/3", { body = "again" }))
            die[6] = true
            local err = is_gone(client:post("http://h/4", { body = "once" }))
            assert.is_true(err.reused)
            assert.is_false(err.safe_to_retry)
            assert(client:get("http://h/5"))
            die[8] = true
            assert(client:post("http://h/6", { body = "twice",
                headers = { ["Idempotency-Key"] = "1" } }))
            local sent = false
            die[10] = true
            err = is_gone(client:put("http://h/7", { body = function()
                if not sent then
                    sent = true
                    return "x"
                end
            end }))
            assert.is_false(err.safe_to_retry)
        end, function(_, number, peer)
            if die[number] then
                peer:reset()
                return nil
            end
            return OK
        end)
    end)

    it("does not send again over a fresh connection, and never twice", function()
        local count = 0
        with_client(nil, function(client)
            local err = fails("closed", "headers", client:get("http://h/"))
            assert.equal(1, count)
            assert.is_false(err.reused)
        end, function(_, _, peer)
            count = count + 1
            peer:close()
        end)
        local requests_seen = 0
        with_client(nil, function(client)
            assert(client:get("http://h/"))
            fails("closed", "headers", client:get("http://h/"))
            assert.equal(3, requests_seen)
        end, function(_, number, peer)
            requests_seen = requests_seen + 1
            if number > 1 then
                peer:close()
                return nil
            end
            return OK
        end)
    end)

    it("queues at its limits and serves in order", function()
        with_client({ pool = { max_per_origin = 2 } }, function(client, m, log)
            local order = {}
            moonwire.scope(function(s)
                for i = 1, 6 do
                    s:spawn(function()
                        local response = assert(client:get("http://h/" .. i))
                        assert.equal("ok", response:text())
                        order[#order + 1] = i
                    end)
                end
                m:advance(0.5)
                assert.equal(4, client:stats().waiting)
                assert.equal(2, client:stats().active)
            end)
            assert.same({ 1, 2, 3, 4, 5, 6 }, order)
            assert.equal(2, #log.peers)
        end, function(_, _, peer)
            peer:after(1, function()
                peer:send(OK)
            end)
        end)
    end)

    it("gives up waiting for a connection after the pool's time", function()
        with_client({ pool = { max_total = 1 } }, function(client, m)
            moonwire.scope(function(s)
                s:spawn(function()
                    assert(client:get("http://h/slow"))
                end)
                m:advance(0.1)
                local err = fails("timeout", "pool",
                    client:get("http://h/", { timeout = { pool = 2 } }))
                assert.equal("http://h/", err.url)
                err = fails("timeout", "pool", client:get("http://h/", { timeout = 1 }))
                assert.is_truthy(tostring(err):find("(timeout.total = 1 s; 1 s in all)", 1, true))
                assert.equal(0, client:stats().waiting)
            end)
            assert.equal(1, client:stats().idle)
        end, function(_, _, peer)
            peer:after(10, function()
                peer:send(OK)
            end)
        end)
    end)

    it("leaves nothing behind when a request is cancelled at any point", function()
        local m = mock.new()
        m:hosts({ h = { "127.0.0.1" } }, { delay = 1 })
        local log = serve(m, "127.0.0.1", 80, function(_, _, peer)
            peer:after(1, function()
                peer:send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            end)
            peer:after(2, function()
                peer:send("ok")
            end)
        end, { delay = 1 })
        m:run(function()
            local client = clients.new { pool = { max_total = 1 } }
            for tenth = 1, 59, 2 do
                moonwire.scope(function(s)
                    for _ = 1, 2 do -- one of them waits for the pool
                        s:spawn(function()
                            local response, err = client:get("http://h/")
                            if response then
                                response, err = response:text()
                            end
                            assert.is_true(response == "ok" or err.kind == "cancelled")
                        end)
                    end
                    m:advance(tenth / 10)
                    s:cancel()
                end)
                local stats = client:stats()
                assert.equal(0, stats.waiting + stats.active + stats.opening + stats.reserved)
                client:close_idle()
            end
            assert.is_true(#log.peers > 10)
            client:close()
            for _, peer in ipairs(log.peers) do
                assert.is_true(peer:is_closed())
            end
        end)
    end)

    it("tells progress and informational responses, and refuses bodies above max_body", function()
        with_client({ max_body = 5 }, function(client)
            local informational, received = {}, 0
            assert(client:get("http://h/1", {
                on_informational = function(status)
                    informational[#informational + 1] = status
                end,
                progress = function(bytes)
                    received = bytes
                end,
            }):text())
            assert.same({ 103 }, informational)
            assert.equal(5, received)
            local response = assert(client:get("http://h/1", { max_body = 4 }))
            fails("limit", "body", response:text())
        end, function()
            return "HTTP/1.1 103 Early Hints\r\n\r\n"
                .. "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345"
        end)
    end)

    it("frees the place when a script's callback raises", function()
        with_client({ pool = { max_total = 1 } }, function(client)
            assert.has_error(function()
                client:get("http://h/", { on_informational = function() error("mine", 0) end })
            end)
            assert.equal(0, client:stats().total)
            assert(client:get("http://h/"))
        end, function()
            return "HTTP/1.1 103 Early Hints\r\n\r\n" .. OK
        end)
    end)

    it("gives the connection back when a body can't be opened", function()
        with_client(nil, function(client, _, log)
            local bodies = require "moonwire.body"
            for _ = 1, 2 do
                fails("body", "write",
                    client:post("http://h/", { body = bodies.file "/nowhere/at/all" }))
            end
            assert(client:get("http://h/"))
            assert.equal(1, #log.peers)
        end)
    end)

    it("says why nothing could be reached", function()
        with_client(nil, function(client, m)
            m:hosts { two = { "127.0.0.8", "::1" }, nobody = { "127.0.0.9" } }
            local err = fails("connect", "connect", client:get("http://u:secret@nobody:81/x"))
            assert.equal("ECONNREFUSED", err.code)
            assert.equal("http://nobody:81/x", err.url)
            assert.equal("connecting to nobody:81: 127.0.0.9: connection refused "
                .. "(http://nobody:81/x, phase connect)", tostring(err))
            err = fails("connect", "connect", client:get("http://two/"))
            assert.equal(2, #err.attempts)
            assert.is_truthy(tostring(err):find("[::1]: connection refused; 127.0.0.8: ", 1, true))
            err = fails("resolve", "resolve", client:get("http://unknown.example/"))
            assert.equal("http://unknown.example/", err.url)
            assert.equal(0, client:stats().total)
        end)
    end)

    it("fails exchanges under way when it is closed, and refuses further ones", function()
        with_client({ pool = { max_per_origin = 1 } }, function(client, m)
            moonwire.scope(function(s)
                for _ = 1, 2 do -- the second waits for the pool
                    s:spawn(function()
                        local response, err = client:get("http://h/")
                        assert.is_nil(response)
                        assert.equal("closed", err.kind)
                    end)
                end
                m:advance(1)
                client:close()
                client:close()
            end)
            assert.is_true(client:is_closed())
            assert.has_error(function() client:get("http://h/") end, "the client is closed")
        end, function() end)
        with_client(nil, function(client, m)
            m:listen_at("127.0.0.2", 80, function(peer) peer:close() end, { delay = 5 })
            moonwire.scope(function(s)
                s:spawn(function()
                    fails("closed", "pool", client:get("http://other/"))
                end)
                m:advance(1)
                client:close()
            end)
        end)
    end)

    it("moves to another backend only when it has nothing open", function()
        local worlds = { mock.new(), mock.new() }
        local client = clients.new()
        local logs = {}
        for i, m in ipairs(worlds) do
            logs[i] = serve(m, "127.0.0.1", 80)
        end
        worlds[1]:run(function()
            assert(client:get("http://127.0.0.1/"))
        end)
        worlds[2]:run(function()
            local ok, problem = pcall(client.get, client, "http://127.0.0.1/")
            assert.is_false(ok)
            assert.is_truthy(problem:find("another backend", 1, true))
        end)
        worlds[1]:run(function()
            client:close_idle()
        end)
        worlds[2]:run(function()
            assert(client:get("http://127.0.0.1/"))
            client:close()
        end)
        assert.equal("1 1", #logs[1].heads .. " " .. #logs[2].heads)
    end)

    it("keeps the dot of the DNS root for the lookup alone", function()
        local asked = {}
        with_client({ on_resolve = function(host)
            asked[#asked + 1] = host
            return true
        end }, function(client, m, log)
            m:hosts { ["far."] = { "127.0.0.1" } } -- and no "far"
            assert.equal("ok", assert(client:get "http://far./"):text())
            assert.equal("ok", assert(client:get "http://far/"):text()) -- the same connection
            assert.equal(1, client:stats().opened)
            assert.same({ "far" }, asked)
            assert.matches("\r\nHost: far.\r\n", log.heads[1], 1, true)
        end)
    end)

    it("sends the path as it is when told to", function()
        with_client(nil, function(client, _, log)
            assert(client:get("http://h/a/../b", { raw_target = true })):text()
            assert(client:get "http://h/a/../b"):text()
            assert.matches("^GET /a/../b HTTP", log.heads[1])
            assert.matches("^GET /b HTTP", log.heads[2])
        end)
    end)

    it("says what a request asks for: one connection of its own, trailers", function()
        with_client(nil, function(client, _, log)
            local response = assert(client:get("http://h/", { close = true, trailers = true }))
            assert.equal("ok", response:text())
            assert.is_truthy(log.heads[1]:find("\r\nConnection: close, TE\r\nTE: trailers\r\n", 1,
                true))
            assert.equal(0, client:stats().total)
        end)
    end)

    it("closes idle connections on demand", function()
        with_client(nil, function(client, _, log)
            assert(client:get("http://h/"))
            client:close_idle()
            assert.is_true(log.peers[1]:is_closed())
            assert(client:get("http://h/"))
            assert.equal(2, #log.peers)
        end)
    end)

    it("makes a plain request once and keeps a bounded number of them", function()
        with_client(nil, function(client)
            for i = 1, 1000 do
                assert(client:get("http://h/" .. i % 300))
            end
            local kept, plans = 0, client.plans
            for _ in pairs(plans.recent.GET) do kept = kept + 1 end
            for _ in pairs(plans.older.GET) do kept = kept + 1 end
            assert.is_true(kept >= 128 and kept <= 256)
            assert.equal(plans:find("GET", "http://h/99"), plans:find("GET", "http://h/99"))
            assert.is_nil(plans:find("GET", "http://h/300"))
            assert.is_nil(plans:find("PUT", "http://h/99"))
        end)
    end)

    describe("raises, at the caller's line, for", function()
        local client = clients.new()
        local cases = {
            ["a missing URL"] = { "bad argument 'url'", function() client:get() end },
            ["a bad URL"] = { "two '@'", function() client:get("http://a@b@c/") end },
            ["a URL without a scheme"] = { "did you mean http://h/?",
                function() client:get("h/") end },
            ["a bad URL with options"] = { "not http or https",
                function() client:get("ftp://h/", {}) end },
            ["a bad URL in a table"] = { "not http or https",
                function() client:request { url = "ftp://h/" } end },
            ["options that are no table"] = { "bad argument 'opts' (table expected, got string)",
                function() client:get("http://h/", "x") end },
            ["an unknown option"] = { "unknown option 'redirects' (known: ",
                function() client:get("http://h/", { redirects = 5 }) end },
            ["a wrong policy of redirects"] = { "bad argument 'redirect.max' (whole number",
                function() client:get("http://h/", { redirect = { max = 0.5 } }) end },
            ["an unknown word in redirect"] = { "unknown option 'redirect.most' (known: ",
                function() local _ = clients.new { redirect = { most = 1 } } end },
            ["a wrong policy of repetitions"] = { "bad argument 'retry' (boolean or table",
                function() client:get("http://h/", { retry = 3 }) end },
            ["an unknown word in retry"] = { "unknown option 'retry.count' (known: ",
                function() local _ = clients.new { retry = { count = 1 } } end },
            ["a kind of error that can't be repeated"] = { "bad argument 'retry.kinds' (\"body\"",
                function() local _ = clients.new { retry = { kinds = { "body" } } } end },
            ["an unknown option of a prepared request"] = { "unknown option 'body'",
                function() client:request(requests.new { url = "http://h/" }, { body = "x" }) end },
            ["method among the options of get"] = { "unknown option 'method'",
                function() client:get("http://h/", { method = "PUT" }) end },
            ["a bad method"] = { "method", function() client:request("A B", "http://h/") end },
            ["no method"] = { "bad argument 'method'", function() client:request() end },
            ["a bad header"] = { "header", function()
                client:get("http://h/", { headers = { ["X-Y"] = "a\r\nb" } })
            end },
            ["a header of moonwire's own"] = { "moonwire sets it itself", function()
                client:get("http://h/", { headers = { ["Content-Length"] = "5" } })
            end },
            ["a timeout of the wrong type"] = { "bad argument 'timeout'",
                function() client:get("http://h/", { timeout = "1" }) end },
            ["a timeout of nothing"] = { "bad argument 'timeout'",
                function() client:get("http://h/", { timeout = 0 }) end },
            ["an unknown timeout"] = { "unknown timeout 'read'",
                function() client:get("http://h/", { timeout = { read = 1 } }) end },
            ["a wrong timeout in the table"] = { "bad argument 'timeout.connect'",
                function() client:get("http://h/", { timeout = { connect = false } }) end },
            ["a wrong callback"] = { "bad argument 'progress'",
                function() client:get("http://h/", { progress = 1 }) end },
            ["a wrong max_body"] = { "bad argument 'max_body'",
                function() client:get("http://h/", { max_body = -1 }) end },
            ["a wrong socket path"] = { "bad argument 'unix_socket'",
                function() client:get("http://h/", { unix_socket = 1 }) end },
            ["two bodies"] = { "give one of", function()
                client:post("http://h/", { body = "x", json = {} })
            end },
            ["an unknown client option"] = { "unknown option 'bas_url'",
                function() local _ = clients.new { bas_url = "http://h/" } end },
            ["a bad base URL"] = { "bad argument 'base_url' (it has no scheme",
                function() local _ = clients.new { base_url = "h" } end },
            ["a base URL with a query"] = { "bad argument 'base_url' (a query",
                function() local _ = clients.new { base_url = "http://h/?x" } end },
            ["an unknown limit"] = { "unknown pool limit 'max'",
                function() local _ = clients.new { pool = { max = 1 } } end },
            ["an unknown word in limits"] = { "unknown option 'limits.heads' (known: chunk",
                function() local _ = clients.new { limits = { heads = 1 } } end },
            ["a wrong limit"] = { "bad argument 'limits.head_bytes' (number from 1",
                function() local _ = clients.new { limits = { head_bytes = 0 } } end },
            ["an unknown word in a request"] = { "unknown option 'methd' (known: absolute body",
                function() requests.new { methd = "GET", url = "http://h/" } end },
            ["an unknown change of a request"] = { "unknown option 'heders' (known: absolute body",
                function() requests.new({ url = "http://h/" }):with { heders = {} } end },
            ["an unknown word in compat"] = { "unknown option 'compat.cr' (known: compat.obs_fold)",
                function() local _ = clients.new { compat = { cr = true } } end },
            ["a wrong word in compat"] = { "bad argument 'compat.obs_fold' (boolean expected",
                function() local _ = clients.new { compat = { obs_fold = 1 } } end },
            ["bad default headers"] = { "bad header",
                function() local _ = clients.new { headers = { ["a b"] = "c" } } end },
        }
        for name, case in pairs(cases) do
            it(name, function()
                local ok, problem = pcall(case[2])
                assert.is_false(ok)
                assert.is_truthy(tostring(problem):find(case[1], 1, true), tostring(problem))
                assert.is_truthy(tostring(problem):find("client_spec.lua:", 1, true),
                    tostring(problem))
                assert.equal(0, client:stats().total)
            end)
        end
    end)
end)
