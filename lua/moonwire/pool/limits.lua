-- pool/limits.lua - the limits of a pool: their names, what they are when nobody says otherwise,
-- and whether what somebody says makes sense.

local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local limits = {}

--- Numbers from 0.
---@class moonwire.PoolLimits
---@field max_total integer? connections at once: 256
---@field max_per_origin integer? to one origin: 32
---@field idle_total integer? kept without use: 64
---@field idle_per_origin integer? 16
---@field idle_timeout number? seconds that one is kept so: 30, or one less than the server says
---@field max_age number? seconds that one is used at all, a tenth more or less: 600
---@field max_requests integer? over one connection; 0: any number

local DEFAULTS = {
    max_total = 256, -- open at once, all origins together
    max_per_origin = 32,
    idle_total = 64, -- kept for reuse
    idle_per_origin = 16,
    idle_timeout = 30, -- seconds; below what most servers allow
    max_age = 600, -- seconds; so that a change in the DNS is seen some day
    max_requests = 0, -- over one connection; 0: any number
}

--- Those that are given, and the defaults of the others; an unknown one raises.
---@param given moonwire.PoolLimits?
---@param level integer whose fault a wrong value is: 1 the caller
---@return table<string, number>
function limits.new(given, level)
    local own = {}
    for name, value in each(DEFAULTS) do
        own[name] = value
    end
    for name, value in each(given or {}) do
        if DEFAULTS[name] == nil then
            error(("unknown pool limit '%s'"):format(tostring(name)), level + 1)
        elseif type(value) ~= "number" or value < 0 or value ~= value then
            error(("bad pool limit '%s' (number from 0 expected)"):format(name), level + 1)
        end
        own[name] = value
    end
    if own.max_total < 1 or own.max_per_origin < 1 then
        error("bad pool limit (max_total and max_per_origin must be 1 at least)", level + 1)
    end
    return own
end

return limits
