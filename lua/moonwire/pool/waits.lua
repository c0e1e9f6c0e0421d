-- pool/waits.lua - how long requests have waited for a connection: a histogram of fixed size.

local waits = {}

-- Upper ends of the buckets, in seconds; above the last there is one more.
local BOUNDS = { 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30 }

---@class moonwire.pool.Waits
---@field count integer
---@field sum number seconds
---@field bounds number[] upper ends of the buckets
---@field buckets integer[] how many were in each and above the one before; one more than bounds

---@return moonwire.pool.Waits
function waits.new()
    local buckets = {}
    for i = 1, #BOUNDS + 1 do
        buckets[i] = 0
    end
    return { count = 0, sum = 0, bounds = BOUNDS, buckets = buckets }
end

---@param self moonwire.pool.Waits
---@param seconds number
function waits.add(self, seconds)
    local at = 1
    while at <= #BOUNDS and seconds > BOUNDS[at] do
        at = at + 1
    end
    self.buckets[at] = self.buckets[at] + 1
    self.count, self.sum = self.count + 1, self.sum + seconds
end

---@param self moonwire.pool.Waits
---@return moonwire.pool.Waits copy
function waits.copy(self)
    local copy = { count = self.count, sum = self.sum, bounds = {}, buckets = {} }
    for i, count in ipairs(self.buckets) do
        copy.bounds[i], copy.buckets[i] = BOUNDS[i], count
    end
    return copy
end

return waits
