-- pool/audit.lua - checks a pool against its own promises by counting everything anew, for specs
-- and for hunting bugs. It changes nothing.

local function check(condition, text)
    if not condition then
        error("pool: " .. text, 3)
    end
end

local function count_list(list, after, visit)
    local n, node, last = 0, list.first, nil
    while node do
        n = n + 1
        visit(node)
        node, last = node[after], node
    end
    check(n == list.count, "a list does not have the count that it says")
    check(list.last == last, "a list does not end with its last node")
end

local function check_origin(pool, key, origin, seen)
    local limits = pool.limits
    check(origin.key == key, "an origin is filed under another key")
    check(origin.count > 0 or origin.waiters.first, "an origin without slots or waiters is kept")
    check(origin.count <= limits.max_per_origin, "an origin has more slots than max_per_origin")
    check(origin.idle.count <= limits.idle_per_origin, "too many idle slots of one origin")
    count_list(origin.idle, "newer", function(slot)
        check(slot.state == "idle" and slot.origin == origin, "a slot in the wrong idle list")
        seen.idle = seen.idle + 1
    end)
    local number = 0
    count_list(origin.waiters, "after", function(waiter)
        check(waiter.state == "waiting" and waiter.number > number, "waiters out of order")
        number = waiter.number
        seen.waiting = seen.waiting + 1
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

--- Raises when something is wrong.
---@param pool moonwire.Pool
---@return boolean true
return function(pool)
    local seen = { idle = 0, waiting = 0, total = 0, contenders = 0 }
    for key, origin in pairs(pool.origins) do
        check_origin(pool, key, origin, seen)
    end
    local states, sum = pool.states, 0
    for state, count in pairs(states) do
        check(count >= 0, "a negative number of slots is " .. state)
        sum = sum + count
    end
    check(sum == pool.total, "the slots are not the sum of their states")
    check(seen.total == pool.total, "the slots are not the sum of the origins' slots")
    check(pool.total <= pool.limits.max_total, "more slots than max_total")
    check(seen.idle == states.idle, "the idle lists do not hold the idle slots")
    check(pool.lru.count == states.idle and states.idle <= pool.limits.idle_total,
        "the list of all idle slots does not hold them, or too many")
    count_list(pool.lru, "lru_after", function(slot)
        check(slot.state == "idle", "a slot that is not idle in the list of idle slots")
    end)
    check(seen.waiting == pool.waiting, "the waiters are not counted right")
    check(seen.contenders == pool.contenders:count(), "the ranking does not hold the contenders")
    local queued = 0
    for lifetime, queue in pairs(pool.queues) do
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
