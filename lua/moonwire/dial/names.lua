-- dial/names.lua - host names to addresses for all who dial on one backend: both families are asked
-- for side by side, equal lookups are merged, answers are kept for a while. It never connects.

local bounded = require "moonwire.dial.bounded"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local threads = require "moonwire.backend.thread"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local huge, min = math.huge, math.min

local KEPT_MOST = 256 -- names
local KEPT_LONGEST = 30 -- seconds, whatever the TTL
local KEPT_FAILED = 1
local RESOLUTION_DELAY = 0.05 -- seconds one family waits for the other (RFC 8305 section 3)
local WHOLE_DELAY = 1 -- the same where all addresses are wanted; some servers never say about AAAA

local FAMILIES = { "ipv6", "ipv4" }

-- Of two failures the one that says more: an answer may be there, the name is there, no such name.
local RANK = { ENOTFOUND = 1, ENODATA = 2 }

--- What is known of one name; over when both families have been answered, or nobody waits any more.
---@class moonwire.dial.Lookup
---@field lists table<string, table[]> by family, once it has been answered
---@field asking integer families without an answer
---@field err moonwire.Error? it is over, and there is no address
---@field private host string
---@field private names moonwire.dial.Names
---@field private expires number
---@field private first_at number? when the first address came
---@field private first string? the family to begin with, once both have addresses
---@field private waiters moonwire.Thread[]
---@field private workers moonwire.Thread[]
local lookup_methods = {}
local Lookup = { __index = lookup_methods, __name = "moonwire.dial.Lookup" }

-- A copy for one of those who are told: it may add its own fields.
local function copy_error(err)
    return errors.new {
        kind = err.kind, phase = err.phase, code = err.code, errno = err.errno,
        message = err.message,
    }
end

-- How long the answers may be kept.
local function lifetime(self)
    local seconds, found = KEPT_LONGEST, false
    for _, list in each(self.lists) do
        for _, address in ipairs(list) do
            found = true
            seconds = min(seconds, address.ttl or KEPT_LONGEST)
        end
    end
    return found and seconds or KEPT_FAILED
end

local function finish(self)
    local names = self.names
    self.asking = 0
    names.counts.running = names.counts.running - 1
    self.expires = names.backend:now() + lifetime(self)
    if #self:addresses() > 0 then
        self.err = nil
    elseif not self.err or self.err.kind ~= "resolve" then
        names:forget(self.host, self) -- nothing was said about the name
    end
end

local function wake_waiters(self)
    for _, waiter in ipairs(self.waiters) do
        self.names.backend:wake(waiter, 0)
    end
end

local function ask(self, family)
    local backend = self.names.backend
    local list, err = backend:resolve(self.host, huge, family)
    if self.asking == 0 then
        return -- nobody wants to know any more
    end
    self.lists[family] = list or {}
    if list then
        self.first_at = self.first_at or backend:now()
    elseif not self.err or (RANK[err.code] or 3) > (RANK[self.err.code] or 3) then
        self.err = err
    end
    self.asking = self.asking - 1
    if self.asking == 0 then
        finish(self)
    end
    wake_waiters(self)
end

--- Has a thread woken with each answer, until it leaves.
---@param waiter moonwire.Thread
function lookup_methods:join(waiter)
    table.insert(self.waiters, waiter)
end

--- The thread isn't interested any more; with the last one the lookup ends, and what is known by
--- then is what is kept.
---@param waiter moonwire.Thread
function lookup_methods:leave(waiter)
    for i, other in ipairs(self.waiters) do
        if other == waiter then
            table.remove(self.waiters, i)
            break
        end
    end
    if #self.waiters > 0 or self.asking == 0 then
        return
    end
    for _, worker in ipairs(self.workers) do
        if not worker.finished then
            threads.cancel(worker)
        end
    end
    self.err = nil
    finish(self)
end

-- The family that begins (RFC 6724 section 6). Within a family the backend has sorted.
local function first_family(self)
    local six, four = self.lists.ipv6, self.lists.ipv4
    if not self.first and six and four and six[1] and four[1] then
        local backend = self.names.backend
        local to, other = six[1].address, four[1].address
        local is_worse = core.is_better_route(other, backend:source_of(other), to,
            backend:source_of(to))
        self.first = is_worse and "ipv4" or "ipv6"
    end
    return self.first or "ipv6"
end

local function append(list, more)
    for _, address in ipairs(more or {}) do
        list[#list + 1] = { family = address.family, address = address.address }
    end
end

--- All addresses that are known, in the order in which to try them.
---@return {family: string, address: string}[]
function lookup_methods:addresses()
    local all, first = {}, first_family(self)
    append(all, self.lists[first])
    append(all, self.lists[first == "ipv6" and "ipv4" or "ipv6"])
    return all
end

-- When there is enough to go on with; huge: not before the next answer.
local function ready_at(self, preferred)
    local best = preferred and self.lists[preferred]
    if self.asking == 0 or best and #best > 0 then
        return -huge
    end
    local delay = preferred and RESOLUTION_DELAY or WHOLE_DELAY
    return self.first_at and self.first_at + delay or huge
end

--- Waits until there are addresses to begin with: one of the preferred family, or any, once it has
--- waited a moment for that family. The calling thread must have joined.
---@param deadline number
---@param preferred string? family; nil: waits for the whole answer, or a second for its other half
---@return boolean? ok
---@return moonwire.Error? err
function lookup_methods:wait(deadline, preferred)
    local backend = self.names.backend
    local code = 0
    while code >= 0 do
        local ready = ready_at(self, preferred)
        if backend:now() >= ready then
            break
        end
        code = backend:wait(min(deadline, ready))
        if code == core.ETIMEOUT and ready < deadline then
            code = 0
        end
    end
    if code < 0 then
        return nil, errors.from_code(code, "resolve", "looking up " .. self.host)
    elseif #self:addresses() == 0 then
        return nil, copy_error(self.err)
    end
    return true
end

---@class moonwire.dial.Names
---@field backend moonwire.Backend
---@field counts table<string, integer> lookups: hits, negative (a failure was kept), merged,
---  misses, and running
---@field private kept moonwire.dial.Bounded of moonwire.dial.Lookup
local methods = {}
local Names = { __index = methods, __name = "moonwire.dial.Names" }

local function count_use(self, found)
    local name = found.asking > 0 and "merged" or found.err and "negative" or "hits"
    self.counts[name] = self.counts[name] + 1
end

--- What is known of a host name, or is being asked for.
---@param host string
---@return moonwire.dial.Lookup
function methods:lookup(host)
    local backend, key = self.backend, host:lower()
    local found = self.kept:get(key)
    if found and (found.asking > 0 or backend:now() < found.expires) then
        count_use(self, found)
        return found
    end
    self.counts.misses = self.counts.misses + 1
    self.counts.running = self.counts.running + 1
    local new = setmetatable({
        host = host, names = self, lists = {}, asking = #FAMILIES, expires = huge,
        waiters = {}, workers = {},
    }, Lookup)
    for i, family in ipairs(FAMILIES) do
        new.workers[i] = backend:start(ask, new, family)
    end
    self.kept:set(key, new)
    return new
end

--- Drops what is kept about a host name.
---@param host string
---@param only moonwire.dial.Lookup? when given: nothing but this
function methods:forget(host, only)
    local key = host:lower()
    local found = self.kept:get(key)
    if found and found.asking == 0 and (only == nil or found == only) then
        self.kept:remove(key)
    end
end

--- How many names are kept.
---@return integer
function methods:size()
    return self.kept:size()
end

local names = {}

---@param backend moonwire.Backend
---@return moonwire.dial.Names
function names.new(backend)
    return setmetatable({
        backend = backend, kept = bounded.new(KEPT_MOST),
        counts = { hits = 0, negative = 0, merged = 0, misses = 0, running = 0 },
    }, Names)
end

return names
