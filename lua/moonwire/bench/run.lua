-- bench/run.lua - sends the requests of a benchmark and takes the times: a task for each connection
-- and one that looks on. It knows no arguments, and writes nothing.
local backends = require "moonwire.backend"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local histograms = require "moonwire.bench.histogram"
local hooks_of = require "moonwire.bench.hooks"
local links = require "moonwire.bench.link"
local requests = require "moonwire.request"
local scope = require "moonwire.scope"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local ceil, floor, huge, max, min = math.ceil, math.floor, math.huge, math.max, math.min

local GRAIN = 0.002 -- seconds: a timer of the loop is so late at most, by its own fault
local SLACK = 1e-6 -- of a request: what multiplying a time by a rate may add
local PAUSE = 0.1 -- seconds before a connection that could not be opened is tried again
local RENEW = 0.01 -- of a timeout: so much longer it may last, for one deadline serves many
local SHORTEST, LONGEST = 0.1, 1 -- seconds of a point in the series, at first
local POINTS = 300 -- from so many on they become longer, so that a day has some thousands

--- What one interval of the run has seen. Times are seconds since the measurement began.
---@class moonwire.bench.Point
---@field at number when it ended
---@field seconds number how long it was
---@field requests integer answered
---@field errors integer
---@field bytes number received
---@field p50 number? seconds; nil, like p99 and max, where nothing was answered
---@field p99 number?
---@field max number?

---@class moonwire.bench.Run
---@field options moonwire.bench.Options
---@field hooks moonwire.bench.Hooks
---@field begins number when what is counted begins: a request that is due before is not
---@field ends number from then on nothing is sent
---@field began number when counting began
---@field left number requests that may still be begun
---@field origin number when the first one was due, with a rate
---@field claimed integer requests that a connection has taken from the schedule
---@field waiting integer connections that wait for a moment of the schedule
---@field first_claim integer how many of them were before the measurement
---@field answered integer
---@field failed integer
---@field reused integer responses over a connection that had served before
---@field unfinished integer requests that were under way when the run was interrupted
---@field statuses table<integer, integer>
---@field errors table<string, integer> by kind
---@field interval moonwire.bench.Histogram since the last point
---@field latency moonwire.bench.Histogram
---@field series moonwire.bench.Point[]
---@field backlog_max integer
---@field interrupted boolean
---@field window table|false what was counted until the end: see close_window
---@field links moonwire.bench.Link[]
---@field first_error moonwire.Error|false
local methods = {}
local Run = { __index = methods, __name = "moonwire.bench.Run" }

local M = {}

-- What is due -------------------------------------------------------------------------------------

-- What was due before a moment, and no connection has taken.
local function backlog_at(self, now)
    return max(0, ceil((now - self.origin) * self.options.rate - SLACK) - self.claimed)
end

-- The next moment of the schedule, once it has come. A connection that was free by then waits for
-- it; what its timer is late is not the server's fault.
local function wait_for_turn(self, backend)
    local due, now = self.origin + self.claimed / self.options.rate, backend:now()
    if due >= self.ends or now >= self.ends then
        return huge
    end
    self.claimed = self.claimed + 1
    if now >= due then
        self.backlog_max = max(self.backlog_max, backlog_at(self, now))
        return due
    end
    self.waiting = self.waiting + 1
    local code = backend:wait(due)
    self.waiting = self.waiting - 1
    if code ~= core.ETIMEOUT then
        return huge
    end
    now = backend:now()
    return now - due <= GRAIN and max(now, due) or due
end

-- The times of what came back ---------------------------------------------------------------------

local function count_failure(self, due, err)
    if err.kind == "cancelled" then
        self.unfinished = self.unfinished + 1
    elseif due >= self.begins then
        self.failed = self.failed + 1
        self.errors[err.kind] = (self.errors[err.kind] or 0) + 1
        self.first_error = self.first_error or err
    end
end

local function count_answer(self, due, now, response, link)
    if due < self.begins then
        return
    end
    local statuses, status = self.statuses, response.status
    statuses[status] = (statuses[status] or 0) + 1
    self.answered = self.answered + 1
    local connection = link.connection
    if connection and connection.reused then
        self.reused = self.reused + 1
    end
    self.interval:record(now - due)
end

-- Reads the rest of a body that has not come along with its head. Kept only for a script that asks.
local function read_body(self, response)
    if self.hooks.response then
        local text, err = response:text()
        return text ~= nil, err
    end
    return response:discard()
end

-- One deadline serves what is sent within a hundredth of the timeout.
local function sending_at(self, now)
    if now >= self.renew then
        local timeout = self.options.timeout
        self.renew = now + RENEW * timeout
        self.sending = {
            deadline = now + (1 + RENEW) * timeout, headers_timeout = huge, idle_timeout = huge,
        }
    end
    return self.sending
end

-- Could not be opened, or not in time: not at once again.
local OPENING = { resolve = true, connect = true, tls = true }

local function request_once(self, backend, link, data, due, now)
    local response, err = link:exchange(data, sending_at(self, now), now)
    local whole = response
    if response and not response.finished then -- the rest of its body isn't here yet
        whole, err = read_body(self, response)
    end
    if not whole then
        count_failure(self, due, err)
        if OPENING[err.phase] then
            backend:wait(backend:now() + PAUSE)
        end
        return err.kind ~= "cancelled"
    end
    count_answer(self, due, response.finished, response, link)
    if response.status == 101 then
        response:close()
    end
    if self.hooks.response then
        self.hooks.response(response, data.value)
    end
    return true
end

-- The body of a connection's task.
local function work(self, link)
    local backend, hooks, options = self.backend, self.hooks, self.options
    local data, rate = requests.data(options.request), options.rate
    local asks, goes_on = hooks.request, true
    while goes_on and self.left >= 1 do
        self.left = self.left - 1
        local due = rate and wait_for_turn(self, backend)
        local now = backend:now()
        if (due or now) >= self.ends then
            return
        elseif asks then
            data = hooks_of.next_request(hooks, options)
            if not data then
                return
            end
            now = backend:now()
        end
        -- a closed loop has no schedule to keep
        goes_on = request_once(self, backend, link, data, due or now, now)
    end
end

-- Looking on --------------------------------------------------------------------------------------

local function bytes_of(self)
    local received, sent = 0, 0
    for _, link in ipairs(self.links) do
        local bytes_in, bytes_out = link:bytes()
        received, sent = received + bytes_in, sent + bytes_out
    end
    return received, sent
end

-- Adds the time since the last point to the series.
local function add_point(self, now)
    local interval, last = self.interval, self.last
    local received = bytes_of(self)
    local some = interval.count > 0
    self.series[#self.series + 1] = {
        at = now - self.began, seconds = now - last.at, requests = self.answered - last.answered,
        errors = self.failed - last.failed, bytes = received - last.received,
        p50 = interval:percentile(50), p99 = interval:percentile(99),
        max = some and interval.max or nil,
    }
    self.last = { at = now, answered = self.answered, failed = self.failed, received = received }
    self.latency:add(interval)
    interval:clear()
end

-- What was counted when the time was over. Answers to what is under way then come later, and don't
-- count for the throughput.
local function close_window(self, now)
    if self.window then
        return
    end
    add_point(self, now)
    local received, sent = bytes_of(self)
    self.window = {
        seconds = now - self.began, answered = self.answered, failed = self.failed,
        received = received - self.base_received, sent = sent - self.base_sent,
        cpu = os.clock() - self.base_cpu,
        backlog = self.options.rate
            and backlog_at(self, self.interrupted and now or min(now, self.ends)) or 0,
        claimed = self.claimed - self.first_claim,
    }
end

local function begin(self, now)
    self.began = now
    self.base_received, self.base_sent = bytes_of(self)
    self.base_cpu, self.first_claim, self.backlog_max = os.clock(), self.claimed, 0
    self.last = { at = now, answered = 0, failed = 0, received = self.base_received }
    -- those that wait have theirs already
    self.left = (self.options.requests or huge) - self.waiting
end

local function look_on(self)
    local backend, options = self.backend, self.options
    if options.warmup > 0 then
        if backend:wait(self.begins) ~= core.ETIMEOUT then
            return
        end
        begin(self, backend:now())
    end
    local length = max(SHORTEST, min(LONGEST, (options.duration or 10) / 40))
    while not self.window do
        local now = backend:now()
        local step = max(length, (now - self.began) / POINTS)
        if backend:wait(min(now + step, self.ends)) ~= core.ETIMEOUT then
            return
        end
        now = backend:now()
        if now >= self.ends then
            close_window(self, now)
        else
            add_point(self, now)
        end
    end
end

-- All connections at once, before the clock starts. Nil and an error where there is none.
local function open_all(self)
    local last, fine = nil, 0
    scope.open(function(s)
        for _, link in ipairs(self.links) do
            s:spawn(function()
                local err = link:prepare()
                if err then
                    last = err
                else
                    fine = fine + 1
                end
            end)
        end
    end)
    if fine == 0 then
        return nil, last
    end
    return true
end

local function start_clock(self, now)
    local options = self.options
    self.begins, self.origin = now + options.warmup, now
    self.ends = options.duration and self.begins + options.duration or huge
    begin(self, now)
    if options.warmup > 0 then
        self.left = huge
    end
end

local function measure(self, s, on_second)
    local ok, err = open_all(self)
    if not ok then
        return nil, err
    end
    local backend = self.backend
    start_clock(self, backend:now())
    local watcher, progress = s:spawn(look_on, self), nil
    if on_second then
        progress = s:spawn(function()
            local now = backend:now()
            while backend:wait(now + 1) == core.ETIMEOUT do
                now = backend:now()
                on_second(self, now)
            end
        end)
    end
    scope.open(function(workers)
        for _, link in ipairs(self.links) do
            workers:spawn(work, self, link)
        end
    end)
    close_window(self, backend:now())
    watcher:cancel()
    if progress then
        progress:cancel()
    end
    return true
end

--- Ends the run: what is under way is given up. Its numbers so far stay.
function methods:interrupt()
    self.interrupted, self.ends = true, -huge
    if self.scope then
        self.scope:cancel()
    end
end

--- Runs it to its end. What a hook raises is raised.
---@param on_second fun(run: moonwire.bench.Run, now: number)? called each second
---@return true? ok
---@return moonwire.Error? err no connection could be opened, or it was interrupted before
function methods:run(on_second)
    local raised_nothing, ok, err = xpcall(scope.open, errors.handler, function(s)
        self.scope = s
        return measure(self, s, on_second)
    end)
    for _, link in ipairs(self.links) do
        link:close()
    end
    if not raised_nothing then
        error(ok, 0)
    elseif self.window then
        self.latency:add(self.interval) -- what came when the time was over
        self.interval:clear()
        return true
    end
    return ok, err
end

--- How many connections it has opened.
---@return integer
function methods:opened()
    local count = 0
    for _, link in ipairs(self.links) do
        count = count + link.opened
    end
    return count
end

--- Counts by the class of a status, "2xx" and so on.
---@return table<string, integer>
function methods:classes()
    local classes = {}
    for status, count in each(self.statuses) do
        local class = floor(status / 100) .. "xx"
        classes[class] = (classes[class] or 0) + count
    end
    return classes
end

--- Makes a run.
---@param options moonwire.bench.Options
---@param hooks moonwire.bench.Hooks
---@return moonwire.bench.Run
function M.new(options, hooks)
    local place = links.place(options.url, options.insecure, options.timeout)
    local self = setmetatable({
        backend = backends.current(), options = options, hooks = hooks, links = {},
        begins = 0, ends = 0, began = 0, left = 0, origin = 0, claimed = 0, first_claim = 0,
        waiting = 0,
        answered = 0, failed = 0, reused = 0, unfinished = 0, statuses = {}, errors = {},
        interval = histograms.new(), latency = histograms.new(), series = {}, last = false,
        backlog_max = 0, interrupted = false, window = false, first_error = false,
        renew = -huge, sending = false, base_received = 0, base_sent = 0, base_cpu = 0,
        scope = false,
    }, Run)
    for i = 1, options.connections do
        self.links[i] = links.new(place)
    end
    return self
end

return M
