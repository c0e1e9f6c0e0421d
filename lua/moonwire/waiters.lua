-- A queue of waiting threads, first come first served; what channels, semaphores and joins are made
-- of. A thread whose wait was cut short is never handed anything.
local backend = require "moonwire.backend"
local thread = require "moonwire.backend.thread"

---@class moonwire.Waiters
---@field count integer how many wait
---@field private first moonwire.Thread?
---@field private last moonwire.Thread?
local methods = {}
local Waiters = { __index = methods, __name = "moonwire.Waiters" }

local function unlink(self, me)
    local before, after = me.queue_before, me.queue_after
    if before then
        before.queue_after = after
    else
        self.first = after
    end
    if after then
        after.queue_before = before
    else
        self.last = before
    end
    me.queue_before, me.queue_after, me.queue = nil, nil, nil
    self.count = self.count - 1
end

--- Parks the calling thread in the queue.
---@param offer any what it brings along; `wake` gives it to the waker
---@param deadline number? absolute
---@return integer code of the wake, or below 0: ETIMEOUT, ECANCELLED
---@return any value what the waker handed over
function methods:wait(offer, deadline)
    local me = backend.thread()
    thread.check(me.backend) -- raises before anything is changed
    local before = self.last
    me.slot, me.queue, me.queue_before = offer, self, before
    if before then
        before.queue_after = me
    else
        self.first = me
    end
    self.last = me
    self.count = self.count + 1
    local code = me.backend:wait(deadline or math.huge)
    if me.queue == self then
        unlink(self, me)
    end
    local value = me.slot
    me.slot = nil
    return code, value
end

--- Wakes the thread that has waited longest and hands a value over to it.
---@param code integer
---@param value any
---@return moonwire.Thread? woken nil: nobody waits
---@return any offer what the woken thread had brought along
function methods:wake(code, value)
    local me = self.first
    while me do
        local after = me.queue_after
        if me.backend:wake(me, code) then
            local offer = me.slot
            unlink(self, me)
            me.slot = value
            return me, offer
        end
        me = after -- its wait is over already; it leaves the queue by itself
    end
end

--- Wakes all of them.
---@param code integer
function methods:wake_all(code)
    repeat
        local woken = self:wake(code)
    until not woken
end

local waiters = {}

---@return moonwire.Waiters
function waiters.new()
    return setmetatable({ count = 0 }, Waiters)
end

return waiters
