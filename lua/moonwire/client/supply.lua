-- client/supply.lua - gets a connection for a request: does what the pool decides, dials, closes
-- what has been idle too long. It never makes a request and never judges a response.

local connections = require "moonwire.connection"
local deadlines = require "moonwire.deadline"
local dialer = require "moonwire.dial"
local errors = require "moonwire.error"
local threads = require "moonwire.backend.thread"
local urls = require "moonwire.url"

local huge, min = math.huge, math.min

--- One request on its way.
---@class moonwire.client.Call
---@field request moonwire.Request
---@field data table of requests.data
---@field key string what connections are shared by
---@field path string? of a unix socket
---@field tls moonwire.TlsContext? of an https request
---@field dialing moonwire.dial.Options?
---@field started number
---@field waited number seconds in the pool's queue so far
---@field deadline number
---@field timeouts table
---@field retry boolean
---@field sending table what connection:request takes

---@class moonwire.client.Supply
---@field pool moonwire.Pool
---@field backend moonwire.Backend? the one its connections live on
---@field closed boolean
---@field counted table<string, integer> connections closed while idle, by reason
---@field private tls moonwire.client.Tls
---@field private secured table<moonwire.Connection, string> keys of those that speak TLS
---@field private slots table<moonwire.Connection, moonwire.pool.Slot>
---@field private longest_idle number? seconds, whatever a peer allows
---@field private reaper moonwire.Thread? closes what has been idle too long; keeps nothing alive
---@field private reaper_until number?
local methods = {}
local Supply = { __index = methods, __name = "moonwire.client.Supply" }

local supply = {}

-- The pool's decisions, carried out ---------------------------------------------------------------

local function settle(self)
    local pool = self.pool
    local connection = pool:next_close()
    while connection do
        connection:close("pool")
        connection = pool:next_close()
    end
    local waiter = pool:next_wake()
    while waiter do
        self.backend:wake(waiter.thread, 0)
        waiter = pool:next_wake()
    end
end

local function reap(self)
    local backend = self.backend
    while not self.closed and self.backend == backend do
        local next_time = self.pool:expire(backend:now())
        settle(self)
        if not next_time then
            break
        end
        self.reaper_until = next_time
        backend:wait(next_time)
    end
    if self.backend == backend then
        self.reaper, self.reaper_until = nil, nil
    end
end

local function watch_idle(self, slot)
    if not self.reaper then
        self.reaper_until = -huge -- it looks by itself before it sleeps
        self.reaper = self.backend:start(reap, self)
    elseif slot.expires < self.reaper_until then
        self.backend:wake(self.reaper, 0)
    end
end

local function came_idle(self, connection)
    local slot = self.slots[connection]
    local key = self.secured[connection]
    if key then
        self.tls:keep_session(key, connection.stream)
    end
    local lifetime, longest = connection.lifetime, self.longest_idle
    if lifetime and longest then
        lifetime = min(lifetime, longest)
    end
    self.pool:give_back(slot, self.backend:now(), lifetime)
    settle(self)
    if slot.state == "idle" then
        watch_idle(self, slot)
    end
end

local function was_closed(self, connection, reason)
    local slot, counted = self.slots[connection], self.counted
    self.slots[connection], self.secured[connection] = nil, nil
    if counted[reason] then
        counted[reason] = counted[reason] + 1
    end
    if not slot or slot.state == "closed" then
        return -- the pool has let go of it, and settle() goes on
    elseif not (connection.unfit and slot.state == "active") then
        self.pool:closed(slot)
        settle(self)
    end -- else its request is told, and replaces it
end

-- A connection for a request ----------------------------------------------------------------------

local function fail_closed(call)
    return nil, errors.new {
        kind = "closed", phase = "pool", code = "ECLOSED", url = call.data.url,
        message = "the client was closed",
    }
end

-- Completes an error of a phase before the request: `limit` is when that phase had to be over.
local function explain(self, call, err, limit, phase)
    err.url = call.data.url
    if err.attempts and err.attempts[1] == err then -- it keeps the time of its own
        local attempt = {}
        for name, value in pairs(err) do
            attempt[name] = name ~= "attempts" and value or nil
        end
        err.attempts[1] = errors.new(attempt)
    end
    err.elapsed = self.backend:now() - call.started
    if err.kind == "timeout" then
        err.timeout = limit >= call.deadline and "total" or phase
        deadlines.explain(err, "timeout." .. err.timeout, call.timeouts[err.timeout])
    elseif err.kind == "cancelled" then
        deadlines.tell(err)
    end
    return nil, err
end

-- Waits for the pool's word.
local function wait_turn(self, call, waiter)
    local backend, limit = self.backend, call.deadline
    local seconds, began = call.timeouts.pool, self.backend:now()
    if seconds then
        limit = min(limit, began + seconds - call.waited)
    end
    waiter.thread = threads.of(backend)
    local code = 0
    while waiter.state == "waiting" and code >= 0 do
        code = backend:wait(limit)
    end
    call.waited = call.waited + backend:now() - began
    if waiter.state == "granted" and code >= 0 then
        return self.pool:claim(waiter)
    end
    self.pool:cancel(waiter, backend:now())
    settle(self)
    if waiter.state == "closed" then
        return fail_closed(call)
    end
    return explain(self, call, errors.from_code(code, "pool", "waiting for a free connection"),
        limit, "pool")
end

-- Connects, and goes over to TLS for an https request.
local function dial(self, call)
    local backend, timeouts = self.backend, call.timeouts
    local origin = urls.parse(call.data.origin)
    local limit = min(call.deadline, backend:now() + timeouts.connect)
    local stream, err
    if call.path then
        stream, err = dialer.connect_path(backend, call.path, limit, call.dialing)
    else
        stream, err = dialer.connect(backend, origin.host, origin.port, limit, call.dialing)
    end
    if not stream then
        return explain(self, call, err, limit, "connect")
    elseif not call.tls then
        return stream
    end
    limit = min(call.deadline, backend:now() + timeouts.tls)
    local ok
    ok, err = self.tls:secure(stream, call, origin.host, limit)
    if not ok then
        return explain(self, call, err, limit, "tls")
    end
    return stream
end

-- Opens a connection in a slot that is "opening".
local function open(self, call, slot)
    local stream, err = dial(self, call)
    if not stream or self.closed then
        self.pool:closed(slot)
        settle(self)
        if stream then
            stream:close()
            return fail_closed(call)
        end
        return nil, err
    end
    local connection = connections.new(stream, self.connection_options)
    self.slots[connection] = slot
    self.secured[connection] = call.tls and call.key
    self.pool:opened(slot, connection, self.backend:now())
    return slot
end

--- Gives a slot whose connection is to be used.
---@param call moonwire.client.Call
---@param fresh boolean it must be a new one
---@return moonwire.pool.Slot? slot
---@return moonwire.Error? err
function methods:checkout(call, fresh)
    local pool = self.pool
    local slot, waiter = pool:take(call.key, self.backend:now(), fresh)
    settle(self)
    if waiter then
        local err
        slot, err = wait_turn(self, call, waiter)
        if not slot then
            return nil, err
        end
    end
    if fresh and slot.state == "active" then
        local connection = slot.connection
        slot = pool:replace(slot, self.backend:now(), true)
        self.slots[connection] = nil
        connection:close("pool")
    end
    if slot.state == "opening" then
        return open(self, call, slot)
    end
    return slot
end

--- The connection of a slot was stale before a byte of the request went: the place stays, and
--- another connection is found for it.
---@param call moonwire.client.Call
---@param slot moonwire.pool.Slot
---@return moonwire.pool.Slot? slot
---@return moonwire.Error? err
function methods:replace(call, slot)
    if self.closed then
        self.pool:closed(slot)
        return fail_closed(call)
    end
    slot = self.pool:replace(slot, self.backend:now())
    settle(self)
    if slot.state == "opening" then
        return open(self, call, slot)
    end
    return slot
end

--- The request was refused before it began, and its connection is as it was.
---@param slot moonwire.pool.Slot
function methods:return_unused(slot)
    local connection = slot.connection
    if slot.state == "active" and connection and not connection:is_closed()
        and connection.state ~= "active" then
        connection:put_aside()
        came_idle(self, connection)
    end
end

--- Says on which backend connections are opened from now on.
---@param backend moonwire.Backend
---@return boolean done false: there are connections, or requests that wait for one, on another
function methods:use(backend)
    local stats = self.pool:stats()
    if next(self.slots) ~= nil or stats.total > 0 or stats.waiting > 0 then
        return false
    end
    if self.reaper then
        self.backend:wake(self.reaper, 0)
        self.reaper, self.reaper_until = nil, nil
    end
    self.backend = backend
    return true
end

--- Closes the connections that nobody uses.
function methods:close_idle()
    self.pool:close_idle()
    settle(self)
    if self.reaper then
        self.backend:wake(self.reaper, 0)
    end
end

local function by_age(slots)
    local list = {}
    for connection in pairs(slots) do
        list[#list + 1] = connection
    end
    table.sort(list, function(a, b)
        return slots[a].number < slots[b].number
    end)
    return list
end

--- Closes everything, what was opened first before the others. Twice is harmless.
function methods:close()
    if self.closed then
        return
    end
    self.closed = true
    self.pool:close()
    settle(self)
    for _, connection in ipairs(by_age(self.slots)) do
        connection:close("client_closed")
    end
    if self.reaper then
        self.backend:wake(self.reaper, 0)
    end
end

--- Makes a supply of connections over a pool.
---@param settings moonwire.client.Settings
---@return moonwire.client.Supply
function supply.new(settings)
    local pool = settings.pool
    local self = setmetatable({
        pool = pool, slots = {}, closed = false, longest_idle = settings.longest_idle,
        tls = settings.tls, secured = {},
        counted = { peer_closed_idle = 0, unsolicited = 0 },
    }, Supply)
    self.connection_options = {
        limits = settings.limits,
        compat = settings.compat,
        on_idle = function(connection)
            came_idle(self, connection)
        end,
        on_close = function(connection, reason)
            was_closed(self, connection, reason)
        end,
        can_drain = function()
            return pool:stats().waiting == 0 -- whoever waits gets a place at once
        end,
    }
    return self
end

return supply
