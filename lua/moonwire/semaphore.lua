-- Semaphores: at most n tasks at a time, in the order they came.
local errors = require "moonwire.error"
local waiters = require "moonwire.waiters"

---@class moonwire.Semaphore
---@field private size integer
---@field private free integer
---@field private queue moonwire.Waiters
local methods = {}
local Semaphore = { __index = methods, __name = "moonwire.Semaphore" }

--- Takes a place, waiting for one.
---@return true? ok
---@return moonwire.Error? err kind "cancelled"; no place was taken then
function methods:acquire()
    if self.free > 0 and self.queue.count == 0 then
        self.free = self.free - 1
        return true
    end
    local code = self.queue:wait()
    if code < 0 then
        return nil, errors.from_code(code, nil, "waiting for a semaphore")
    end
    return true
end

--- Gives a place back; it goes to whoever has waited longest.
function methods:release()
    if self.queue:wake(0) then
        return -- the place goes from hand to hand
    elseif self.free == self.size then
        error("the semaphore was released more often than acquired", 2)
    end
    self.free = self.free + 1
end

local function give_back(self, ok, ...)
    self:release()
    if not ok then
        error((...), 0)
    end
    return ...
end

--- Calls f(...) while holding a place, and gives it back however f ends.
---@param f function
---@param ... any its arguments
---@return any ... what f returns; nil and an error of kind "cancelled" when no place could be taken
function methods:with(f, ...)
    errors.check(2, "f", "function", f)
    local ok, err = self:acquire()
    if not ok then
        return nil, err
    end
    return give_back(self, xpcall(f, errors.handler, ...))
end

--- How many places are free.
---@return integer
function methods:count()
    return self.free
end

local semaphore = {}

--- Makes a semaphore.
---@param size integer how many may hold it at a time
---@return moonwire.Semaphore
function semaphore.new(size)
    if type(size) ~= "number" or size < 1 or size % 1 ~= 0 then
        errors.argument(2, "size", "a whole number of 1 or more", size)
    end
    return setmetatable({ size = size, free = size, queue = waiters.new() }, Semaphore)
end

return semaphore
