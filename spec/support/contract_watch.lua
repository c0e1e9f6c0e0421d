-- The part of the backends' contract that is about idle streams: looks that never wait, and being
-- told when the other side stirs.
local kit = require "spec.support.contract_kit"

--- Describes how the idle streams of a backend behave.
---@param name string
---@param run fun(f: fun(backend: moonwire.Backend)) runs f as a thread and checks what is left open
---@param listen? fun(backend: moonwire.Backend): moonwire.Listener for one that can't by itself
return function(name, run, listen)
    local _, it_with_pair, start = kit(it, run, listen)

    -- Gives the other side's doings the time to arrive.
    local function pass(backend)
        for _ = 1, 3 do
            backend:wait(backend:now() + 0.003)
        end
    end

    describe("the backend " .. name .. ": an idle stream", function()
        it_with_pair("is looked at without a wait", function(backend, client, server)
            assert.equal("", client:read_now())
            server:write "hello"
            pass(backend)
            assert.equal("he", client:read_now(2))
            assert.equal("llo", client:read_now(100))
            assert.equal("", client:read_now())
            server:close()
            pass(backend)
            local data, err = client:read_now()
            assert.is_nil(data)
            assert.is_nil(err)
            client:close()
            data, err = client:read_now()
            assert.is_nil(data)
            assert.equal("closed", err.kind)
        end)

        it_with_pair("takes bytes back, for whoever reads next", function(_, client, server)
            server:write "world"
            client:unread "lo "
            client:unread "hel"
            assert.is_false(client:is_quiet())
            assert.equal("hello ", client:read_until " ")
            assert.equal("world", client:read_exactly(5))
            client:unread "x"
            assert.equal("x", client:read_now())
        end)

        it_with_pair("tells once that there is something to read", function(backend, client, server)
            local told = {}
            local function tell(what)
                told[#told + 1] = what
            end
            client:watch(tell, "bytes")
            pass(backend)
            assert.same({}, told)
            server:write "x"
            server:write "y"
            pass(backend)
            server:write "z"
            pass(backend)
            assert.same({ "bytes" }, told)
            client:watch(tell, "rest") -- there is something already
            pass(backend)
            assert.same({ "bytes", "rest" }, told)
            assert.equal("x", client:read_now(1))
        end)

        it_with_pair("tells the end", function(backend, client, server)
            local told = 0
            client:watch(function(stream)
                told = told + 1
                assert.is_nil((stream:read_now()))
            end, client)
            server:close()
            pass(backend)
            assert.equal(1, told)
        end)

        it_with_pair("can be watched again by whoever is told", function(backend, client, server)
            local got = {}
            local function take(stream)
                got[#got + 1] = stream:read_now()
                stream:watch(take, stream)
            end
            client:watch(take, client)
            for number = 1, 3 do
                server:write(tostring(number))
                pass(backend)
            end
            assert.same({ "1", "2", "3" }, got)
        end)

        it_with_pair("tells nothing to a reader, a writer or a closed stream",
            function(backend, client, server)
                local told = 0
                local function tell()
                    told = told + 1
                end
                client:watch(tell)
                local join = start(backend, function()
                    return client:read()
                end)
                pass(backend)
                server:write "for the reader"
                assert.equal("for the reader", join())
                client:watch(tell)
                client:write "out"
                server:write "in"
                pass(backend)
                assert.equal("in", client:read())
                client:watch(tell)
                client:close()
                server:close()
                pass(backend)
                assert.equal(0, told)
            end)

        it_with_pair("is one of many that stir at once", function(backend, client, _, listener)
            local pairs_of, told = {}, 0
            for i = 1, 20 do
                local ours = assert(backend:connect(listener:address()))
                pairs_of[i] = { ours, assert(listener:accept()) }
                ours:watch(function()
                    told = told + 1
                end)
            end
            client:watch(function()
                told = told + 100
            end)
            for i = 1, 20 do
                pairs_of[i][2]:close()
            end
            pass(backend)
            assert.equal(20, told)
            for i = 1, 20 do
                pairs_of[i][1]:close()
            end
        end)

        it_with_pair("may be told while another one fails", function(backend, client, server)
            local before, failed, told = backend.on_error, nil, 0
            backend.on_error = function(problem)
                failed = problem
            end
            client:watch(function()
                error "in the watcher"
            end)
            server:watch(function()
                told = told + 1
            end)
            server:shutdown()
            client:shutdown()
            pass(backend)
            backend.on_error = before
            assert.matches("in the watcher", failed)
            assert.equal(1, told)
        end)
    end)
end
