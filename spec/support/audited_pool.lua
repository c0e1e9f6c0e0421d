-- A pool whose promises are checked after every call, and what it has for its caller to do.

local audit = require "moonwire.pool.audit"
local pool = require "moonwire.pool"

local audited = {}

local function no_jitter()
    return 0.5
end

local calls = {}
for _, name in ipairs(audit.CALLS) do
    calls[name] = true
end

--- Makes a pool without jitter, unless a random source is given.
---@param limits table?
---@param random (fun(): number)?
---@return moonwire.Pool pool, moonwire.Pool inner the same, unchecked
function audited.new(limits, random)
    local inner = pool.new(limits, random or no_jitter)
    return setmetatable({}, { __index = function(_, name)
        local method = inner[name]
        if not calls[name] then
            return type(method) == "function" and function(_, ...)
                return method(inner, ...)
            end or method
        end
        return function(_, ...)
            local a, b = method(inner, ...)
            audit.check(inner)
            return a, b
        end
    end }), inner
end

local function drain(p, name)
    local all = {}
    for item in function() return p[name](p) end do
        all[#all + 1] = item
    end
    return all
end

--- What each outbox has.
function audited.closes(p)
    return drain(p, "next_close")
end

function audited.wakes(p)
    return drain(p, "next_wake")
end

function audited.dials(p)
    return drain(p, "next_dial")
end

function audited.aborts(p)
    return drain(p, "next_abort")
end

--- A connection that was dialed for, opened and taken: an "active" slot.
function audited.open(p, origin, connection, now)
    local slot, waiter = p:take(origin, now or 0)
    assert(not slot and waiter.dial, "there is something idle, or no place")
    audited.dials(p)
    p:opened(waiter.dial, connection, now or 0)
    audited.wakes(p)
    return p:claim(waiter, now or 0)
end

return audited
