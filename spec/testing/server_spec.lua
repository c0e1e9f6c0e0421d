local auth = require "moonwire.auth"
local support = require "spec.support"
local data = require "moonwire.testing.server.data"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local server = require "moonwire.testing.server"

-- Runs f(s, client) with a server and a client of its own; both are closed afterwards.
local function serving(f, opts)
    support.in_loop(function()
        local s = assert(server.start(opts))
        local client = http.client { base_url = s.url }
        local ok, problem = xpcall(f, debug.traceback, s, client)
        client:close()
        s:close()
        assert.is_true(ok, problem)
    end)
end

-- Sends bytes as they are and reads until the server closes.
local function talk(s, ...)
    local stream = assert(net.connect("127.0.0.1", s.port))
    for _, bytes in ipairs { ... } do
        assert(stream:write(bytes))
    end
    assert(stream:shutdown())
    local pieces = {}
    repeat
        local piece = stream:read()
        pieces[#pieces + 1] = piece
    until not piece
    stream:close()
    return table.concat(pieces)
end

local function count(text, what)
    return select(2, text:gsub(what, ""))
end

describe("the loopback server's routes", function()
    it("describe a GET as httpbin does", function()
        serving(function(s, client)
            local res = assert(client:get("/get?a=1&b=x+y%21&a=2", {
                headers = { ["X-Thing"] = "value" },
            }))
            assert.equal(200, res.status)
            assert.equal("application/json", res.headers:get "content-type")
            local json = assert(res:json())
            assert.same({ a = { "1", "2" }, b = "x y!" }, json.args)
            assert.equal("value", json.headers["X-Thing"])
            assert.equal("GET", json.method)
            assert.equal(s.url .. "/get?a=1&b=x+y%21&a=2", json.url)
        end)
    end)

    it("echo what is sent to /post, /put, /patch, /delete and /anything", function()
        serving(function(_, client)
            local json = assert(client:post("/post", { body = "raw text" })):json()
            assert.equal("raw text", json.data)
            json = assert(client:put("/put", { json = { list = { 1, 2 } } })):json()
            assert.same({ list = { 1, 2 } }, json.json)
            json = assert(client:patch("/patch", { form = { name = "a b&c" } })):json()
            assert.same({ name = "a b&c" }, json.form)
            assert.equal("", json.data)
            assert.equal("DELETE", assert(client:delete("/delete")):json().method)
            json = assert(client:put("/anything/at/all", { body = "x" })):json()
            assert.equal("PUT", json.method)
        end)
    end)

    it("give any status", function()
        serving(function(_, client)
            for _, status in ipairs { 200, 201, 204, 301, 304, 404, 418, 500, 599 } do
                local res = assert(client:get("/status/" .. status, { redirect = false }))
                assert.equal(status, res.status)
                assert.equal("", assert(res:text()))
            end
        end)
    end)

    it("give bytes that can be checked, with a length or chunked", function()
        serving(function(_, client)
            for _, n in ipairs { 0, 1, 65520, 65521, 65522, 300000 } do
                local res = assert(client:get("/bytes/" .. n))
                assert.equal(tostring(n), res.headers:get "content-length")
                assert.is_true(assert(res:text()) == data.bytes(n))
                res = assert(client:get("/bytes/" .. n .. "?chunked=1"))
                assert.equal("chunked", res.headers:get "transfer-encoding")
                assert.is_true(assert(res:text()) == data.bytes(n))
            end
        end)
    end)

    it("stream lines of JSON", function()
        serving(function(_, client)
            local n = 0
            for line in assert(client:get("/stream/5")):lines() do
                assert.truthy(line:find('"id":' .. n, 1, true))
                n = n + 1
            end
            assert.equal(5, n)
        end)
    end)

    it("drip and delay", function()
        serving(function(_, client)
            local started = moonwire.now()
            local res = assert(client:get("/drip?numbytes=4&duration=0.12&delay=0.05&code=203"))
            assert.equal(203, res.status)
            assert.is_true(moonwire.now() - started >= 0.045)
            assert.equal("****", assert(res:text()))
            assert.is_true(moonwire.now() - started >= 0.13)
            started = moonwire.now()
            assert.equal(200, assert(client:get("/delay/0.1")).status)
            assert.is_true(moonwire.now() - started >= 0.095)
            assert.equal(400, assert(client:get("/delay/1000")).status)
            for _, query in ipairs {
                "numbytes=many", "numbytes=2.5", "numbytes=1&numbytes=2", "duration=-1", "code=99",
                "code=200.5",
            } do
                assert.equal(400, assert(client:get("/drip?" .. query)).status)
            end
        end)
    end)

    it("end a chunked body with trailers", function()
        serving(function(_, client)
            local res = assert(client:get("/chunked"))
            local text = assert(res:text())
            assert.equal("piece 1\npiece 2\npiece 3\n", text)
            local sum = data.checksum()
            sum:add(text)
            assert.equal(sum:hex(), res.trailers:get "x-adler32")
            assert.equal("3", res.trailers:get "x-pieces")
        end)
    end)

    it("say that they close where a large body is left unread", function()
        serving(function(s, client)
            s:on("/moved", function(_, respond)
                respond(307, "", { Location = "/upload" })
            end)
            local body = ("x"):rep(3000000)
            for _ = 1, 5 do
                local res = assert(client:post("/moved", { body = body }))
                assert.equal(#body, res:json().bytes)
                assert.equal("close", res.history[1].headers["connection"])
            end
            local res = assert(client:post("/moved", { body = ("x"):rep(100000) }))
            assert.is_nil(res.history[1].headers["connection"])
        end)
    end)

    it("redirect step by step", function()
        serving(function(_, client)
            local res = assert(client:get("/redirect/2", { redirect = false }))
            assert.equal(302, res.status)
            assert.equal("/redirect/1", res.headers:get "location")
            res = assert(client:get("/redirect/1", { redirect = false }))
            assert.equal("/get", res.headers:get "location")
        end)
    end)

    it("give parts of what they have, and break off where they are told so", function()
        serving(function(_, client)
            local res = assert(client:get("/range/1000", { headers = { Range = "bytes=10-19" } }))
            assert.equal(206, res.status)
            assert.equal("bytes 10-19/1000", res.headers:get "content-range")
            assert.equal(data.bytes(1000):sub(11, 20), res:text())
            res = assert(client:get("/range/1000", {
                headers = { Range = "bytes=10-", ["If-Range"] = '"other"' },
            }))
            assert.equal(200, res.status)
            assert.equal(data.bytes(1000), res:text())
            res = assert(client:get("/range/9", { headers = { Range = "bytes=9-" } }))
            assert.equal(416, res.status)
            assert.equal('"v2"', assert(client:head "/range/9?tag=v2").headers:get "etag")
            local text, err = assert(client:get "/range/1000?cut=10"):text()
            assert.is_nil(text)
            assert.equal("closed", err.kind)
            assert.equal(400, assert(client:get "/range/9?cut=x").status)
        end)
    end)

    it("show headers and speak all content codings", function()
        serving(function(_, client)
            local res = assert(client:get("/headers", { headers = { ["X-One"] = { "1", "2" } } }))
            assert.equal("1, 2", res:json().headers["X-One"])
            res = assert(client:get("/gzip", { decompress = false }))
            assert.equal("gzip", res.headers:get "content-encoding")
            assert.equal("\31\139", assert(res:text()):sub(1, 2))
            for path, word in pairs { gzip = "gzipped", deflate = "deflated", brotli = "brotli",
                zstd = "zstd" } do
                assert.is_true(assert(client:get("/" .. path)):json()[word])
            end
        end)
    end)

    it("count and sum what is uploaded", function()
        serving(function(_, client)
            local left = 40
            local sum = data.checksum()
            local res = assert(client:post("/upload", {
                body = function()
                    left = left - 1
                    if left >= 0 then
                        local piece = data.piece(left * 1000, 5000)
                        sum:add(piece)
                        return piece
                    end
                end,
            }))
            local json = assert(res:json())
            assert.equal(sum.bytes, json.bytes)
            assert.equal(sum:hex(), json.adler32)
            assert.is_true(json.chunked)
        end)
    end)

    it("echo a body while it still comes", function()
        serving(function(_, client)
            local send = moonwire.channel(0)
            local res = assert(client:post("/echo", {
                body = function()
                    return (send:receive())
                end,
            }))
            for i = 1, 3 do
                send:send("ping " .. i)
                assert.equal("ping " .. i, res:read())
            end
            send:close()
            assert.is_nil(res:read())
        end)
    end)

    it("answer 404 and 405 in JSON", function()
        serving(function(_, client)
            local res = assert(client:get("/nowhere"))
            assert.equal(404, res.status)
            assert.truthy(res:json().error:find("/nowhere", 1, true))
            res = assert(client:post("/get"))
            assert.equal(405, res.status)
            assert.equal("GET, HEAD", res.headers:get "allow")
        end)
    end)

    it("answer HEAD with the head of GET", function()
        serving(function(s, client)
            for _, path in ipairs {
                "/", "/get", "/bytes/1000", "/stream/3", "/chunked", "/gzip", "/headers",
                "/drip?duration=0", "/status/404", "/nowhere",
            } do
                local get, head = assert(client:get(path)), assert(client:head(path))
                assert.equal(get.status, head.status)
                get:discard()
                assert.equal("", assert(head:text()))
                assert.equal(get.headers:get "content-type", head.headers:get "content-type")
                assert.equal(get.headers:get "transfer-encoding",
                    head.headers:get "transfer-encoding")
            end
            assert.equal(1, s.connections)
        end)
    end)

    it("say what may be kept, and what is still the same", function()
        serving(function(_, client)
            local function get(path, headers)
                local res = assert(client:get(path, { headers = headers }))
                return res.status, res.headers:get "etag", res.headers:get "cache-control"
            end
            assert.same({ 200, nil, "public, max-age=60" }, { get "/cache/60" })
            assert.same({ 200, '"moonwire"' }, { get "/cache" })
            assert.same({ 304, '"moonwire"' }, { get("/cache", { ["If-None-Match"] = "x" }) })
            assert.equal(304, (get("/cache", { ["If-Modified-Since"] = "x" })))
            assert.same({ 200, '"a-1"' }, { get "/etag/a-1" })
            for tags, status in pairs { ['"a"'] = 304, ['"b", W/"a"'] = 304, ["*"] = 304,
                ['"b"'] = 200, ["a"] = 200 } do
                assert.equal(status, (get("/etag/a", { ["If-None-Match"] = tags })), tags)
                assert.equal(status == 304 and 200 or 412,
                    (get("/etag/a", { ["If-Match"] = tags })), tags)
            end
        end)
    end)

    it("want to know who is asking", function()
        serving(function(_, client)
            local function status(path, given)
                return assert(client:get(path, { auth = given, redirect = false })).status
            end
            local res = assert(client:get "/basic-auth/me/secret")
            assert.equal(401, res.status)
            assert.equal('Basic realm="moonwire"', res.headers["www-authenticate"])
            assert.equal(200, status("/basic-auth/me/secret", { "me", "secret" }))
            assert.equal(401, status("/basic-auth/me/secret", { "me", "other" }))
            assert.equal(401, status("/basic-auth/me", { "me", "secret" }))
            assert.equal(401, status "/bearer")
            assert.equal("abc", assert(client:get("/bearer", { auth = auth.bearer "abc" }))
                :json().token)
            local value = auth.digest("me", "secret")
            for _, door in ipairs { "auth/me/secret", "auth-int/me/secret",
                "auth/me/secret/SHA-256", "auth-int/me/secret/SHA-512-256",
                "auth/me/secret/SHA-512?x=1" } do
                assert.equal(401, status("/digest-auth/" .. door))
                assert.equal(200, status("/digest-auth/" .. door, value))
                assert.equal(401, status("/digest-auth/" .. door, auth.digest("me", "other")))
                assert.equal(401, status("/digest-auth/" .. door, auth.digest("you", "secret")))
            end
            assert.equal(200, assert(client:post("/digest-auth/auth-int/me/secret", {
                body = "text", auth = value,
            })).status)
            for _, door in ipairs { "auth/me", "more/me/secret", "auth/me/secret/SHA-1" } do
                assert.equal(404, status("/digest-auth/" .. door, value))
            end
        end)
    end)
end)

describe("the loopback server on the wire", function()
    it("keeps connections and answers pipelined requests in order", function()
        serving(function(s)
            local text = talk(s, ("GET /anything/%d HTTP/1.1\r\nHost: x\r\n\r\n"):rep(3):format(
                1, 2, 3))
            assert.equal(3, count(text, "HTTP/1.1 200 OK\r\n"))
            assert.truthy(text:find("anything\\/1.*anything\\/2.*anything\\/3"))
            assert.equal(1, s.connections)
            assert.equal(3, s.requests)
        end)
    end)

    it("closes after Connection: close and HTTP/1.0", function()
        serving(function(s)
            local stream = assert(net.connect("127.0.0.1", s.port))
            assert(stream:write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
            assert.truthy(assert(stream:read_until("\r\n\r\n")):find("\r\nConnection: close\r\n"))
            while stream:read(65536, moonwire.now() + 2) do
                -- to the end, which must come by itself
            end
            stream:close()
            local text = talk(s, "GET /stream/2 HTTP/1.0\r\n\r\n")
            assert.falsy(text:lower():find("transfer-encoding", 1, true))
            assert.equal(2, count(text, '"id":'))
        end)
    end)

    it("says 100 Continue once it wants the body, and only then", function()
        serving(function(s)
            local head = "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                .. "Expect: 100-continue\r\n\r\n"
            local stream = assert(net.connect("127.0.0.1", s.port))
            assert(stream:write(head:format("/upload")))
            assert.equal("HTTP/1.1 100 Continue\r\n\r\n", assert(stream:read_until("\r\n\r\n")))
            assert(stream:write("abc"))
            assert.truthy(assert(stream:read_until("\r\n\r\n")):find("^HTTP/1.1 200 "))
            stream:close()
            assert.truthy(talk(s, head:format("/nowhere")):find("^HTTP/1.1 404 "))
        end)
    end)

    it("refuses garbage with 400 and lives on", function()
        serving(function(s, client)
            for _, bytes in ipairs {
                "\22\3\1\2\0\1\0\1\252\3\3", "GET\r\n\r\n", "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                    .. "Transfer-Encoding: chunked\r\n\r\n",
            } do
                assert.truthy(talk(s, bytes):find("^HTTP/1.1 400 Bad Request\r\n"))
            end
            local long = "GET / HTTP/1.1\r\nHost: x\r\nX: " .. ("y"):rep(100000) .. "\r\n\r\n"
            assert.truthy(talk(s, long):find("^HTTP/1.1 431 "))
            assert.equal(200, assert(client:get("/get")).status)
        end)
    end)

    it("goes on after a body that nobody read, and closes when that is too large", function()
        serving(function(s, client)
            assert.equal(404, assert(client:post("/nowhere", { body = ("x"):rep(100000) })).status)
            assert.equal(200, assert(client:get("/get")).status)
            assert.equal(1, s.connections)
            local res = assert(client:post("/nowhere", { body = ("x"):rep(3000000) }))
            assert.equal(404, res.status)
            res:discard()
            assert.equal(200, assert(client:get("/get")).status)
            assert.equal(2, s.connections)
        end)
    end)

    it("keeps no more of a large body in memory than a piece of it", function()
        serving(function(_, client)
            collectgarbage()
            local before, most = collectgarbage "count", 0
            local received, looked = 0, 0
            for chunk in assert(client:get("/bytes/50000000")):chunks() do
                received = received + #chunk
                if received - looked >= 5000000 then
                    looked = received
                    collectgarbage() -- what is only not collected yet is not kept
                    most = math.max(most, collectgarbage "count")
                end
            end
            assert.is_true(looked >= 45000000)
            assert.equal(50000000, received)
            assert.is_true(most - before < 16 * 1024)
        end)
    end)
end)

describe("a test of one's own", function()
    it("answers paths by functions", function()
        serving(function(s, client)
            s:on("/hello", function(request, respond)
                respond(201, "hello " .. request.args.name, { ["X-Mine"] = "yes" })
            end)
            s:on("/json", function(_, respond)
                respond(200, { deep = { 1, 2 } })
            end)
            s:on("/pieces", function(_, respond)
                respond:begin(200, nil, "chunked")
                respond:write("one ")
                s:sleep(0.01)
                respond:write("two")
                respond:finish { ["X-End"] = "now" }
            end)
            local res = assert(client:get("/hello?name=moon"))
            assert.equal(201, res.status)
            assert.equal("hello moon", assert(res:text()))
            assert.equal("yes", res.headers:get "x-mine")
            assert.same({ deep = { 1, 2 } }, assert(client:get("/json")):json())
            res = assert(client:get("/pieces"))
            assert.equal("one two", assert(res:text()))
            assert.equal("now", res.trailers:get "x-end")
        end)
    end)

    it("may look at every request first", function()
        local seen = {}
        serving(function(_, client)
            assert.equal(200, assert(client:get("/get")).status)
            assert.equal(403, assert(client:get("/secret")).status)
        end, {
            handler = function(request, respond)
                seen[#seen + 1] = request.path
                if request.path == "/secret" then
                    respond(403, "no")
                end
            end,
        })
        assert.same({ "/get", "/secret" }, seen)
    end)

    it("gives 500 for a handler that fails, and says why", function()
        serving(function(s, client)
            s:on("/bad", function()
                error "this handler is broken"
            end)
            local res = assert(client:get("/bad"))
            assert.equal(500, res.status)
            assert.truthy(res:json().error:find("this handler is broken", 1, true))
            assert.truthy(tostring(s.last_error):find("this handler is broken", 1, true))
            assert.equal(200, assert(client:get("/get")).status)
        end)
    end)

    it("sends bytes as they are", function()
        serving(function(s, client)
            s:raw("/raw", "HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nok")
            s:raw("/short", { { send = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfew" } })
            s:raw("/slow", {
                { send = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab" },
                { delay = 0.05 },
                { send = "cd" },
                { close = true },
                { send = "never" },
            })
            s:raw("/reset", { { reset = true } })
            local res = assert(client:get("/raw"))
            assert.equal(299, res.status)
            assert.equal("Odd", res.reason)
            assert.equal("ok", assert(res:text()))
            local text, err = assert(client:get("/short")):text()
            assert.is_nil(text)
            assert.equal("closed", err.kind)
            assert.equal("abcd", assert(assert(client:get("/slow")):text()))
            res, err = client:get("/reset")
            assert.is_nil(res)
            assert.equal("closed", err.kind)
            assert.equal("ECONNRESET", err.code)
            assert.has_error(function()
                s:raw("/x", { { sned = "typo" } })
            end)
        end)
    end)

    it("may limit how long connections idle", function()
        serving(function(s)
            local stream = assert(net.connect("127.0.0.1", s.port))
            local piece, err = stream:read(1, moonwire.now() + 2)
            assert.is_nil(piece)
            assert.is_nil(err)
            stream:close()
        end, { idle_timeout = 0.05 })
    end)
end)

describe("closing the loopback server", function()
    it("ends everything that waits, at once, and twice is harmless", function()
        support.in_loop(function()
            local s = assert(server.start())
            local client = http.client { base_url = s.url }
            local err
            local task = moonwire.spawn(function()
                err = select(2, client:get("/delay/30"))
            end)
            local idle = assert(net.connect("127.0.0.1", s.port))
            moonwire.sleep(0.05)
            local started = moonwire.now()
            s:close()
            s:close()
            task:join()
            assert.is_true(moonwire.now() - started < 1)
            assert.equal("closed", err.kind)
            idle:close()
            client:close()
        end)
    end)

    it("may be done by a handler", function()
        support.in_loop(function()
            local s = assert(server.start())
            local client = http.client { base_url = s.url }
            s:on("/quit", function()
                s:close()
            end)
            assert.is_nil((client:get("/quit")))
            client:close()
        end)
    end)

    it("works from outside any task, like all of the server", function()
        local before = support.counts()
        local s = assert(server.start())
        local client = http.client { base_url = s.url }
        assert.equal(200, assert(client:get("/get")).status)
        client:close()
        s:close()
        local after = support.counts()
        assert.equal(before.fds, after.fds)
        assert.equal(before.threads, after.threads)
    end)

    it("refuses a port that is taken", function()
        support.in_loop(function()
            local s = assert(server.start())
            local other, err = server.start { port = s.port }
            assert.is_nil(other)
            assert.equal("EADDRINUSE", err.code)
            s:close()
        end)
    end)
end)
