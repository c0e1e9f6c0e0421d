-- dial/race.lua - one connection out of several addresses (RFC 8305): attempts begin one after the
-- other, each goes on beside the next, and the first that succeeds wins. It looks no name up.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local scope = require "moonwire.scope"
local threads = require "moonwire.backend.thread"

local huge, min = math.huge, math.min

local ATTEMPT_DELAY = 0.25 -- seconds an attempt has before the next one begins beside it
local ATTEMPTS_MOST = 6 -- at once
local TOLD_FROM = 0.01 -- seconds: a shorter attempt is said to have failed, but not when

--- What to connect to, and how.
---@class moonwire.dial.Target
---@field place string "host:port"
---@field port integer
---@field deadline number
---@field from string? the numeric address of this side
---@field pool moonwire.HostPool? where the host keeps connections
---@field preferred string the family that is tried first
---@field usable fun(addresses: table[]): table[] those of them that may be tried
---@field lookup moonwire.dial.Lookup? may give more addresses while the race runs

---@class moonwire.dial.Race
---@field stream moonwire.Stream? the winner
---@field family string? of the winner
---@field attempts moonwire.Error[] what failed, in the order in which the attempts began
---@field private target moonwire.dial.Target
---@field private backend moonwire.Backend
---@field private thread moonwire.Thread
---@field private queue table[] addresses that have not been tried
---@field private known table<string, boolean> addresses that were in the queue
---@field private begun integer
---@field private running integer attempts under way
---@field private last_family string? of the attempt that began last
---@field private next_at number when the next attempt may begin
---@field private heard integer? how many families the queue is made of
---@field private failures table<integer, moonwire.Error> by the number of the attempt

local race = {}

--- What went wrong with one address, without the words that all attempts share.
---@param err moonwire.Error of an attempt
---@param port integer
---@return string
function race.tell(err, port)
    local at = err.address:find(":", 1, true) and "[" .. err.address .. "]" or err.address
    local prefix, message = ("connecting to %s:%d"):format(at, port), err.message
    if message:sub(1, #prefix) == prefix then
        message = at .. message:sub(#prefix + 1)
    end
    if err.elapsed < TOLD_FROM then
        return message
    end
    return ("%s after %.3g s"):format(message, err.elapsed)
end

-- Connects to one address; the error says to which, and how long it took.
local function connect(backend, target, address)
    local started, trace = backend:now(), core.state.trace
    if trace then
        trace:note("trying %s port %d", address.address, target.port)
    end
    local stream, err = backend:connect({
        family = address.family, address = address.address, port = target.port,
        from = target.from, pool = target.pool,
    }, target.deadline)
    if not stream then
        err.address, err.elapsed = address.address, backend:now() - started
        if trace and err.kind ~= "cancelled" then
            trace:note("%s", race.tell(err, target.port))
        end
    end
    return stream, err
end

local function attempt(self, address, number)
    local stream, err = connect(self.backend, self.target, address)
    self.running = self.running - 1
    if stream and (self.stream or self.ended) then
        stream:close() -- second to another
    elseif stream then
        self.stream, self.family = stream, address.family
    elseif err.kind ~= "cancelled" then
        self.failures[number] = err
        self.next_at = -huge
    end
    self.backend:wake(self.thread, 0)
end

-- Each address is tried once.
local function enqueue(self, addresses)
    for _, address in ipairs(addresses) do
        if not self.known[address.address] then
            self.known[address.address] = true
            self.queue[#self.queue + 1] = address
        end
    end
end

-- The addresses that came since.
local function hear(self)
    local lookup = self.target.lookup
    if not lookup or lookup.asking == self.heard then
        return
    end
    self.heard = lookup.asking
    enqueue(self, self.target.usable(lookup:addresses()))
end

-- The next address: the families take turns, the preferred one begins.
local function take(self)
    local last = self.last_family
    for i, address in ipairs(self.queue) do
        local fits = last == nil and address.family == self.target.preferred
        if fits or last ~= nil and address.family ~= last then
            return table.remove(self.queue, i)
        end
    end
    return table.remove(self.queue, 1)
end

local function begin(self, s, now)
    local address = take(self)
    self.begun, self.running = self.begun + 1, self.running + 1
    self.last_family = address.family
    self.next_at = now + ATTEMPT_DELAY
    s:spawn(attempt, self, address, self.begun)
end

-- Nothing runs and nothing is left to run.
local function is_lost(self)
    local lookup = self.target.lookup
    return self.running == 0 and #self.queue == 0 and not (lookup and lookup.asking > 0)
end

-- Begins attempts until one has won; a code below 0 when the thread was cancelled.
local function run(s, self)
    local backend, deadline = self.backend, self.target.deadline
    while not self.stream do
        hear(self)
        local now, limit = backend:now(), huge
        if #self.queue > 0 and now < deadline and self.running < ATTEMPTS_MOST then
            limit = self.next_at
        elseif self.running == 0 and #self.queue == 0 then
            limit = deadline -- for what the lookup still may give
        end
        if is_lost(self) or self.running == 0 and now >= deadline then
            break
        elseif #self.queue > 0 and now >= limit then
            begin(self, s, now)
        else
            local code = backend:wait(min(limit, self.running == 0 and deadline or huge))
            if code < 0 and code ~= core.ETIMEOUT then
                self.code = code
                break
            end
        end
    end
    self.ended = true
    s:cancel()
end

--- Connects to the only address there is.
---@param backend moonwire.Backend
---@param target moonwire.dial.Target
---@param address {family: string, address: string}
---@return moonwire.Stream? stream
---@return moonwire.Error? err of kind "cancelled"; else the attempts have it
---@return moonwire.Error[] attempts
function race.single(backend, target, address)
    local stream, err = connect(backend, target, address)
    if err and err.kind == "cancelled" then
        return nil, err, {}
    end
    return stream, nil, { err }
end

--- Connects to one of several addresses. When it returns no other attempt is left.
---@param backend moonwire.Backend
---@param target moonwire.dial.Target
---@param addresses {family: string, address: string}[] known from the start
---@return moonwire.Stream? stream
---@return moonwire.Error? err of kind "cancelled"; else the attempts have it
---@return moonwire.Error[] attempts those that failed, in the order in which they began
---@return string? family of the stream
function race.run(backend, target, addresses)
    local self = {
        target = target, backend = backend, thread = threads.of(backend), queue = {},
        known = {}, begun = 0, running = 0, next_at = -huge, failures = {},
    }
    enqueue(self, addresses)
    scope.open(run, self)
    local attempts = {}
    for i = 1, self.begun do
        attempts[#attempts + 1] = self.failures[i]
    end
    if self.code then
        if self.stream then
            self.stream:close()
        end
        local err = errors.from_code(self.code, "connect", "connecting to " .. target.place)
        return nil, err, attempts
    end
    return self.stream, nil, attempts, self.family
end

return race
