-- resty/keep.lua - where idle connections are kept: in lists of our own, or, where the host owns
-- the pool, in the host's. It never opens a connection.

local connections = require "moonwire.connection"
local errors = require "moonwire.error"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local huge, min = math.huge, math.min

local keep = {}

-- Lists of our own --------------------------------------------------------------------------------

---@class moonwire.resty.Kept
---@field keep moonwire.resty.Keep
---@field name string of its pool
---@field connection moonwire.Connection
---@field times integer how often it has been taken out so far
---@field expires number

---@class moonwire.resty.Keep
---@field backend moonwire.Backend
---@field pools table<string, moonwire.resty.Kept[]> by name, what was kept last at the end
---@field reaper moonwire.Thread? closes what has been idle too long
---@field reaper_until number

local function keep_of(backend)
    local self = backend.resty_keep
    if not self then
        self = { backend = backend, pools = {}, reaper_until = huge }
        backend.resty_keep = self
    end
    return self
end

-- Takes it out of its list, if it is in one.
local function remove(entry)
    local pools, name = entry.keep.pools, entry.name
    local pool = pools[name] or {}
    entry.connection.seat = false
    for i, one in ipairs(pool) do
        if one == entry then
            table.remove(pool, i)
            pools[name] = #pool > 0 and pool or nil
            return
        end
    end
end

-- Closes what has expired by now; gives when the next one will.
local function expire(self, now)
    local next_time, expired = huge, {}
    for _, pool in each(self.pools) do
        for _, entry in ipairs(pool) do
            if entry.expires <= now then
                expired[#expired + 1] = entry.connection
            elseif entry.expires < next_time then
                next_time = entry.expires
            end
        end
    end
    for _, connection in ipairs(expired) do
        connection:close "idle_timeout" -- which takes it out of its list
    end
    return next_time
end

local function reap(self)
    repeat
        if self.reaper_until > self.backend:now() then
            self.backend:wait(self.reaper_until)
        end
        self.reaper_until = expire(self, self.backend:now())
    until self.reaper_until == huge
    self.reaper = nil
end

local function watch_expiry(self, expires)
    if expires == huge or self.reaper and self.reaper_until <= expires then
        return
    end
    self.reaper_until = expires
    if self.reaper then
        self.backend:wake(self.reaper, 0)
    else
        self.reaper = self.backend:start(reap, self)
    end
end

local function take_own(backend, name)
    local self = keep_of(backend)
    while self.pools[name] do
        local pool = self.pools[name]
        local entry = pool[#pool]
        remove(entry)
        local is_late = entry.expires <= backend:now() -- and the reaper hasn't come to it
        if not is_late and not entry.connection:has_expired(huge) then
            return entry.connection, entry.times + 1
        end
        entry.connection:close(is_late and "idle_timeout" or nil)
    end
end

local function give_own(backend, name, connection, times, seconds, size)
    local self = keep_of(backend)
    connection:put_aside()
    if connection:has_expired(huge) then
        connection:close()
        return nil, errors.new { kind = "closed", message = "the peer has closed the connection" }
    end
    while self.pools[name] and #self.pools[name] >= size do
        self.pools[name][1].connection:close "pool_full"
    end
    seconds = min(seconds == 0 and huge or seconds, connection.lifetime or huge)
    local entry = {
        keep = self, name = name, connection = connection, times = times,
        expires = backend:now() + seconds,
    }
    connection.seat = entry
    self.pools[name] = self.pools[name] or {}
    table.insert(self.pools[name], entry)
    watch_expiry(self, entry.expires)
    return true
end

-- Both --------------------------------------------------------------------------------------------

local KEEPER = {
    on_close = function(connection)
        local entry = connection.seat
        if entry then
            remove(entry)
        end
    end,
}

--- Makes a connection of a stream, of a kind that can be kept.
---@param stream moonwire.Stream
---@param times integer how often it was used before
---@return moonwire.Connection
function keep.connection(stream, times)
    local connection = connections.new(stream, KEEPER)
    connection.requests = times -- so that it is known for one that may be stale
    return connection
end

--- Takes an idle connection out, where they are kept here. Where the host keeps them they come out
--- of its connect().
---@param backend moonwire.Backend
---@param name string of the pool
---@return moonwire.Connection? connection
---@return integer? times how often it was used before
function keep.take(backend, name)
    if backend.capabilities.pool_owned_by_host then
        return nil
    end
    return take_own(backend, name)
end

--- Keeps an idle connection, or a new one that wasn't used. It is no longer the caller's, whatever
--- comes of it.
---@param backend moonwire.Backend
---@param name string of the pool
---@param connection moonwire.Connection
---@param times integer how often it was used before
---@param seconds number how long it may be idle; 0: for ever
---@param size integer how many are kept; a host goes by what it was told when the pool was new
---@return true? ok, moonwire.Error? err
function keep.give(backend, name, connection, times, seconds, size)
    if not backend.capabilities.pool_owned_by_host then
        return give_own(backend, name, connection, times, seconds, size)
    end
    local ok, err = connection.stream:keep(seconds)
    connection:close "kept_by_host"
    return ok, err
end

--- Closes all that is kept here.
---@param backend moonwire.Backend
function keep.close_idle(backend)
    local self = keep_of(backend)
    local all = {}
    for _, pool in each(self.pools) do
        for _, entry in ipairs(pool) do
            all[#all + 1] = entry.connection
        end
    end
    for _, connection in ipairs(all) do
        connection:close()
    end
    if self.reaper then
        self.reaper_until = -huge
        backend:wake(self.reaper, 0)
    end
end

return keep
