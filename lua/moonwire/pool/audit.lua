-- pool/audit.lua - checks a pool against its own promises by counting everything anew, for specs
-- and for hunting bugs. It changes nothing.

local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local function check(condition, text)
    if not condition then
        error("pool: " .. text, 3)
    end
end

local function count_list(list, after, visit)
    local n, node, last = 0, list.ring[after], nil
    while node ~= list.ring do
        n = n + 1
        visit(node)
        node, last = node[after], node
    end
    check(n == list.count, "a list does not have the count that it says")
    check(list.last == last, "a list does not end with its last node")
end

local function check_waiter(seen, origin, waiter, name)
    check(waiter.state == "waiting" and waiter.origin == origin, "a waiter in the wrong list")
    check(waiter.list == origin[name], "a waiter does not know its list")
    local slot = waiter.dial
    if name == "waiters" then
        check(not slot, "a waiter without a place is dialed for")
        check(waiter.number > seen.number, "waiters out of order")
        seen.number, seen.waiting = waiter.number, seen.waiting + 1
    else
        check(slot and slot.state == "opening" and slot.waiter == waiter and slot.origin == origin,
            "a waiter and what is dialed for it don't know each other")
        check(waiter.fresh == (name == "choosy"), "a waiter among those that take something else")
        seen.dials = seen.dials + 1
    end
end

local function check_dials(pool, origin, seen)
    local dials = origin.dialing.count + origin.choosy.count
    for _, name in ipairs { "waiters", "dialing", "choosy" } do
        seen.number = 0
        count_list(origin[name], "after", function(waiter)
            check_waiter(seen, origin, waiter, name)
        end)
    end
    count_list(origin.spare, "spare_after", function(slot)
        check(slot.state == "opening" and slot.spare and not slot.waiter and not slot.direct,
            "a dial that somebody waits for among the others")
        seen.spare = seen.spare + 1
    end)
    check(dials + origin.spare.count == origin.states.opening, "a dial that belongs to nobody")
    if origin.spare.first then
        check(not origin.waiters.first, "a waiter waits beside a dial that is for nobody")
        check(not pool.contenders:first(), "a dial for nobody takes the place of a waiter")
    end
    check(not (origin.idle.first and origin.dialing.first),
        "somebody is dialed for beside an idle connection")
end

local function check_origin(pool, key, origin, seen)
    local limits = pool.limits
    local sum = 0
    for state, count in each(origin.states) do
        check(count >= 0, "a negative number of an origin's slots is " .. state)
        sum = sum + count
        seen.states[state] = seen.states[state] + count
    end
    check(sum == origin.count, "an origin's slots are not the sum of their states")
    check_dials(pool, origin, seen)
    check(origin.key == key, "an origin is filed under another key")
    check(origin.count > 0 or origin.waiters.first, "an origin without slots or waiters is kept")
    check(origin.count <= limits.max_per_origin, "an origin has more slots than max_per_origin")
    check(origin.idle.count <= limits.idle_per_origin, "too many idle slots of one origin")
    count_list(origin.idle, "newer", function(slot)
        check(slot.state == "idle" and slot.origin == origin, "a slot in the wrong idle list")
        seen.idle = seen.idle + 1
    end)
    seen.total = seen.total + origin.count
    if origin.waiters.first then
        local held_by_total = origin.count < limits.max_per_origin
        check((origin.rank ~= nil) == held_by_total, "an origin's rank does not fit its waiters")
        check(not origin.idle.first, "a waiter waits beside an idle connection")
        if held_by_total then
            seen.contenders = seen.contenders + 1
            check(pool.total >= limits.max_total, "a waiter waits although a place is free")
            check(not pool.lru.first, "a waiter waits although something could be evicted")
        end
    else
        check(origin.rank == nil, "an origin without waiters is ranked")
    end
end

local audit = {}

local WATCHED_MOST = 300 -- slots and waiters

--- Raises when something is wrong.
---@param pool moonwire.Pool
---@return boolean true
function audit.check(pool)
    local seen = {
        idle = 0, waiting = 0, total = 0, contenders = 0, spare = 0, dials = 0, number = 0,
        states = { opening = 0, active = 0, reserved = 0, idle = 0 },
    }
    for key, origin in each(pool.origins) do
        check_origin(pool, key, origin, seen)
    end
    local states, sum = pool.states, 0
    for state, count in each(states) do
        check(count >= 0, "a negative number of slots is " .. state)
        check(count == seen.states[state], "the origins' slots don't add up: " .. state)
        sum = sum + count
    end
    check(sum == pool.total, "the slots are not the sum of their states")
    check(seen.total == pool.total, "the slots are not the sum of the origins' slots")
    check(pool.total <= pool.limits.max_total, "more slots than max_total")
    check(seen.spare == pool.spare.count, "the dials for nobody are not counted right")
    check(seen.idle == states.idle, "the idle lists do not hold the idle slots")
    check(pool.lru.count == states.idle and states.idle <= pool.limits.idle_total,
        "the list of all idle slots does not hold them, or too many")
    count_list(pool.lru, "lru_after", function(slot)
        check(slot.state == "idle", "a slot that is not idle in the list of idle slots")
    end)
    check(seen.waiting == pool.waiting, "the waiters are not counted right")
    check(seen.contenders == pool.contenders:count(), "the ranking does not hold the contenders")
    local queued = 0
    for lifetime, queue in each(pool.queues) do
        local before = -math.huge
        count_list(queue, "expiry_after", function(slot)
            check(slot.lifetime == lifetime and slot.expires >= before, "expiry out of order")
            before = slot.expires
            queued = queued + 1
        end)
    end
    check(queued == states.idle, "an idle slot that will not expire")
    return true
end

-- The calls that change a pool.
audit.CALLS = {
    "take", "claim", "cancel", "opened", "replace", "give_back", "closed", "expire", "close_idle",
    "close", "prepare", "forget", "drain",
}

--- Has each of the calls followed by a check, while the pool is not too large for that.
---@param methods table they are replaced in there
function audit.watch(methods)
    for _, name in ipairs(audit.CALLS) do
        local method = methods[name]
        methods[name] = function(self, ...)
            local a, b = method(self, ...)
            if self.total + self.waiting <= WATCHED_MOST then
                audit.check(self)
            end
            return a, b
        end
    end
end

return audit
