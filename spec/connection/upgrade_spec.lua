local clients = require "moonwire.client"
local moonwire = require "moonwire"
local raw = require "spec.support.raw"
local requests = require "moonwire.request"
local wire = require "spec.support.wire"

local SWITCHING = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: Upgrade\r\n\r\n"
local TUNNEL = "HTTP/1.1 200 Connection established\r\n"

local function offering(protocols)
    return wire.request("GET", nil, { upgrade = protocols or "foo" })
end

local function tunnel(target)
    return requests.new { method = "CONNECT", target = target or "example.com:443" }
end

local function answering(...)
    local script = { { expect = "\r\n\r\n" } }
    for _, piece in ipairs { ... } do
        script[#script + 1] = { send = piece }
    end
    return script
end

describe("an upgrade", function()
    it("gives the stream, with the bytes behind the head first", function()
        local log = wire.over(answering(SWITCHING:format "FOO" .. "first", " second"),
            function(connection, peer, m)
                local response = assert(connection:request(offering "foo, bar/2"))
                assert.equal(101, response.status)
                assert.matches("\r\nConnection: upgrade\r\nUpgrade: foo, bar/2\r\n",
                    peer:received())
                assert.equal("detached", connection.state)
                assert.is_true(connection:is_closed())
                assert.is_true(connection:has_expired())
                assert.equal("upgraded", connection.close_reason)
                assert.is_nil(response:read())
                local stream = assert(response:upgrade())
                assert.equal("first", stream:read())
                assert.equal(" second", stream:read())
                local before = #peer:received()
                assert(stream:write "hello")
                assert.equal("hello", peer:received():sub(before + 1))
                connection:close()
                assert.is_false(stream:is_closed())
                peer:send "line\nrest"
                m:advance(0)
                assert.equal("line\n", stream:read_until "\n")
                stream:close()
                assert.has_error(function()
                    response:upgrade()
                end, "the stream of this response was taken, or closed, before")
            end)
        assert.equal("upgraded", log.reason)
        assert.equal(0, log.idle)
    end)

    it("may have all in one piece, or byte by byte", function()
        for pieces = 1, 200, 13 do
            wire.over({ { expect = "\r\n\r\n" },
                { send = SWITCHING:format "foo" .. "hello", pieces = pieces } },
                function(connection)
                    local stream = assert(assert(connection:request(offering())):upgrade())
                    assert.equal("hello", stream:read_exactly(5))
                    stream:close()
                end)
        end
    end)

    it("that nobody takes ends with its response", function()
        wire.over(answering(SWITCHING:format "foo"), function(connection, peer)
            local response = assert(connection:request(offering()))
            response:close()
            response:close()
            assert.is_true(peer:is_closed())
            assert.has_error(function()
                response:upgrade()
            end)
        end)
    end)

    it("that the server declines is an ordinary response", function()
        wire.over(answering(wire.reply("no", "Upgrade: foo\r\n")), function(connection)
            local response = assert(connection:request(offering()))
            assert.equal("no", response:text())
            local stream, err = response:upgrade()
            assert.is_nil(stream)
            assert.equal("protocol", err.kind)
            assert.matches("answered 200 OK", tostring(err))
            assert.is_true(connection:is_idle())
        end)
    end)

    it("that was not asked for, or to something else, is an error", function()
        local cases = {
            { wire.request(), SWITCHING:format "foo" },
            { offering(), SWITCHING:format "bar" },
            { offering(), "HTTP/1.1 101 OK\r\nUpgrade: foo\r\n\r\n" },
            { offering(), "HTTP/1.1 101 OK\r\nConnection: upgrade\r\n\r\n" },
            { offering(), "HTTP/1.0 101 OK\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n" },
        }
        for _, case in ipairs(cases) do
            local log = wire.over(answering(case[2]), function(connection)
                local response, err = connection:request(case[1])
                assert.is_nil(response)
                assert.equal("protocol", err.kind)
                assert.equal("EH1_UPGRADE", err.code)
            end)
            assert.equal("protocol_error", log.reason)
        end
    end)

    it("comes after the request's body, never before", function()
        local function request()
            return wire.request("POST", "body", { upgrade = "foo", expect = true })
        end
        wire.over({ { expect = "\r\n\r\n" }, { send = "HTTP/1.1 100 Continue\r\n\r\n" },
            { expect = "body" }, { send = SWITCHING:format "foo" } }, function(connection)
            local response = assert(connection:request(request()))
            assert.is_true(response.upload_complete)
            assert(response:upgrade()):close()
        end)
        wire.over(answering(SWITCHING:format "foo"), function(connection)
            local _, err = connection:request(request())
            assert.equal("EH1_UPGRADE", err.code)
        end)
    end)

    it("is refused with bad protocols, and as a header", function()
        for _, value in ipairs { "", "a b", "a\r\nX: y", 5 } do
            assert.error_matches(function()
                offering(value)
            end, "upgrade")
        end
        assert.error_matches(function()
            wire.request("GET", nil, { headers = { Upgrade = "foo" } })
        end, 'use upgrade = "protocol"')
    end)

    it("is forgotten by a copy that says so", function()
        local request = offering()
        assert.matches("Upgrade: foo", request:with({}).head:bytes())
        assert.not_matches("Upgrade", request:with({ upgrade = false }).head:bytes())
    end)

    it("leaves the place in its client's pool, on a real socket", function()
        raw.client(function(stream)
            while true do
                local head = raw.head(stream)
                if not head then
                    return
                elseif head:find "Upgrade: echo" then
                    stream:write(SWITCHING:format "echo" .. "ready\n")
                    while true do
                        local data = stream:read()
                        if not data then
                            return
                        end
                        stream:write(data)
                    end
                end
                stream:write(wire.reply "hello")
            end
        end, function(client, log)
            local response = assert(client:get("x", { upgrade = "echo" }))
            local stream = assert(response:upgrade())
            assert.equal(0, client:stats().total)
            assert.equal("hello", assert(client:get "x"):text())
            client:close()
            assert.equal("ready\n", stream:read_until "\n")
            for i = 1, 3 do
                assert(stream:write("ping " .. i .. "\n"))
                assert.equal("ping " .. i .. "\n", stream:read_until "\n")
            end
            stream:close()
            assert.equal(2, log.accepted)
        end, { pool = { max_total = 1, max_per_origin = 1 } })
    end)
end)

describe("a CONNECT request", function()
    it("is of host and port, and says so in its Host", function()
        local request = tunnel "Example.COM:443"
        assert.matches("^CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n",
            request.head:bytes())
        assert.matches("User%-Agent: moonwire", request.head:bytes())
        assert.not_matches("Accept", request.head:bytes())
        assert.equal("CONNECT [::1]:8080", tunnel("[::1]:8080").head:bytes():match "^%S+ %S+")
        assert.equal("CONNECT h:80", tunnel("h:80").head:bytes():match "^%S+ %S+")
        assert.equal("example.com:443", request.url)
        assert.is_nil(request.origin)
        assert.matches("X: 1\r\n", request:with({ headers = { X = "1" } }).head:bytes())
    end)

    it("is refused without a port, and with anything else in it", function()
        for _, target in ipairs { "", "h", "h:", "h:0", "h:65536", "h:1x", "u@h:1", "h:1/", "/:1",
            "http://h:1", "h:1?x", "h h:1", "h\r\nX:1", "[::1]", "::1:80", ":80", "h:000001" } do
            assert.error_matches(function()
                tunnel(target)
            end, "bad argument 'target'")
        end
        assert.error_matches(function()
            requests.new { method = "CONNECT" }
        end, "bad argument 'target' %(string expected")
        assert.error_matches(function()
            requests.new { method = "GET", url = "http://h/", target = "h:1" }
        end, "for CONNECT only")
        assert.error_matches(function()
            requests.new { method = "CONNECT", target = "h:1", body = "x" }
        end, "bad argument 'framing'")
        assert.error_matches(function()
            requests.new { method = "CONNECT", target = "h:1", upgrade = "x" }
        end, "bad argument 'upgrade'")
    end)

    it("is answered by any 2xx with a tunnel, whatever its fields say", function()
        for _, head in ipairs { TUNNEL, "HTTP/1.1 204 No Content\r\n", "HTTP/1.0 200 OK\r\n",
            TUNNEL .. "Content-Length: 5\r\n", TUNNEL .. "Transfer-Encoding: chunked\r\n",
            TUNNEL .. "Connection: close\r\n" } do
            local log = wire.over(answering(head .. "\r\n\22\3\1", "more"),
                function(connection, peer)
                    local response = assert(connection:request(tunnel()))
                    assert.is_true(response.ok)
                    local stream = assert(response:upgrade())
                    assert.equal("\22\3\1", stream:read())
                    assert.equal("more", stream:read())
                    assert(stream:write "bytes")
                    assert.matches("\r\n\r\nbytes$", peer:received())
                    stream:close()
                end)
            assert.equal("upgraded", log.reason)
        end
    end)

    it("is answered otherwise by a response with a body, and may be tried again", function()
        local refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n"
            .. "Proxy-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nwho?"
        wire.over({ { expect = "\r\n\r\n" }, { send = "HTTP/1.1 100 Continue\r\n\r\n" },
            { send = refusal }, { expect = "\r\n\r\n" }, { send = TUNNEL .. "\r\n" } },
            function(connection)
                local response = assert(connection:request(tunnel()))
                assert.equal(407, response.status)
                assert.equal("who?", response:text())
                assert.equal("protocol", select(2, response:upgrade()).kind)
                assert.is_true(connection:is_idle())
                response = assert(connection:request(tunnel():with { headers = {
                    ["Proxy-Authorization"] = "Basic eDp5",
                } }))
                assert(response:upgrade()):close()
            end)
    end)

    it("is none for a client", function()
        moonwire.run(function()
            local client = clients.new()
            assert.error_matches(function()
                client:request(tunnel())
            end, "CONNECT opens a tunnel")
            assert.error_matches(function()
                client:request("CONNECT", "http://h/")
            end, "CONNECT")
            client:close()
        end)
    end)

    it("opens a tunnel on a real socket, through which another connection speaks", function()
        local connections = require "moonwire.connection"
        raw.connection(function(stream)
            local head = raw.head(stream)
            stream:write(head:find "^CONNECT h:80 " and TUNNEL .. "\r\n"
                or "HTTP/1.1 400 Bad\r\n\r\n")
            while raw.head(stream) do
                stream:write(wire.reply "through")
            end
        end, function(outer)
            local stream = assert(assert(outer:request(tunnel "h:80")):upgrade())
            local inner = connections.new(stream)
            for _ = 1, 3 do
                assert.equal("through", assert(inner:request(wire.request())):text())
            end
            inner:close()
        end)
    end)
end)
