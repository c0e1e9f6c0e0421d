-- pool.lua - decides which connection serves a request: reuse, open, wait, close. It performs none
-- of these, knows no clock, and never looks inside a connection.
--
-- A slot is one place under the limits, counted from the moment somebody is told to dial until its
-- connection is closed. It has exactly one owner: a request, a waiter, or the lists of what nobody
-- uses now. A request that finds nothing idle waits, and where there is a place somebody dials for
-- it: the connection that is freed or there first is its own. What the caller has to do after a
-- call stands in four outboxes: next_close, next_wake, next_dial and next_abort.
--
-- Every call is O(1), whatever number of connections and waiters there is, but for two: where the
-- total limit holds up waiters of several origins, a place goes to the oldest of them in O(log of
-- those origins) (see pool/ranking.lua); and closing goes through all that there is.

local audit = require "moonwire.pool.audit"
local book = require "moonwire.pool.book"
local limits_of = require "moonwire.pool.limits"
local ranking = require "moonwire.pool.ranking"
local stats = require "moonwire.pool.stats"
local waits = require "moonwire.pool.waits"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local pool = {}

local AGE_SPREAD = 0.2 -- of max_age: what was opened at once is not given up at once
local GOLDEN = 0.6180339887498949 -- its multiples lie evenly between whole numbers

---@class moonwire.Pool
---@field limits table
---@field total integer slots
---@field waiting integer waiters without a place
---@field private origins table<string, moonwire.pool.Origin>
---@field private lru moonwire.pool.List all idle slots, the longest idle first
---@field private spare moonwire.pool.List all dials that nobody waits for
---@field private queues table<number, moonwire.pool.List> idle slots by lifetime, next to go first
---@field private contenders moonwire.pool.Ranking origins that only the total limit holds up
---@field private closing moonwire.pool.List
---@field private waking moonwire.pool.List
---@field private dialing moonwire.pool.List
---@field private aborting moonwire.pool.List
---@field private draining boolean nothing becomes idle any more
---@field private closed_for_good boolean
local methods = {}
local Pool = { __index = methods, __name = "moonwire.Pool" }

-- Numbers that lie evenly between 0 and 1, and begin elsewhere in each process.
local function spread_evenly()
    local last = (tonumber(tostring({}):match "0x(%x+)", 16) or 0) % 1009 / 1009
    return function()
        last = (last + GOLDEN) % 1
        return last
    end
end

--- Makes a pool. Limits that are not given keep their defaults; an unknown one raises.
---@param limits moonwire.PoolLimits?
---@param random (fun(): number)? from 0 to 1, for the jitter of max_age
---@return moonwire.Pool
function pool.new(limits, random)
    return setmetatable({
        limits = limits_of.new(limits, 2),
        random = random or spread_evenly(),
        origins = {},
        lru = book.new_lru(),
        spare = book.new_all_spare(),
        queues = {},
        contenders = ranking.new(),
        closing = book.new_box(),
        waking = book.new_box(),
        dialing = book.new_box(),
        aborting = book.new_box(),
        total = 0,
        waiting = 0,
        arrivals = 0,
        draining = false,
        closed_for_good = false,
        states = { opening = 0, active = 0, reserved = 0, idle = 0 },
        counters = { opened = 0, reused = 0, expired = 0, evicted = 0, closed = 0, waited = 0 },
        waits = waits.new(),
    }, Pool)
end

-- Gives free places to the oldest waiters that can use them; a dial that nobody waits for is worth
-- less than a waiter.
local function serve(self)
    local origin = self.contenders:first()
    while origin do
        if self.total >= self.limits.max_total then
            if not self.spare.first then
                return
            end
            book.end_dial(self, self.spare.first)
        end
        local waiter, slot = origin.waiters.first, book.add_slot(self, origin)
        book.unlink_waiter(self, waiter)
        book.bind(waiter, slot)
        book.begin_dial(self, slot)
        origin = self.contenders:first()
    end
end

-- Who is the next to have a place in this origin, if nobody of another origin came before.
local function next_waiter(self, origin)
    local waiter, contender = origin.waiters.first, self.contenders:first()
    if waiter and (not contender or waiter.number <= contender.waiters.first.number) then
        return waiter
    end
    return nil, contender
end

local function has_room(self, origin)
    local limits = self.limits
    return origin.idle.count + origin.spare.count < limits.idle_per_origin
        and self.lru.count + self.spare.count < limits.idle_total and limits.idle_timeout > 0
        and not self.draining and not self.closed_for_good
end

-- A dial has lost whom it was for: it goes on for another, or for the idle ones, or ends.
local function release_dial(self, slot, keep)
    local origin = slot.origin
    local waiter, contender
    if not slot.direct then
        waiter, contender = next_waiter(self, origin)
    end
    if waiter then
        book.unlink_waiter(self, waiter)
        book.bind(waiter, slot)
    elseif keep and not slot.direct and not contender and has_room(self, origin) then
        book.add_spare(self, slot)
    else
        book.end_dial(self, slot)
        serve(self)
    end
end

-- Connections that nobody uses now ----------------------------------------------------------------

local function put_idle(self, slot, now)
    local limits, origin = self.limits, slot.origin
    book.move(self, slot, "idle")
    slot.expires = now + slot.lifetime
    book.link_idle(self, slot)
    local oldest = origin.idle.count > limits.idle_per_origin and origin.idle.first
        or self.lru.count > limits.idle_total and self.lru.first
    if oldest then
        book.evict(self, oldest)
    end
end

-- To the oldest one that is dialed for.
local function offer_to_dialing(self, slot)
    local waiter = slot.origin.dialing.first
    local dial = book.unlink_waiter(self, waiter)
    book.reserve(self, waiter, slot)
    release_dial(self, dial, true)
end

-- A connection that nobody uses now goes to the oldest waiter of its origin; or makes room for an
-- older waiter of another origin, or for one that wants a new connection; or becomes idle.
local function offer(self, slot, now)
    slot.waiter = nil
    if slot.origin.dialing.first then
        return offer_to_dialing(self, slot)
    end
    local waiter, contender = next_waiter(self, slot.origin)
    if waiter and not waiter.fresh then
        book.unlink_waiter(self, waiter)
        book.reserve(self, waiter, slot)
    elseif waiter or contender then
        book.evict(self, slot)
        serve(self)
    elseif self.draining then
        book.drop(self, slot, "client_closed")
    else
        put_idle(self, slot, now)
    end
end

-- Why a connection had better not be used again.
local function wear_of(self, slot, now)
    local most = self.limits.max_requests
    return now >= slot.retires and "max_age" or most > 0 and slot.uses >= most and "max_requests"
end

local function activate(self, slot)
    book.move(self, slot, "active")
    if slot.uses > 0 then
        self.counters.reused = self.counters.reused + 1
    end
    slot.uses = slot.uses + 1
    return slot
end

-- Drops the freshest idle slots of an origin until there is one that may still be used.
local function freshest_fit(self, origin, now)
    local slot = origin.idle.last
    while slot do
        local wear = slot.expires <= now and "idle_timeout" or wear_of(self, slot, now)
        if not wear then
            return slot
        end
        book.expire(self, slot, wear)
        slot = origin.idle.last
    end
end

-- The freshest idle slot of an origin that may still be used, now active.
local function take_idle(self, origin, now)
    local slot = origin.idle.last
    if slot and (slot.expires <= now or wear_of(self, slot, now)) then
        slot = freshest_fit(self, origin, now)
    end
    if slot then
        book.unlink_idle(self, slot)
        return activate(self, slot)
    end
end

-- A place for one more connection to an origin, if there is one or one can be made.
local function make_place(self, origin)
    local limits = self.limits
    if origin.count >= limits.max_per_origin then
        if not origin.idle.first then
            return nil
        end
        book.evict(self, origin.idle.first)
    end
    if self.total >= limits.max_total then
        if self.spare.first then
            book.end_dial(self, self.spare.first)
        elseif self.lru.first then
            book.evict(self, self.lru.first)
        else
            return nil
        end
    end
    return book.add_slot(self, origin)
end

-- Calls -------------------------------------------------------------------------------------------

--- Gives a slot that is "active" if one of the origin became idle less than so many seconds ago.
---@param key string as for take
---@param now number
---@param seconds number
---@return moonwire.pool.Slot?
function methods:take_recent(key, now, seconds)
    local origin = self.origins[key]
    local slot = origin and origin.idle.last
    if slot and slot.expires - slot.lifetime + seconds > now then
        return take_idle(self, origin, now)
    end
end

--- Asks for a connection to an origin. Gives a slot that is "active": its connection is to be used;
--- or nil and a waiter, whose turn is announced by next_wake. If `waiter.dial.direct`, whoever
--- waits dials for that slot meanwhile, since nobody has a connection there that could be freed.
---@param key string the origin with all that makes a connection unfit for others
---@param now number
---@param fresh boolean? one that was used before will not do
---@return moonwire.pool.Slot?
---@return moonwire.pool.Waiter?
function methods:take(key, now, fresh)
    if self.closed_for_good then
        error("pool: it is closed", 2)
    end
    local origin = self.origins[key] or book.new_origin(key)
    local slot = not fresh and take_idle(self, origin, now)
    if slot then
        return slot
    end
    local waiter = book.new_waiter(self, origin, now, fresh)
    slot = origin.spare.first
    if slot then
        book.unlink_spare(self, slot)
    else
        slot = make_place(self, origin)
        if not slot then
            book.queue_up(self, waiter)
            return nil, waiter
        end
        slot.direct = origin.count == 1
        if not slot.direct then
            book.begin_dial(self, slot)
        end
    end
    book.bind(waiter, slot)
    return nil, waiter
end

--- Has a connection dialed for, ahead of any request; nil when the limits leave no room for it.
---@param key string
---@return moonwire.pool.Slot?
function methods:prepare(key)
    local limits, origin = self.limits, self.origins[key] or book.new_origin(key)
    if origin.count < limits.max_per_origin and self.total < limits.max_total
        and has_room(self, origin) then
        local slot = book.add_slot(self, origin)
        book.add_spare(self, slot)
        book.begin_dial(self, slot)
        return slot
    end
end

--- A slot of `prepare` is not wanted any more; where a request has come for it, nothing changes.
---@param slot moonwire.pool.Slot
function methods:forget(slot)
    if slot.spare then
        book.end_dial(self, slot)
        serve(self)
    end
end

--- How many connections to an origin nobody uses now, those that are being opened among them.
---@param key string
---@return integer idle, integer opening
function methods:count_ready(key)
    local origin = self.origins[key]
    return origin and origin.idle.count or 0, origin and origin.spare.count or 0
end

--- Takes what was granted: the slot is "active", as from `take`.
---@param waiter moonwire.pool.Waiter
---@param now number
---@return moonwire.pool.Slot
function methods:claim(waiter, now)
    if waiter.state ~= "granted" then
        error("pool: a waiter that is " .. waiter.state .. " has nothing to claim", 2)
    end
    local slot = waiter.slot
    waiter.state, waiter.slot, slot.waiter = "done", nil, nil
    book.take_back_wake(self, waiter)
    waits.add(self.waits, now - waiter.since)
    return activate(self, slot)
end

--- The waiter has given up. What it may have been granted already goes to the next one, and what is
--- dialed for it as well, or ends at once.
---@param waiter moonwire.pool.Waiter
---@param now number
function methods:cancel(waiter, now)
    local state, slot = waiter.state, waiter.slot
    if state == "waiting" then
        waiter.state = "cancelled"
        local dial = book.unlink_waiter(self, waiter)
        if dial then
            release_dial(self, dial, false)
        end
    elseif state == "granted" then
        waiter.state, waiter.slot, slot.waiter = "cancelled", nil, nil
        if self.closed_for_good then
            book.drop(self, slot, "client_closed")
        else
            offer(self, slot, now)
        end
    end
end

--- The connection of an "opening" slot is there: it is for whom it was dialed, or for who waits, or
--- idle if there is room. Also for who has not waited for next_dial to give it.
---@param slot moonwire.pool.Slot
---@param connection any
---@param now number
function methods:opened(slot, connection, now)
    if slot.state ~= "opening" then
        error("pool: a slot that is " .. slot.state .. " can't be opened", 2)
    end
    local counters, limits = self.counters, self.limits
    counters.opened = counters.opened + 1
    slot.number, slot.connection, slot.uses = counters.opened, connection, 0
    slot.retires = now + limits.max_age * (1 + AGE_SPREAD * (self.random() - 0.5))
    slot.lifetime = limits.idle_timeout
    local waiter = slot.waiter
    book.take_back_dial(self, slot)
    if waiter then
        book.unlink_waiter(self, waiter)
        book.reserve(self, waiter, slot)
        return
    end
    book.unlink_spare(self, slot)
    if slot.origin.dialing.first then
        offer_to_dialing(self, slot)
    elseif has_room(self, slot.origin) then
        put_idle(self, slot, now)
    else
        book.drop(self, slot, "pool_evict")
    end
end

--- The connection of an "active" slot turned out to be unfit, and the caller closes it. Gives the
--- next idle slot of its origin, or nil and a waiter, as from `take`, for which the same slot is
--- dialed for: the place is never lost.
---@param slot moonwire.pool.Slot
---@param now number
---@return moonwire.pool.Slot?
---@return moonwire.pool.Waiter?
function methods:replace(slot, now)
    local origin = slot.origin
    local other = take_idle(self, origin, now)
    if other then
        book.free_slot(self, slot)
        serve(self)
        return other
    end
    local waiter = book.new_waiter(self, origin, now)
    book.move(self, slot, "opening")
    slot.connection, slot.direct = nil, origin.count == 1
    if not slot.direct then
        book.begin_dial(self, slot)
    end
    book.bind(waiter, slot, true)
    return nil, waiter
end

--- The request over an "active" slot is over and its connection may serve another.
---@param slot moonwire.pool.Slot
---@param now number
---@param lifetime number? seconds it may be idle, where the peer has said so
function methods:give_back(slot, now, lifetime)
    lifetime = lifetime or self.limits.idle_timeout
    if slot.state ~= "active" then
        error("pool: a slot that is " .. slot.state .. " can't be given back", 2)
    end
    local wear = self.closed_for_good and "client_closed" or lifetime <= 0 and "idle_timeout"
        or wear_of(self, slot, now)
    if wear then
        book.drop(self, slot, wear)
        serve(self)
    else
        slot.lifetime = lifetime
        offer(self, slot, now)
    end
end

-- What was kept for a waiter is closed: it gets an idle one, or keeps the place, and another is
-- dialed for it.
local function keep_promise(self, slot, waiter)
    local other = not waiter.fresh and slot.origin.idle.last
    if other then
        book.free_slot(self, slot)
        book.unlink_idle(self, other)
        book.reserve(self, waiter, other)
        serve(self)
        return
    end
    book.move(self, slot, "opening")
    slot.connection, slot.direct = nil, nil
    waiter.state, waiter.slot = "waiting", nil
    book.bind(waiter, slot, true)
    book.begin_dial(self, slot)
end

--- The connection of a slot is closed, or could not be opened: then who waits for it has "failed".
--- Calling it twice is harmless.
---@param slot moonwire.pool.Slot
function methods:closed(slot)
    local state, waiter = slot.state, slot.waiter
    if state == "closed" then
        return
    elseif state == "reserved" then
        keep_promise(self, slot, waiter)
        return
    elseif waiter then
        book.unlink_waiter(self, waiter)
        book.tell(self, waiter, "failed")
    end
    book.free_slot(self, slot)
    serve(self)
end

--- Drops what has been idle too long.
---@param now number
---@return number? next when it has to be called again; nil: nothing is idle
function methods:expire(now)
    local next_time
    for _, queue in each(self.queues) do
        local slot = queue.first
        while slot and slot.expires <= now do
            book.expire(self, slot, "idle_timeout")
            slot = queue.first
        end
        if slot and (not next_time or slot.expires < next_time) then
            next_time = slot.expires
        end
    end
    return next_time
end

--- Drops all idle slots, and ends the dials that nobody waits for; used ones are not touched.
function methods:close_idle()
    while self.lru.first do
        book.drop(self, self.lru.first, "client_closed")
    end
    while self.spare.first do
        book.end_dial(self, self.spare.first)
    end
    serve(self)
end

--- From now on nothing becomes idle: what no waiter wants is dropped when it is given back.
function methods:drain()
    self.draining = true
    self:close_idle()
end

local function came_before(a, b)
    return a.number < b.number
end

local function leave_list(self, waiters, leaving)
    while waiters.first do
        local waiter = waiters.first
        local dial = book.unlink_waiter(self, waiter)
        if dial then
            book.end_dial(self, dial)
        end
        leaving[#leaving + 1] = waiter
    end
end

--- Ends the pool: idle slots and dials go, waiters wake with state "closed", in the order in which
--- they came, and used slots go when they are given back.
function methods:close()
    local leaving, origins = {}, {}
    self.closed_for_good = true
    self:close_idle()
    for _, origin in each(self.origins) do
        origins[#origins + 1] = origin
    end
    for _, origin in ipairs(origins) do
        leave_list(self, origin.waiters, leaving)
        leave_list(self, origin.dialing, leaving)
        leave_list(self, origin.choosy, leaving)
    end
    table.sort(leaving, came_before)
    for _, waiter in ipairs(leaving) do
        book.tell(self, waiter, "closed")
    end
end

-- Outboxes ----------------------------------------------------------------------------------------

--- Whether one of the outboxes has something for the caller.
---@return boolean
function methods:has_orders()
    return (self.closing.first or self.waking.first or self.dialing.first or self.aborting.first)
        and true or false
end

--- The next connection that the caller has to close, and why; its slot is free already.
---@return any? connection, string? reason
function methods:next_close()
    local slot = book.next_of(self.closing)
    if slot then
        local connection = slot.connection
        slot.connection = nil
        return connection, slot.reason
    end
end

local CALLS_WAKE = { granted = true, failed = true, closed = true }

--- The next waiter that the caller has to wake: "granted" (it calls `claim` then), "failed" or
--- "closed".
---@return moonwire.pool.Waiter?
function methods:next_wake()
    local waiter = book.next_of(self.waking)
    while waiter do
        waiter.told = nil
        if CALLS_WAKE[waiter.state] then
            return waiter
        end
        waiter = book.next_of(self.waking)
    end
end

--- The next slot for which the caller has to dial, beside what waits; then it calls `opened` or
--- `closed`.
---@return moonwire.pool.Slot?
function methods:next_dial()
    local slot = book.next_of(self.dialing)
    if slot then
        slot.to_dial = nil
    end
    return slot
end

--- The next slot whose dial is to be ended: nobody wants it, and its place is free already.
---@return moonwire.pool.Slot?
function methods:next_abort()
    return book.next_of(self.aborting)
end

methods.stats = stats.of

-- In debug builds every call checks all promises; otherwise it costs nothing.
if os.getenv "MOONWIRE_DEBUG" == "1" then
    audit.watch(methods)
end

return pool
