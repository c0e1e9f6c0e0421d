local asking = require "spec.support.asking"
local auth = require "moonwire.auth"
local errors = require "moonwire.error"
local moonwire = require "moonwire"
local requests = require "moonwire.request"
local world = require "spec.support.mock_client"

local refuse, sent, with_sent = asking.refuse, asking.sent, asking.with_sent
local BASIC = asking.BASIC
local with_client = world.with_client

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
