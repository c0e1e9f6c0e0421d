-- client/supply.lua - gets a connection for a request: does what the pool decides, has streams
-- opened, closes what has been idle too long. It never makes a request and never judges a response.

local ahead = require "moonwire.client.ahead"
local connections = require "moonwire.connection"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local events = require "moonwire.client.events"
local list = require "moonwire.pool.list"
local opening = require "moonwire.client.opening"
local threads = require "moonwire.backend.thread"

local huge, min = math.huge, math.min

local WALL_SLACK = 5 -- seconds by which the wall clock may have been set, and nobody cares
local WALL_IDLE = 1 -- seconds idle from which on the wall clock is asked as well

local new_open, append_open, remove_open = list.linked_by("open_before", "open_after")

--- One request on its way.
---@class moonwire.client.Call
---@field request moonwire.Request
---@field data table of requests.data
---@field pool moonwire.HostPool? where the host keeps connections
---@field key string what connections are shared by
---@field path string? of a unix socket
---@field tls moonwire.TlsContext? of an https request
---@field secured string? what the TLS sessions of its connections are kept by
---@field route moonwire.client.Route? through a proxy
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
---@field closing boolean? no further request is admitted
---@field counted table<string, integer> connections that were closed, by reason
---@field listeners moonwire.client.Listeners|false
---@field private tls moonwire.client.Tls
---@field private open moonwire.pool.List slots, each with its connection in `held`, in the order of
---  opening
---@field private longest_idle number? seconds, whatever a peer allows
---@field private reaper moonwire.Thread? closes what has been idle too long; keeps nothing alive
---@field private reaper_until number?
---@field private wall_ahead number what the wall clock says more than the backend's
---@field package leavers moonwire.Thread[]? who waits for everything to end
---@field package cut boolean? something was cut short
local methods = {}
local Supply = { __index = methods, __name = "moonwire.client.Supply" }

local supply = {}

-- The pool's decisions, carried out ---------------------------------------------------------------

local function start_dial(self, slot)
    local waiter = slot.waiter
    if waiter then
        slot.call, waiter.placed = waiter.call, self.backend:now()
    end
    self.backend:start(self.dial_aside, self, slot)
end

local function carry_out(self, pool)
    local connection, reason = pool:next_close()
    while connection do
        connection:close(reason)
        connection, reason = pool:next_close()
    end
    local slot = pool:next_abort()
    while slot do
        if slot.scope then
            slot.scope:cancel()
        end -- else it has not begun, and sees that it is closed
        slot = pool:next_abort()
    end
    slot = pool:next_dial()
    while slot do
        start_dial(self, slot)
        slot = pool:next_dial()
    end
    local waiter = pool:next_wake()
    while waiter do
        if waiter.thread then
            self.backend:wake(waiter.thread, 0)
        end
        waiter = pool:next_wake()
    end
end

local function settle(self)
    local pool = self.pool
    if pool:has_orders() then
        carry_out(self, pool)
    end
    if self.leavers and (self.closed or pool.total + pool.waiting == 0) then
        for _, thread in ipairs(self.leavers) do
            self.backend:wake(thread, 0)
        end
    end
end

--- Does what the pool has decided.
---@package
methods.settle = settle

-- What has been idle too long ---------------------------------------------------------------------

-- Seconds that the machine has slept since the last look. The backend's clock, which all limits go
-- by, stands still meanwhile; the peers' and the routers' clocks do not.
local function seconds_slept(self, now)
    local lead = self.backend:wall() - now
    local slept = lead - self.wall_ahead
    self.wall_ahead = lead
    return slept > WALL_SLACK and slept or 0
end

-- It begins by waiting: in a client that is busy nothing is idle for long.
local function reap(self)
    local backend, next_time = self.backend, self.reaper_until
    while next_time and not self.closed and self.backend == backend do
        self.reaper_until = next_time
        if next_time ~= -huge then
            backend:wait(next_time)
        end
        local now = backend:now()
        next_time = self.pool:expire(now + seconds_slept(self, now))
        settle(self)
    end
    if self.backend == backend then
        self.reaper, self.reaper_until = nil, nil
    end
end

local function watch_idle(self, slot)
    if not self.reaper then
        self.reaper_until = slot.expires
        self.wall_ahead = self.backend:wall() - self.backend:now()
        self.reaper = self.backend:start(reap, self)
    elseif slot.expires < self.reaper_until then
        self.reaper_until = slot.expires -- for a reaper that has not begun
        self.backend:wake(self.reaper, 0)
    end
end

local function take_seat(self, connection, slot, key)
    connection.seat, slot.held, slot.secured = slot, connection, key
    append_open(self.open, slot)
end

local function leave_seat(self, connection)
    local slot = connection.seat
    if slot then
        remove_open(self.open, slot)
        connection.seat, slot.held = false, nil
    end
end

local function came_idle(self, connection, now)
    local slot = connection.seat
    if slot.secured then
        self.tls:keep_session(slot.secured, connection.stream)
    end
    local lifetime, longest = connection.lifetime, self.longest_idle
    if lifetime and longest then
        lifetime = min(lifetime, longest)
    end
    self.pool:give_back(slot, now, lifetime)
    settle(self)
    if slot.state == "idle" then
        watch_idle(self, slot)
    end
end

local function was_closed(self, connection, reason)
    local slot, counted = connection.seat, self.counted
    counted[reason] = (counted[reason] or 0) + 1
    if events.is_watched(self) then
        events.closed(self, connection, reason)
    end
    if slot and slot.secured and not connection.failure then
        self.tls:keep_session(slot.secured, connection.stream)
    end
    leave_seat(self, connection)
    if not slot or slot.state == "closed" then
        return -- the pool has let go of it, and settle() goes on
    elseif not (connection.unfit and slot.state == "active") then
        self.pool:closed(slot)
        settle(self)
    end -- else its request is told, and replaces it
end

-- Dialing -----------------------------------------------------------------------------------------

-- A connection that was not used yet, or not by who it was for.
local function keep_unused(self, slot)
    if slot.state == "idle" then
        slot.connection:put_aside()
        watch_idle(self, slot)
    end
end

local function add_connection(self, slot, call, stream, now)
    local connection = connections.new(stream, self.connection_options, now)
    connection.origin = call.data.origin
    take_seat(self, connection, slot, call.secured)
    self.pool:opened(slot, connection, now)
    if events.is_watched(self) then
        events.opened(self, connection)
    end
end

local function finish_dial(self, slot, stream, err)
    local pool, call, waiter = self.pool, slot.call, slot.waiter
    if slot.state ~= "opening" then -- nobody wants it any more
        if stream then
            stream:close()
        end
        return
    elseif stream then
        add_connection(self, slot, call, stream, self.backend:now())
        keep_unused(self, slot)
    else
        if waiter then
            local own = waiter.call
            err.url, err.elapsed = own.data.url, self.backend:now() - own.started
            waiter.err = err
        end
        slot.err = err
        pool:closed(slot)
    end
    settle(self)
end

-- Whether the limit that was met was of another request than the one that waits now.
local function was_others_limit(slot, err)
    local waiter = slot.waiter
    return err.kind == "timeout" and slot.state == "opening" and waiter
        and waiter.call ~= slot.call
end

local function dial(self, slot)
    local backend, stream, err = self.backend, nil, nil
    while not stream and slot.state == "opening" do
        stream, err = opening.stream(backend, slot.call, self.tls, slot)
        if not stream and not was_others_limit(slot, err) then
            break
        elseif not stream then
            slot.call = slot.waiter.call
        end
    end
    finish_dial(self, slot, stream, err)
end

-- What is raised is raised where somebody waits for it, or returned; the place is never lost.
local function dial_safely(self, slot)
    local ok, problem = xpcall(dial, errors.handler, self, slot)
    if not ok then
        local waiter = slot.waiter
        if waiter then
            waiter.raised = problem
        end
        self.pool:closed(slot)
        settle(self)
        return not waiter and problem or nil
    end
end

--- The body of a thread that dials for a slot.
---@package
---@param slot moonwire.pool.Slot
function methods:dial_aside(slot)
    local problem = slot.state == "opening" and dial_safely(self, slot) or nil
    local group = slot.group
    if group then
        group.left, group.problem = group.left - 1, group.problem or problem
        if group.left == 0 then
            self.backend:wake(group.thread, 0)
        end
    elseif problem then
        error(problem, 0)
    end
end

-- A connection for a request ----------------------------------------------------------------------

local function fail_closed(call)
    return nil, errors.new {
        kind = "closed", phase = "pool", code = "ECLOSED", url = call.data.url,
        message = "the client was closed",
    }
end

-- Until when a request waits: a dial that was begun for it ends in time and says what it was.
local function limit_of(call, waiter)
    local slot, seconds = waiter.dial, call.timeouts.pool
    if slot then
        return slot.call == call and huge or call.deadline
    end
    return seconds and min(call.deadline, waiter.since + seconds - call.waited) or call.deadline
end

local function give_up(self, call, waiter, code)
    local backend, slot, limit = self.backend, waiter.slot, limit_of(call, waiter)
    local phase, doing = "pool", "waiting for a free connection"
    if waiter.dial then
        phase, doing = waiter.dial.phase or "connect", "connecting to " .. call.data.origin
    end
    self.pool:cancel(waiter, backend:now())
    if slot then
        keep_unused(self, slot)
    end
    settle(self)
    return opening.explain(backend, call, errors.from_code(code, phase, doing), limit, "pool")
end

-- Waits for the pool's word: a connection that is freed, one that is new, or no place in time.
local function wait_turn(self, call, waiter)
    local backend, code = self.backend, 0
    waiter.thread = threads.of(backend)
    while waiter.state == "waiting" and code >= 0 do
        code = backend:wait(limit_of(call, waiter))
        if code == core.ETIMEOUT and limit_of(call, waiter) > backend:now() then
            code = 0 -- there is a place now, and so another limit
        end
    end
    call.waited = call.waited + (waiter.placed or backend:now()) - waiter.since
    local state = waiter.state
    if state == "granted" and code >= 0 then
        return self.pool:claim(waiter, backend:now())
    elseif state == "closed" then
        return fail_closed(call)
    elseif state ~= "failed" then
        return give_up(self, call, waiter, code)
    elseif waiter.raised then
        error(waiter.raised, 0)
    end
    return nil, waiter.err
end

-- Most dials to this machine need no wait, and so nobody who dials beside the request. Gives the
-- time when there is a connection.
local function dial_at_once(self, call, slot, now)
    local stream, connected = opening.at_once(self.backend, call, now)
    if stream then
        add_connection(self, slot, call, stream, connected)
    end
    return connected
end

local function dial_at_once_safely(self, call, slot, now)
    local ok, connected = xpcall(dial_at_once, errors.handler, self, call, slot, now)
    if not ok then
        self.pool:closed(slot)
        settle(self)
        error(connected, 0)
    end
    return connected
end

-- Waits for what the pool has a waiter for. Nobody has been told to dial yet.
local function await(self, call, waiter)
    local slot, connected = waiter.dial, nil
    waiter.call = call
    if slot and (slot.to_dial or slot.direct) then
        connected = dial_at_once_safely(self, call, slot, waiter.since)
        slot = waiter.dial
    end
    if connected then
        slot = self.pool:claim(waiter, connected)
        settle(self)
        return slot
    end
    settle(self)
    if slot and slot.direct then
        slot.call, waiter.placed = call, waiter.since
        dial_safely(self, slot)
    end
    return wait_turn(self, call, waiter)
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
    local other, waiter = self.pool:replace(slot, self.backend:now())
    if other then
        settle(self)
        return other
    end
    return await(self, call, waiter)
end

-- The machine has slept so long that a connection that was idle meanwhile is too old.
local function has_overslept(self, slot, now)
    local slept = seconds_slept(self, now)
    if slept == 0 then
        return false
    end
    self.pool:expire(now + slept)
    return slot.expires <= now + slept
end

local function drop_overslept(self, call, slot)
    local connection = slot.connection
    leave_seat(self, connection) -- its place is not free: another is found for it
    connection:close("idle_timeout")
    return self:replace(call, slot)
end

--- Gives a slot whose connection is to be used, where one was freed a moment ago: the machine can't
--- have slept since.
---@param key string of the call
---@param now number
---@return moonwire.pool.Slot? slot
function methods:take_recent(key, now)
    local slot = self.pool:take_recent(key, now, WALL_IDLE)
    if slot then
        settle(self)
    end
    return slot
end

--- Gives a slot whose connection is to be used.
---@param call moonwire.client.Call
---@param fresh boolean it must be a new one
---@return moonwire.pool.Slot? slot
---@return moonwire.Error? err
function methods:checkout(call, fresh)
    local now = self.backend:now()
    local slot, waiter = self.pool:take(call.key, now, fresh)
    if slot then
        settle(self)
        if slot.expires - slot.lifetime + WALL_IDLE > now or not has_overslept(self, slot, now) then
            return slot
        end
        return drop_overslept(self, call, slot)
    end
    return await(self, call, waiter)
end

--- The request was refused before it began, and its connection is as it was.
---@param slot moonwire.pool.Slot
function methods:return_unused(slot)
    local connection = slot.connection
    if slot.state == "active" and connection and not connection:is_closed()
        and connection.state ~= "active" then
        connection:put_aside()
        came_idle(self, connection, self.backend:now())
    end
end

--- Says on which backend connections are opened from now on.
---@param backend moonwire.Backend
---@return boolean done false: there are connections, or requests that wait for one, on another
function methods:use(backend)
    if self.open.first or self.pool.total > 0 or self.pool.waiting > 0 then
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
        self.reaper_until = -huge -- for one that has not begun: it ends at once
        self.backend:wake(self.reaper, 0)
    end
end

-- In the order of opening.
local function all_connections(self)
    local all, slot = {}, self.open.first
    while slot and slot.held do -- the list's end holds none
        all[#all + 1] = slot.held
        slot = slot.open_after
    end
    return all
end

methods.preconnect = ahead.connect
methods.leave = ahead.leave

--- Closes everything, what was opened first before the others. Twice is harmless.
function methods:close()
    if self.closed then
        return
    end
    local pool = self.pool
    self.closed, self.cut = true, pool.waiting + pool.total > pool.states.idle
    pool:close()
    settle(self)
    for _, connection in ipairs(all_connections(self)) do
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
        pool = pool, open = new_open(), closed = false, longest_idle = settings.longest_idle,
        tls = settings.tls, listeners = false,
        counted = {}, wall_ahead = 0,
    }, Supply)
    self.connection_options = {
        limits = settings.limits,
        compat = settings.compat,
        on_idle = function(connection)
            came_idle(self, connection, connection.last_used)
        end,
        on_close = function(connection, reason)
            was_closed(self, connection, reason)
        end,
        can_drain = function()
            return pool.waiting == 0 -- whoever waits gets a place at once
        end,
    }
    return self
end

return supply
