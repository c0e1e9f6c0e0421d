local bodies = require "moonwire.body"
local clients = require "moonwire.client"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local raw = require "spec.support.raw"
local requests = require "moonwire.request"
local wire = require "spec.support.wire"

local OK = wire.reply "hello"
local GO_ON = "HTTP/1.1 100 Continue\r\n\r\n"
local REFUSED = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"

local function asking(body, more)
    local fields = { expect = true }
    for name, value in pairs(more or {}) do
        fields[name] = value
    end
    return wire.request("POST", body, fields)
end

local function once(text)
    local state = { calls = 0 }
    function state.call()
        state.calls = state.calls + 1
        return state.calls == 1 and text or nil
    end
    return state
end

local function body_of(peer)
    return (select(2, peer:received():match "^(.-)\r\n\r\n(.*)$"))
end

describe("expect", function()
    it("says so in the head when there is a body that is large enough, and only then", function()
        local function says(opts)
            opts.url, opts.method = "http://a/", "POST"
            local request = requests.new(opts)
            local said = request.head:bytes():find("Expect: 100-continue\r\n", 1, true) ~= nil
            assert.equal(said, request.expects)
            return said
        end
        assert.is_true(says { body = "x", expect = true })
        assert.is_true(says { body = function() end, expect = true })
        assert.is_true(says { body = function() end, expect = 1000 })
        assert.is_true(says { body = ("x"):rep(1000), expect = 1000 })
        assert.is_false(says { body = ("x"):rep(999), expect = 1000 })
        assert.is_false(says { body = "x" })
        assert.is_false(says { body = "x", expect = false })
        assert.is_false(says { expect = true })
        assert.is_false(says { body = "", expect = true })
        local request = requests.new { url = "http://a/", method = "PUT", body = "x",
            expect = true }
        assert.is_true(request:with({ headers = { A = "1" } }).expects)
        assert.is_false(request:with({ expect = false }).expects)
        assert.is_false(request:with({ body = false }).expects)
    end)

    it("is an option, not a header", function()
        assert.error_matches(function()
            requests.new { url = "http://a/", headers = { Expect = "100-continue" }, body = "x" }
        end, "use expect = true")
        for _, value in ipairs { "x", -1, {} } do
            assert.error_matches(function()
                requests.new { url = "http://a/", expect = value }
            end, "bad argument 'expect'")
        end
    end)

    it("sends the body at once when the server says 100, however its head is cut", function()
        for _, body in ipairs { "text", { "te", "xt" }, once("text").call } do
            for pieces = 1, #GO_ON, 6 do
                if type(body) == "function" then
                    body = once("text").call
                end
                wire.over({ { expect = "\r\n\r\n" }, { send = GO_ON, pieces = pieces },
                    { expect = "text" }, { send = OK } }, function(connection, peer, m)
                    local before = m:now()
                    local response = assert(connection:request(asking(body)))
                    assert.equal(200, response.status)
                    assert.is_true(response.upload_complete)
                    assert.equal(before, m:now())
                    assert.matches("Expect: 100%-continue\r\n", peer:received())
                    m:advance(0)
                    assert.is_true(connection:is_idle())
                end)
            end
        end
    end)

    it("sends the body after a second without a word, or what one says", function()
        for _, seconds in ipairs { 1, 0.25 } do
            wire.over({ { expect = "text" }, { send = OK } }, function(connection, _, m)
                local before = m:now()
                local response = assert(connection:request(asking("text"),
                    { expect_timeout = seconds ~= 1 and seconds or nil }))
                assert.equal(200, response.status)
                assert.equal(seconds, m:now() - before)
                assert.is_true(response.upload_complete)
                m:advance(0)
                assert.is_true(connection:is_idle())
            end)
        end
    end)

    it("takes a late 100 for what it is", function()
        local told = {}
        wire.over({ { expect = "text" }, { delay = 3 }, { send = GO_ON }, { delay = 1 },
            { send = OK } }, function(connection, _, m)
            local response = assert(connection:request(asking "text", {
                on_informational = function(status)
                    told[#told + 1] = status
                end,
            }))
            assert.equal(200, response.status)
            assert.same({ 100 }, told)
            m:advance(0)
            assert.is_true(connection:is_idle())
        end)
    end)

    it("waits on when another 1xx comes", function()
        wire.over({ { expect = "\r\n\r\n" }, { send = "HTTP/1.1 103 Early Hints\r\n\r\n" },
            { delay = 0.5 }, { send = GO_ON }, { expect = "text" }, { send = OK } },
            function(connection, _, m)
                local before = m:now()
                assert(connection:request(asking "text"))
                assert.equal(0.5, m:now() - before)
            end)
    end)

    it("sends no body after a final status, whichever, and closes the connection", function()
        for _, reply in ipairs { OK, REFUSED, "HTTP/1.1 401 Who\r\nContent-Length: 2\r\n\r\nno" } do
            local state = once "text"
            local log = wire.over({ { expect = "\r\n\r\n" }, { delay = 0.5 }, { send = reply } },
                function(connection, peer, m)
                    local response = assert(connection:request(asking(state.call)))
                    assert.is_false(response.upload_complete)
                    response:text()
                    m:advance(5)
                    assert.equal("", body_of(peer))
                    assert.equal("closed", connection.state)
                end)
            assert.equal(0, state.calls)
            assert.equal("early_response", log.reason)
            assert.equal(0, log.idle)
        end
    end)

    it("sends the body when 100 and a final 2xx come together", function()
        wire.over({ { expect = "\r\n\r\n" }, { send = GO_ON .. OK } }, function(connection, peer, m)
            local response = assert(connection:request(asking "text"))
            assert.is_false(response.upload_complete)
            m:advance(0)
            assert.is_true(response.upload_complete)
            assert.equal("text", body_of(peer))
            assert.is_true(connection:is_idle())
        end)
    end)

    it("opens a body's file before it asks, for its length, and sends it after", function()
        local path = os.tmpname()
        local file = assert(io.open(path, "wb"))
        file:write "text"
        file:close()
        wire.over({ { expect = "\r\n\r\n" }, { delay = 0.1 }, { send = GO_ON },
            { expect = "text" }, { send = OK } }, function(connection, peer, m)
            assert(connection:request(asking(bodies.file(path))))
            assert.matches("Content%-Length: 4\r\n", peer:received())
            assert.matches("Expect: 100%-continue\r\n", peer:received())
            m:advance(0)
            assert.is_true(connection:is_idle())
        end)
        wire.over({ { expect = "text" }, { send = OK } }, function(connection, peer)
            assert(connection:request(asking(bodies.file(path), { expect = 5 })))
            assert.not_matches("Expect", peer:received())
        end)
        os.remove(path)
    end)

    it("tells that the body can't be opened once it is wanted", function()
        local call = once("text").call
        local body = bodies.generator(call)
        body.used = true
        wire.over({ { expect = "\r\n\r\n" }, { send = GO_ON } }, function(connection)
            local response, err = connection:request(asking(body))
            assert.is_nil(response)
            assert.equal("body", err.kind)
            assert.equal("body_error", connection.close_reason)
        end)
    end)

    it("ends at the deadline, and when it is cancelled, without a byte of the body", function()
        local state = once "text"
        wire.over({}, function(connection, peer, m)
            local before = m:now()
            local _, err = connection:request(asking(state.call), { deadline = before + 0.5 })
            assert.equal("timeout", err.kind)
            assert.equal(0.5, m:now() - before)
            m:advance(3)
            assert.equal("", body_of(peer))
        end)
        wire.over({}, function(connection, peer, m)
            moonwire.timeout(0.5, function()
                local _, err = connection:request(asking(state.call))
                assert.equal("cancelled", err.kind)
            end)
            m:advance(3)
            assert.equal("", body_of(peer))
        end)
        wire.over({ { expect = "\r\n\r\n" }, { delay = 0.1 }, { eof = true } },
            function(connection, _, m)
                local _, err = connection:request(asking(state.call))
                assert.equal("closed", err.kind)
                m:advance(3)
            end)
        assert.equal(0, state.calls)
    end)
end)

-- A client in a mock world whose server answers request after request from a list, each time on
-- what has come of it after its head.
local function with_client(replies, body, opts)
    local m = mock.new()
    m:hosts { h = { "127.0.0.1" } }
    local heads, got = {}, {}
    m:listen_at("127.0.0.1", 80, function(peer)
        local number
        peer:on_data(function(data)
            if data:find("HTTP/1.1\r\n", 1, true) then
                heads[#heads + 1] = data
                number = #heads
                got[number] = data:match "\r\n\r\n(.*)$"
            else
                got[number] = got[number] .. data
            end
            local reply = replies[number]
            if not reply.after or got[number]:find(reply.after, 1, true) then
                peer:send(reply.send)
            end
        end)
    end)
    m:run(function()
        local client = clients.new(opts)
        body(client, heads, got, m)
        client:close()
        m:advance(0)
        assert.equal(0, client:stats().total)
    end)
end

describe("expect of a client", function()
    it("goes once more without, after 417", function()
        for _, body in ipairs { "text", once("text").call } do
            with_client({ { send = REFUSED }, { send = OK, after = "text" } },
                function(client, heads, got)
                    local response = assert(client:post("http://h/", { body = body,
                        expect = true }))
                    assert.equal("hello", response:text())
                    assert.equal(2, #heads)
                    assert.equal("", got[1])
                    assert.matches("Expect", heads[1])
                    assert.not_matches("Expect", heads[2])
                    assert.equal(1, client:stats().total)
                end)
        end
    end)

    it("does not go a third time", function()
        with_client({ { send = REFUSED }, { send = REFUSED, after = "text" } },
            function(client, heads)
                local response = assert(client:post("http://h/", { body = "text", expect = true }))
                assert.equal(417, response.status)
                assert.equal(2, #heads)
            end)
    end)

    it("gives a 417 to a request that did not ask, or whose body is used up", function()
        with_client({ { send = REFUSED } }, function(client, heads)
            assert.equal(417, assert(client:get("http://h/", { expect = true })).status)
            assert.equal(1, #heads)
        end)
        with_client({ { send = REFUSED, after = "text" } }, function(client, heads)
            local response = assert(client:post("http://h/", { body = once("text").call,
                expect = true, timeout = { expect = 0.1 } }))
            assert.equal(417, response.status)
            assert.equal(1, #heads)
        end)
    end)

    it("is a default of a client, with its own time", function()
        with_client({ { send = OK, after = "text" }, { send = OK } }, function(client, heads, _, m)
            local before = m:now()
            assert(client:put("http://h/", { body = "text" }))
            assert.equal(0.25, m:now() - before)
            assert.matches("Expect", heads[1])
            assert(client:put("http://h/", { body = "text", expect = false }))
            assert.not_matches("Expect", heads[2])
        end, { expect = 4, timeout = { expect = 0.25 } })
    end)
end)

describe("expect on a real socket", function()
    local function outcome(answer, body)
        local result = {}
        raw.client(function(stream)
            local head = raw.head(stream)
            if head then
                answer(stream, head:find("Expect", 1, true) ~= nil, result)
            end
        end, function(client, log)
            local response = assert(client:post("x", { body = body or "text", expect = true,
                timeout = { expect = 0.05, total = 5 } }))
            result.status, result.complete = response.status, response.upload_complete
            response:text()
            result.accepted = log.accepted
            raw.eventually(function()
                return client:stats().active == 0
            end)
            result.kept = client:stats().idle
        end)
        return result
    end

    it("is answered by 100", function()
        local result = outcome(function(stream, _, got)
            stream:write(GO_ON)
            got.body = stream:read_exactly(4)
            stream:write(OK)
            raw.head(stream)
        end)
        assert.same({ status = 200, complete = true, body = "text", accepted = 1, kept = 1 },
            result)
    end)

    it("is answered by 417, and the request goes again", function()
        local result = outcome(function(stream, asked, got)
            if asked then
                stream:write(REFUSED)
                got.first = stream:read() or ""
            else
                got.body = stream:read_exactly(4)
                stream:write(OK)
                raw.head(stream)
            end
        end)
        assert.same({ status = 200, complete = true, first = "", body = "text", accepted = 2,
            kept = 1 }, result)
    end)

    it("is answered by 200 without 100: the body stays here", function()
        local result = outcome(function(stream, _, got)
            stream:write(OK)
            got.body = stream:read() or ""
        end)
        assert.same({ status = 200, complete = false, body = "", accepted = 1, kept = 0 }, result)
    end)

    it("is answered late or not at all: the body goes after a while", function()
        for _, late in ipairs { GO_ON, "" } do
            local result = outcome(function(stream, _, got)
                got.body = stream:read_exactly(4)
                if late ~= "" then
                    stream:write(late)
                end
                stream:write(OK)
                raw.head(stream)
            end)
            assert.same({ status = 200, complete = true, body = "text", accepted = 1, kept = 1 },
                result)
        end
    end)
end)
