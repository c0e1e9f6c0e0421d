-- dial/bounded.lua - a map that forgets: it keeps what was used last and never grows beyond its
-- bound.

local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

--- Two generations: what is used moves into the recent one; when that is full the older one goes.
---@class moonwire.dial.Bounded
---@field private half integer
---@field private count integer of the recent ones
---@field private recent table<string, any>
---@field private older table<string, any>
local methods = {}
local Bounded = { __index = methods, __name = "moonwire.dial.Bounded" }

---@param key string
---@param value any
function methods:set(key, value)
    if self.recent[key] == nil then
        if self.count >= self.half then
            self.recent, self.older, self.count = {}, self.recent, 0
        end
        self.count = self.count + 1
    end
    self.recent[key], self.older[key] = value, nil
end

---@param key string
---@return any value
function methods:get(key)
    local value = self.recent[key]
    if value == nil then
        value = self.older[key]
        if value ~= nil then
            self:set(key, value)
        end
    end
    return value
end

---@param key string
function methods:remove(key)
    if self.recent[key] ~= nil then
        self.count = self.count - 1
    end
    self.recent[key], self.older[key] = nil, nil
end

--- Counts what is kept.
---@return integer
function methods:size()
    local size = self.count
    for _ in each(self.older) do
        size = size + 1
    end
    return size
end

local bounded = {}

--- Makes a map of `most` entries at most; half as many at least are those used last.
---@param most integer an even number
---@return moonwire.dial.Bounded
function bounded.new(most)
    return setmetatable({ half = most / 2, count = 0, recent = {}, older = {} }, Bounded)
end

return bounded
