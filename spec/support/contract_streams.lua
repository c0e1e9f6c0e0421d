-- The part of the backends' contract that is about streams: reading, writing, codecs.
local core = require "moonwire.core"
local kit = require "spec.support.contract_kit"

-- A stand-in for the codec: what stream:fill and stream:flush need of one.
local function codec(out)
    local h1 = { got = {}, out = out or "", ended = false }
    function h1:feed(data)
        self.got[#self.got + 1] = data
    end
    function h1:feed_eof()
        self.ended = true
    end
    function h1:has_output()
        return self.out ~= ""
    end
    function h1:output(max)
        return self.out:sub(1, max)
    end
    function h1:output_sent(n)
        self.out = self.out:sub(n + 1)
    end
    return h1
end

--- Describes how the streams of a backend behave.
---@param name string
---@param run fun(f: fun(backend: moonwire.Backend)) runs f as a thread and checks what is left open
---@param listen? fun(backend: moonwire.Backend): moonwire.Listener for one that can't by itself
return function(name, run, listen)
    local _, it_with_pair, start, _, turn = kit(it, run, listen)

    describe("the backend " .. name .. ": reading", function()
        it_with_pair("gives what is there, then nil at the end", function(_, client, server)
            assert.is_true(client:write("hello"))
            assert.equal("hello", server:read())
            client:close()
            local data, err = server:read()
            assert.is_nil(data)
            assert.is_nil(err)
            assert.is_nil((server:read()))
        end)

        it_with_pair("gives at most max bytes", function(_, client, server)
            client:write("hello")
            assert.equal("he", server:read(2))
            assert.equal("llo", server:read(100))
        end)

        it_with_pair("times out at the deadline and can go on", function(backend, client, server)
            local data, err = server:read(nil, backend:now() + 0.01)
            assert.is_nil(data)
            assert.equal("timeout", err.kind)
            assert.equal("body", err.phase)
            client:write("late")
            assert.equal("late", server:read())
        end)

        it_with_pair("reads exactly n bytes, over many pieces", function(backend, client, server)
            local join = start(backend, function()
                for piece in ("abcdefghij"):gmatch("..") do
                    client:write(piece)
                    backend:wait(backend:now() + 0.001)
                end
            end)
            assert.equal("abcdefg", server:read_exactly(7))
            assert.equal("", server:read_exactly(0))
            assert.equal("hij", server:read_exactly(3))
            join()
        end)

        it_with_pair("says closed with what had come when the end comes early",
            function(_, client, server)
                client:write("abc")
                client:close()
                local data, err = server:read_exactly(5)
                assert.is_nil(data)
                assert.equal("closed", err.kind)
                assert.equal("abc", err.partial)
            end)

        it_with_pair("loses nothing when read_exactly times out", function(backend, client, server)
            client:write("abc")
            local _, err = server:read_exactly(5, backend:now() + 0.01)
            assert.equal("timeout", err.kind)
            client:write("de")
            assert.equal("abcde", server:read_exactly(5))
        end)

        it_with_pair("reads up to a delimiter, cut at any place", function(backend, client, server)
            local join = start(backend, function()
                for byte in ("one\r\ntwo\r\n\r\nrest"):gmatch(".") do
                    client:write(byte)
                    backend:wait(backend:now())
                end
                client:close()
            end)
            assert.equal("one\r\n", server:read_until("\r\n"))
            assert.equal("two\r\n\r\n", server:read_until("\r\n\r\n"))
            local data, err = server:read_until("\n")
            assert.is_nil(data)
            assert.equal("closed", err.kind)
            assert.equal("rest", err.partial)
            data, err = server:read_until("\n")
            assert.is_nil(data)
            assert.is_nil(err)
            join()
        end)

        it_with_pair("gives up on a delimiter after max bytes", function(_, client, server)
            client:write(("x"):rep(40) .. "\n")
            local data, err = server:read_until("\n", 20)
            assert.is_nil(data)
            assert.equal("limit", err.kind)
            assert.equal(("x"):rep(40) .. "\n", server:read_until("\n", 41))
        end)

        it_with_pair("raises for a second reader, and the first goes on",
            function(backend, client, server)
                local join = start(backend, function()
                    return server:read()
                end)
                backend:wait(backend:now() + 0.005)
                assert.has_error(function()
                    server:read()
                end, "another task already reads from this stream")
                client:write("x")
                assert.equal("x", (join()))
            end)

        it_with_pair("wakes a reader with closed when the stream is closed here",
            function(backend, _, server)
                local join = start(backend, function()
                    return server:read()
                end)
                backend:wait(backend:now() + 0.005)
                server:close()
                server:close()
                local data, err = join()
                assert.is_nil(data)
                assert.equal("closed", err.kind)
                assert.is_true(server:is_closed())
                data, err = server:read()
                assert.is_nil(data)
                assert.equal("closed", err.kind)
                data, err = server:write("x")
                assert.is_nil(data)
                assert.equal("closed", err.kind)
            end)

        it_with_pair("wakes a cancelled reader and keeps the bytes for the next",
            function(backend, client, server)
                local data, err
                local thread = backend:start(function()
                    data, err = server:read()
                end)
                backend:wait(backend:now() + 0.005)
                thread.cancelled = true
                backend:wake(thread, core.ECANCELLED)
                turn(backend)
                assert.is_nil(data)
                assert.equal("cancelled", err.kind)
                client:write("kept")
                assert.equal("kept", server:read())
            end)

        it_with_pair("knows a quiet stream from one with bytes or an end",
            function(backend, client, server)
                assert.is_true(server:is_quiet())
                client:write("ab")
                backend:wait(backend:now() + 0.005)
                assert.is_false(server:is_quiet())
                server:read()
                assert.is_true(server:is_quiet())
                client:close()
                backend:wait(backend:now() + 0.005)
                assert.is_false(server:is_quiet())
            end)
    end)

    describe("the backend " .. name .. ": writing", function()
        it_with_pair("writes a table of strings as one", function(_, client, server)
            assert.is_true(client:write { "a", "", "bc" })
            assert.equal("abc", server:read_exactly(3))
            assert.is_true(client:write(""))
        end)

        it_with_pair("closes half: the other direction goes on", function(_, client, server)
            assert.is_true(client:shutdown())
            assert.is_nil((server:read()))
            assert.is_true(server:write("still here"))
            assert.equal("still here", client:read())
            local ok, err = client:write("x")
            assert.is_nil(ok)
            assert.equal("closed", err.kind)
            assert.equal("write", err.phase)
        end)

        it_with_pair("moves much both ways at once, with back-pressure",
            function(backend, client, server)
                local size = 3 * 1024 * 1024
                local up, down = ("u"):rep(size), ("d"):rep(size)
                local function drain(stream)
                    local total = 0
                    while total < size do
                        total = total + #assert(stream:read())
                    end
                    return total
                end
                local sent = start(backend, function()
                    return client:write(up)
                end)
                local answered = start(backend, function()
                    return server:write(down)
                end)
                local received = start(backend, drain, client)
                assert.equal(size, drain(server))
                assert.equal(size, (received()))
                assert.is_true((sent()))
                assert.is_true((answered()))
            end)

        it_with_pair("stops a write at its deadline when nobody reads",
            function(backend, client)
                local ok, err
                repeat
                    ok, err = client:write(("x"):rep(1024 * 1024), backend:now() + 0.02)
                until not ok
                assert.equal("timeout", err.kind)
                assert.equal("write", err.phase)
            end)

        it_with_pair("raises for a second writer in the middle of a write",
            function(backend, client, server)
                local join = start(backend, function()
                    return client:write(("x"):rep(8 * 1024 * 1024))
                end)
                backend:wait(backend:now() + 0.01)
                assert.has_error(function()
                    client:write("y")
                end, "another task already writes to this stream")
                server:close()
                local ok, err = join()
                assert.is_nil(ok)
                assert.equal("closed", err.kind)
            end)

        it_with_pair("fails to write once the peer is gone", function(backend, client, server)
            server:close()
            local ok, err
            for _ = 1, 100 do
                ok, err = client:write("x")
                if not ok then
                    break
                end
                backend:wait(backend:now() + 0.001)
            end
            assert.is_nil(ok)
            assert.equal("closed", err.kind)
        end)
    end)

    if name == "mock" then -- the real socket takes nothing but the real codec
        describe("the backend " .. name .. ": codecs", function()
            it_with_pair("fills and flushes", function(_, client, server)
                local out, into = codec(("z"):rep(100000)), codec()
                local join = start(client.backend, function()
                    return client:flush(out)
                end)
                local total = 0
                while total < 100000 do
                    total = total + assert(server:fill(into))
                end
                assert.is_true((join()))
                assert.equal(100000, #table.concat(into.got))
                client:shutdown()
                local n, err = server:fill(into)
                assert.is_nil(n)
                assert.is_nil(err)
                assert.is_true(into.ended)
            end)

            it_with_pair("flushes only what goes at once when asked to try", function(_, client)
                local out = codec(("z"):rep(100000))
                assert.is_false(client:try_flush(out))
                assert.is_true(#out.out > 0)
                assert.is_true(client:try_flush(codec("")))
            end)
        end)
    end
end
