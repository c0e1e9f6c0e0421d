-- What every backend must do, as specs: a function that is run for ev, mock and ngx.
local core = require "moonwire.core"
local kit = require "spec.support.contract_kit"
local streams = require "spec.support.contract_streams"
local watch = require "spec.support.contract_watch"

--- Describes the contract for one backend.
---@param name string
---@param run fun(f: fun(backend: moonwire.Backend)) runs f as a thread and checks what is left open
---@param listen? fun(backend: moonwire.Backend): moonwire.Listener for one that can't by itself
local function contract(name, run, listen)
    local it_in_loop, it_with_pair, start, turn
    it_in_loop, it_with_pair, start, listen, turn = kit(it, run, listen)

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
            turn(backend)
            assert.is_true(backend:wake(thread, 42))
            assert.is_false(backend:wake(thread, 43))
            assert.is_nil(code)
            turn(backend)
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
            turn(backend)
            thread.cancelled = true
            backend:wake(thread, core.ECANCELLED)
            turn(backend)
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
            local listener = listen(backend)
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
            local listener = listen(backend)
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
            local listener = listen(backend)
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

    setfenv(streams, getfenv(1)) -- busted gives its words to a spec file alone
    streams(name, run, listen)
    setfenv(watch, getfenv(1))
    watch(name, run, listen)

    describe("the backend " .. name .. ": fairness and generators", function()
        it_with_pair("lets others run beside a stream that is always ready",
            function(backend, client, server)
                local turns, stop = 0, false
                local writer = start(backend, function()
                    for _ = 1, 200 do
                        assert(client:write(("x"):rep(4096)))
                    end
                    client:close()
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
                client:close()
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
            local listener = listen(backend)
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
