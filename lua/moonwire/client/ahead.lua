-- client/ahead.lua - what a client does apart from its requests: opens connections before they are
-- needed, and lets those in use come to their end before it closes.

local errors = require "moonwire.error"
local threads = require "moonwire.backend.thread"

local huge, max = math.huge, math.max

local ahead = {}

-- Has as many dialed for as the limits leave room for; gives their slots.
local function dial_for(supply, call, count)
    local pool, slots = supply.pool, {}
    local group = { left = 0, thread = threads.of(supply.backend) }
    for i = 1, count do
        local slot = pool:prepare(call.key)
        if not slot then
            break
        end
        slot.call, slot.group = call, group
        group.left = i
        slots[i] = slot
    end
    supply:settle()
    return slots, group
end

local function first_error(slots)
    for _, slot in ipairs(slots) do
        if slot.err then
            return slot.err
        end
    end
end

--- Opens connections until so many of an origin are idle, as far as the limits allow, and waits for
--- that.
---@param supply moonwire.client.Supply
---@param call moonwire.client.Call
---@param count integer
---@return integer? idle how many there are
---@return moonwire.Error? err none is there, and why one could not be opened; or it was cancelled
function ahead.connect(supply, call, count)
    local backend, pool = supply.backend, supply.pool
    local idle, opening = pool:count_ready(call.key)
    local slots, group = dial_for(supply, call, max(0, count - idle - opening))
    while group.left > 0 do
        local code = backend:wait(huge)
        if code < 0 then
            for _, slot in ipairs(slots) do
                pool:forget(slot)
            end
            supply:settle()
            return nil, errors.from_code(code, "connect", "connecting to " .. call.data.origin,
                { url = call.data.url })
        end
    end
    if group.problem then
        error(group.problem, 0)
    end
    idle = pool:count_ready(call.key)
    local err = first_error(slots)
    if idle == 0 and err then
        return nil, err
    end
    return idle
end

--- Lets what is under way come to its end, those who wait for a connection included, for so many
--- seconds at most; then closes everything.
---@param supply moonwire.client.Supply
---@param seconds number
---@return boolean all whether nothing had to be cut short
function ahead.leave(supply, seconds)
    local backend, pool = supply.backend, supply.pool
    if supply.closed then
        return true
    end
    supply.closing = true
    pool:drain()
    supply:settle()
    local ends, code = backend:now() + seconds, 0
    local leavers = supply.leavers or {}
    supply.leavers = leavers
    local me = threads.of(backend)
    leavers[#leavers + 1] = me
    while code >= 0 and not supply.closed and pool.total + pool.waiting > 0 do
        code = backend:wait(ends)
    end
    for i = #leavers, 1, -1 do
        if leavers[i] == me then
            table.remove(leavers, i)
        end
    end
    supply:close()
    return not supply.cut
end

return ahead
