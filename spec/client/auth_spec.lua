local auth = require "moonwire.auth"
local bodies = require "moonwire.body"
local challenge = require "moonwire.auth.challenge"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local moonwire = require "moonwire"
local requests = require "moonwire.request"
local world = require "spec.support.mock_client"

local with_client = world.with_client
local BASIC = "Basic bWU6c2VjcmV0" -- me:secret

-- A 401 with a challenge.
local function refuse(asked, more)
    return "HTTP/1.1 401 X\r\nContent-Length: 2\r\n" .. (asked and "WWW-Authenticate: " .. asked
        .. "\r\n" or "") .. (more or "") .. "\r\nno"
end

local function sent(head)
    return head:match "\r\nAuthorization: ([^\r]*)"
end

local function params(head)
    local value = sent(head)
    return value and challenge.list({ value })[1].params
end

-- Runs f(get, log) where get(opts, url) gives what a request with these options says of itself.
local function with_sent(client_opts, f, answer)
    with_client(client_opts, function(client, _, log)
        f(function(opts, url)
            local before = #log.heads
            assert(client:get(url or "http://h/", opts))
            assert.equal(before + 1, #log.heads)
            return sent(log.heads[#log.heads])
        end, log)
    end, answer)
end

describe("auth", function()
    it("is sent with each request of a client, or with one, unless that says false", function()
        with_sent({ auth = { "me", "secret" } }, function(get)
            assert.equal(BASIC, get())
            assert.equal(BASIC, get {})
            assert.is_nil(get { auth = false })
            assert.equal("Bearer abc", get { auth = auth.bearer "abc" })
            assert.equal("Basic asO2Ojo=", get { auth = { "j\195\182", ":" } })
            assert.equal(BASIC, get { auth = auth.basic("me", "secret") })
            assert.equal(BASIC, get({}, "http://127.0.0.1/"))
        end)
        with_sent(nil, function(get)
            assert.is_nil(get())
            assert.equal(BASIC, get { auth = { "me", "secret" } })
            assert.is_nil(get())
        end)
    end)

    it("gives way to a header, and goes before the URL's user", function()
        with_sent({ auth = { "me", "secret" } }, function(get, log)
            assert.equal("by hand", get { headers = { Authorization = "by hand" } })
            assert.equal(BASIC, get(nil, "http://you:too@h/a?b=c"))
            assert.is_truthy(log.heads[#log.heads]:find "^GET /a%?b=c HTTP/1.1\r\nHost: h\r\n")
            assert.equal("Basic eW91OnRvbw==", get({ auth = false }, "http://you:too@h/"))
        end)
        with_sent({ headers = { Authorization = "by hand" } }, function(get)
            assert.equal("by hand", get { auth = { "me", "secret" } })
        end)
        with_sent({ auth = function() end }, function(get)
            assert.equal("Basic eW91OnRvbw==", get({}, "http://you:too@h/"))
        end)
        with_sent({ auth = function()
            return { ["X-Key"] = "k" }
        end }, function(get, log)
            assert.equal("Basic eW91OnRvbw==", get({}, "http://you:too@h/"))
            assert.is_truthy(log.heads[1]:find "\r\nX%-Key: k\r\n")
        end)
    end)

    it("is for a prepared request, and its body, as well", function()
        with_client({ auth = { "me", "secret" } }, function(client, _, log)
            local request = requests.new { method = "PUT", url = "http://h/a", query = { q = "1" },
                headers = { ["X-A"] = "1" }, body = "text", close = true }
            assert(client:request(request))
            assert.equal("PUT /a?q=1 HTTP/1.1\r\nHost: h\r\n", log.heads[1]:match "^.-\r\n.-\r\n")
            assert.equal(BASIC, sent(log.heads[1]))
            assert.is_truthy(log.heads[1]:find "\r\nX%-A: 1\r\n")
            assert.is_truthy(log.heads[1]:find "\r\nContent%-Length: 4\r\n")
            assert.is_truthy(log.heads[1]:find "\r\nConnection: close\r\n")
            assert.is_nil(request.headers["authorization"])
        end)
    end)

    it("doesn't say it twice to a server that said no", function()
        for _, value in ipairs { { "me", "wrong" }, auth.bearer "abc" } do
            with_client({ auth = value }, function(client, _, log)
                local response = assert(client:get "http://h/")
                assert.equal(401, response.status)
                assert.equal("no", response:text())
                assert.equal(1, #log.heads)
            end, function()
                return refuse 'Basic realm="x"'
            end)
        end
    end)

    it("stays with the first origin, for the rest of the chain", function()
        local function answer(head)
            local path = head:match "^%S+ (%S+)"
            local to = ({ ["/same"] = "/", ["/far"] = "http://other/back",
                ["/back"] = "http://h/home", ["/user"] = "http://you:too@h/" })[path]
            return to and ("HTTP/1.1 302 X\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n"):format(to)
                or world.OK
        end
        local calls = 0
        for _, value in ipairs { { "me", "secret" }, function()
            calls = calls + 1
            return { Authorization = BASIC }
        end } do
            with_client(nil, function(client, m, log)
                local other = world.serve(m, "127.0.0.2", 80, answer)
                local opts = { auth = value, redirect = { keep_headers = { "authorization" } } }
                assert(client:get("http://h/same", opts))
                assert.equal(BASIC, sent(log.heads[2]))
                assert(client:get("http://h/user", opts))
                assert.equal(BASIC, sent(log.heads[4]))
                assert(client:get("http://h/far", opts))
                assert.equal(BASIC, sent(log.heads[5]))
                assert.is_nil(sent(other.heads[1]))
                assert.is_truthy(log.heads[6]:find "^GET /home")
                assert.is_nil(sent(log.heads[6]))
                client:close_idle()
                for _, peer in ipairs(other.peers) do
                    peer:close()
                end
                m:advance(0)
            end, answer)
        end
        assert.equal(5, calls)
    end)

    it("is said anew with each attempt of a retry policy", function()
        local n = 0
        with_client({ retry = { attempts = 3, base = 0 }, auth = auth.bearer(function()
            n = n + 1
            return "token" .. n
        end) }, function(client, _, log)
            assert.equal(503, assert(client:get "http://h/").status)
            assert.equal("Bearer token1 Bearer token3", sent(log.heads[1]) .. " "
                .. sent(log.heads[3]))
        end, function()
            return "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"
        end)
    end)

    it("isn't in what is printed or told", function()
        with_client({ auth = { "me", "secret" }, timeout = 1 }, function(client)
            local _, err = client:get "http://h/"
            assert.equal("timeout", err.kind)
            for _, field in pairs(err) do
                assert.is_nil(tostring(field):find "c2VjcmV0")
            end
            assert.is_nil(tostring(err):find "secret")
        end, function() end)
    end)
end)

describe("a bearer's function", function()
    it("is asked before each request, and once more for a fresh token after a 401", function()
        local asked, token = {}, "old"
        with_client({ auth = auth.bearer(function(refresh)
            asked[#asked + 1] = refresh
            moonwire.sleep(0.1) -- it may wait
            token = refresh and "new" or token
            return token
        end) }, function(client, _, log)
            assert.equal(200, assert(client:post("http://h/", { body = "x" })).status)
            assert.equal(200, assert(client:get "http://h/").status)
            assert.same({ false, true, false }, asked)
            assert.equal(1, #log.peers)
            token = "old"
            assert.equal(200, assert(client:get "http://h/").status)
        end, function(head)
            return sent(head) == "Bearer new" and world.OK or refuse "Bearer"
        end)
    end)

    it("isn't asked for ever, and 401 is the answer where it knows nothing new", function()
        for same, count in pairs { [true] = 1, [false] = 2 } do
            local n = 0
            with_client(nil, function(client, _, log)
                local response = assert(client:get("http://h/", { auth = auth.bearer(function()
                    n = n + 1
                    return same and "t" or "t" .. n
                end) }))
                assert.equal(401, response.status)
                assert.equal("no", response:text())
                assert.equal(count, #log.heads)
                assert.equal(2, n)
            end, function()
                return refuse "Bearer"
            end)
        end
    end)

    it("ends the request when it has no token, or what is none", function()
        local function err_of(...)
            local given = { n = select("#", ...), ... }
            local err
            with_client({ auth = auth.bearer(function()
                return unpack(given, 1, given.n)
            end) }, function(client, _, log)
                local response
                response, err = client:get "http://h/path"
                assert.is_nil(response)
                assert.equal(0, #log.heads)
            end)
            return err
        end
        local err = err_of(nil, "the vault is closed")
        assert.equal("auth", err.kind)
        assert.equal("write", err.phase)
        assert.equal("http://h/path", err.url)
        assert.is_truthy(err.message:find("gave up: the vault is closed", 1, true), err.message)
        assert.is_truthy(err_of().message:find "gives no token")
        for _, token in ipairs { "", "hidden token", "hidden\r\nX: y", 1, {} } do
            err = err_of(token)
            assert.equal("auth", err.kind)
            assert.is_truthy(err.message:find "what is no token", err.message)
            assert.is_nil(err.message:find "hidden")
        end
        local own = errors.new { kind = "connect", message = "no way", url = "http://vault/" }
        assert.equal(own, err_of(nil, own))
        assert.equal("http://vault/", own.url)
    end)
end)

describe("a function as auth", function()
    it("is called before the request, and after a 401 with the response", function()
        local calls = {}
        with_client({ auth = function(request, response)
            calls[#calls + 1] = request.method .. " " .. request.url
            if response then
                assert.equal(401, response.status)
                local signature = response:text() .. request.target
                return { ["X-Signature"] = signature, ["X-A"] = { "1", "2" } }
            end
        end }, function(client, _, log)
            local response = assert(client:put("http://h/a?b", { body = "x" }))
            assert.equal(200, response.status)
            assert.same({ "PUT http://h/a?b", "PUT http://h/a?b" }, calls)
            assert.equal(2, #log.heads)
            assert.equal(1, #log.peers)
            assert.is_nil(log.heads[1]:find "X%-")
            assert.is_truthy(log.heads[2]:find "\r\nX%-A: 1\r\nX%-A: 2\r\n")
        end, function(head)
            return head:find "\r\nX%-Signature: no/a%?b\r\n" and world.OK or refuse "Own"
        end)
    end)

    it("is called after a 401 once, and may take that for the answer", function()
        for answers, count in pairs { [true] = 2, [false] = 1 } do
            local n = 0
            with_client({ auth = function(_, response)
                n = n + 1
                return (answers or not response) and { Authorization = "Own " .. n } or nil
            end }, function(client, _, log)
                local response = assert(client:get "http://h/")
                assert.equal(401, response.status)
                assert.equal("no", response:text())
                assert.equal(count, #log.heads)
                assert.equal(2, n)
            end, function()
                return refuse "Own"
            end)
        end
    end)

    it("fails the request with what it fails with", function()
        local cases = {
            { "auth", "the request's auth gave up: because", function()
                return nil, "because"
            end },
            { "auth", "the request's auth failed: ", function()
                error "oops"
            end },
            { "auth", "gave a string, not headers", function()
                return "Bearer x"
            end },
            { "auth", 'headers that can\'t be sent: bad header "Authorization"', function()
                return { Authorization = "a\nb" }
            end },
            { "auth", "moonwire sets it itself", function()
                return { ["Content-Length"] = "1" }
            end },
            { "closed", "gone", function()
                error(errors.new { kind = "closed", message = "gone" })
            end },
        }
        for _, case in ipairs(cases) do
            for _, after in ipairs { false, true } do
                with_client({ auth = function(_, response)
                    if after == (response ~= nil) then
                        return case[3]()
                    end
                end }, function(client, _, log)
                    local response, err = client:get "http://h/"
                    assert.is_nil(response)
                    assert.equal(case[1], err.kind)
                    assert.is_truthy(err.message:find(case[2], 1, true), err.message)
                    assert.equal("http://h/", err.url)
                    assert.equal(after and 1 or 0, #log.heads)
                end, function()
                    return refuse "Own"
                end)
            end
        end
    end)

    it("has the time of the request, and ends with its task", function()
        with_client({ timeout = 2, auth = function()
            local _, err = moonwire.sleep(100)
            return nil, err
        end }, function(client, m, log)
            local started = m:now()
            local _, err = client:get "http://h/"
            assert.equal("timeout", err.kind)
            assert.equal("total", err.timeout)
            assert.equal("http://h/", err.url)
            assert.equal(2, m:now() - started)
            _, err = moonwire.timeout(1, client.get, client, "http://h/", { timeout = 50 })
            assert.equal("timeout", err.kind)
            assert.equal(3, m:now() - started)
            assert.equal(0, #log.heads)
        end)
        with_client({ timeout = 2, auth = function()
            moonwire.sleep(1.5)
        end }, function(client, m)
            local started = m:now()
            local _, err = client:get "http://h/"
            assert.equal("timeout", err.kind)
            assert.equal(2, m:now() - started)
        end, function() end)
    end)

    it("may call the same client", function()
        local client_of
        with_client({ auth = function(request)
            if request.target == "/token" then
                return nil
            end
            return { Authorization = "Own " .. assert(client_of:get "http://h/token"):text() }
        end }, function(client, _, log)
            client_of = client
            assert(client:get "http://h/")
            assert.equal("Own ok", sent(log.heads[2]))
        end)
    end)
end)

describe("digest auth", function()
    local function asks(nonce, more)
        return refuse(('Digest realm="r", nonce="%s", qop="auth"%s'):format(nonce, more or ""))
    end

    -- Whether the sums for me:secret are right.
    local function is_right(head)
        local got = params(head)
        local method, uri = head:match "^(%S+) (%S+)"
        local function hash(...)
            return core.digest("MD5", table.concat({ ... }, ":")):finish()
        end
        return got.uri == uri and got.response == hash(hash("me", "r", "secret"), got.nonce, got.nc,
            got.cnonce, got.qop, hash(method, uri))
    end

    local function new()
        return auth.digest("me", "secret")
    end

    it("answers what the server asks, over the same connection, and goes on unasked", function()
        with_client({ auth = new() }, function(client, _, log)
            assert.equal(200, assert(client:get "http://h/a?b=c").status)
            assert.is_nil(sent(log.heads[1]))
            assert.is_true(is_right(log.heads[2]))
            assert.equal(200, assert(client:post("http://h/d", { body = "x" })).status)
            assert.equal(3, #log.heads)
            assert.is_true(is_right(log.heads[3]))
            assert.equal("00000001 00000002",
                params(log.heads[2]).nc .. " " .. params(log.heads[3]).nc)
            assert.equal(1, #log.peers)
        end, function(head)
            return sent(head) and world.OK or asks "n"
        end)
    end)

    it("knows each client's, and each origin's, apart", function()
        local value = new()
        for _ = 1, 2 do
            with_client({ auth = value }, function(client, m, log)
                local other = world.serve(m, "127.0.0.2", 80, function(head)
                    return sent(head) and world.OK or asks "m"
                end)
                assert(client:get "http://h/")
                assert(client:get "http://other/")
                assert(client:get "http://h/")
                assert(client:get("http://other/", { auth = new() }))
                assert.equal(3, #log.heads)
                assert.equal(4, #other.heads)
                assert.is_nil(sent(other.heads[1]))
                assert.equal("m", params(other.heads[2]).nonce)
                client:close_idle()
                for _, peer in ipairs(other.peers) do
                    peer:close()
                end
                m:advance(0)
            end, function(head)
                return sent(head) and world.OK or asks "n"
            end)
        end
    end)

    it("takes a new nonce where the old one is stale, however that is said", function()
        for _, stale in ipairs { ", stale=true", ", stale=TRUE", "" } do
            local good = "n1"
            with_client({ auth = new() }, function(client, _, log)
                assert.equal(200, assert(client:get "http://h/").status)
                good = "n2"
                assert.equal(200, assert(client:get "http://h/").status)
                assert.equal(4, #log.heads)
                assert.equal("00000002 00000001",
                    params(log.heads[3]).nc .. " " .. params(log.heads[4]).nc)
            end, function(head)
                local got = params(head)
                return got and got.nonce == good and is_right(head) and world.OK
                    or asks(good, got and stale)
            end)
        end
    end)

    it("answers a nonce that went stale at once, once", function()
        local n = 0
        with_client({ auth = new() }, function(client, _, log)
            local response = assert(client:get "http://h/")
            assert.equal(401, response.status)
            assert.equal("no", response:text())
            assert.equal(3, #log.heads)
            assert(client:get "http://h/"):discard()
            assert.is_nil(sent(log.heads[4])) -- what didn't help is forgotten
            assert.equal(6, #log.heads)
        end, function()
            n = n + 1
            return asks("n" .. n, ", stale=true")
        end)
    end)

    it("is told once that it is wrong", function()
        with_client({ auth = new() }, function(client, _, log)
            assert.equal(401, assert(client:get "http://h/").status)
            assert.equal(2, #log.heads)
        end, function()
            return asks "n"
        end)
    end)

    it("says nothing to a server that asks for something else", function()
        for _, other in ipairs { 'Basic realm="x"', "Digest", 'Digest realm="r", nonce="n", '
            .. "algorithm=SHA-1", "Negotiate", ('Digest realm="r", '):rep(1000) } do
            with_client({ auth = new() }, function(client, _, log)
                assert.equal(401, assert(client:get "http://me:secret@h/").status)
                assert.equal(1, #log.heads)
                assert.is_nil(sent(log.heads[1])) -- least of all the URL's password
            end, function()
                return refuse(other)
            end)
        end
    end)

    it("finds its challenge among others, in one line or several", function()
        for _, list in ipairs { 'Negotiate, Basic realm="Digest", Digest realm="r", nonce="n",'
            .. ' qop="auth"', 'Basic realm="x"\r\nWWW-Authenticate: Digest realm="r", nonce="n",'
            .. 'qop="auth,auth-int"' } do
            with_client({ auth = new() }, function(client, _, log)
                assert.equal(200, assert(client:get "http://h/").status)
                assert.is_true(is_right(log.heads[2]))
            end, function(head)
                return sent(head) and world.OK or refuse(list)
            end)
        end
    end)

    it("goes on with the nonce that the server names beforehand", function()
        with_client({ auth = new() }, function(client, _, log)
            for _ = 1, 3 do
                assert.equal(200, assert(client:get "http://h/").status)
            end
            assert.equal(4, #log.heads)
            assert.equal("next3 00000001",
                params(log.heads[4]).nonce .. " " .. params(log.heads[4]).nc)
            assert.is_true(is_right(log.heads[4]))
        end, function(head, number)
            return sent(head) and ("HTTP/1.1 200 X\r\nContent-Length: 0\r\nAuthentication-Info: "
                .. 'qop=auth, nextnonce="next%d"\r\n\r\n'):format(number) or asks "n"
        end)
    end)

    it("takes what can be sent of a large challenge, and no nonce that can't", function()
        local large = ('\\"'):rep(8000)
        with_client({ auth = new() }, function(client, _, log)
            assert.equal(200, assert(client:get "http://h/").status)
            assert.equal(("\""):rep(8000), params(log.heads[2]).nonce)
            assert.equal(200, assert(client:get "http://h/").status)
            assert.equal(3, #log.heads)
        end, function(head)
            return sent(head) and ("HTTP/1.1 200 X\r\nContent-Length: 0\r\nAuthentication-Info: "
                .. 'nextnonce="%s"\r\n\r\n'):format(("n"):rep(9000)) or asks(large)
        end)
    end)

    it("sends a body again that can be, and hashes it for auth-int", function()
        local path = os.tmpname()
        local file = assert(io.open(path, "wb"))
        file:write(("x"):rep(100000))
        file:close()
        local texts = {}
        with_client({ auth = new() }, function(client, _, log)
            for _, body in ipairs { "text", bodies.file(path) } do
                assert.equal(200, assert(client:put("http://h/", { body = body })).status)
            end
            assert.equal(3, #log.heads)
            for i, text in ipairs { "text", ("x"):rep(100000) } do
                assert.equal(text, texts[i + 1])
                local got = params(log.heads[i + 1])
                local function hash(...)
                    return core.digest("MD5", table.concat({ ... }, ":")):finish()
                end
                assert.equal(got.response, hash(hash("me", "r", "secret"), got.nonce, got.nc,
                    got.cnonce, "auth-int", hash("PUT", "/", hash(text))))
            end
        end, function(head, _, _, text)
            texts[#texts + 1] = text
            return sent(head) and world.OK or refuse 'Digest realm="r", nonce="n", qop="auth-int"'
        end)
        os.remove(path)
    end)

    local function once(texts)
        return function()
            return table.remove(texts, 1)
        end
    end

    -- A server that is asked before it gets a body, and answers at once.
    local function serve_careful(m)
        local log = { heads = {}, bodies = {}, peers = {} }
        m:listen_at("127.0.0.2", 80, function(peer)
            log.peers[#log.peers + 1] = peer
            local buffer, head = "", nil
            peer:on_data(function(data)
                buffer = buffer .. data
                if not head and buffer:find "\r\n\r\n" then
                    head, buffer = buffer:match "^(.-\r\n\r\n)(.*)$"
                    log.heads[#log.heads + 1] = head
                    peer:send(sent(head) and "HTTP/1.1 100 Continue\r\n\r\n" or asks "n")
                end
                if head and #buffer == 12 then
                    log.bodies[#log.bodies + 1] = buffer
                    peer:send(world.OK)
                    head, buffer = nil, ""
                end
            end)
        end)
        return log
    end

    it("asks before it sends a body that goes only once", function()
        with_client({ auth = new() }, function(client, m)
            local log = serve_careful(m)
            for i, expect in ipairs { true, 100 } do
                local response = assert(client:put("http://other/", {
                    expect = expect ~= true and expect or nil,
                    body = bodies.generator(once { "first ", "second" }, { length = 12 }),
                }))
                assert.equal(200, response.status)
                assert.is_true(response.upload_complete)
                assert.equal(i, #log.bodies)
                assert.equal("first second", log.bodies[i])
            end
            assert.equal(3, #log.heads)
            for _, head in ipairs(log.heads) do
                assert.is_truthy(head:find "\r\nExpect: 100%-continue\r\n")
            end
            assert.is_true(is_right(log.heads[2]))
            client:close_idle()
            m:advance(0)
            for _, peer in ipairs(log.peers) do
                assert.is_true(peer:is_closed())
                peer:close()
            end
            m:advance(0)
        end)
    end)

    it("says what to do where the server takes such a body before it asks", function()
        with_client({ auth = new() }, function(client, _, log)
            local response, err = client:put("http://h/", {
                expect = false, body = bodies.generator(once { "text" }, { length = 4 }),
            })
            assert.is_nil(response)
            assert.equal("auth", err.kind)
            assert.equal("http://h/", err.url)
            assert.is_truthy(err.message:find("(401), and the request's body can't be", 1, true))
            assert.equal(1, #log.heads)
        end, function(head)
            return sent(head) and world.OK or asks "n"
        end)
    end)

    it("reads no more of a 401 than it has to", function()
        with_client({ auth = new() }, function(client, m, log)
            assert.equal(200, assert(client:get "http://h/").status)
            assert.equal(2, #log.peers)
            assert.is_true(is_right(log.heads[2]))
            m:advance(1)
            local _, err = client:get "http://h/large"
            assert.equal("limit", err.kind)
        end, function(head)
            if head:find "^GET /large" then
                return asks "n":sub(1, -5) .. "X: " .. ("x"):rep(1e7) .. "\r\n\r\n"
            end
            return sent(head) and world.OK
                or asks "n":gsub("Content%-Length: 2", "Content-Length: 1000000000")
        end)
    end)

    it("remembers no more origins than it should", function()
        local value = new()
        with_client({ auth = value }, function(client, m)
            local hosts = {}
            for i = 1, 300 do
                hosts["h" .. i] = { "127.0.0.1" }
            end
            m:hosts(hosts)
            for i = 1, 300 do
                assert.equal(200, assert(client:get("http://h" .. i .. "/",
                    { close = true })).status)
            end
            local count = 0
            for _ in pairs(client.settings.auth_kept[value]) do
                count = count + 1
            end
            assert.is_true(count > 0 and count <= 256)
            assert.is_nil(next(client.settings.auth_kept, value))
        end, function(head)
            return sent(head) and world.OK or asks "n"
        end)
    end)
end)

describe("netrc as auth", function()
    it("is sent to the hosts that are in it", function()
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write "machine H login me password secret\nmachine x login y\nmachine z password p\n"
        file:close()
        local value = assert(auth.netrc(path))
        os.remove(path)
        with_sent({ auth = value }, function(get)
            assert.equal(BASIC, get())
            assert.equal(BASIC, get(nil, "http://h:80/"))
            assert.is_nil(get(nil, "http://127.0.0.1/"))
            assert.equal("Basic eW91OnRvbw==", get(nil, "http://you:too@127.0.0.1/"))
            assert.equal(BASIC, get(nil, "http://you:too@h/"))
        end)
    end)
end)
