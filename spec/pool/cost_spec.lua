-- What calls of the pool cost, in steps of the interpreter: no clock is asked. A scan of slots,
-- waiters or origins would show at once.
local pool = require "moonwire.pool"

local SIZES = { 1, 100, 10000 }
local SLACK = 12 -- steps: the first and the last node of a list take other branches

-- How many instructions a call takes.
local function steps(f)
    local count = 0
    debug.sethook(function()
        count = count + 1
    end, "", 1)
    f()
    debug.sethook()
    return count
end

local function same_key()
    return "http://one.test:80"
end

local function own_key(i)
    return ("http://%d.test:80"):format(i)
end

local function new_pool(limits)
    local all = {
        max_total = 30000, max_per_origin = 30000, idle_total = 30000, idle_per_origin = 30000,
    }
    for name, value in pairs(limits or {}) do
        all[name] = value
    end
    return pool.new(all)
end

local function empty(p)
    for _, name in ipairs { "next_close", "next_wake", "next_dial", "next_abort" } do
        repeat
            local item = p[name](p)
        until not item
    end
end

-- So many "active" slots.
local function open(p, count, key_of)
    local slots = {}
    for i = 1, count do
        local _, waiter = p:take(key_of(i), 0)
        p:opened(waiter.dial, "connection " .. i, 0)
        slots[i] = p:claim(waiter, 0)
        empty(p)
    end
    return slots
end

local function idle(p, count, key_of)
    for _, slot in ipairs(open(p, count, key_of)) do
        p:give_back(slot, 0)
    end
end

-- So many requests that have no place.
local function queue(p, count, key_of)
    local waiters = {}
    for i = 1, count do
        local _, waiter = p:take(key_of(i), 0)
        assert.is_falsy(waiter.dial)
        waiters[i] = waiter
    end
    return waiters
end

-- Holds that measure(size) gives about the same for all sizes.
local function is_flat(measure)
    local least, most = math.huge, 0
    for _, size in ipairs(SIZES) do
        collectgarbage()
        collectgarbage "stop"
        local count = measure(size)
        collectgarbage "restart"
        assert.is_true(count > 5, count)
        least, most = math.min(least, count), math.max(most, count)
    end
    assert.is_true(most <= least + SLACK, ("from %d to %d steps"):format(least, most))
end

describe("the cost of the pool's calls is the same for 1 and 10,000", function()
    setup(function()
        jit.off() -- a compiled trace has no steps to count
        jit.flush()
    end)

    teardown(function()
        jit.on()
    end)

    for name, key_of in pairs { ["of one origin"] = same_key, ["of as many origins"] = own_key } do
        it("idle connections " .. name .. ": take and give back", function()
            is_flat(function(size)
                local p = new_pool()
                idle(p, size, key_of)
                local key = key_of(math.ceil(size / 2))
                return steps(function()
                    p:give_back(assert(p:take(key, 1)), 1)
                end)
            end)
        end)

        it("active connections " .. name .. ": take and give back", function()
            is_flat(function(size)
                local p = new_pool()
                local slots = open(p, size, key_of)
                p:give_back(slots[#slots], 0)
                return steps(function()
                    p:give_back(assert(p:take(slots[#slots].origin.key, 1)), 1)
                end)
            end)
        end)

        it("connections " .. name .. ": open one more, and close it", function()
            is_flat(function(size)
                local p = new_pool()
                idle(p, size, own_key)
                return steps(function()
                    local _, waiter = p:take("http://new.test:80", 1)
                    p:opened(waiter.dial, "new", 1)
                    p:closed(p:claim(waiter, 1))
                end)
            end)
        end)
    end

    it("idle connections: make room for another origin", function()
        is_flat(function(size)
            local p = new_pool { max_total = size }
            idle(p, size, own_key)
            return steps(function()
                p:take("http://new.test:80", 1)
                p:next_close()
            end)
        end)
    end)

    it("idle connections: look for those whose time is over", function()
        is_flat(function(size)
            local p = new_pool()
            idle(p, size, own_key)
            return steps(function()
                p:expire(1)
            end)
        end)
    end)

    it("waiters of an origin: give back, claim, queue up, give up", function()
        is_flat(function(size)
            local p = new_pool { max_per_origin = 1 }
            local slot = open(p, 1, same_key)[1]
            local waiters = queue(p, size + 2, same_key)
            return steps(function()
                p:give_back(slot, 1)
                p:claim(p:next_wake(), 1)
                p:cancel(waiters[math.ceil(size / 2) + 1], 1)
                p:take(same_key(), 1)
            end)
        end)
    end)

    it("waiters that are dialed for: give back, and open", function()
        is_flat(function(size)
            local p = new_pool()
            local slot, last = open(p, 1, same_key)[1], nil
            for _ = 1, size + 1 do
                last = select(2, p:take(same_key(), 0))
            end
            empty(p)
            return steps(function()
                p:give_back(slot, 1)
                p:claim(p:next_wake(), 1)
                p:opened(last.dial, "new", 1)
            end)
        end)
    end)

    it("waiters of as many origins: only the logarithm of their number is seen", function()
        local counts = {}
        for i, size in ipairs { 100, 10000 } do
            local p = new_pool { max_total = 1 }
            local slot = open(p, 1, same_key)[1]
            queue(p, size, own_key)
            counts[i] = steps(function()
                p:give_back(slot, 1)
            end)
        end
        assert.is_true(counts[2] < counts[1] * 2.5, counts[1] .. " and " .. counts[2])
    end)
end)
