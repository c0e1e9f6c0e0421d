-- The pool once more, written to be obviously right instead of fast: it scans for everything.

local model = {}

local methods = {}
local Model = { __index = methods }

function model.new(limits)
    return setmetatable({
        limits = limits, slots = {}, queue = {}, dialed_for = {}, events = {}, dials = {},
        aborts = {}, arrivals = 0, ticks = 0,
    }, Model)
end

local function count(self, test)
    local n = 0
    for _, slot in ipairs(self.slots) do
        if test(slot) then
            n = n + 1
        end
    end
    return n
end

function methods:count_of(origin)
    return count(self, function(slot)
        return slot.origin == origin
    end)
end

-- The idle slot (of an origin, or of all) with the smallest or largest tick.
local function pick_idle(self, origin, freshest)
    local best
    for _, slot in ipairs(self.slots) do
        if slot.state == "idle" and (not origin or slot.origin == origin) then
            if not best or (slot.tick > best.tick) == freshest then
                best = slot
            end
        end
    end
    return best
end

local function forget(self, slot)
    for i, other in ipairs(self.slots) do
        if other == slot then
            table.remove(self.slots, i)
        end
    end
    slot.state, slot.spare = "closed", nil
end

local function close(self, slot)
    self.events[#self.events + 1] = "close " .. slot.connection
    forget(self, slot)
end

local function open(self, origin)
    local slot = { state = "opening", origin = origin, uses = 0 }
    self.slots[#self.slots + 1] = slot
    return slot
end

local function remove(list, item)
    for i, other in ipairs(list) do
        if other == item then
            table.remove(list, i)
            return true
        end
    end
end

local function find(list, test)
    for _, item in ipairs(list) do
        if test(item) then
            return item
        end
    end
end

local function tick(self)
    self.ticks = self.ticks + 1
    return self.ticks
end

local function bind(self, waiter, slot, first)
    waiter.dial, slot.waiter = slot, waiter
    table.insert(self.dialed_for, first and 1 or #self.dialed_for + 1, waiter)
end

-- Takes a waiter from wherever it stands.
local function unlink(self, waiter)
    local slot = waiter.dial
    if slot then
        remove(self.dialed_for, waiter)
        waiter.dial, slot.waiter = nil, nil
    else
        remove(self.queue, waiter)
    end
    return slot
end

local function reserve(self, waiter, slot)
    slot.state, waiter.state, waiter.slot, slot.waiter = "reserved", "granted", slot, waiter
    self.events[#self.events + 1] = "wake " .. waiter.number .. " granted"
end

local function end_dial(self, slot)
    if not remove(self.dials, slot) then
        self.aborts[#self.aborts + 1] = slot
    end
    forget(self, slot)
end

-- The dial that nobody has waited for longest, of an origin or of all.
local function oldest_spare(self, origin)
    local best
    for _, slot in ipairs(self.slots) do
        if slot.spare and (not origin or slot.origin == origin)
            and (not best or slot.spare < best.spare) then
            best = slot
        end
    end
    return best
end

-- The oldest of those without a place that only the total limit holds up.
local function contender(self)
    return find(self.queue, function(waiter)
        return self:count_of(waiter.origin) < self.limits.max_per_origin
    end)
end

local function serve(self)
    local waiter = contender(self)
    while waiter do
        if #self.slots >= self.limits.max_total then
            local spare = oldest_spare(self)
            if not spare then
                return
            end
            end_dial(self, spare)
        end
        unlink(self, waiter)
        local slot = open(self, waiter.origin)
        bind(self, waiter, slot)
        self.dials[#self.dials + 1] = slot
        waiter = contender(self)
    end
end

-- Who has the next place of an origin; or who of another origin came before.
local function next_waiter(self, origin)
    local other = contender(self)
    local own = find(self.queue, function(waiter)
        return waiter.origin == origin
    end)
    if own and (not other or own.number <= other.number) then
        return own
    end
    return nil, other
end

local function has_room(self, origin)
    local here, all = 0, 0
    for _, slot in ipairs(self.slots) do
        if slot.state == "idle" or slot.spare then
            all = all + 1
            here = here + (slot.origin == origin and 1 or 0)
        end
    end
    return here < self.limits.idle_per_origin and all < self.limits.idle_total
end

local function release(self, slot, keep)
    local own, other
    if not slot.direct then
        own, other = next_waiter(self, slot.origin)
    end
    if own then
        unlink(self, own)
        bind(self, own, slot)
    elseif keep and not slot.direct and not other and has_room(self, slot.origin) then
        slot.spare = tick(self)
    else
        end_dial(self, slot)
        serve(self)
    end
end

local function wear_of(self, slot, now)
    return now >= slot.retires
        or self.limits.max_requests > 0 and slot.uses >= self.limits.max_requests
end

local function take_idle(self, origin, now)
    while true do
        local slot = pick_idle(self, origin, true)
        if not slot then
            return nil
        elseif slot.expires > now and not wear_of(self, slot, now) then
            slot.state, slot.uses = "active", slot.uses + 1
            return slot
        end
        close(self, slot)
    end
end

local function new_waiter(self, origin, fresh)
    self.arrivals = self.arrivals + 1
    return { state = "waiting", origin = origin, number = self.arrivals, fresh = fresh }
end

local function make_place(self, origin)
    local own = pick_idle(self, origin, false)
    if own and self:count_of(origin) >= self.limits.max_per_origin then
        close(self, own)
    end
    if self:count_of(origin) >= self.limits.max_per_origin then
        return nil
    end
    if #self.slots >= self.limits.max_total then
        local spare, idle = oldest_spare(self), pick_idle(self, nil, false)
        if spare then
            end_dial(self, spare)
        elseif idle then
            close(self, idle)
        else
            return nil
        end
    end
    return open(self, origin)
end

local function dial_for(self, waiter, slot, first)
    slot.direct = self:count_of(slot.origin) == 1
    if not slot.direct then
        self.dials[#self.dials + 1] = slot
    end
    bind(self, waiter, slot, first)
end

function methods:take(origin, now, fresh)
    local slot = not fresh and take_idle(self, origin, now)
    if slot then
        return slot
    end
    local waiter = new_waiter(self, origin, fresh)
    local spare = oldest_spare(self, origin)
    if spare then
        spare.spare = nil
        bind(self, waiter, spare)
        return nil, waiter
    end
    slot = make_place(self, origin)
    if slot then
        dial_for(self, waiter, slot)
    else
        self.queue[#self.queue + 1] = waiter
    end
    return nil, waiter
end

function methods:prepare(origin)
    if self:count_of(origin) < self.limits.max_per_origin and #self.slots < self.limits.max_total
        and has_room(self, origin) then
        local slot = open(self, origin)
        slot.spare = tick(self)
        self.dials[#self.dials + 1] = slot
        return slot
    end
end

function methods:forget(slot)
    if slot.spare and slot.state == "opening" then
        end_dial(self, slot)
        serve(self)
    end
end

function methods:claim(waiter)
    local slot = waiter.slot
    waiter.state, waiter.slot, slot.waiter = "done", nil, nil
    slot.state, slot.uses = "active", slot.uses + 1
    return slot
end

local function offer_to_dialed(self, slot)
    local waiter = find(self.dialed_for, function(each)
        return each.origin == slot.origin and not each.fresh
    end)
    if not waiter then
        return false
    end
    local dial = unlink(self, waiter)
    reserve(self, waiter, slot)
    release(self, dial, true)
    return true
end

local function put_idle(self, slot, now)
    slot.state, slot.tick, slot.expires = "idle", tick(self), now + slot.lifetime
    local origin = slot.origin
    local idle_here = count(self, function(each)
        return each.state == "idle" and each.origin == origin
    end)
    local idle = count(self, function(each)
        return each.state == "idle"
    end)
    if idle_here > self.limits.idle_per_origin then
        close(self, pick_idle(self, origin, false))
    elseif idle > self.limits.idle_total then
        close(self, pick_idle(self, nil, false))
    end
end

local function offer(self, slot, now)
    slot.waiter = nil
    if offer_to_dialed(self, slot) then
        return
    end
    local own, other = next_waiter(self, slot.origin)
    if own and not own.fresh then
        unlink(self, own)
        reserve(self, own, slot)
    elseif own or other then
        close(self, slot)
        serve(self)
    else
        put_idle(self, slot, now)
    end
end

function methods:cancel(waiter, now)
    if waiter.state == "waiting" then
        local dial = unlink(self, waiter)
        if dial then
            release(self, dial, false)
        end
    elseif waiter.state == "granted" then
        local slot = waiter.slot
        waiter.slot = nil
        offer(self, slot, now)
    end
    waiter.state = "cancelled"
end

function methods:opened(slot, connection, now)
    remove(self.dials, slot)
    slot.connection, slot.retires, slot.uses = connection, now + self.limits.max_age, 0
    slot.lifetime = self.limits.idle_timeout
    local waiter = slot.waiter
    if waiter then
        unlink(self, waiter)
        reserve(self, waiter, slot)
        return
    end
    slot.spare = nil
    if not offer_to_dialed(self, slot) then
        slot.state = "counted"
        if has_room(self, slot.origin) then
            put_idle(self, slot, now)
        else
            close(self, slot)
        end
    end
end

function methods:replace(slot, now)
    local other = take_idle(self, slot.origin, now)
    if other then
        forget(self, slot)
        serve(self)
        return other
    end
    local waiter = new_waiter(self, slot.origin)
    slot.state, slot.connection = "opening", nil
    dial_for(self, waiter, slot, true)
    return nil, waiter
end

function methods:give_back(slot, now, lifetime)
    slot.lifetime = lifetime or self.limits.idle_timeout
    if slot.lifetime <= 0 or wear_of(self, slot, now) then
        close(self, slot)
        serve(self)
    else
        offer(self, slot, now)
    end
end

function methods:closed(slot)
    local waiter = slot.waiter
    if slot.state == "closed" then
        return
    elseif slot.state == "reserved" then
        local other = not waiter.fresh and pick_idle(self, slot.origin, true)
        if other then
            forget(self, slot)
            reserve(self, waiter, other)
            serve(self)
            return
        end
        slot.state, slot.connection, slot.direct = "opening", nil, nil
        waiter.state, waiter.slot = "waiting", nil
        bind(self, waiter, slot, true)
        self.dials[#self.dials + 1] = slot
        return
    elseif waiter then
        unlink(self, waiter)
        waiter.state = "failed"
        self.events[#self.events + 1] = "wake " .. waiter.number .. " failed"
    end
    forget(self, slot)
    serve(self)
end

function methods:expire(now)
    local gone = {}
    for _, slot in ipairs(self.slots) do
        if slot.state == "idle" and slot.expires <= now then
            gone[#gone + 1] = slot
        end
    end
    for _, slot in ipairs(gone) do
        close(self, slot)
    end
end

return model
