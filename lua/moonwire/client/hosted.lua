-- client/hosted.lua - a supply of connections where the host keeps them (nginx): each request opens
-- one, which the host may take out of its pool, and gives it back. Nothing outlives the request.

local connections = require "moonwire.connection"
local events = require "moonwire.client.events"
local opening = require "moonwire.client.opening"
local waits = require "moonwire.pool.waits"

local huge, min = math.huge, math.min

local CODECS_MOST = 64 -- kept for the connections to come: each costs as much as all else
local QUEUE = 10000 -- requests that wait for a place at one origin, in one worker

---@class moonwire.client.Hosted
---@field pool {stats: fun(): table} what it says of itself, as a pool does
---@field backend moonwire.Backend
---@field closed boolean no further request is admitted
---@field counted table<string, integer> connections that were closed, by reason
---@field listeners moonwire.client.Listeners|false
---@field private tls moonwire.client.Tls
---@field private codecs moonwire.core.H1[] whose connections are over
---@field private limits table<string, number> of moonwire.pool
---@field private longest_idle number
local methods = {}
local Hosted = { __index = methods, __name = "moonwire.client.Hosted" }

local hosted = {}

--- The host's pool for connections of one kind.
---@param key string what connections are shared by, TLS apart
---@param identity string? equal for equal TLS options
---@return moonwire.HostPool
function methods:host_pool(key, identity)
    local size = self.limits.max_per_origin
    local name = ("moonwire %d %s %s"):format(size, key, identity or "")
    return { name = (name:gsub("%z", "\1")), size = size, queue = QUEUE }
end

-- Hands an idle connection back to the host.
local function hand_back(self, connection)
    local limits, stream = self.limits, connection.stream
    local most = limits.max_requests
    local seconds = min(connection.lifetime or limits.idle_timeout, self.longest_idle)
    if most > 0 and connection.requests >= most then
        connection:close "max_requests"
    elseif seconds <= 0 then
        connection:close "keep_alive_limit"
    elseif stream:keep(seconds) then
        connection:close "kept_by_host"
        local codecs = self.codecs
        if #codecs < CODECS_MOST then
            codecs[#codecs + 1] = connection:give_codec()
        end
    else
        connection:close "not_kept"
    end
end

local function was_closed(self, connection, reason)
    local slot = connection.seat
    slot.state = "closed"
    if reason ~= "kept_by_host" then
        self.closed_count = self.closed_count + 1
        self.counted[reason] = (self.counted[reason] or 0) + 1
    end
    if events.is_watched(self) then
        events.closed(self, connection, reason)
    end
    if slot.secured and not connection.failure then
        self.tls:keep_session(slot.secured, connection.stream)
    end
end

--- There is none at hand without asking the host.
function methods:take_recent() end

--- Opens a connection, or gets one from the host.
---@param call moonwire.client.Call
---@param fresh boolean it must be a new one
---@return table? slot with the connection
---@return moonwire.Error? err
function methods:checkout(call, fresh)
    local backend, stream = self.backend, nil
    local slot = { state = "active", connection = false, secured = call.secured }
    repeat
        if stream then
            stream:close() -- it is as old as the one that failed
        end
        local err
        stream, err = opening.here(backend, call, self.tls, slot)
        if not stream then
            return nil, err
        end
    until not fresh or stream:reused_times() == 0
    local connection = connections.new(stream, self.connection_options, nil,
        table.remove(self.codecs))
    local times = stream:reused_times()
    connection.origin, connection.seat, connection.requests = call.data.origin, slot, times
    slot.connection = connection
    local counter = times > 0 and "reused" or "opened"
    self.counts[counter] = self.counts[counter] + 1
    if times == 0 and events.is_watched(self) then
        events.opened(self, connection)
    end
    return slot
end

--- Another connection for one that turned out to be stale.
---@param call moonwire.client.Call
---@return table? slot, moonwire.Error? err
function methods:replace(call)
    return self:checkout(call, false)
end

--- The request was refused before it began, and its connection is as it was.
---@param slot table
function methods:return_unused(slot)
    local connection = slot.connection
    if connection and not connection:is_closed() and connection.state ~= "active" then
        hand_back(self, connection)
    end
end

--- Opens connections and gives all of them to the host.
---@param call moonwire.client.Call
---@param count integer
---@return integer? idle how many were given to it
---@return moonwire.Error? err there is none, and why
function methods:preconnect(call, count)
    local slots, problem = {}, nil
    for i = 1, count do
        local slot, err = self:checkout(call, false)
        if not slot then
            problem = err
            break
        end
        slots[i] = slot
    end
    for _, slot in ipairs(slots) do
        self:return_unused(slot)
    end
    if problem and #slots == 0 then
        return nil, problem
    end
    return #slots
end

function methods:use(backend)
    self.backend = backend
    return true
end

--- Those that nobody uses are the host's.
function methods:close_idle() end

--- Admits no further request; those under way belong to the requests that made them.
function methods:close()
    self.closed = true
end

---@return boolean all
function methods:leave()
    self:close()
    return true
end

local function stats(self)
    return {
        total = 0, opening = 0, active = 0, reserved = 0, idle = 0, waiting = 0, -- the host knows
        opened = self.counts.opened, reused = self.counts.reused, closed = self.closed_count,
        expired = 0, evicted = 0, waited = 0, waits = waits.new(), origins = {},
    }
end

--- Makes a supply for a client's settings.
---@param settings moonwire.client.Settings
---@return moonwire.client.Hosted
function hosted.new(settings)
    local self = setmetatable({
        tls = settings.tls, limits = settings.pool.limits, closed = false, counted = {},
        codecs = {}, counts = { opened = 0, reused = 0 }, closed_count = 0, hosted = true,
        listeners = false,
        longest_idle = settings.longest_idle or huge,
    }, Hosted)
    self.pool = {
        stats = function()
            return stats(self)
        end,
    }
    self.connection_options = {
        limits = settings.limits,
        compat = settings.compat,
        on_idle = function(connection)
            hand_back(self, connection)
        end,
        on_close = function(connection, reason)
            was_closed(self, connection, reason)
        end,
    }
    return self
end

return hosted
