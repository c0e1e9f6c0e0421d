-- client/plans.lua - keeps what was made for the methods and URLs, and for the prepared requests,
-- that were asked for last. It makes nothing itself.

local PER_METHOD = 128 -- of the last ones so many at least are kept, never more than twice as many

---@class moonwire.client.Plans
---@field private recent table<string, table<any, any>> by method, then by URL
---@field private older table<string, table<any, any>> what was recent before
---@field private counts table<string, integer> of the recent ones
local methods = {}
local Plans = { __index = methods, __name = "moonwire.client.Plans" }

local plans = {}

--- Keeps a plan.
---@param method string "": of a prepared request
---@param url string|moonwire.Request
---@param plan any
function methods:keep(method, url, plan)
    local count = self.counts[method] or 0
    if not self.recent[method] or count >= PER_METHOD then
        self.older[method], self.recent[method], count = self.recent[method] or {}, {}, 0
    end
    self.recent[method][url] = plan
    self.counts[method] = count + 1
end

--- The plan that was kept, if it is there still.
---@param method string
---@param url string|moonwire.Request
---@return any plan
function methods:find(method, url)
    local recent = self.recent[method]
    local plan = recent and recent[url]
    if plan or not recent then
        return plan
    end
    plan = self.older[method][url]
    if plan then
        self:keep(method, url, plan)
    end
    return plan
end

---@return moonwire.client.Plans
function plans.new()
    return setmetatable({ recent = {}, older = {}, counts = {} }, Plans)
end

return plans
