local asking = require "spec.support.asking"
local auth = require "moonwire.auth"
local bodies = require "moonwire.body"
local core = require "moonwire.core"
local world = require "spec.support.mock_client"

local refuse, sent, params = asking.refuse, asking.sent, asking.params
local with_client = world.with_client

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
