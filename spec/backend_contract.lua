-- What every backend must do, as specs: a function that is run for ev and for mock.
local core = require "moonwire.core"

local LOOPBACK = { family = "ipv4", address = "127.0.0.1", port = 0 }

-- A stand-in for the codec: what stream:fill and stream:flush need of one.
local function codec(out)
    local self = { got = {}, out = out or "", ended = false }
    function self:feed(data)
        self.got[#self.got + 1] = data
    end
    function self:feed_eof()
        self.ended = true
    end
    function self:has_output()
        return self.out ~= ""
    end
    function self:output(max)
        return self.out:sub(1, max)
    end
    function self:output_sent(n)
        self.out = self.out:sub(n + 1)
    end
    return self
end

--- Describes the contract for one backend.
---@param name string
---@param run fun(f: fun(backend: moonwire.Backend)) runs f as a thread and checks what is left open
local function contract(name, run)
    local function it_in_loop(sentence, f)
        it(sentence, function()
            run(f)
        end)
    end

    -- Calls f(client, server) with a connected pair, both streams of the backend.
    local function with_pair(backend, f)
        local listener = assert(backend:listen(LOOPBACK))
        local client = assert(backend:connect(listener:address()))
        local server = assert(listener:accept())
        f(client, server, listener)
        client:close()
        server:close()
        listener:close()
    end

    local function it_with_pair(sentence, f)
        it(sentence, function()
            run(function(backend)
                with_pair(backend, function(client, server, listener)
                    f(backend, client, server, listener)
                end)
            end)
        end)
    end

    -- Starts a thread and gives a function that waits for its results.
    local function start(backend, fn, ...)
        local results, waiting
        backend:start(function(...)
            results = { fn(...) }
            if waiting then
                backend:wake(waiting, 0)
            end
        end, ...)
        return function()
            waiting = core.state.current
            while not results do
                backend:wait(math.huge)
            end
            return unpack(results, 1, 3)
        end
    end

    describe("the backend " .. name .. ": time", function()
        it_in_loop("has a clock that goes forward with a wait", function(backend)
            local before = backend:now()
            assert.equal(core.ETIMEOUT, backend:wait(before + 0.03))
            local passed = backend:now() - before
            assert.is_true(passed >= 0.0299 and passed < 1, tostring(passed))
        end)

        it_in_loop("gives a wait whose deadline has passed one turn of the loop", function(backend)
            local others = 0
            local join = start(backend, function()
                others = others + 1
            end)
            assert.equal(core.ETIMEOUT, backend:wait(backend:now() - 5))
            assert.equal(1, others)
            join()
        end)

        it_in_loop("ends waits in the order of their deadlines", function(backend)
            local order, joins = {}, {}
            for _, delay in ipairs { 0.03, 0.01, 0.02 } do
                joins[#joins + 1] = start(backend, function()
                    backend:wait(backend:now() + delay)
                    order[#order + 1] = delay
                end)
            end
            for _, join in ipairs(joins) do
                join()
            end
            assert.same({ 0.01, 0.02, 0.03 }, order)
        end)
    end)

    describe("the backend " .. name .. ": threads", function()
        it_in_loop("starts a thread at the next turn, with its arguments", function(backend)
            local got
            local join = start(backend, function(...)
                got = { n = select("#", ...), ... }
            end, 1, nil, "x")
            assert.is_nil(got)
            join()
            assert.equal(3, got.n)
            assert.equal("x", got[3])
        end)

        it_in_loop("wakes a waiting thread with the code, once", function(backend)
            local code
            local thread = backend:start(function()
                code = backend:wait(math.huge)
            end)
            backend:wait(backend:now())
            assert.is_true(backend:wake(thread, 42))
            assert.is_false(backend:wake(thread, 43))
            assert.is_nil(code)
            backend:wait(backend:now())
            assert.equal(42, code)
            assert.is_false(backend:wake(thread, 44))
        end)

        it_in_loop("refuses every wait of a cancelled thread at once", function(backend)
            local codes = {}
            local thread = backend:start(function()
                for i = 1, 3 do
                    codes[i] = backend:wait(math.huge)
                end
            end)
            backend:wait(backend:now())
            thread.cancelled = true
            backend:wake(thread, core.ECANCELLED)
            backend:wait(backend:now())
            assert.same({ core.ECANCELLED, core.ECANCELLED, core.ECANCELLED }, codes)
        end)

        it_in_loop("clips waits to the thread's deadline", function(backend)
            local codes = {}
            local join
            join = start(backend, function()
                core.state.current.deadline = backend:now() + 0.02
                codes[1] = backend:wait(backend:now() + 0.005)
                codes[2] = backend:wait(math.huge)
                codes[3] = backend:wait(backend:now() + 5)
            end)
            join()
            assert.same({ core.ETIMEOUT, core.ECANCELLED, core.ECANCELLED }, codes)
        end)

        it_in_loop("gives an error that nobody joins to on_error, with its traceback",
            function(backend)
                local got
                local before = backend.on_error
                backend.on_error = function(value)
                    got = value
                end
                backend:start(function()
                    error("lost")
                end)
                backend:wait(backend:now() + 0.01)
                backend.on_error = before
                assert.matches("lost\nstack traceback:\n", got)
            end)

        it_in_loop("just calls the function of a run inside a thread", function(backend)
            assert.same({ 1, nil, 3 }, { backend:run(function(...)
                return ...
            end, 1, nil, 3) })
        end)
    end)

    describe("the backend " .. name .. ": connections", function()
        it_in_loop("refuses where nobody listens, with kind, phase and code", function(backend)
            local listener = assert(backend:listen(LOOPBACK))
            local address = listener:address()
            listener:close()
            local stream, err = backend:connect(address)
            assert.is_nil(stream)
            assert.equal("connect", err.kind)
            assert.equal("connect", err.phase)
            assert.equal("ECONNREFUSED", err.code)
            assert.is_true(err.errno > 0)
            assert.matches("127.0.0.1:" .. address.port, err.message, 1, true)
        end)

        it_with_pair("knows both addresses", function(_, client, server, listener)
            local address, port, family = client:peer()
            assert.equal("127.0.0.1", address)
            assert.equal(listener:address().port, port)
            assert.equal("ipv4", family)
            assert.same({ client:name() }, { server:peer() })
            assert.same({ client:peer() }, { server:name() })
        end)

        it_in_loop("gives accept a deadline, and wakes it at close", function(backend)
            local listener = assert(backend:listen(LOOPBACK))
            local stream, err = listener:accept(backend:now() + 0.01)
            assert.is_nil(stream)
            assert.equal("timeout", err.kind)
            local join = start(backend, function()
                return listener:accept()
            end)
            backend:wait(backend:now() + 0.01)
            assert.has_error(function()
                listener:accept()
            end)
            listener:close()
            listener:close()
            stream, err = join()
            assert.is_nil(stream)
            assert.equal("closed", err.kind)
            assert.is_true(listener:is_closed())
        end)

        it_in_loop("refuses to connect in a cancelled thread and leaves nothing", function(backend)
            local listener = assert(backend:listen(LOOPBACK))
            local stream, err
            local thread = backend:start(function()
                stream, err = backend:connect(listener:address())
            end)
            thread.cancelled = true
            backend:wait(backend:now() + 0.01)
            listener:close()
            if stream then -- the system may connect without any wait
                stream:close()
            else
                assert.equal("cancelled", err.kind)
            end
        end)

        it_in_loop("resolves localhost and numeric addresses", function(backend)
            local list = assert(backend:resolve("localhost", backend:now() + 5))
            local seen = {}
            for _, address in ipairs(list) do
                seen[address.address] = address.family
            end
            assert.equal("ipv4", seen["127.0.0.1"])
            list = assert(backend:resolve("192.0.2.7"))
            assert.same({ { family = "ipv4", address = "192.0.2.7" } }, list)
            list = assert(backend:resolve("::1"))
            assert.equal("ipv6", list[1].family)
        end)
    end)

    describe("the backend " .. name .. ": reading", function()
        it_with_pair("gives what is there, then nil at the end", function(_, client, server)
            assert.is_true(client:write("hello"))
            assert.equal("hello", server:read())
            client:shutdown()
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
                client:shutdown()
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
                client:shutdown()
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
                backend:wait(backend:now())
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
                client:shutdown()
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
                    for data in function() return stream:read() end do
                        total = total + #data
                    end
                    return total
                end
                local sent = start(backend, function()
                    assert(client:write(up))
                    client:shutdown()
                end)
                local answered = start(backend, function()
                    assert(server:write(down))
                    server:shutdown()
                end)
                local received = start(backend, drain, client)
                assert.equal(size, drain(server))
                assert.equal(size, (received()))
                sent()
                answered()
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

    describe("the backend " .. name .. ": fairness and generators", function()
        it_with_pair("lets others run beside a stream that is always ready",
            function(backend, client, server)
                local turns, stop = 0, false
                local writer = start(backend, function()
                    for _ = 1, 200 do
                        assert(client:write(("x"):rep(4096)))
                    end
                    client:shutdown()
                end)
                local other = start(backend, function()
                    while not stop do
                        turns = turns + 1
                        backend:wait(backend:now())
                    end
                end)
                repeat
                    local data = server:read(16)
                until not data
                stop = true
                writer()
                other()
                assert.is_true(turns > 3, tostring(turns))
            end)

        it_with_pair("waits inside a generator", function(backend, client, server)
            local lines = coroutine.wrap(function()
                for line in function() return server:read_until("\n") end do
                    coroutine.yield(line)
                end
            end)
            local join = start(backend, function()
                for byte in ("one\ntwo\n"):gmatch(".") do
                    client:write(byte)
                    backend:wait(backend:now())
                end
                client:shutdown()
            end)
            local got = {}
            for line in lines do
                got[#got + 1] = line
            end
            assert.same({ "one\n", "two\n" }, got)
            join()
        end)

        it_with_pair("refuses a wait below a C call and stays usable", function(_, client, server)
            assert.has_error(function()
                ("x"):gsub("x", function()
                    server:read()
                end)
            end)
            client:write("fine")
            assert.equal("fine", server:read())
        end)
    end)

    describe("the backend " .. name .. ": outside any task", function()
        it("runs the loop in place", function()
            run(function() end) -- the backend is made
            local backend = run(function(backend)
                return backend
            end)
            local before = backend:now()
            assert.equal(core.ETIMEOUT, backend:wait(before + 0.01))
            assert.is_true(backend:now() - before >= 0.0099)
            local listener = assert(backend:listen(LOOPBACK))
            local client = assert(backend:connect(listener:address()))
            local server = assert(listener:accept())
            assert.is_true(client:write("x"))
            assert.equal("x", server:read())
            client:close()
            assert.is_nil((server:read()))
            server:close()
            listener:close()
        end)

        it("raises again what a run's function raises, with its traceback", function()
            local ok, message = pcall(run, function()
                error("inside")
            end)
            assert.is_false(ok)
            assert.matches("inside\nstack traceback:\n", message)
        end)
    end)
end

return contract
