-- The words in which the contract of the backends is written: specs that run as a thread, some with
-- a connected pair of streams.
local core = require "moonwire.core"

local LOOPBACK = { family = "ipv4", address = "127.0.0.1", port = 0 }

--- Makes the words for one backend.
---@param it function busted's
---@param run fun(f: fun(backend: moonwire.Backend))
---@param listen? fun(backend: moonwire.Backend): moonwire.Listener for one that can't by itself
---@return fun(sentence: string, f: fun(backend)) it_in_loop
---@return fun(sentence: string, f: fun(backend, client, server, listener)) it_with_pair
---@return fun(backend, fn: function, ...): fun(): ... start
---@return fun(backend: moonwire.Backend): moonwire.Listener listen
---@return fun(backend: moonwire.Backend) turn lets the others do what they can do now
return function(it, run, listen)
    listen = listen or function(backend)
        return assert(backend:listen(LOOPBACK))
    end

    local function it_in_loop(sentence, f)
        it(sentence, function()
            run(f)
        end)
    end

    -- Calls f(client, server) with a connected pair, both streams of the backend.
    local function with_pair(backend, f)
        local listener = listen(backend)
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

    local function turn(backend)
        backend:wait(backend:now() + 0.003)
    end

    return it_in_loop, it_with_pair, start, listen, turn
end
