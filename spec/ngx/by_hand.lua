-- Tests of connections and clients whose seconds are the mock's, once more with a raw peer and
-- small real times, on the backend that this process has: ev or ngx. They have the names of the
-- originals, and spec/ngx/untranslated.lua says which those are.
local moonwire = require "moonwire"
local raw = require "spec.support.raw"
local requests = require "moonwire.request"
local scope = require "moonwire.scope"

raw.place = ... ---@type spec.Place

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local HALF = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
local GO_ON = "HTTP/1.1 100 Continue\r\n\r\n"
local REFUSED = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
local LATE = 1 -- seconds that a wait may take longer here

local function request(method, body, more)
    local fields = { method = method or "GET", url = "http://peer.test/path", body = body }
    for name, value in pairs(more or {}) do
        fields[name] = value
    end
    return requests.new(fields)
end

-- A peer that reads the head and answers so; then it reads on.
local function answering(reply)
    return function(stream)
        while raw.head(stream) and (not reply or stream:write(reply)) do -- luacheck: ignore 542
        end
    end
end

-- A peer that sends a piece each few milliseconds after the head.
local function dripping(head, piece)
    return function(stream)
        raw.head(stream)
        stream:write(head)
        while stream:write(piece) and moonwire.sleep(0.01) do -- luacheck: ignore 542
        end
    end
end

local function failed(kind, phase, response, err)
    assert.is_nil(response)
    assert.equal(kind, err.kind, tostring(err))
    assert.equal(phase, err.phase)
    return err
end

-- Holds that f takes so many seconds, at the least, and not much longer.
local function takes(seconds, f)
    local before = moonwire.now()
    f()
    local took = moonwire.now() - before
    assert.is_true(took > seconds - 0.005, ("it ended after %s s already"):format(took))
    assert.is_true(took < seconds + LATE, ("it took %s s"):format(took))
end

describe("spec/connection/time_spec.lua: time", function()
    it("for the head runs from the request's last byte: 60 seconds", function()
        raw.connection(answering(), function(connection)
            takes(0.08, function() -- two chunks, each after 0.02 s, the end, and then
                local count = 0
                local err = failed("timeout", "headers", connection:request(request("POST",
                    function()
                        count = count + 1
                        moonwire.sleep(0.02)
                        return count < 3 and "x" or nil
                    end), { headers_timeout = 0.02 }))
                assert.matches("headers_timeout = 0.02 s", tostring(err), 1, true)
                assert.is_false(err.safe_to_retry)
            end)
            assert.equal("timeout", connection:stats().close_reason)
        end)
    end)

    it("for the head isn't lengthened by a byte now and then", function()
        raw.connection(dripping("HTTP/1.1 200 OK\r\nX: ", "x"), function(connection)
            takes(0.06, function()
                failed("timeout", "headers", connection:request(request(),
                    { headers_timeout = 0.06 }))
            end)
        end)
    end)

    it("without progress in the body: 30 seconds, or what one says", function()
        raw.connection(answering(HALF), function(connection)
            takes(0.04, function()
                local response = assert(connection:request(request(), { idle_timeout = 0.04 }))
                failed("timeout", "body", response:text())
            end)
            assert.equal("timeout", connection.close_reason)
        end)
    end)

    it("for everything ends at the deadline, in the head", function()
        raw.connection(answering(), function(connection)
            takes(0.04, function()
                failed("timeout", "headers", connection:request(request(),
                    { deadline = moonwire.now() + 0.04 }))
            end)
        end)
    end)

    it("for everything ends at the deadline, in a body that drips", function()
        raw.connection(dripping("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", "x"),
            function(connection)
                takes(0.06, function()
                    local response = assert(connection:request(request(),
                        { deadline = moonwire.now() + 0.06 }))
                    failed("timeout", "body", response:text())
                end)
            end)
    end)
end)

describe("spec/connection_body_spec.lua:", function()
    it("a peer that takes its time past the deadline while the function sleeps stops the function",
        function()
            raw.connection(answering(), function(connection)
                local results = {}
                takes(0.04, function()
                    local _, err = connection:request(request("POST", function()
                        results[#results + 1] = moonwire.sleep(5) or false
                    end), { deadline = moonwire.now() + 0.04 })
                    assert.equal("timeout", err.kind)
                end)
                moonwire.sleep(0.01)
                assert.same({ false }, results)
            end)
        end)

    it("an early response ends the wait that the function is in", function()
        raw.connection(answering(REFUSED), function(connection)
            local slept
            takes(0, function()
                assert.equal(413, assert(connection:request(request("POST", function()
                    slept = moonwire.sleep(5) or false
                    return nil, "cancelled"
                end))).status)
                moonwire.sleep(0.01)
            end)
            assert.is_false(slept)
        end)
    end)
end)

describe("spec/connection/expect_spec.lua: expect", function()
    local function asking(body)
        return request("POST", body or "text", { expect = true })
    end

    -- A peer that says these first, and OK behind the body.
    local function saying(pieces)
        return function(stream)
            while raw.head(stream) do
                for _, piece in ipairs(pieces) do
                    stream:write(piece)
                    moonwire.sleep(0.005)
                end
                if stream:read_exactly(4) then
                    stream:write(OK)
                end
            end
        end
    end

    it("sends the body at once when the server says 100, however its head is cut", function()
        for cut = 1, #GO_ON - 1, 6 do
            raw.connection(saying { GO_ON:sub(1, cut), GO_ON:sub(cut + 1) }, function(connection)
                takes(0, function()
                    local response = assert(connection:request(asking(), { expect_timeout = 5 }))
                    assert.is_true(response.upload_complete)
                    assert.equal("ok", response:text())
                end)
            end)
        end
    end)

    it("sends the body after a second without a word, or what one says", function()
        raw.connection(saying {}, function(connection)
            takes(0.04, function()
                local response = assert(connection:request(asking(), { expect_timeout = 0.04 }))
                assert.is_true(response.upload_complete)
                assert.equal("ok", response:text())
            end)
        end)
    end)

    it("waits on when another 1xx comes", function()
        raw.connection(saying { "HTTP/1.1 103 Early Hints\r\n\r\n" }, function(connection)
            takes(0.05, function()
                assert(connection:request(asking(), { expect_timeout = 0.05 }))
            end)
        end)
    end)

    it("ends at the deadline, and when it is cancelled, without a byte of the body", function()
        local calls = 0
        local function body()
            calls = calls + 1
            return "text"
        end
        raw.connection(answering(), function(connection)
            takes(0.03, function()
                local _, err = connection:request(asking(body),
                    { deadline = moonwire.now() + 0.03 })
                assert.equal("timeout", err.kind)
            end)
        end)
        raw.connection(answering(), function(connection)
            scope.timeout(0.03, function()
                local _, err = connection:request(asking(body))
                assert.equal("cancelled", err.kind)
            end)
        end)
        raw.connection(raw.head, function(connection)
            local _, err = connection:request(asking(body))
            assert.equal("closed", err.kind)
        end)
        assert.equal(0, calls)
    end)

    it("of a client is a default of a client, with its own time", function()
        local heads = {}
        raw.client(function(stream)
            for head in function() return raw.head(stream) end do
                heads[#heads + 1] = head
                stream:read_exactly(4)
                stream:write(OK)
            end
        end, function(client)
            takes(0.04, function()
                assert(client:put("/", { body = "text" })):text()
            end)
            assert(client:put("/", { body = "text", expect = false })):text()
            assert.matches("Expect", heads[1])
            assert.not_matches("Expect", heads[2])
        end, { expect = 4, timeout = { expect = 0.04 } })
    end)
end)

describe("spec/connection/leaving_spec.lua:", function()
    it("an unread body at close: is not waited for beyond the request's deadline", function()
        raw.connection(answering(HALF), function(connection)
            local response = assert(connection:request(request(),
                { deadline = moonwire.now() + 0.03 }))
            response:close()
            moonwire.sleep(0.045) -- it would be dropped until 0.05 s are over
            assert.equal("unread_body", connection.close_reason)
        end)
    end)
end)

describe("spec/connection/retry_spec.lua:", function()
    it("a request over a stale connection does not go again after its time", function()
        raw.client(function(stream)
            raw.head(stream)
            stream:write(OK)
            raw.head(stream)
            moonwire.sleep(0.08)
        end, function(client, log)
            assert(client:get "/"):text()
            local err = failed("timeout", "headers", client:get("/", { timeout = 0.04 }))
            assert.is_false(err.safe_to_retry)
            moonwire.sleep(0.06)
            assert.equal(1, log.accepted)
        end)
    end)
end)

describe("spec/connection/upgrade_spec.lua:", function()
    it("a CONNECT request is answered by any 2xx with a tunnel, whatever its fields say",
        function()
            for _, head in ipairs { "HTTP/1.1 200 Fine\r\n", "HTTP/1.1 204 No Content\r\n",
                "HTTP/1.0 200 OK\r\n", "HTTP/1.1 200 Fine\r\nContent-Length: 5\r\n",
                "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n",
                "HTTP/1.1 200 Fine\r\nConnection: close\r\n" } do
                local got
                raw.connection(function(stream)
                    raw.head(stream)
                    stream:write(head .. "\r\n\22\3\1")
                    stream:write "more"
                    got = stream:read_exactly(5)
                end, function(connection)
                    local response = assert(connection:request(requests.new {
                        method = "CONNECT", target = "example.com:443",
                    }))
                    local stream = assert(response:upgrade())
                    assert.equal("\22\3\1more", stream:read_exactly(7))
                    assert(stream:write "bytes")
                    raw.eventually(function()
                        return got
                    end)
                    assert.equal("bytes", got)
                    assert.equal("upgraded", connection.close_reason)
                    stream:close()
                end)
            end
        end)

    it("an upgrade gives the stream, with the bytes behind the head first", function()
        local got
        raw.connection(function(stream)
            raw.head(stream)
            stream:write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: FOO\r\n"
                .. "Connection: Upgrade\r\n\r\nfirst")
            got = stream:read_exactly(5)
            stream:write "line\nrest"
            stream:read()
        end, function(connection)
            local response = assert(connection:request(request("GET", nil,
                { upgrade = "foo, bar/2" })))
            assert.equal(101, response.status)
            assert.equal("detached", connection.state)
            local stream = assert(response:upgrade())
            assert.equal("first", stream:read_exactly(5))
            assert(stream:write "hello")
            connection:close()
            assert.is_false(stream:is_closed())
            assert.equal("line\n", stream:read_until "\n")
            assert.equal("hello", got)
            stream:close()
            assert.has_error(function()
                response:upgrade()
            end, "the stream of this response was taken, or closed, before")
        end)
    end)
end)

describe("spec/client_spec.lua:", function()
    it("client gives up waiting for a connection after the pool's time", function()
        raw.client(function(stream)
            while raw.head(stream) do
                moonwire.sleep(0.15)
                stream:write(OK)
            end
        end, function(client, _, s)
            local holder = s:spawn(function()
                return assert(client:get "/"):text()
            end)
            moonwire.sleep(0.02)
            failed("timeout", "pool", client:get("/", { timeout = { pool = 0.03 } }))
            assert.equal("ok", holder:join())
        end, { pool = { max_per_origin = 1 } })
    end)
end)

describe("spec/client/timeouts_spec.lua: timeouts of a client", function()
    it("end waiting for the head, for the body, and the whole", function()
        raw.client(function(stream)
            local head = raw.head(stream)
            if head:find "/half" then
                stream:write(HALF)
            elseif head:find "/drip" then
                stream:write "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"
                while stream:write "x" and moonwire.sleep(0.01) do -- luacheck: ignore 542
                end
            end
            raw.head(stream)
        end, function(client)
            takes(0.05, function()
                failed("timeout", "headers", client:get "/never")
            end)
            takes(0.04, function()
                failed("timeout", "body", assert(client:get "/half"):text())
            end)
            takes(0.02, function()
                failed("timeout", "headers", client:get("/never",
                    { timeout = { total = 0.02, headers = 9 } }))
            end)
            takes(0.07, function()
                failed("timeout", "body", assert(client:get("/drip", { timeout = 0.07 })):text())
            end)
        end, { timeout = { headers = 0.05, idle = 0.04 } })
    end)
end)

describe("spec/client/deadline_spec.lua: a timeout", function()
    local PHASES = {
        { "headers", { headers = 0.04 }, "headers", "no complete response head after the request" },
        { "headers", { headers = 60, total = 0.04 }, "total", "no complete response head" },
        { "body", { idle = 0.04 }, "idle", "no more bytes of the response's body", HALF },
        { "body", { idle = 30, total = 0.04 }, "total", "the response's body was not complete",
            HALF },
    }
    for _, case in ipairs(PHASES) do
        local phase, timeout, limit, message, reply = unpack(case)
        it(("in the phase %s, of %s, says which limit, how long and how far"):format(phase,
            limit), function()
            raw.client(answering(reply), function(client)
                local response, err = client:post("/path", { timeout = timeout })
                if response then
                    response, err = response:text()
                end
                failed("timeout", phase, response, err)
                assert.equal(limit, err.timeout)
                assert.equal(message .. " (timeout." .. limit .. " = 0.04 s; ",
                    err.message:match "^.- = %S+ s; ")
                assert.is_true(err.elapsed >= 0.035 and err.elapsed < 0.04 + LATE)
                assert.is_true(err.bytes_sent > 60)
                assert.equal(reply and #reply or 0, err.bytes_received)
            end)
        end)
    end

    it("of a scope around a request says where that was, and how far", function()
        raw.client(answering(HALF), function(client)
            local response, err = moonwire.timeout(0.05, function()
                return assert(client:get "/path"):text()
            end)
            failed("timeout", "body", response, err)
            assert.matches("^timed out after 0.05 s: cancelled before the response's body was"
                .. " complete %(", err.message)
            assert.equal(#HALF, err.bytes_received)
            assert.equal("cancelled", err.cause.kind)
        end)
    end)
end)

describe("spec/client/deadline_spec.lua: the time of a request", function()
    it("covers the body, and a reader's own pauses", function()
        raw.client(answering(HALF), function(client)
            takes(0.08, function()
                local response = assert(client:get("/", { timeout = 0.08 }))
                assert.equal("half", response:read())
                moonwire.sleep(0.03)
                local err = failed("timeout", "body", response:read())
                assert.equal("total", err.timeout)
            end)
        end)
    end)

    it("that is over when a reader comes back is over at once", function()
        raw.client(answering(HALF), function(client)
            local response = assert(client:get("/", { timeout = 0.03 }))
            assert.equal("half", response:read())
            moonwire.sleep(0.05)
            takes(0, function()
                local err = failed("timeout", "body", response:read())
                assert.equal("total", err.timeout)
            end)
        end)
    end)

    it("goes on over a retry", function()
        raw.client(function(stream, number)
            raw.head(stream)
            if number == 1 then
                stream:write(OK)
            end
            raw.head(stream)
            moonwire.sleep(0.03)
        end, function(client, log)
            assert(client:get "/"):text()
            takes(0.08, function()
                local err = failed("timeout", "headers", client:get("/", { timeout = 0.08 }))
                assert.equal("total", err.timeout)
            end)
            assert.equal(2, log.accepted)
        end)
    end)

    it("goes on over the repetition without Expect", function()
        local heads = 0
        raw.client(function(stream)
            for head in function() return raw.head(stream) end do
                heads = heads + 1
                if head:find "Expect" then
                    moonwire.sleep(0.03)
                    stream:write "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"
                end
            end
        end, function(client)
            takes(0.08, function()
                local err = failed("timeout", "headers", client:post("/", {
                    body = "x", expect = true, timeout = { total = 0.08, expect = 5 },
                }))
                assert.equal("total", err.timeout)
            end)
            assert.equal(2, heads)
        end)
    end)
end)
