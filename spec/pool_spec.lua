local audited = require "spec.support.audited_pool"
local pool = require "moonwire.pool"

local A, B, C = "http://a:80", "http://b:80", "http://c:80"

local aborts, closes, dials = audited.aborts, audited.closes, audited.dials
local new, open, wakes = audited.new, audited.open, audited.wakes

-- A request for which a connection is dialed, as there was nothing idle.
local function request(p, origin, now, fresh)
    local slot, waiter = p:take(origin, now or 0, fresh)
    assert.is_nil(slot)
    return waiter
end

-- A request that waits: it has no place.
local function queue(p, origin, now, fresh)
    local waiter = request(p, origin, now, fresh)
    assert.is_falsy(waiter.dial)
    return waiter
end

describe("pool", function()
    it("has a connection dialed for when nothing is idle", function()
        local p = new()
        local waiter = request(p, A)
        assert.equal("opening", waiter.dial.state)
        local slot = waiter.dial
        p:opened(slot, "a1", 0)
        assert.equal("reserved", slot.state)
        assert.same({ waiter }, wakes(p))
        assert.equal(slot, p:claim(waiter, 0))
        assert.equal("active", slot.state)
        assert.equal(1, p:stats().active)
        assert.equal(0, p:stats().reused)
    end)

    it("hands out the freshest idle connection of an origin first", function()
        local p = new()
        local one, two = open(p, A, "a1"), open(p, A, "a2")
        p:give_back(one, 1)
        p:give_back(two, 2)
        assert.equal("a2", p:take(A, 3).connection)
        assert.equal("a1", p:take(A, 3).connection)
        assert.is_nil((p:take(A, 3)))
        assert.equal(2, p:stats().reused)
    end)

    it("never hands a connection to another origin", function()
        local p = new()
        p:give_back(open(p, A, "a1"), 1)
        assert.is_nil((p:take(B, 1)))
    end)

    it("closes what has been idle too long, at the next take", function()
        local p = new { idle_timeout = 5 }
        p:give_back(open(p, A, "a1"), 1)
        assert.is_nil((p:take(A, 6)))
        local connection, reason = p:next_close()
        assert.equal("a1 idle_timeout", connection .. " " .. reason)
    end)

    it("closes what has been idle too long without traffic, and says when to look again", function()
        local p = new { idle_timeout = 5 }
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
        local p = new { idle_timeout = 30 }
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
        local p = new { max_age = 10, max_requests = 2 }
        local old = open(p, A, "old", 0)
        p:give_back(old, 5)
        assert.is_nil((p:take(A, 10)))
        local connection, reason = p:next_close()
        assert.equal("old max_age", connection .. " " .. reason)
        local busy = open(p, B, "busy", 0)
        p:give_back(busy, 1)
        p:give_back(p:take(B, 1), 2)
        connection, reason = p:next_close()
        assert.equal("busy max_requests", connection .. " " .. reason)
    end)

    it("spreads max_age by a tenth to either side", function()
        for random, age in pairs { [0] = 9, [0.25] = 9.5, [0.999999999] = 11 } do
            local p = new({ max_age = 10 }, function() return random end)
            local slot = open(p, A, "a1")
            p:give_back(slot, 0)
            slot = assert(p:take(A, age - 0.01))
            p:give_back(slot, age - 0.01)
            assert.is_nil((p:take(A, age + 0.01)))
        end
        local least, most, p = math.huge, 0, pool.new { max_age = 100, max_per_origin = 100 }
        for i = 1, 100 do
            local retires = open(p, A, i).retires
            least, most = math.min(least, retires), math.max(most, retires)
            assert.is_true(retires >= 90 and retires <= 110)
        end
        assert.is_true(least < 91 and most > 109)
    end)

    it("keeps no more idle connections than the limits, and lets the oldest go", function()
        local p = new { idle_per_origin = 2, idle_total = 3 }
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
        local p = new { idle_total = 0 }
        p:give_back(open(p, A, "a1"), 1)
        assert.same({ "a1" }, closes(p))
        assert.equal(0, p:stats().total)
    end)

    it("makes room for another origin by closing the longest idle connection", function()
        local p = new { max_total = 2 }
        local one, two = open(p, A, "a1"), open(p, B, "b1")
        p:give_back(two, 1)
        p:give_back(one, 2)
        assert.is_truthy(request(p, C, 3).dial)
        local connection, reason = p:next_close()
        assert.equal("b1 pool_evict", connection .. " " .. reason)
    end)

    it("queues at the limit of an origin and serves in order of arrival", function()
        local p = new { max_per_origin = 1 }
        local slot = open(p, A, "a1")
        local first, second = queue(p, A, 1), queue(p, A, 2)
        assert.equal(2, p:stats().waiting)
        p:give_back(slot, 3)
        assert.same({ first }, wakes(p))
        assert.equal("reserved", slot.state)
        assert.equal(slot, p:claim(first, 3))
        assert.equal("active", slot.state)
        p:give_back(slot, 4)
        assert.same({ second }, wakes(p))
    end)

    it("lets nobody overtake a waiter between grant and claim", function()
        local p = new { max_per_origin = 1 }
        local slot = open(p, A, "a1")
        local first = queue(p, A, 1)
        p:give_back(slot, 2)
        queue(p, A, 2)
        assert.equal("a1", p:claim(first, 2).connection)
    end)

    it("gives the place of a closed connection to the oldest waiter that can use it", function()
        local p = new { max_total = 2, max_per_origin = 1 }
        local a, b = open(p, A, "a1"), open(p, B, "b1")
        local for_a, for_c = queue(p, A, 1), queue(p, C, 2)
        p:closed(b) -- origin A is full, so the younger waiter is the one that can use it
        assert.same({ for_c.dial }, dials(p))
        assert.is_falsy(for_a.dial)
        p:closed(a)
        assert.same({ for_a.dial }, dials(p))
    end)

    it("gives up a connection when a waiter of another origin is older than its own", function()
        local p = new { max_total = 1 }
        local slot = open(p, A, "a1")
        local for_b, for_a = queue(p, B, 1), queue(p, A, 2)
        p:give_back(slot, 3)
        assert.same({ "a1" }, closes(p))
        assert.same({ for_b.dial }, dials(p))
        p:closed(for_b.dial)
        assert.same({ for_b }, wakes(p))
        assert.same({ for_a.dial }, dials(p))
    end)

    it("forgets a waiter that gives up", function()
        local p = new { max_per_origin = 1 }
        local slot = open(p, A, "a1")
        local first, second = queue(p, A, 1), queue(p, A, 2)
        p:cancel(first, 3)
        p:cancel(first, 3)
        p:give_back(slot, 4)
        assert.same({ second }, wakes(p))
        assert.equal("cancelled", first.state)
    end)

    it("passes a grant on when its waiter gives up before taking it", function()
        local p = new { max_per_origin = 1 }
        local slot = open(p, A, "a1")
        local first, second = queue(p, A, 1), queue(p, A, 2)
        p:give_back(slot, 3)
        p:cancel(first, 3)
        assert.same({ second }, wakes(p))
        p:cancel(second, 3)
        assert.same({}, wakes(p))
        assert.equal("idle", slot.state)
    end)

    it("frees the place of an attempt to open that failed", function()
        local p = new { max_total = 1 }
        local first = request(p, A)
        local slot, second = first.dial, queue(p, B, 0)
        p:closed(slot)
        p:closed(slot)
        assert.same({ first }, wakes(p))
        assert.equal("failed", first.state)
        p:closed(second.dial)
        assert.equal(0, p:stats().total)
    end)

    it("replaces an unfit connection without losing the place", function()
        local p = new { max_per_origin = 2 }
        local one, two = open(p, A, "a1"), open(p, A, "a2")
        p:give_back(one, 1)
        p:give_back(two, 1)
        local slot = p:take(A, 2)
        assert.equal("a2", slot.connection)
        slot = p:replace(slot, 2)
        assert.equal("a1", slot.connection)
        assert.equal("closed", two.state)
        local none, waiter = p:replace(slot, 2)
        assert.is_nil(none)
        assert.equal(slot, waiter.dial)
        assert.equal("opening", slot.state)
        assert.is_true(slot.direct)
        assert.equal(1, p:stats().total)
    end)

    it("lets who had a place before go first when its connection was unfit", function()
        local p = new { max_per_origin = 3 }
        local one, two = open(p, A, "a1"), open(p, A, "a2")
        local younger = request(p, A, 1)
        local _, older = p:replace(one, 2)
        p:give_back(two, 3)
        assert.equal("granted waiting", older.state .. " " .. younger.state)
    end)

    it("dials for who wants a fresh connection, even at the limit", function()
        local p = new { max_per_origin = 1 }
        p:give_back(open(p, A, "a1"), 1)
        assert.equal("opening", request(p, A, 2, true).dial.state)
        assert.same({ "a1" }, closes(p))
    end)

    it("gives nothing that was used to who wants a fresh connection", function()
        local p = new { max_per_origin = 2 }
        local one, two = open(p, A, "a1"), open(p, A, "a2")
        local waiter = queue(p, A, 1, true)
        p:give_back(one, 2)
        assert.same({ "a1" }, closes(p))
        assert.same({ waiter.dial }, dials(p))
        p:give_back(two, 3)
        assert.equal("waiting", waiter.state)
        assert.equal("idle", two.state)
    end)

    it("leaves a waiter its place when the connection kept for it closes", function()
        local p = new { max_per_origin = 1 }
        local slot = open(p, A, "a1")
        local waiter = queue(p, A, 1)
        p:give_back(slot, 2)
        p:closed(slot)
        assert.equal("waiting", waiter.state)
        assert.same({ slot }, dials(p))
        assert.same({}, wakes(p))
        p:opened(slot, "a2", 3)
        assert.same({ waiter }, wakes(p))
        assert.equal("a2", p:claim(waiter, 3).connection)
    end)

    it("ends: idle connections go, waiters wake, used ones go when they come back", function()
        local p = new { max_per_origin = 2 }
        local one, two = open(p, A, "a1"), open(p, A, "a2")
        local waiter, dialing = queue(p, A, 1), request(p, C, 1)
        local idle, dial = open(p, B, "b1"), dialing.dial
        p:give_back(idle, 1)
        p:close()
        assert.same({ "b1" }, closes(p))
        assert.same({ waiter, dialing }, wakes(p))
        assert.same({ dial }, aborts(p))
        assert.equal("closed closed", waiter.state .. " " .. dialing.state)
        p:give_back(one, 2)
        assert.same({ "a1" }, closes(p))
        p:closed(two)
        assert.equal(0, p:stats().total)
        assert.has_error(function() p:take(A, 3) end)
    end)

    it("ends, and wakes its waiters in the order in which they came", function()
        local p, expected = new { max_total = 1 }, {}
        open(p, A, "a1")
        for i = 1, 40 do
            expected[i] = queue(p, "http://h" .. i % 7 .. ":80", 1)
        end
        p:close()
        assert.same(expected, wakes(p))
    end)

    it("drains: who waits is served, and nothing becomes idle any more", function()
        local p = new { max_per_origin = 2 }
        local one, two = open(p, A, "a1"), open(p, A, "a2")
        local waiter, idle = queue(p, A, 1), open(p, B, "b1")
        p:give_back(idle, 1)
        p:drain()
        assert.same({ "b1" }, closes(p))
        p:give_back(one, 2)
        p:give_back(p:claim(waiter, 2), 3)
        assert.same({ "a1" }, closes(p))
        p:give_back(two, 3)
        assert.equal(0, p:stats().total)
    end)

    it("refuses unknown limits, bad values and impossible moves", function()
        assert.has_error(function() pool.new { max_totl = 1 } end, "unknown pool limit 'max_totl'")
        assert.has_error(function() pool.new { max_total = "1" } end)
        assert.has_error(function() pool.new { max_age = 0 / 0 } end)
        assert.has_error(function() pool.new { max_per_origin = 0 } end)
        local p = new()
        local slot = open(p, A, "a1")
        p:give_back(slot, 1)
        assert.has_error(function() p:give_back(slot, 1) end)
        assert.has_error(function() p:opened(slot, "x", 1) end)
    end)

    it("forgets origins that it has nothing of", function()
        local p, inner = new()
        for i = 1, 100 do
            p:closed(open(p, "http://host" .. i .. ":80", i))
        end
        assert.is_nil(next(inner.origins))
    end)
end)
