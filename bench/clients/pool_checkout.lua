-- What a checkout costs the pool alone:  moonwire pool_checkout.lua TIMES
-- It takes an idle connection and gives it back, so often, with 1, 10, ... 10,000 idle ones: all of
-- one origin ("one"); of as many origins, with 50 of them asked in turn ("some"), or all of them
-- ("all"), which finds none of their memory in the CPU's caches once they are many. No sockets: a
-- connection is a word here. Prints lines like "one 10 200.0": nanoseconds a time.

local pools = require "moonwire.pool"

local times = tonumber(arg[1])

local function filled(count, key_of)
    local pool = pools.new {
        max_total = count, max_per_origin = count, idle_total = count, idle_per_origin = count,
        max_age = math.huge,
    }
    local slots = {}
    for i = 1, count do
        local _, waiter = pool:take(key_of(i), 0)
        pool:opened(waiter.dial, "connection " .. i, 0)
        slots[i] = pool:claim(waiter, 0)
    end
    for i = 1, count do
        pool:give_back(slots[i], 0)
    end
    return pool
end

-- `asked`: how many of the connections are asked for in turn.
local function nanoseconds(count, asked, key_of)
    local pool, keys = filled(count, key_of), {}
    for i = 1, count do
        keys[i] = key_of(i)
    end
    collectgarbage() -- what filling it has left behind is not the checkout's cost
    local at, started = 0, os.clock()
    for i = 1, times do
        at = at % asked + 1
        local slot = pool:take(keys[at], i * 1e-9)
        if not slot then
            error "an idle connection was not found"
        end
        pool:give_back(slot, i * 1e-9)
    end
    return (os.clock() - started) / times * 1e9
end

local function one()
    return "http://one.test:80"
end

local function each(i)
    return ("http://%d.test:80"):format(i)
end

for _, count in ipairs { 1, 10, 100, 1000, 10000 } do
    print(("one %d %.1f"):format(count, nanoseconds(count, 1, one)))
    print(("some %d %.1f"):format(count, nanoseconds(count, math.min(50, count), each)))
    print(("all %d %.1f"):format(count, nanoseconds(count, count, each)))
end
