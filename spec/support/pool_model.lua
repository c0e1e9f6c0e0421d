-- The pool once more, written to be obviously right instead of fast: it scans for everything.

local model = {}

local methods = {}
local Model = { __index = methods }

function model.new(limits)
    return setmetatable({
        limits = limits, slots = {}, waiters = {}, events = {}, arrivals = 0, ticks = 0,
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
    slot.state = "closed"
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

local function oldest_waiter(self, test)
    for i, waiter in ipairs(self.waiters) do
        if test(waiter) then
            return waiter, i
        end
    end
end

local function grant(self, waiter, index, slot)
    table.remove(self.waiters, index)
    waiter.state, waiter.slot, slot.waiter = "granted", slot, waiter
    self.events[#self.events + 1] = "wake " .. waiter.number .. " " .. slot.state
end

local function can_open(self)
    return function(waiter)
        return self:count_of(waiter.origin) < self.limits.max_per_origin
    end
end

local function serve(self)
    while #self.slots < self.limits.max_total do
        local waiter, index = oldest_waiter(self, can_open(self))
        if not waiter then
            break
        end
        grant(self, waiter, index, open(self, waiter.origin))
    end
end

local function is_worn_out(self, slot, now)
    return now - slot.born >= self.limits.max_age
        or self.limits.max_requests > 0 and slot.uses >= self.limits.max_requests
end

local function take_idle(self, origin, now)
    while true do
        local slot = pick_idle(self, origin, true)
        if not slot then
            return nil
        elseif slot.expires > now and not is_worn_out(self, slot, now) then
            slot.state, slot.uses = "active", slot.uses + 1
            return slot
        end
        close(self, slot)
    end
end

function methods:take(origin, now, fresh)
    local slot = not fresh and take_idle(self, origin, now)
    if slot then
        return slot
    end
    local own = pick_idle(self, origin, false)
    if own and self:count_of(origin) >= self.limits.max_per_origin then
        close(self, own)
    end
    if self:count_of(origin) < self.limits.max_per_origin then
        local oldest = pick_idle(self, nil, false)
        if #self.slots >= self.limits.max_total and oldest then
            close(self, oldest)
        end
        if #self.slots < self.limits.max_total then
            return open(self, origin)
        end
    end
    self.arrivals = self.arrivals + 1
    local waiter = { state = "waiting", origin = origin, number = self.arrivals }
    self.waiters[#self.waiters + 1] = waiter
    return nil, waiter
end

function methods:claim(waiter)
    local slot = waiter.slot
    waiter.state, waiter.slot, slot.waiter = "done", nil, nil
    if slot.state == "reserved" then
        slot.state, slot.uses = "active", slot.uses + 1
    end
    return slot
end

local function offer(self, slot, now)
    local own = oldest_waiter(self, function(waiter)
        return waiter.origin == slot.origin
    end)
    local other = oldest_waiter(self, can_open(self))
    slot.waiter = nil
    if own and (not other or own.number <= other.number) then
        slot.state = "reserved"
        local _, index = oldest_waiter(self, function(waiter)
            return waiter == own
        end)
        grant(self, own, index, slot)
    elseif other then
        close(self, slot)
        serve(self)
    else
        self.ticks = self.ticks + 1
        slot.state, slot.tick, slot.expires = "idle", self.ticks, now + slot.lifetime
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
end

function methods:cancel(waiter, now)
    if waiter.state == "waiting" then
        local _, index = oldest_waiter(self, function(each)
            return each == waiter
        end)
        table.remove(self.waiters, index)
    elseif waiter.state == "granted" then
        local slot = waiter.slot
        waiter.slot, slot.waiter = nil, nil
        if slot.state == "opening" then
            self:closed(slot)
        else
            offer(self, slot, now)
        end
    end
    waiter.state = "cancelled"
end

function methods:opened(slot, connection, now)
    slot.state, slot.connection, slot.born, slot.uses = "active", connection, now, 1
end

function methods:replace(slot, now, fresh)
    local other = not fresh and take_idle(self, slot.origin, now)
    if other then
        forget(self, slot)
        serve(self)
        return other
    end
    slot.state, slot.connection, slot.born, slot.uses = "opening", nil, nil, 0
    return slot
end

function methods:give_back(slot, now, lifetime)
    slot.lifetime = lifetime or self.limits.idle_timeout
    if slot.lifetime <= 0 or is_worn_out(self, slot, now) then
        close(self, slot)
        serve(self)
    else
        offer(self, slot, now)
    end
end

function methods:closed(slot)
    if slot.state == "reserved" then
        slot.state, slot.connection, slot.born, slot.uses = "opening", nil, nil, 0
    elseif slot.state ~= "closed" then
        forget(self, slot)
        serve(self)
    end
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
