-- spec/simulate/world.lua - one seed: sets up peers, client and tasks on the mock, lets them run,
-- and looks at what is left. What was broken is in `violations`.

local agent = require "spec.simulate.agent"
local audit = require "moonwire.pool.audit"
local clients = require "moonwire.client"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local plan = require "spec.simulate.plan"
local server = require "spec.simulate.server"

local MOST_SECONDS = 600 -- of the virtual clock: nothing in a plan takes longer
local MOST_TURNS = 400000
local MOST_UPLOAD = 120 -- seconds that an upload goes on behind its response

---@class moonwire.simulate.World
---@field seed integer
---@field settings table of plan.lua
---@field violations string[]
---@field counts table<string, integer> what happened how often
---@field connections table[] of server.lua
---@field answers table<string, table> exchanges by the tag of their answer
---@field attempts table<integer, table> the last exchange of each request
---@field timers integer of our own that are set
local methods = {}
local World = { __index = methods }

local world = {}

function methods:now()
    return self.mock:now()
end

function methods:log(format, ...)
    if self.transcript then
        local line = ("%9.3f  "):format(self:now() - 1000) .. format:format(...)
        local last, times = self.transcript[#self.transcript] or "", 1
        local text, count = last:match "^(.*) %(x (%d+)%)$"
        if text then
            last, times = text, tonumber(count)
        end
        if last == line then
            self.transcript[#self.transcript] = ("%s (x %d)"):format(line, times + 1)
        else
            table.insert(self.transcript, line)
        end
    end
end

function methods:count(name)
    self.counts[name] = (self.counts[name] or 0) + 1
end

function methods:violate(format, ...)
    local text = format:format(...)
    table.insert(self.violations, text)
    self:log("VIOLATION: %s", text)
end

-- Requests ----------------------------------------------------------------------------------------

local REPEATABLE = { GET = true, HEAD = true, OPTIONS = true, PUT = true, DELETE = true }
local REWINDABLE = { string = true, list = true }

-- Whether the body can be sent from its beginning.
local function is_whole_still(request)
    return not request.body or REWINDABLE[request.body] or request.body ~= "pipe"
        and not request.was_asked
end

-- A server that doesn't know Expect is asked once more, without.
local function is_without_expect(exchange, before)
    return before.expects and not exchange.expects and before.answer.status == 417
        and is_whole_still(exchange.request)
end

-- Whether a connection may have been idle before its first request.
local function may_have_been_kept(self, exchange)
    return exchange.at > exchange.conn.accepted_at
        or self.counts["kept an unused connection"]
end

-- A request has come a second time: that is for stale connections only.
local function check_repetition(self, exchange, before)
    local request = exchange.request
    if is_without_expect(exchange, before) then
        exchange.repeats, exchange.stale = before, before.stale
        return self:count "sent again without Expect"
    end
    self:count "sent again"
    exchange.stale = true
    local problem = before.stale and "more than once"
        or not REPEATABLE[request.method] and not request.key and "although it is a "
            .. request.method
        or not is_whole_still(request) and "although its body can't be rewound"
        or not before.reused and not may_have_been_kept(self, before)
            and "although its connection was new"
        or before.begun and not before.conn.lossy and "although it was answered"
        or exchange.reused and "over a used connection"
    if problem then
        self:violate("request %d was sent again %s", request.id, problem)
    end
end

--- Told by the server: the head of a request is there.
function methods:attempt(exchange)
    local id = exchange.request.id
    local before = self.attempts[id]
    exchange.attempt = before and before.attempt + 1 or 1
    self.attempts[id] = exchange
    self:count(exchange.reused and "on used connections" or "on new connections")
    if before then
        check_repetition(self, exchange, before)
    end
end

--- Makes the request whose response is sent on by another one.
function methods:pipe_request(outer)
    local id = #self.requests + 1
    local request = {
        id = id, place = outer.place, method = "GET", body_text = "", reader = "text",
        total = outer.total,
    }
    self.requests[id] = request
    return request
end

-- What the pool promises --------------------------------------------------------------------------

-- A waiter that gives up has either been granted nothing, or been told.
local function check_woken(self, waiter)
    if waiter.state == "granted" and not waiter.wakes then
        self:violate "a waiter of the pool was granted a connection, and not woken"
    end
end

-- How a request came by its connection, where nothing was idle.
local function count_claim(self, waiter, had_dial)
    local slot = waiter.slot
    if had_dial then
        self:count(slot.uses > 0 and "took what was freed, and lost a dial"
            or slot == had_dial and "took what was dialed for it" or "took another's dial")
    else
        self:count "took what was freed"
    end
end

local function note_call(self, name, waiter, given)
    if (name == "take" or name == "replace") and given then
        self.waiters[#self.waiters + 1] = given
        given.first_dial = given.dial
        self:count(given.dial and "dialed for" or "waited for the pool")
    elseif name == "cancel" and waiter.first_dial then
        self:count "gave up a dial"
    elseif name == "claim" then
        count_claim(self, waiter, waiter.first_dial)
    end
end

local function watch_pool(self, pool)
    for _, name in ipairs(audit.CALLS) do
        local method = pool[name]
        pool[name] = function(this, first, ...)
            if name == "cancel" then
                check_woken(self, first)
            elseif name == "claim" then
                note_call(self, name, first)
            elseif name == "closed" and first.state == "reserved" then
                first.waiter.lost = (first.waiter.lost or 0) + 1
                self:count "lost what was kept for it"
            elseif name == "opened" and first.spare then
                self:count "a dial that nobody waited for succeeded"
            end
            local slot = name == "cancel" and first.slot or first
            local a, b = method(this, first, ...)
            local connection = type(slot) == "table" and slot.connection
            if connection and connection.requests == 0
                and (slot.state == "idle" or name == "give_back") then
                self:count "kept an unused connection"
            end
            local ok, problem = pcall(audit.check, this)
            if not ok then
                self:violate("after pool:%s: %s", name, tostring(problem))
            elseif name ~= "claim" then
                note_call(self, name, first, b)
            end
            return a, b
        end
    end
    local next_wake = pool.next_wake
    function pool.next_wake(this)
        local waiter = next_wake(this)
        if waiter then
            waiter.wakes = (waiter.wakes or 0) + 1
        end
        return waiter
    end
end

local ENDED = { done = true, closed = true, cancelled = true, failed = true }

-- A waiter that dials itself isn't woken for that; others are once, and once more for each time the
-- connection that was kept for them was closed.
local function check_waiters(self)
    for i, waiter in ipairs(self.waiters) do
        local wakes, own = waiter.wakes or 0, waiter.first_dial and waiter.first_dial.direct
        local least = (own or waiter.state == "cancelled") and 0 or 1
        if not ENDED[waiter.state] or wakes < least or wakes > 1 + (waiter.lost or 0) then
            self:violate("waiter %d of the pool is %s and was woken %d times", i, waiter.state,
                wakes)
        end
    end
end

-- Setting up --------------------------------------------------------------------------------------

local function set_up_places(self)
    local names = {}
    for _, place in ipairs(self.settings.places) do
        if not place.refuses then
            self.mock:listen_at(place.host, place.port, function(peer)
                server.accept(self, peer, place)
            end, { delay = place.delay })
        end
        if place.name then
            names[place.name] = place.second and { "127.0.1.1", place.host } or { place.host }
        end
    end
    self.mock:hosts(names, { delay = self.settings.name_delay })
end

-- Everything that is woken passes here; so a task that goes round in circles is found.
local function watch_turns(self)
    local loop = self.mock.backend.loop
    local ready, turns = loop.ready, 0
    function loop.ready(this, handle)
        turns = turns + 1
        if turns > MOST_TURNS then
            error(("more than %d turns"):format(MOST_TURNS), 0)
        end
        return ready(this, handle)
    end
end

function methods:collect()
    collectgarbage()
    collectgarbage "stop"
end

--- Has the collector find what was forgotten, a little later.
function methods:collect_later()
    local loop = self.mock.backend.loop
    self.timers = self.timers + 1
    loop:at(loop.time + 0.25, function()
        self.timers = self.timers - 1
        self:collect()
    end)
end

local acts = {}

function acts.cancel(self, event, tasks)
    local one = self.settings.agents[event.agent]
    if not one.ended_at then
        one.cancelled_at = self:now()
        self:count "cancelled"
        tasks[event.agent]:cancel()
    end
end

function acts.close_client(self)
    self.client_closed = true
    self.client:close()
end

-- Admits nothing more; what is left after these seconds is cut short.
function acts.leave(self, event)
    self.client_closed = event.seconds == 0
    self:count "left"
    local before = self:now()
    local all = self.client:close(event.seconds)
    local took = self:now() - before
    self.client_closed = true
    if took > event.seconds + 0.0021 then
        self:violate("closing within %g s took %g s", event.seconds, took)
    elseif not all then
        self:count "left, and cut something short"
    end
end

function acts.preconnect(self, event)
    local client, place = self.client, event.place
    if client:is_closed() then
        return
    end
    local count, err = client:preconnect(("http://%s:%d/"):format(place.name or place.host,
        place.port), event.count)
    self:count(count and "preconnected" or "preconnected in vain")
    if count and count > math.max(self.settings.pool.idle_per_origin, event.count) then
        self:violate("%d idle connections are too many", count)
    elseif not count and not (place.refuses or place.delay > 0 or self.settings.name_delay
        or place.second or self.client_closed) then
        self:violate("connecting ahead failed without a reason: %s", tostring(err))
    end
end

function acts.close_idle(self)
    self.client:close_idle()
end

function acts.close_connection(self, event)
    local one = self.settings.agents[event.agent]
    if one.connection then
        one.was_closed = true
        one.connection:close()
    end
end

local function interfere(self, event, tasks)
    moonwire.sleep(event.at)
    self:log("%s%s", event.act, event.name and " of " .. event.name or "")
    acts[event.act](self, event, tasks)
end

local function run_agents(self)
    local tasks = {}
    for i, one in ipairs(self.settings.agents) do
        one.world = self
        tasks[i] = moonwire.spawn(agent.run, one)
    end
    for _, event in ipairs(self.settings.events) do
        moonwire.spawn(interfere, self, event, tasks)
    end
end

-- Looking back ------------------------------------------------------------------------------------

local function check_agents(self)
    for _, one in ipairs(self.settings.agents) do
        if not one.ended_at then
            self:violate("%s has not ended", one.name)
        end
    end
    if self:now() > 1000 + MOST_SECONDS then
        self:violate("%g virtual seconds went by", self:now() - 1000)
    end
end

-- All requests are over: every connection that is open is idle, and fit for another request.
local function check_pool(self)
    local stats = self.client:stats()
    for _, name in ipairs { "active", "opening", "reserved", "waiting" } do
        if stats[name] ~= 0 then
            self:violate("all requests are over, and %d of the pool are %s", stats[name], name)
        end
    end
    local open = self.mock:stats().tcp
    if open ~= stats.idle then
        self:violate("%d connections are open, and %d are idle", open, stats.idle)
    end
    for _, conn in ipairs(self.connections) do
        local last = conn.last
        local fit = not last or last.complete and last.whole and last.answer.keeps
        if not conn.peer:is_closed() and (not fit or conn.broken) then
            self:violate("connection %d is kept, half used", conn.number)
        end
    end
end

local function check_nothing_is_open(self)
    self.client:close()
    for _ = 1, 5 do
        self.mock:advance(0)
    end
    local stats = self.mock:stats()
    if stats.tcp ~= 0 or stats.threads ~= 0 or stats.watchers ~= self.timers then
        self:violate("the client is closed, and there are %d sockets, %d threads, %d timers",
            stats.tcp, stats.threads, stats.watchers - self.timers)
    end
end

-- An upload may outlast the response to it, and a dial the wait for it; both have their limits.
local function wait_for_leftovers(self)
    local seconds, pool = 0, self.client.supply.pool
    local dials = pool:stats().opening
    if dials ~= pool.spare.count then
        self:violate("all requests are over, and somebody is dialed for")
    elseif dials > 0 then
        self:count "left a dial to the idle ones"
    end
    while seconds < MOST_UPLOAD and (pool:stats().active > 0 or pool:stats().opening > 0) do
        seconds = seconds + 1
        self.mock:advance(1)
    end
end

local function look_back(self)
    check_agents(self)
    if self.counts.forget then
        self:collect()
        self.mock:advance(0.001)
    end
    if not self.client_closed then
        wait_for_leftovers(self)
        check_pool(self)
    end
    check_nothing_is_open(self)
    check_waiters(self)
end

local function run(self)
    set_up_places(self)
    watch_turns(self)
    self.mock.backend.on_error = function(value)
        self:violate("a background task raised: %s", tostring(value))
    end
    self.client = clients.new { pool = self.settings.pool, timeout = self.settings.timeout }
    watch_pool(self, self.client.supply.pool)
    self.mock:run(run_agents, self)
    look_back(self)
end

--- Runs one seed.
---@param seed integer
---@param verbose boolean? keep a transcript
---@return moonwire.simulate.World
function world.run(seed, verbose)
    local self = setmetatable({
        seed = seed, settings = plan.new(seed), mock = mock.new(), violations = {}, counts = {},
        connections = {}, answers = {}, attempts = {}, waiters = {}, timers = 0,
        client_closed = false, transcript = verbose and {} or nil,
    }, World)
    self.requests = self.settings.requests
    collectgarbage "stop" -- nothing is collected by chance
    local ok, problem = xpcall(run, debug.traceback, self)
    collectgarbage "restart"
    if not ok then
        self:violate("the run ended with an error: %s", tostring(problem))
    end
    return self
end

return world
