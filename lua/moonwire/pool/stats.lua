-- pool/stats.lua - what a pool says about itself, as a copy. It changes nothing.

local waits = require "moonwire.pool.waits"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local stats = {}

--- Numbers of now (total opening active reserved idle waiting) and since the start (opened reused
--- expired evicted closed waited), `waits` (how long requests waited for a connection, those that
--- found one idle not among them), and `origins`: the numbers of now for each origin.
---@param self moonwire.Pool
---@return table
function stats.of(self)
    local copy = { total = self.total, waiting = self.waiting, waits = waits.copy(self.waits) }
    for name, count in each(self.states) do
        copy[name] = count
    end
    for name, count in each(self.counters) do
        copy[name] = count
    end
    copy.origins = {}
    for key, origin in each(self.origins) do
        local here = { total = origin.count, waiting = origin.waiters.count }
        for name, count in each(origin.states) do
            here[name] = count
        end
        copy.origins[key] = here
    end
    return copy
end

return stats
