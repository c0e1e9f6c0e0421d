-- verb/gauge.lua - shows how far a file is that a response is saved in: from when it begins to be.
-- What comes with a head that isn't wanted is never shown.

local progress = require "moonwire.progress"

---@class moonwire.verb.Gauge
---@field tell fun(bytes: integer, total: integer?) for the request's `progress`
---@field private name string
---@field private bytes integer
---@field private total integer?
---@field private bar moonwire.progress.Bar?
local methods = {}
local Gauge = { __index = methods, __name = "moonwire.verb.Gauge" }

--- The body is wanted.
function methods:begin()
    self.bar = progress.bar(self.name)
    self.bar(self.bytes, self.total)
end

--- It has ended.
---@param is_whole boolean
function methods:finish(is_whole)
    self.bar:finish(not is_whole and "failed" or nil)
end

local gauge = {}

---@param name string what it is called
---@return moonwire.verb.Gauge
function gauge.new(name)
    local self = setmetatable({ name = name, bytes = 0, total = nil, bar = nil }, Gauge)
    self.tell = function(bytes, total)
        self.bytes, self.total = bytes, total
        if self.bar then
            self.bar(bytes, total)
        end
    end
    return self
end

return gauge
