local bodies = require "moonwire.body"
local backend = require "moonwire.backend"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local wire = require "spec.support.wire"

local ASKED = wire.ASKED
local OK = wire.reply "hello"

-- The next request that goes out whole breaks off behind so many bytes.
local function break_asking(stream, bytes)
    rawset(stream, "ask", function(self, h1, head, text)
        rawset(stream, "ask", nil)
        assert(h1:send_whole(head, text))
        h1:output_sent(#h1:output(bytes))
        return core.ECLOSED, self.backend:now(),
            errors.new { kind = "closed", message = "broken pipe", code = "EPIPE" }
    end)
end

local function sleep(seconds)
    local code = backend.current():wait(backend.current():now() + seconds)
    return code
end

-- What came after the head.
local function body_of(text)
    local _, stop = text:find("\r\n\r\n", 1, true)
    return text:sub(stop + 1)
end

-- The data of a chunked body, and whether it was ended.
local function unchunk(text)
    local out, at = {}, 1
    while true do
        local from, stop, size = text:find("^(%x+)\r\n", at)
        if not from then
            return table.concat(out), false
        elseif tonumber(size, 16) == 0 then
            return table.concat(out), text:sub(stop + 1) == "\r\n"
        end
        local length = tonumber(size, 16)
        out[#out + 1] = text:sub(stop + 1, stop + length)
        at = stop + length + 3
    end
end

local function counting(count, text, pause)
    local state = { calls = 0 }
    function state.call()
        state.calls = state.calls + 1
        if pause then
            sleep(pause)
        end
        return state.calls <= count and (text or "chunk") or nil
    end
    return state
end

describe("a body that is sent:", function()
    it("a string goes with its head", function()
        wire.over({ { expect = "abc" }, { send = OK } }, function(connection, peer)
            local pieces = 0
            peer:on_data(function()
                pieces = pieces + 1
            end)
            local response = assert(connection:request(wire.request("POST", "abc")))
            assert.is_true(response.upload_complete)
            assert.equal("abc", body_of(peer:received()))
            assert.equal(1, pieces)
            assert.is_true(connection:is_idle())
        end)
    end)

    it("an empty string is no body", function()
        wire.over({ { expect = "\r\n\r\n" }, { send = OK } }, function(connection, peer)
            assert(connection:request(wire.request("POST", "")))
            assert.matches("Content%-Length: 0\r\n\r\n$", peer:received())
        end)
    end)

    it("a long list goes piece by piece under one length", function()
        local long = ("x"):rep(50000)
        wire.over({ { expect = "yy" }, { send = OK } }, function(connection, peer)
            local request = wire.request("PUT", { long, "", long, "yy" })
            local response = assert(connection:request(request))
            assert.is_true(response.upload_complete)
            assert.matches("Content%-Length: 100002\r\n", peer:received())
            assert.is_true(long .. long .. "yy" == body_of(peer:received()))
            assert.is_true(connection:is_idle())
        end)
    end)

    it("a function's chunks go as they come, empty ones not at all", function()
        local chunks, index = { "one", "", "", "two" }, 0
        wire.over({ { expect = "0\r\n\r\n" }, { send = OK } }, function(connection, peer)
            local response = assert(connection:request(wire.request("POST", function()
                index = index + 1
                sleep(1)
                return chunks[index]
            end)))
            assert.equal("hello", response:text())
            assert.is_true(response.upload_complete)
            assert.matches("Transfer%-Encoding: chunked", peer:received())
            assert.equal("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n", body_of(peer:received()))
            assert.is_true(connection:is_idle())
        end)
    end)

    it("a wrapped coroutine may wait as well", function()
        wire.over({ { expect = "0\r\n\r\n" }, { send = OK } }, function(connection, peer)
            assert(connection:request(wire.request("POST", coroutine.wrap(function()
                for number = 1, 3 do
                    sleep(1)
                    coroutine.yield(tostring(number))
                end
            end))))
            assert.equal("123", (unchunk(body_of(peer:received()))))
        end)
    end)

    it("a function of known length isn't chunked", function()
        wire.over({ { expect = "chunkchunk" }, { send = OK } }, function(connection, peer)
            local body = bodies.generator(counting(2).call, { length = 10 })
            assert(connection:request(wire.request("POST", body)))
            assert.equal("chunkchunk", body_of(peer:received()))
            assert.is_true(connection:is_idle())
        end)
    end)

    it("a file goes with the length it has when it is sent", function()
        local path = os.tmpname()
        local function write(text)
            local file = assert(io.open(path, "wb"))
            file:write(text)
            file:close()
        end
        write "before"
        local request = wire.request("PUT", bodies.file(path))
        wire.over({ { expect = "before" }, { send = OK }, { expect = "after all" }, { send = OK } },
            function(connection, peer)
                assert(connection:request(request))
                write "after all"
                assert(connection:request(request))
                assert.matches("Content%-Length: 6\r\n.*Content%-Length: 9\r\n", peer:received())
                assert.is_true(connection:is_idle())
            end)
        os.remove(path)
    end)

    it("a missing file is told before a byte is sent", function()
        wire.over({ { expect = "\r\n\r\n" }, { send = OK } }, function(connection, peer)
            local response, err = connection:request(wire.request("PUT", bodies.file "/nowhere/x"))
            assert.is_nil(response)
            assert.equal("body", err.kind)
            assert.matches("/nowhere/x: No such file", tostring(err))
            assert.equal("", peer:received())
            assert.equal("new", connection.state)
            assert(connection:request(wire.request()))
        end)
    end)

    it("an open file can be sent twice", function()
        local path = os.tmpname()
        local file = assert(io.open(path, "wb"))
        file:write "0123456789"
        file:close()
        file = assert(io.open(path, "rb"))
        file:seek("set", 5)
        local request = wire.request("PUT", file)
        wire.over({ { expect = "56789" }, { send = OK }, { expect = "56789" }, { send = OK } },
            function(connection)
                assert(connection:request(request))
                assert(connection:request(request))
            end)
        file:close()
        os.remove(path)
    end)

    it("a response is passed on with its length, or chunked", function()
        local cases = {
            { OK, "Content%-Length: 5\r\n" },
            { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                "chunked", "0\r\n\r\n" },
        }
        for _, case in ipairs(cases) do
            wire.over({ ASKED, { send = case[1]:sub(1, -3) }, { delay = 1 },
                { send = case[1]:sub(-2) }, { send = case[3] or "" } }, function(source)
                local response = assert(source:request(wire.request()))
                wire.over({ { expect = "hello" }, { delay = 2 }, { send = OK } },
                    function(sink, peer)
                        local request = wire.request("PUT", response)
                        assert(sink:request(request))
                        assert.matches(case[2], peer:received())
                        local _, err = sink:request(request)
                        assert.matches("can't be sent again", tostring(err))
                    end)
                assert.is_true(source:is_idle())
            end)
        end
    end)

    it("a function can't be sent twice", function()
        wire.over({ { expect = "0\r\n\r\n" }, { send = OK } }, function(connection)
            local request = wire.request("POST", counting(1).call)
            assert(connection:request(request))
            local response, err = connection:request(request)
            assert.is_nil(response)
            assert.equal("body", err.kind)
            assert.matches("can't be sent again", tostring(err))
            assert.is_true(connection:is_idle())
        end)
    end)
end)

describe("a body that can't be whole", function()
    -- Each ends with kind "body", a closed connection, and no end of the message.
    local function broken(body, pattern, check)
        local log = wire.over({}, function(connection, peer, m)
            local response, err = connection:request(wire.request("POST", body))
            assert.is_nil(response)
            assert.equal("body", err.kind, tostring(err))
            assert.equal("write", err.phase)
            assert.matches(pattern, tostring(err))
            assert.equal("http://test.example/path", err.url)
            assert.is_false(err.safe_to_retry)
            m:advance(1)
            local text, ended = unchunk(body_of(peer:received()))
            assert.is_false(ended)
            if check then
                check(err, text)
            end
        end)
        assert.equal("body_error", log.reason)
    end

    it("because its function gives up", function()
        local given = false
        broken(function()
            if given then
                return nil, "out of paper"
            end
            given = true
            return "begun"
        end, "out of paper", function(err, text)
            assert.equal("out of paper", err.cause)
            assert.equal("begun", text)
        end)
    end)

    it("because its function raises", function()
        broken(function()
            sleep(1)
            error "oops"
        end, "oops", function(err)
            assert.matches("stack traceback", err.cause)
            assert.matches("connection_body_spec", err.cause)
        end)
    end)

    it("because a chunk is no string", function()
        broken(function()
            return 5
        end, "gave a number, not a string")
    end)

    it("because it is shorter than was said", function()
        broken(bodies.generator(counting(1).call, { length = 10 }), "before its declared length")
    end)

    it("because it is longer than was said", function()
        broken(bodies.generator(counting(3).call, { length = 12 }), "longer than its declared")
    end)

    it("because the response it is taken from breaks off", function()
        local script = { ASKED, { send = OK:sub(1, -3) }, { delay = 1 }, { eof = true } }
        wire.over(script, function(source)
            local response = assert(source:request(wire.request()))
            wire.over({}, function(sink, _, m)
                local _, err = sink:request(wire.request("PUT", response))
                assert.equal("body", err.kind)
                assert.equal("closed", err.cause.kind)
                m:advance(1)
            end)
        end)
    end)

    it("is told by the reader once the head has come", function()
        local state = counting(3, "x", 1)
        local given_up = false
        wire.over({ { expect = "1\r\nx" }, { send = OK:sub(1, -2) } }, function(connection)
            local response = assert(connection:request(wire.request("POST", function()
                if state.calls == 2 then
                    given_up = true
                    return nil, "enough"
                end
                return state.call()
            end)))
            assert.is_false(response.upload_complete)
            assert.equal("hell", response:read())
            local text, err = response:read()
            assert.is_true(given_up)
            assert.is_nil(text)
            assert.equal("body", err.kind)
            assert.is_false(response.upload_complete)
        end)
    end)
end)

describe("a peer that takes its time", function()
    it("is waited for while a string is sent in parts", function()
        local long = ("x"):rep(300)
        wire.over({ { limit = 7 }, { expect = long }, { send = OK } }, function(connection, peer)
            local response = assert(connection:request(wire.request("POST", long)))
            assert.equal("hello", response:text())
            assert.is_true(response.upload_complete)
            assert.equal(long, body_of(peer:received()))
        end)
    end)

    it("may answer before the string is out", function()
        local long = ("x"):rep(1000)
        local log = wire.over({ { limit = 100 }, { expect = "xx" }, { send = OK } },
            function(connection, peer, m)
                local response = assert(connection:request(wire.request("POST", long)))
                assert.is_false(response.upload_complete)
                assert.equal("hello", response:text())
                m:advance(1)
                assert.is_true(response.upload_complete)
                assert.is_true(connection:is_idle())
                assert.equal(long, body_of(peer:received()))
            end)
        assert.equal(1, log.idle)
    end)

    it("takes nothing for 30 seconds, or what one says: a timeout of the write", function()
        for _, seconds in ipairs { 30, 4 } do
            wire.over({ { block = true } }, function(connection, _, m)
                local before = m:now()
                local response, err = connection:request(wire.request("POST", "x"),
                    { idle_timeout = seconds ~= 30 and seconds or nil })
                assert.is_nil(response)
                assert.equal("timeout", err.kind)
                assert.equal("write", err.phase)
                assert.matches(seconds .. " s", tostring(err))
                assert.equal(seconds, m:now() - before)
                m:advance(0)
            end)
        end
    end)

    it("and takes a little now and then is no timeout", function()
        wire.over({ { block = true } }, function(connection, peer)
            local is_free = false
            peer:on_data(function()
                peer:block_writes(not is_free)
            end)
            for turn = 1, 6 do
                peer:after(20 * turn, function()
                    is_free = turn == 6
                    peer:limit_writes(not is_free and 50 or nil)
                    peer:block_writes(false)
                    sleep(1)
                    peer:send(is_free and OK or "")
                end)
            end
            local response = assert(connection:request(wire.request("POST", ("x"):rep(400))))
            assert.equal("hello", response:text())
        end)
    end)

    it("past the deadline: a timeout of the whole", function()
        wire.over({ { block = true } }, function(connection, _, m)
            local before = m:now()
            local _, err = connection:request(wire.request("POST", "x"), { deadline = before + 3 })
            assert.equal("timeout", err.kind)
            assert.equal(3, m:now() - before)
            m:advance(0)
        end)
    end)

    it("has its head awaited from the upload's end only", function()
        wire.over({}, function(connection, _, m)
            local before = m:now()
            local _, err = connection:request(wire.request("POST", counting(3, "x", 50).call))
            assert.equal("timeout", err.kind)
            assert.equal("headers", err.phase)
            assert.equal(200 + 60, m:now() - before)
        end)
    end)

    it("past the deadline while the function sleeps stops the function", function()
        local codes = {}
        wire.over({}, function(connection, _, m)
            local before = m:now()
            local _, err = connection:request(wire.request("POST", function()
                codes[#codes + 1] = sleep(1000)
            end), { deadline = before + 3 })
            assert.equal("timeout", err.kind)
            assert.equal(3, m:now() - before)
            m:advance(0)
            assert.equal(1, #codes)
        end)
    end)
end)

describe("an early response", function()
    local REFUSED = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"

    it("from 300 on stops the function, is delivered and ends the connection", function()
        local state = counting(1000, "chunk", 1)
        local log = wire.over({ { expect = "chunk" }, { expect = "chunk" }, { send = REFUSED } },
            function(connection, peer, m)
                local response = assert(connection:request(wire.request("POST", state.call)))
                assert.equal(413, response.status)
                assert.is_false(response.ok)
                assert.is_false(response.upload_complete)
                assert.equal("no", response:text())
                local calls = state.calls
                m:advance(100)
                assert.equal(calls, state.calls)
                local _, ended = unchunk(body_of(peer:received()))
                assert.is_false(ended)
                assert.is_false(response.upload_complete)
            end)
        assert.equal("early_response", log.reason)
        assert.equal(0, log.idle)
    end)

    it("ends the wait that the function is in", function()
        local code
        wire.over({ { expect = "\r\n\r\n" }, { send = REFUSED } }, function(connection, _, m)
            local before = m:now()
            assert(connection:request(wire.request("POST", function()
                code = sleep(1000)
                return nil, "cancelled"
            end)))
            m:advance(0)
            assert.equal(before, m:now())
            assert.is_true(code < 0)
        end)
    end)

    it("of 200 lets the upload go on", function()
        local state = counting(5, "chunk", 1)
        wire.over({ { expect = "chunk" }, { send = OK } }, function(connection, peer, m)
            local response = assert(connection:request(wire.request("POST", state.call)))
            assert.is_false(response.upload_complete)
            assert.equal("hello", response:text())
            assert.equal("active", connection.state)
            m:advance(10)
            assert.is_true(response.upload_complete)
            assert.is_true(connection:is_idle())
            local text, ended = unchunk(body_of(peer:received()))
            assert.equal(("chunk"):rep(5), text)
            assert.is_true(ended)
        end)
    end)

    it("may be an echo of what is sent", function()
        local count = 200
        local piece = ("x"):rep(1000)
        wire.over({ { limit = 700 } }, function(connection, peer)
            local begun = false
            local seen, sent = "", 0
            peer:on_data(function(data)
                seen = seen .. data
                local head = seen:find("\r\n\r\n", 1, true)
                if not head then
                    return
                elseif not begun then
                    begun = true
                    peer:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    sent = head + 3
                end
                peer:send(seen:sub(sent + 1))
                sent = #seen
            end)
            local state = counting(count, piece)
            local response = assert(connection:request(wire.request("POST", state.call)))
            assert.is_true(response:text() == piece:rep(count))
            assert.is_true(response.upload_complete)
            assert.is_true(connection:is_idle())
        end)
    end)

    it("is read although the peer takes no more bytes", function()
        local state = counting(1000, "chunk", 1)
        local log = wire.over({ { expect = "chunk" } }, function(connection, peer, m)
            peer:after(2.5, function()
                peer:send(REFUSED)
                peer:close()
            end)
            local response = assert(connection:request(wire.request("POST", state.call)))
            assert.equal(413, response.status)
            assert.equal("no", response:text())
            assert.is_false(response.upload_complete)
            m:advance(10)
        end)
        assert.is_true(state.calls < 6)
        assert.equal("early_response", log.reason)
    end)

    it("that never comes after the peer is gone: the write's error, at once", function()
        for _, step in ipairs { "close", "reset" } do
            wire.over({}, function(connection, peer, m)
                peer:after(2.5, function()
                    peer[step](peer)
                end)
                local before = m:now()
                local response, err = connection:request(wire.request("POST",
                    counting(1000, "chunk", 1).call))
                assert.is_nil(response)
                assert.equal("closed", err.kind)
                assert.is_true(m:now() - before <= 4.5)
                m:advance(5)
            end)
        end
    end)

    it("is waited for a second when a string can't be sent", function()
        wire.over({ { expect = "zzz" } }, function(connection, peer)
            break_asking(connection.stream, 1000)
            peer:after(0.9, function()
                peer:send(REFUSED)
            end)
            local response = assert(connection:request(wire.request("POST", "x")))
            assert.equal(413, response.status)
            assert.is_true(connection:is_closed())
        end)
        wire.over({}, function(connection, _, m)
            break_asking(connection.stream, 0)
            local before = m:now()
            local _, err = connection:request(wire.request("POST", "x"))
            assert.equal("closed", err.kind)
            assert.equal("write", err.phase)
            assert.equal("EPIPE", err.code)
            assert.equal(1, m:now() - before)
        end)
    end)

    it("stops the function when its response is closed", function()
        local state = counting(1000, "chunk", 1)
        wire.over({ { expect = "chunk" }, { send = OK:sub(1, -2) } }, function(connection, _, m)
            local response = assert(connection:request(wire.request("POST", state.call)))
            response:close()
            assert.is_true(connection:is_closed())
            local calls = state.calls
            m:advance(100)
            assert.equal(calls, state.calls)
        end)
    end)
end)

describe("closing a connection", function()
    it("stops a body's function in its wait", function()
        local codes = {}
        wire.over({}, function(connection, peer, m)
            peer:after(1, function()
                connection:close()
            end)
            local _, err = connection:request(wire.request("POST", function()
                codes[#codes + 1] = sleep(1000)
                return "x"
            end))
            assert.equal("closed", err.kind)
            m:advance(0)
            assert.equal(1, #codes)
            assert.is_true(codes[1] < 0)
        end)
    end)

    it("may be done by the body's function itself", function()
        wire.over({}, function(connection, _, m)
            local _, err = connection:request(wire.request("POST", function()
                connection:close()
                return "x"
            end))
            assert.equal("closed", err.kind)
            m:advance(0)
        end)
    end)
end)
