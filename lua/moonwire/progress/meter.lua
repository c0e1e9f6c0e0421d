-- progress/meter.lua - how fast something goes and when it will be there. It shows nothing.

local INTERVAL = 0.25 -- seconds from one look to the next
local KEPT = 24 -- looks: the rate is that of the last six seconds

---@class moonwire.ProgressInfo
---@field bytes integer that are here
---@field total integer? that there will be, where it is known
---@field rate number? bytes in a second, lately; nil: too early to say
---@field eta number? seconds to go, where that is known
---@field path string? of a download

---@class moonwire.progress.Meter
---@field private looks {time: number, bytes: integer}[] oldest first
---@field private info moonwire.ProgressInfo the same table each time
local methods = {}
local Meter = { __index = methods, __name = "moonwire.progress.Meter" }

--- Takes down how far it is. What is there at the first look isn't the work of now; where it has
--- become less, all begins anew.
---@param bytes integer
---@param total integer?
---@param now number
---@return moonwire.ProgressInfo info
function methods:update(bytes, total, now)
    local info, looks = self.info, self.looks
    local last = looks[#looks]
    if not last or bytes < info.bytes then
        self.looks = { { time = now, bytes = bytes } }
        info.rate = nil
    elseif now - last.time >= INTERVAL then
        looks[#looks + 1] = { time = now, bytes = bytes }
        local oldest = #looks > KEPT and table.remove(looks, 1) or looks[1]
        info.rate = (bytes - oldest.bytes) / (now - oldest.time)
    end
    info.bytes, info.total = bytes, total
    info.eta = total and info.rate and info.rate > 0 and (total - bytes) / info.rate or nil
    return info
end

local meter = {}

---@return moonwire.progress.Meter
function meter.new()
    return setmetatable({ looks = {}, info = { bytes = 0 } }, Meter)
end

return meter
