-- pool.lua - decides which connection serves a request: reuse, open, wait, close. It performs none
-- of these, knows no clock, and never looks inside a connection.
--
-- A slot is one place under the limits, counted from the moment somebody is allowed to open until
-- its connection is closed; it has exactly one owner: a request, a waiter, or the idle lists. What
-- the caller has to do after a call stands in two outboxes: next_close and next_wake.

local list = require "moonwire.pool.list"
local ranking = require "moonwire.pool.ranking"

local pool = {}

local DEFAULTS = {
    max_total = 256, -- open at once, all origins together
    max_per_origin = 32,
    idle_total = 64, -- kept for reuse
    idle_per_origin = 16,
    idle_timeout = 30, -- seconds; below what most servers allow
    max_age = 600, -- seconds; so that a change in the DNS is seen some day
    max_requests = 0, -- over one connection; 0: any number
}

-- The moves a slot may make.
local MOVES = {
    opening = { active = true, closed = true },
    active = { idle = true, reserved = true, opening = true, closed = true },
    reserved = { active = true, reserved = true, idle = true, opening = true, closed = true },
    idle = { active = true, closed = true },
    closed = {},
}

local append_idle, remove_idle = list.linked_by("older", "newer")
local append_lru, remove_lru = list.linked_by("lru_before", "lru_after")
local append_expiry, remove_expiry = list.linked_by("expiry_before", "expiry_after")
local append_waiter, remove_waiter = list.linked_by("before", "after")
local append_box, remove_box = list.linked_by("box_before", "box_after")

---@class moonwire.pool.Origin
---@field key string
---@field count integer slots of all states
---@field idle moonwire.pool.List freshest last
---@field waiters moonwire.pool.List oldest first
---@field rank integer? its place in the ranking

---@class moonwire.pool.Slot
---@field state "opening"|"active"|"reserved"|"idle"|"closed"
---@field connection any nil while it is being opened
---@field origin moonwire.pool.Origin
---@field waiter moonwire.pool.Waiter? whom a reserved slot waits for
---@field born number? when its connection was opened
---@field number integer? which connection of the pool's it is, from 1 on
---@field uses integer how many requests have had it
---@field lifetime number? seconds it may be idle
---@field expires number? while idle

---@class moonwire.pool.Waiter
---@field state "waiting"|"granted"|"done"|"cancelled"|"closed"
---@field origin moonwire.pool.Origin
---@field number integer the order of arrival
---@field slot moonwire.pool.Slot? once it is granted
---@field thread any for the caller's use

---@class moonwire.Pool
---@field limits table
---@field private origins table<string, moonwire.pool.Origin>
---@field private lru moonwire.pool.List all idle slots, the longest idle first
---@field private queues table<number, moonwire.pool.List> idle slots by lifetime, next to go first
---@field private contenders moonwire.pool.Ranking origins that only the total limit holds up
---@field private closing moonwire.pool.List
---@field private waking moonwire.pool.List
local methods = {}
local Pool = { __index = methods, __name = "moonwire.Pool" }

--- Makes a pool. Limits that are not given keep their defaults; an unknown one raises.
---@param limits table?
---@return moonwire.Pool
function pool.new(limits)
    local own = {}
    for name, value in pairs(DEFAULTS) do
        own[name] = value
    end
    for name, value in pairs(limits or {}) do
        if DEFAULTS[name] == nil then
            error(("unknown pool limit '%s'"):format(tostring(name)), 2)
        elseif type(value) ~= "number" or value < 0 or value ~= value then
            error(("bad pool limit '%s' (number from 0 expected)"):format(name), 2)
        end
        own[name] = value
    end
    if own.max_total < 1 or own.max_per_origin < 1 then
        error("bad pool limit (max_total and max_per_origin must be 1 at least)", 2)
    end
    return setmetatable({
        limits = own,
        origins = {},
        lru = list.new(),
        queues = {},
        contenders = ranking.new(),
        closing = list.new(),
        waking = list.new(),
        total = 0,
        waiting = 0,
        arrivals = 0,
        closed_for_good = false,
        states = { opening = 0, active = 0, reserved = 0, idle = 0 },
        counters = { opened = 0, reused = 0, expired = 0, evicted = 0, closed = 0, waited = 0 },
    }, Pool)
end

--- The names of the limits, for option checks.
---@return table<string, number>
function pool.defaults()
    local copy = {}
    for name, value in pairs(DEFAULTS) do
        copy[name] = value
    end
    return copy
end

local function move(self, slot, state)
    local from, states = slot.state, self.states
    if not MOVES[from][state] then
        error(("pool: a slot can't go from %s to %s"):format(from, state), 2)
    end
    states[from] = states[from] - 1
    if state ~= "closed" then
        states[state] = states[state] + 1
    end
    slot.state = state
end

local function new_origin(key)
    return { key = key, count = 0, idle = list.new(), waiters = list.new(), rank = nil }
end

-- To be called after every change of an origin's count or of its first waiter. The table holds
-- the origins that have slots or waiters, and no others.
local function settle_origin(self, origin)
    local has_waiters = origin.waiters.first ~= nil
    if has_waiters or origin.rank then
        self.contenders:update(origin, has_waiters and origin.count < self.limits.max_per_origin)
    end
    self.origins[origin.key] = (has_waiters or origin.count > 0) and origin or nil
end

local function add_slot(self, origin)
    local slot = { state = "opening", origin = origin, uses = 0 }
    self.origins[origin.key] = origin
    origin.count = origin.count + 1
    self.total = self.total + 1
    self.states.opening = self.states.opening + 1
    return slot
end

local function unlink_idle(self, slot)
    remove_idle(slot.origin.idle, slot)
    remove_lru(self.lru, slot)
    remove_expiry(slot.queue, slot)
    slot.queue = nil
end

-- The slot's place is free; who gets it is decided by serve().
local function free_slot(self, slot)
    if slot.state == "idle" then
        unlink_idle(self, slot)
    end
    move(self, slot, "closed")
    slot.waiter = nil
    local origin = slot.origin
    origin.count = origin.count - 1
    self.total = self.total - 1
    self.counters.closed = self.counters.closed + 1
    settle_origin(self, origin)
end

local function drop(self, slot)
    append_box(self.closing, slot)
    free_slot(self, slot)
end

local function evict(self, slot)
    self.counters.evicted = self.counters.evicted + 1
    drop(self, slot)
end

local function add_waiter(self, origin)
    self.arrivals = self.arrivals + 1
    self.waiting = self.waiting + 1
    self.counters.waited = self.counters.waited + 1
    local waiter = { state = "waiting", origin = origin, number = self.arrivals }
    append_waiter(origin.waiters, waiter)
    settle_origin(self, origin)
    return waiter
end

local function grant(self, waiter, slot)
    remove_waiter(waiter.origin.waiters, waiter)
    self.waiting = self.waiting - 1
    waiter.state, waiter.slot = "granted", slot
    slot.waiter = waiter
    append_box(self.waking, waiter)
    settle_origin(self, waiter.origin)
end

-- Gives free places to the oldest waiters that can use them.
local function serve(self)
    while self.total < self.limits.max_total do
        local origin = self.contenders:first()
        if not origin then
            break
        end
        grant(self, origin.waiters.first, add_slot(self, origin))
    end
end

local function put_idle(self, slot, now)
    local limits, origin, lifetime = self.limits, slot.origin, slot.lifetime
    move(self, slot, "idle")
    slot.expires = now + lifetime
    local queue = self.queues[lifetime]
    if not queue then
        queue = list.new()
        self.queues[lifetime] = queue
    end
    slot.queue = queue
    append_idle(origin.idle, slot)
    append_lru(self.lru, slot)
    append_expiry(queue, slot)
    local oldest = origin.idle.count > limits.idle_per_origin and origin.idle.first
        or self.lru.count > limits.idle_total and self.lru.first
    if oldest then
        evict(self, oldest)
    end
end

-- A connection that nobody uses now goes to the oldest waiter of its origin; or makes room for an
-- older waiter of another origin; or becomes idle.
local function offer(self, slot, now)
    local waiter = slot.origin.waiters.first
    local contender = self.contenders:first()
    slot.waiter = nil
    if waiter and (not contender or waiter.number <= contender.waiters.first.number) then
        move(self, slot, "reserved")
        grant(self, waiter, slot)
    elseif contender then
        evict(self, slot)
        serve(self)
    else
        put_idle(self, slot, now)
    end
end

local function is_worn_out(self, slot, now)
    local limits = self.limits
    return now - slot.born >= limits.max_age
        or limits.max_requests > 0 and slot.uses >= limits.max_requests
end

local function activate(self, slot)
    move(self, slot, "active")
    slot.uses = slot.uses + 1
    self.counters.reused = self.counters.reused + 1
    return slot
end

-- The freshest idle slot of an origin that may still be used, now active.
local function take_idle(self, origin, now)
    local slot = origin.idle.last
    while slot do
        if slot.expires > now and not is_worn_out(self, slot, now) then
            unlink_idle(self, slot)
            return activate(self, slot)
        end
        self.counters.expired = self.counters.expired + 1
        drop(self, slot)
        slot = origin.idle.last
    end
end

--- Asks for a connection to an origin. Gives a slot that is "active" (its connection is to be used)
--- or "opening" (the caller opens one, then calls `opened` or `closed`); or nil and a waiter, whose
--- turn is announced by next_wake.
---@param key string the origin with all that makes a connection unfit for others
---@param now number
---@param fresh boolean? an idle connection will not do
---@return moonwire.pool.Slot?
---@return moonwire.pool.Waiter?
function methods:take(key, now, fresh)
    if self.closed_for_good then
        error("pool: it is closed", 2)
    end
    local origin = self.origins[key] or new_origin(key)
    local slot = not fresh and take_idle(self, origin, now)
    if slot then
        return slot
    end
    local limits = self.limits
    if origin.count >= limits.max_per_origin and origin.idle.first then
        evict(self, origin.idle.first)
    end
    if origin.count < limits.max_per_origin then
        if self.total >= limits.max_total and self.lru.first then
            evict(self, self.lru.first)
        end
        if self.total < limits.max_total then
            return add_slot(self, origin)
        end
    end
    return nil, add_waiter(self, origin)
end

--- Takes what was granted: the slot is "active" or "opening", as from `take`.
---@param waiter moonwire.pool.Waiter
---@return moonwire.pool.Slot
function methods:claim(waiter)
    if waiter.state ~= "granted" then
        error("pool: a waiter that is " .. waiter.state .. " has nothing to claim", 2)
    end
    local slot = waiter.slot
    waiter.state, waiter.slot, slot.waiter = "done", nil, nil
    if slot.state == "reserved" then
        return activate(self, slot)
    end
    return slot
end

--- The waiter has given up. What it may have been granted already goes to the next one.
---@param waiter moonwire.pool.Waiter
---@param now number
function methods:cancel(waiter, now)
    local state, slot = waiter.state, waiter.slot
    if state == "waiting" then
        waiter.state = "cancelled"
        self.waiting = self.waiting - 1
        remove_waiter(waiter.origin.waiters, waiter)
        settle_origin(self, waiter.origin)
    elseif state == "granted" then
        waiter.state, waiter.slot, slot.waiter = "cancelled", nil, nil
        if slot.state == "opening" then
            self:closed(slot)
        elseif self.closed_for_good then
            drop(self, slot)
        else
            offer(self, slot, now)
        end
    end
end

--- The connection of an "opening" slot is there.
---@param slot moonwire.pool.Slot
---@param connection any
---@param now number
function methods:opened(slot, connection, now)
    move(self, slot, "active")
    slot.connection, slot.born, slot.uses = connection, now, 1
    self.counters.opened = self.counters.opened + 1
    slot.number = self.counters.opened
end

--- The connection of an "active" slot turned out to be unfit, and the caller closes it. Gives the
--- next idle slot of its origin, or the same slot, now "opening": the place is never lost.
---@param slot moonwire.pool.Slot
---@param now number
---@param fresh boolean? an idle connection will not do
---@return moonwire.pool.Slot
function methods:replace(slot, now, fresh)
    local other = not fresh and take_idle(self, slot.origin, now)
    if other then
        free_slot(self, slot)
        serve(self)
        return other
    end
    move(self, slot, "opening")
    slot.connection, slot.born, slot.uses = nil, nil, 0
    return slot
end

--- The request over an "active" slot is over and its connection may serve another.
---@param slot moonwire.pool.Slot
---@param now number
---@param lifetime number? seconds it may be idle, where the peer has said so
function methods:give_back(slot, now, lifetime)
    lifetime = lifetime or self.limits.idle_timeout
    if slot.state ~= "active" then
        error("pool: a slot that is " .. slot.state .. " can't be given back", 2)
    elseif self.closed_for_good or lifetime <= 0 or is_worn_out(self, slot, now) then
        drop(self, slot)
        serve(self)
    else
        slot.lifetime = lifetime
        offer(self, slot, now)
    end
end

--- The connection of a slot is closed, or could not be opened. Calling it twice is harmless.
---@param slot moonwire.pool.Slot
function methods:closed(slot)
    if slot.state == "closed" then
        return
    elseif slot.state == "reserved" then -- its waiter keeps the place and opens another
        move(self, slot, "opening")
        slot.connection, slot.born, slot.uses = nil, nil, 0
        return
    end
    free_slot(self, slot)
    serve(self)
end

--- Drops what has been idle too long.
---@param now number
---@return number? next when it has to be called again; nil: nothing is idle
function methods:expire(now)
    local next_time
    for _, queue in pairs(self.queues) do
        local slot = queue.first
        while slot and slot.expires <= now do
            self.counters.expired = self.counters.expired + 1
            drop(self, slot)
            slot = queue.first
        end
        if slot and (not next_time or slot.expires < next_time) then
            next_time = slot.expires
        end
    end
    return next_time
end

--- Drops all idle slots; used ones are not touched.
function methods:close_idle()
    while self.lru.first do
        drop(self, self.lru.first)
    end
    serve(self)
end

local function came_before(a, b)
    return a.number < b.number
end

--- Ends the pool: idle slots go, waiters wake with state "closed", in the order in which they came,
--- and used slots go when they are given back.
function methods:close()
    local leaving = {}
    self.closed_for_good = true
    self:close_idle()
    for _, origin in pairs(self.origins) do
        while origin.waiters.first do
            local waiter = origin.waiters.first
            remove_waiter(origin.waiters, waiter)
            self.waiting = self.waiting - 1
            waiter.state = "closed"
            leaving[#leaving + 1] = waiter
        end
        settle_origin(self, origin)
    end
    table.sort(leaving, came_before)
    for _, waiter in ipairs(leaving) do
        append_box(self.waking, waiter)
    end
end

--- The next connection that the caller has to close; its slot is free already.
---@return any? connection
function methods:next_close()
    local slot = self.closing.first
    if slot then
        remove_box(self.closing, slot)
        local connection = slot.connection
        slot.connection = nil
        return connection
    end
end

--- The next waiter that the caller has to wake: "granted" (it calls `claim` then) or "closed".
---@return moonwire.pool.Waiter?
function methods:next_wake()
    local waiter = self.waking.first
    while waiter do
        remove_box(self.waking, waiter)
        if waiter.state == "granted" or waiter.state == "closed" then
            return waiter
        end
        waiter = self.waking.first
    end
end

--- Numbers of now (total opening active reserved idle waiting) and since the start (opened reused
--- expired evicted closed waited).
---@return table<string, integer>
function methods:stats()
    local stats = { total = self.total, waiting = self.waiting }
    for name, count in pairs(self.states) do
        stats[name] = count
    end
    for name, count in pairs(self.counters) do
        stats[name] = count
    end
    return stats
end

return pool
