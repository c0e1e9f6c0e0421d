-- Late binding: who waits takes the connection that is freed or the one that is new, whichever is
-- there first; and what becomes of the other.
local audited = require "spec.support.audited_pool"

local A, B = "http://a:80", "http://b:80"

local aborts, dials, new, open = audited.aborts, audited.dials, audited.new, audited.open

local function request(p, origin, now)
    local slot, waiter = p:take(origin, now or 0)
    assert.is_nil(slot)
    return waiter
end

describe("pool, late binding:", function()
    it("a request waits and is dialed for at once, where a connection is in use", function()
        local p = new()
        assert.is_true(request(p, A).dial.direct) -- nobody is there who could free one
        assert.same({}, dials(p))
        local waiter = request(p, A)
        assert.is_false(waiter.dial.direct)
        assert.same({ waiter.dial }, dials(p))
    end)

    it("the connection that is freed first wins, and the dial ends among the idle ones", function()
        local p = new()
        local used = open(p, A, "used")
        local waiter = request(p, A)
        local dial = waiter.dial
        dials(p)
        p:give_back(used, 1)
        assert.equal("granted", waiter.state)
        assert.equal("used", p:claim(waiter, 1).connection)
        assert.equal("opening", dial.state)
        p:opened(dial, "new", 2)
        assert.equal("idle", dial.state)
        assert.same({}, aborts(p))
    end)

    it("the new connection wins when it is there first", function()
        local p = new()
        local used = open(p, A, "used")
        local waiter = request(p, A)
        p:opened(waiter.dial, "new", 1)
        assert.equal("new", p:claim(waiter, 1).connection)
        p:give_back(used, 2)
        assert.equal("idle", used.state)
    end)

    it("the first of several dials serves who it was for, and a freed one the oldest", function()
        local p = new()
        local used = open(p, A, "used")
        local one, two, three = request(p, A), request(p, A), request(p, A)
        p:opened(two.dial, "new", 1)
        assert.equal("waiting granted waiting", one.state .. " " .. two.state .. " " .. three.state)
        p:give_back(used, 2)
        assert.equal("granted granted waiting", one.state .. " " .. two.state .. " " .. three.state)
    end)

    it("a dial that was lost goes on for the oldest without a place", function()
        local p = new { max_per_origin = 2 }
        local used = open(p, A, "used")
        local waiter, other = request(p, A), request(p, A)
        local dial = waiter.dial
        dials(p)
        assert.is_falsy(other.dial)
        p:give_back(used, 1)
        assert.equal(dial, other.dial)
        p:opened(dial, "new", 2)
        assert.equal("new", p:claim(other, 2).connection)
    end)

    it("a dial that was lost ends when another origin waits for its place", function()
        local p = new { max_total = 2 }
        local used = open(p, A, "used")
        local waiter, other = request(p, A), request(p, B)
        local dial = waiter.dial
        dials(p)
        p:give_back(used, 1)
        assert.equal("used", p:claim(waiter, 1).connection)
        assert.same({ dial }, aborts(p))
        assert.same({ other.dial }, dials(p))
        assert.equal("closed", dial.state)
    end)

    it("a dial that was lost ends when there is no room among the idle ones", function()
        for _, limits in ipairs { { idle_total = 0 }, { idle_per_origin = 0 },
            { idle_timeout = 0 } } do
            local p = new(limits)
            local used = open(p, A, "used")
            local waiter = request(p, A)
            local dial = waiter.dial
            dials(p)
            p:give_back(used, 1, 5)
            assert.same({ dial }, aborts(p))
            assert.equal(1, p:stats().total)
        end
    end)

    it("a dial that was lost closes no idle connection when it succeeds", function()
        local p = new { idle_per_origin = 1 }
        local used, other = open(p, A, "used"), open(p, A, "other")
        local dial = request(p, A).dial
        dials(p)
        p:give_back(used, 1)
        p:give_back(other, 1)
        assert.equal("idle", other.state)
        p:opened(dial, "new", 2)
        assert.same({ "new" }, audited.closes(p))
        assert.equal("idle", other.state)
    end)

    it("a dial that nobody waits for is taken over by the next request", function()
        local p = new()
        local used = open(p, A, "used")
        local first = request(p, A)
        local dial = first.dial
        dials(p)
        p:give_back(used, 1)
        p:claim(first, 1)
        local next_one = request(p, A)
        assert.equal(dial, next_one.dial)
        assert.same({}, dials(p))
    end)

    it("a dial that nobody waits for makes room before an idle connection does", function()
        local p = new { max_total = 3 }
        local used, idle = open(p, A, "used"), open(p, A, "idle")
        local first = request(p, A)
        local dial = first.dial
        dials(p)
        p:give_back(idle, 1)
        p:give_back(used, 1)
        assert.equal("idle", used.state)
        assert.is_truthy(request(p, B).dial)
        assert.same({ dial }, aborts(p))
        assert.same({}, audited.closes(p))
    end)

    it("a dial that fails fails its waiter; the place goes to the next", function()
        local p = new { max_per_origin = 2 }
        open(p, A, "used")
        local waiter, other = request(p, A), request(p, A)
        dials(p)
        p:closed(waiter.dial)
        assert.equal("failed waiting", waiter.state .. " " .. other.state)
        assert.same({ waiter }, audited.wakes(p))
        assert.same({ other.dial }, dials(p))
    end)

    it("a dial that nobody waits for may fail, and nobody is told", function()
        local p = new()
        local used = open(p, A, "used")
        local waiter = request(p, A)
        local dial = waiter.dial
        p:give_back(used, 1)
        p:claim(waiter, 1)
        audited.wakes(p)
        p:closed(dial)
        assert.same({}, audited.wakes(p))
        assert.equal(1, p:stats().total)
    end)

    it("who gives up while it is dialed for frees the place at once", function()
        local p = new()
        open(p, A, "used")
        local waiter = request(p, A)
        local dial = waiter.dial
        dials(p)
        p:cancel(waiter, 1)
        assert.equal("closed", dial.state)
        assert.equal(1, p:stats().total)
        assert.same({ dial }, aborts(p))
    end)

    it("a dial that was not begun yet is just not begun", function()
        local p = new()
        open(p, A, "used")
        local waiter = request(p, A)
        p:cancel(waiter, 1)
        assert.same({}, dials(p))
        assert.same({}, aborts(p))
    end)

    it("who gives up leaves its dial to the oldest without a place", function()
        local p = new { max_per_origin = 2 }
        open(p, A, "used")
        local waiter, other = request(p, A), request(p, A)
        local dial = waiter.dial
        dials(p)
        p:cancel(waiter, 1)
        assert.equal(dial, other.dial)
        assert.same({}, aborts(p))
    end)

    it("who dials itself takes what is freed meanwhile, and its dial ends", function()
        local p = new()
        local first, second = request(p, A), request(p, A)
        local dial = first.dial
        assert.is_true(dial.direct)
        p:opened(second.dial, "second", 1)
        p:give_back(p:claim(second, 1), 2)
        assert.equal("second", p:claim(first, 2).connection)
        assert.same({ dial }, aborts(p))
    end)

    it("connections are dialed for ahead, within the limits, and evict nothing", function()
        local p = new { max_per_origin = 3, idle_per_origin = 2 }
        local one, two = p:prepare(A), p:prepare(A)
        assert.is_nil(p:prepare(A))
        assert.same({ one, two }, dials(p))
        p:opened(one, "one", 1)
        assert.equal("idle", one.state)
        assert.equal("one", p:take(A, 1).connection)
        assert.equal(two, request(p, A).dial)
        p:forget(two)
        assert.equal("opening", two.state)
        local three = p:prepare(A)
        p:forget(three)
        p:forget(three)
        assert.equal("closed", three.state)
    end)
end)
