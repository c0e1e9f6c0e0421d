local audit = require "moonwire.pool.audit"
local model = require "spec.support.pool_model"
local pool = require "moonwire.pool"

local A, B, C = "http://a:80", "http://b:80", "http://c:80"

-- A pool whose promises are checked after every call.
local function audited(limits)
    local inner = pool.new(limits)
    local calls = {
        take = true, claim = true, cancel = true, opened = true, replace = true, give_back = true,
        closed = true, expire = true, close_idle = true, close = true,
    }
    return setmetatable({}, { __index = function(_, name)
        local method = inner[name]
        if not calls[name] then
            return type(method) == "function" and function(_, ...)
                return method(inner, ...)
            end or method
        end
        return function(_, ...)
            local a, b = method(inner, ...)
            audit(inner)
            return a, b
        end
    end }), inner
end

local function open(p, origin, connection, now)
    local slot = assert(p:take(origin, now or 0))
    assert.equal("opening", slot.state)
    p:opened(slot, connection, now or 0)
    return slot
end

local function closes(p)
    local all = {}
    for connection in function() return p:next_close() end do
        all[#all + 1] = connection
    end
    return all
end

local function wakes(p)
    local all = {}
    for waiter in function() return p:next_wake() end do
        all[#all + 1] = waiter
    end
    return all
end

describe("pool", function()
    it("lets the caller open when nothing is idle", function()
        local p = audited()
        local slot = p:take(A, 0)
        assert.equal("opening", slot.state)
        p:opened(slot, "a1", 0)
        assert.equal("active", slot.state)
        assert.equal(1, p:stats().active)
    end)

    it("hands out the freshest idle connection of an origin first", function()
        local p = audited()
        local one, two = open(p, A, "a1"), open(p, A, "a2")
        p:give_back(one, 1)
        p:give_back(two, 2)
        assert.equal("a2", p:take(A, 3).connection)
        assert.equal("a1", p:take(A, 3).connection)
        assert.equal("opening", p:take(A, 3).state)
        assert.equal(2, p:stats().reused)
    end)

    it("never hands a connection to another origin", function()
        local p = audited()
        p:give_back(open(p, A, "a1"), 1)
        assert.equal("opening", p:take(B, 1).state)
    end)

    it("closes what has been idle too long, at the next take", function()
        local p = audited { idle_timeout = 5 }
        p:give_back(open(p, A, "a1"), 1)
        assert.equal("opening", p:take(A, 6).state)
        assert.same({ "a1" }, closes(p))
    end)

    it("closes what has been idle too long without traffic, and says when to look again", function()
        local p = audited { idle_timeout = 5 }
        local one, two = open(p, A, "a1"), open(p, B, "b1")
        p:give_back(one, 1)
        p:give_back(two, 3)
        assert.equal(6, p:expire(5.9))
        assert.equal(8, p:expire(6))
        assert.same({ "a1" }, closes(p))
        assert.is_nil(p:expire(8))
        assert.same({ "b1" }, closes(p))
        assert.equal(0, p:stats().total)
    end)

    it("keeps a connection as long as its peer said, and not at all when it said so", function()
        local p = audited { idle_timeout = 30 }
        local one, two, three = open(p, A, "a1"), open(p, A, "a2"), open(p, A, "a3")
        p:give_back(one, 0, 4)
        p:give_back(two, 0, 74)
        p:give_back(three, 0, 0)
        assert.same({ "a3" }, closes(p))
        assert.equal(4, p:expire(0))
        assert.equal(74, p:expire(30))
        assert.same({ "a1" }, closes(p))
        assert.equal("a2", p:take(A, 73).connection)
    end)

    it("does not reuse a connection beyond max_age or max_requests", function()
        local p = audited { max_age = 10, max_requests = 2 }
        local old = open(p, A, "old", 0)
        p:give_back(old, 5)
        assert.equal("opening", p:take(A, 10).state)
        assert.same({ "old" }, closes(p))
        local busy = open(p, B, "busy", 0)
        p:give_back(busy, 1)
        p:give_back(p:take(B, 1), 2)
        assert.same({ "busy" }, closes(p))
    end)

    it("keeps no more idle connections than the limits, and lets the oldest go", function()
        local p = audited { idle_per_origin = 2, idle_total = 3 }
        local slots = {}
        for i = 1, 3 do
            slots[i] = open(p, A, "a" .. i)
        end
        local b1, b2 = open(p, B, "b1"), open(p, B, "b2")
        for i = 1, 3 do
            p:give_back(slots[i], i)
        end
        assert.same({ "a1" }, closes(p))
        p:give_back(b1, 4)
        assert.same({}, closes(p))
        p:give_back(b2, 5)
        assert.same({ "a2" }, closes(p))
        assert.equal(3, p:stats().idle)
    end)

    it("keeps nothing when idle_total is 0", function()
        local p = audited { idle_total = 0 }
        p:give_back(open(p, A, "a1"), 1)
        assert.same({ "a1" }, closes(p))
        assert.equal(0, p:stats().total)
    end)

    it("makes room for another origin by closing the longest idle connection", function()
        local p = audited { max_total = 2 }
        local one, two = open(p, A, "a1"), open(p, B, "b1")
        p:give_back(two, 1)
        p:give_back(one, 2)
        assert.equal("opening", p:take(C, 3).state)
        assert.same({ "b1" }, closes(p))
    end)

    it("queues at the limit of an origin and serves in order of arrival", function()
        local p = audited { max_per_origin = 1 }
        local slot = open(p, A, "a1")
        local _, first = p:take(A, 1)
        local _, second = p:take(A, 2)
        assert.equal(2, p:stats().waiting)
        p:give_back(slot, 3)
        assert.same({ first }, wakes(p))
        assert.equal("reserved", slot.state)
        assert.equal(slot, p:claim(first))
        assert.equal("active", slot.state)
        p:give_back(slot, 4)
        assert.same({ second }, wakes(p))
    end)

    it("lets nobody overtake a waiter between grant and claim", function()
        local p = audited { max_per_origin = 1 }
        local slot = open(p, A, "a1")
        local _, first = p:take(A, 1)
        p:give_back(slot, 2)
        assert.is_nil((p:take(A, 2)))
        assert.equal("a1", p:claim(first).connection)
    end)

    it("gives the place of a closed connection to the oldest waiter that can use it", function()
        local p = audited { max_total = 2, max_per_origin = 1 }
        local a, b = open(p, A, "a1"), open(p, B, "b1")
        local _, for_a = p:take(A, 1)
        local _, for_c = p:take(C, 2)
        p:closed(b) -- origin A is full, so the younger waiter is the one that can use it
        assert.same({ for_c }, wakes(p))
        assert.equal("opening", p:claim(for_c).state)
        p:closed(a)
        assert.same({ for_a }, wakes(p))
    end)

    it("gives up a connection when a waiter of another origin is older than its own", function()
        local p = audited { max_total = 1 }
        local slot = open(p, A, "a1")
        local _, for_b = p:take(B, 1)
        local _, for_a = p:take(A, 2)
        p:give_back(slot, 3)
        assert.same({ "a1" }, closes(p))
        assert.same({ for_b }, wakes(p))
        p:closed(p:claim(for_b))
        assert.same({ for_a }, wakes(p))
    end)

    it("forgets a waiter that gives up", function()
        local p = audited { max_per_origin = 1 }
        local slot = open(p, A, "a1")
        local _, first = p:take(A, 1)
        local _, second = p:take(A, 2)
        p:cancel(first, 3)
        p:cancel(first, 3)
        p:give_back(slot, 4)
        assert.same({ second }, wakes(p))
        assert.equal("cancelled", first.state)
    end)

    it("passes a grant on when its waiter gives up before taking it", function()
        local p = audited { max_per_origin = 1 }
        local slot = open(p, A, "a1")
        local _, first = p:take(A, 1)
        local _, second = p:take(A, 2)
        p:give_back(slot, 3)
        p:cancel(first, 3)
        assert.same({ second }, wakes(p))
        p:cancel(second, 3)
        assert.same({}, wakes(p))
        assert.equal("idle", slot.state)

        local q = audited { max_per_origin = 1 }
        local other = open(q, A, "a1")
        local _, waiter = q:take(A, 1)
        q:closed(other)
        q:cancel(waiter, 1)
        assert.equal(0, q:stats().total)
    end)

    it("frees the place of an attempt to open that failed", function()
        local p = audited { max_total = 1 }
        local slot = p:take(A, 0)
        local _, waiter = p:take(B, 0)
        p:closed(slot)
        p:closed(slot)
        assert.same({ waiter }, wakes(p))
        p:closed(p:claim(waiter))
        assert.equal(0, p:stats().total)
    end)

    it("replaces an unfit connection without losing the place", function()
        local p = audited { max_per_origin = 2 }
        local one, two = open(p, A, "a1"), open(p, A, "a2")
        p:give_back(one, 1)
        p:give_back(two, 1)
        local slot = p:take(A, 2)
        assert.equal("a2", slot.connection)
        slot = p:replace(slot, 2)
        assert.equal("a1", slot.connection)
        assert.equal("closed", two.state)
        local again = p:replace(slot, 2)
        assert.equal(slot, again)
        assert.equal("opening", again.state)
        assert.equal(1, p:stats().total)
    end)

    it("opens a new connection for who wants a fresh one, even at the limit", function()
        local p = audited { max_per_origin = 1 }
        p:give_back(open(p, A, "a1"), 1)
        local slot = p:take(A, 2, true)
        assert.equal("opening", slot.state)
        assert.same({ "a1" }, closes(p))
    end)

    it("leaves a waiter its place when the connection kept for it closes", function()
        local p = audited { max_per_origin = 1 }
        local slot = open(p, A, "a1")
        local _, waiter = p:take(A, 1)
        p:give_back(slot, 2)
        p:closed(slot)
        assert.equal("opening", p:claim(waiter).state)
    end)

    it("ends: idle connections go, waiters wake, used ones go when they come back", function()
        local p = audited { max_per_origin = 2 }
        local one, two = open(p, A, "a1"), open(p, A, "a2")
        local _, waiter = p:take(A, 1)
        local idle = open(p, B, "b1")
        p:give_back(idle, 1)
        p:close()
        assert.same({ "b1" }, closes(p))
        assert.same({ waiter }, wakes(p))
        assert.equal("closed", waiter.state)
        p:give_back(one, 2)
        assert.same({ "a1" }, closes(p))
        p:closed(two)
        assert.equal(0, p:stats().total)
        assert.has_error(function() p:take(A, 3) end)
    end)

    it("ends, and wakes its waiters in the order in which they came", function()
        local p, expected = audited { max_total = 1 }, {}
        open(p, A, "a1")
        for i = 1, 40 do
            expected[i] = select(2, p:take("http://h" .. i % 7 .. ":80", 1))
        end
        p:close()
        assert.same(expected, wakes(p))
    end)

    it("refuses unknown limits, bad values and impossible moves", function()
        assert.has_error(function() pool.new { max_totl = 1 } end, "unknown pool limit 'max_totl'")
        assert.has_error(function() pool.new { max_total = "1" } end)
        assert.has_error(function() pool.new { max_age = 0 / 0 } end)
        assert.has_error(function() pool.new { max_per_origin = 0 } end)
        local p = audited()
        local slot = open(p, A, "a1")
        p:give_back(slot, 1)
        assert.has_error(function() p:give_back(slot, 1) end)
        assert.has_error(function() p:opened(slot, "x", 1) end)
    end)

    it("forgets origins that it has nothing of", function()
        local p, inner = audited()
        for i = 1, 100 do
            p:closed(open(p, "http://host" .. i .. ":80", i))
        end
        assert.is_nil(next(inner.origins))
    end)

    -- Random calls on the pool and on a naive model of it, which must agree on every answer.
    local function compare(seed, limits, steps)
        math.randomseed(seed)
        local p = audited(limits)
        local m = model.new(p.limits)
        local held, waiting, now, connections = {}, {}, 0, 0

        local function events()
            local all, expected = {}, m.events
            for _, connection in ipairs(closes(p)) do
                all[#all + 1] = "close " .. connection
            end
            for _, waiter in ipairs(wakes(p)) do
                all[#all + 1] = "wake " .. waiter.number .. " " .. waiter.slot.state
            end
            table.sort(all)
            table.sort(expected)
            assert.same(expected, all)
            m.events = {}
        end

        local function hold(real, ideal)
            assert.equal(ideal.state, real.state)
            assert.equal(ideal.connection, real.connection)
            held[#held + 1] = { real, ideal }
        end

        local function pull(from)
            if #from > 0 then
                return unpack(table.remove(from, math.random(#from)))
            end
        end

        local steps_of = {
            function()
                local origin, fresh = "o" .. math.random(4), math.random(8) == 1
                local real, real_waiter = p:take(origin, now, fresh)
                local ideal, ideal_waiter = m:take(origin, now, fresh)
                if ideal then
                    hold(assert(real), ideal)
                else
                    assert.equal(ideal_waiter.number, real_waiter.number)
                    waiting[#waiting + 1] = { real_waiter, ideal_waiter }
                end
            end,
            function() -- what is held goes one step further
                local real, ideal = pull(held)
                if not real then
                    return
                elseif real.state == "opening" and math.random(5) > 1 then
                    connections = connections + 1
                    p:opened(real, connections, now)
                    m:opened(ideal, connections, now)
                    hold(real, ideal)
                elseif real.state == "active" and math.random(6) > 1 then
                    local lifetime = ({ nil, 3, 7, 0 })[math.random(6)]
                    p:give_back(real, now, lifetime)
                    m:give_back(ideal, now, lifetime)
                elseif real.state == "active" and math.random(2) == 1 then
                    local fresh = math.random(2) == 1
                    hold(p:replace(real, now, fresh), m:replace(ideal, now, fresh))
                else
                    p:closed(real)
                    m:closed(ideal)
                end
            end,
            function() -- a waiter claims or gives up
                local real, ideal = pull(waiting)
                if not real then
                    return
                end
                assert.equal(ideal.state, real.state)
                if real.state == "granted" and math.random(4) > 1 then
                    hold(p:claim(real), m:claim(ideal))
                elseif real.state == "granted" and real.slot.state == "reserved" then
                    p:closed(real.slot)
                    m:closed(ideal.slot)
                    waiting[#waiting + 1] = { real, ideal }
                elseif real.state == "granted" or math.random(3) == 1 then
                    p:cancel(real, now)
                    m:cancel(ideal, now)
                else
                    waiting[#waiting + 1] = { real, ideal }
                end
            end,
            function()
                now = now + math.random()
                p:expire(now)
                m:expire(now)
            end,
        }
        for _ = 1, steps do
            local dice = math.random(10)
            steps_of[dice <= 4 and 1 or dice <= 7 and 2 or dice <= 9 and 3 or 4]()
            events()
        end
        assert.equal(#m.slots, p:stats().total)
        assert.equal(#m.waiters, p:stats().waiting)
    end

    local shapes = {
        { max_total = 4, max_per_origin = 2, idle_total = 3, idle_per_origin = 2,
            idle_timeout = 4 },
        { max_total = 3, max_per_origin = 3, idle_timeout = 2, max_age = 6 },
        { max_total = 8, max_per_origin = 3, idle_total = 2, idle_per_origin = 1,
            max_requests = 3 },
        { max_total = 1, max_per_origin = 1, idle_timeout = 1 },
    }
    for index, limits in ipairs(shapes) do
        for seed = 1, 5 do
            it(("agrees with a naive model (limits %d, seed %d)"):format(index, seed), function()
                compare(seed * 100 + index, limits, 1500)
            end)
        end
    end

    it("costs the same with ten thousand connections as with one", function()
        local function clock(count)
            local p = pool.new { max_total = 20000, max_per_origin = 20000, idle_total = 20000,
                idle_per_origin = 20000 }
            for i = 1, count do
                p:opened(p:take(A, 0), i, 0)
            end
            local slot = p:take(A, 0)
            p:opened(slot, "x", 0)
            p:give_back(slot, 0)
            local start = os.clock()
            for i = 1, 100000 do
                p:give_back(p:take(A, 1), i % 7)
            end
            return os.clock() - start
        end
        clock(1) -- warms the compiler up
        local few, many = clock(1), clock(10000)
        assert.is_true(many < few * 5 + 0.02, ("%.3f s against %.3f s"):format(many, few))
    end)
end)
