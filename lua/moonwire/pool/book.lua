-- pool/book.lua - the bookkeeping of a pool: which slot and which waiter stands in which list, and
-- every number that follows from it. It decides nothing.

local list = require "moonwire.pool.list"

local book = {}

-- The moves a slot may make.
local MOVES = {
    opening = { reserved = true, idle = true, closed = true },
    active = { idle = true, reserved = true, opening = true, closed = true },
    reserved = { active = true, reserved = true, idle = true, opening = true, closed = true },
    idle = { active = true, reserved = true, closed = true },
    closed = {},
}

-- Every field that all slots will have is here from the start, in one place: tables that grow each
-- in its own way have each its own shape, and LuaJIT's traces then cost ten times as much.
local function blank_slot()
    return {
        state = "opening", origin = false, uses = 0, connection = false, waiter = false,
        direct = false, reason = false, retires = false, number = false, lifetime = false,
        expires = false, queue = false, older = false, newer = false, lru_before = false,
        lru_after = false, expiry_before = false, expiry_after = false, box_before = false,
        box_after = false, spare = false, to_dial = false, call = false, scope = false,
        held = false, secured = false, open_before = false, open_after = false,
    }
end

local new_idle, append_idle, remove_idle = list.linked_by("older", "newer", blank_slot)
local new_lru, append_lru, remove_lru = list.linked_by("lru_before", "lru_after", blank_slot)
local new_queue, append_expiry, remove_expiry
    = list.linked_by("expiry_before", "expiry_after", blank_slot)
local new_spare, append_spare, remove_spare = list.linked_by("spare_before", "spare_after")
local new_all_spare, append_all_spare, remove_all_spare
    = list.linked_by("all_before", "all_after")
local new_line, append_waiter, remove_waiter, prepend_waiter = list.linked_by("before", "after")
local new_box, append_box, remove_box = list.linked_by("box_before", "box_after")

---@class moonwire.pool.Origin
---@field key string
---@field count integer slots of all states
---@field states table<string, integer> the same, by state
---@field idle moonwire.pool.List freshest last
---@field spare moonwire.pool.List dials that nobody waits for
---@field waiters moonwire.pool.List those without a place, oldest first
---@field dialing moonwire.pool.List those that are dialed for, and take what is freed before
---@field choosy moonwire.pool.List those that are dialed for, and take nothing else
---@field rank integer? its place in the ranking

---@class moonwire.pool.Slot
---@field state "opening"|"active"|"reserved"|"idle"|"closed"
---@field connection any nil while it is being opened
---@field origin moonwire.pool.Origin
---@field waiter moonwire.pool.Waiter? whom an opening or reserved slot is for; nil: nobody
---@field direct boolean? who waits for it dials itself: the dial can't be another's
---@field reason string? why it has to be closed
---@field retires number? when its connection is too old
---@field number integer? which connection of the pool's it is, from 1 on
---@field uses integer how many requests have had it
---@field lifetime number? seconds it may be idle
---@field expires number? while idle
---@field call any for the caller's use
---@field scope any for the caller's use
---@field held any for the caller's use
---@field secured any for the caller's use
---@field open_before any for the caller's use
---@field open_after any for the caller's use

---@class moonwire.pool.Waiter
---@field state "waiting"|"granted"|"done"|"failed"|"cancelled"|"closed"
---@field origin moonwire.pool.Origin
---@field fresh boolean a connection that was used before will not do
---@field number integer the order of arrival
---@field since number
---@field list moonwire.pool.List? the origin's that it is in
---@field dial moonwire.pool.Slot? the "opening" one that is for it
---@field slot moonwire.pool.Slot? once it is granted
---@field thread any for the caller's use
---@field call any for the caller's use
---@field err any for the caller's use

-- A pool's own lists: all idle slots; all dials that nobody waits for; an outbox.
book.new_lru, book.new_all_spare, book.new_box = new_lru, new_all_spare, new_box

-- Slots -------------------------------------------------------------------------------------------

function book.move(self, slot, state)
    local from, states, here = slot.state, self.states, slot.origin.states
    if not MOVES[from][state] then
        error(("pool: a slot can't go from %s to %s"):format(from, state), 2)
    end
    states[from] = states[from] - 1
    here[from] = here[from] - 1
    if state ~= "closed" then
        states[state] = states[state] + 1
        here[state] = here[state] + 1
    end
    slot.state = state
end

function book.new_origin(key)
    return {
        key = key, count = 0, states = { opening = 0, active = 0, reserved = 0, idle = 0 },
        idle = new_idle(), spare = new_spare(), waiters = new_line(), dialing = new_line(),
        choosy = new_line(), rank = nil,
    }
end

-- To be called after every change of an origin's count or of its first waiter. The table holds
-- the origins that have slots or waiters, and no others.
function book.settle_origin(self, origin)
    local has_waiters = origin.waiters.first ~= nil
    if has_waiters or origin.rank then
        self.contenders:update(origin, has_waiters and origin.count < self.limits.max_per_origin)
    end
    self.origins[origin.key] = (has_waiters or origin.count > 0) and origin or nil
end

function book.add_slot(self, origin)
    local slot = blank_slot()
    slot.origin = origin
    self.origins[origin.key] = origin
    origin.count = origin.count + 1
    self.total = self.total + 1
    self.states.opening = self.states.opening + 1
    origin.states.opening = origin.states.opening + 1
    if origin.rank then
        book.settle_origin(self, origin)
    end
    return slot
end

function book.link_idle(self, slot)
    local queue = self.queues[slot.lifetime]
    if not queue then
        queue = new_queue()
        self.queues[slot.lifetime] = queue
    end
    slot.queue = queue
    append_idle(slot.origin.idle, slot)
    append_lru(self.lru, slot)
    append_expiry(queue, slot)
end

function book.unlink_idle(self, slot)
    remove_idle(slot.origin.idle, slot)
    remove_lru(self.lru, slot)
    remove_expiry(slot.queue, slot)
    slot.queue = nil
end

function book.add_spare(self, slot)
    slot.spare = true
    append_spare(slot.origin.spare, slot)
    append_all_spare(self.spare, slot)
end

function book.unlink_spare(self, slot)
    slot.spare = nil
    remove_spare(slot.origin.spare, slot)
    remove_all_spare(self.spare, slot)
end

-- The slot's place is free; who gets it is decided by serve().
function book.free_slot(self, slot)
    if slot.state == "idle" then
        book.unlink_idle(self, slot)
    elseif slot.spare then
        book.unlink_spare(self, slot)
    end
    book.move(self, slot, "closed")
    slot.waiter = nil
    local origin = slot.origin
    origin.count = origin.count - 1
    self.total = self.total - 1
    self.counters.closed = self.counters.closed + 1
    book.settle_origin(self, origin)
end

function book.drop(self, slot, reason)
    slot.reason = reason
    append_box(self.closing, slot)
    book.free_slot(self, slot)
end

function book.evict(self, slot)
    self.counters.evicted = self.counters.evicted + 1
    book.drop(self, slot, "pool_evict")
end

function book.expire(self, slot, reason)
    self.counters.expired = self.counters.expired + 1
    book.drop(self, slot, reason)
end

-- Has the caller dial for a slot.
function book.begin_dial(self, slot)
    slot.to_dial = true
    append_box(self.dialing, slot)
end

-- There is a connection before the caller has asked what to dial for.
function book.take_back_dial(self, slot)
    if slot.to_dial then
        slot.to_dial = nil
        remove_box(self.dialing, slot)
    end
end

-- Gives up a slot whose connection is not there yet.
function book.end_dial(self, slot)
    if slot.to_dial then
        book.take_back_dial(self, slot)
    else
        append_box(self.aborting, slot)
    end
    book.free_slot(self, slot)
end

-- Waiters -----------------------------------------------------------------------------------------

function book.new_waiter(self, origin, now, fresh)
    self.arrivals = self.arrivals + 1
    return { -- as for slots: of 16 fields
        state = "waiting", origin = origin, number = self.arrivals, since = now,
        fresh = fresh or false, list = false, dial = false, slot = false, told = false,
        before = false, after = false, box_before = false, box_after = false, thread = false,
        call = false, placed = false,
    }
end

function book.queue_up(self, waiter)
    local origin = waiter.origin
    self.waiting = self.waiting + 1
    self.counters.waited = self.counters.waited + 1
    waiter.list = origin.waiters
    append_waiter(origin.waiters, waiter)
    book.settle_origin(self, origin)
end

-- Out of its list; what is dialed for it goes on, for nobody.
function book.unlink_waiter(self, waiter)
    local origin, dial = waiter.origin, waiter.dial
    remove_waiter(waiter.list, waiter)
    if dial then
        dial.waiter, waiter.dial = nil, nil
    else
        self.waiting = self.waiting - 1
        book.settle_origin(self, origin)
    end
    waiter.list = nil
    return dial
end

function book.bind(waiter, slot, first)
    local origin = waiter.origin
    waiter.dial, slot.waiter = slot, waiter
    waiter.list = waiter.fresh and origin.choosy or origin.dialing
    if first then
        prepend_waiter(waiter.list, waiter)
    else
        append_waiter(waiter.list, waiter)
    end
end

function book.tell(self, waiter, state)
    waiter.state = state
    if not waiter.told then
        waiter.told = true
        append_box(self.waking, waiter)
    end
end

-- The waiter knows before the caller has asked whom to wake.
function book.take_back_wake(self, waiter)
    if waiter.told then
        waiter.told = nil
        remove_box(self.waking, waiter)
    end
end

function book.reserve(self, waiter, slot)
    book.move(self, slot, "reserved")
    waiter.slot, slot.waiter = slot, waiter
    book.tell(self, waiter, "granted")
end

-- Takes the first one out of an outbox.
function book.next_of(box)
    local node = box.first
    if node then
        remove_box(box, node)
    end
    return node
end

return book
