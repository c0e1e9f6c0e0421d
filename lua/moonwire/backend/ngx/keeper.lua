-- The light threads of one nginx request that moonwire starts: a light thread, the keeper, is the
-- parent of all of them, since only a parent may end one. It is there while there are others.
local core = require "moonwire.core"
local errors = require "moonwire.error"

local TICK = 1 -- seconds between two looks for owners that were killed

--- A function that runs in a light thread.
---@class moonwire.KeeperJob
---@field fn function
---@field thread table? the light thread, once it has begun
---@field ended boolean
---@field stopped boolean it is to be ended, or not to begin

---@class moonwire.Keeper
---@field busy integer jobs that have not ended
---@field sockets table<moonwire.Cosocket, boolean> with steps under way here; weak
---@field private host table ngx.thread's spawn, wait and kill; new_semaphore; on_error
---@field private jobs table<moonwire.KeeperJob, boolean> those that have not ended
---@field private queue moonwire.KeeperJob[] to begin
---@field private over moonwire.KeeperJob[] ended, or to be ended
---@field private running boolean
---@field private last {thread: table?, parent: thread?} the keeper's own light thread; weak
---@field private look fun() called each second: cancels what belongs to nobody any more
local methods = {}
local Keeper = { __index = methods, __name = "moonwire.Keeper" }

local function run(self, job)
    local ok, problem = xpcall(job.fn, errors.handler, unpack(job, 1, job.count))
    job.ended = true
    self.over[#self.over + 1] = job
    self.semaphore:post(1)
    if not ok then
        self.host.on_error(problem)
    end
end

local function forget(self, job)
    if self.jobs[job] then
        self.jobs[job] = nil
        self.busy = self.busy - 1
    end
end

local function end_jobs(self)
    local over = self.over
    self.over = {}
    for _, job in ipairs(over) do
        forget(self, job)
        if job.thread and job.ended then
            self.host.wait(job.thread) -- at once: only then nginx forgets it
        elseif job.thread then
            self.host.kill(job.thread)
        end
    end
end

local function begin_jobs(self)
    local queue = self.queue
    self.queue = {}
    for _, job in ipairs(queue) do
        if not job.stopped then
            job.thread = self.host.spawn(run, self, job)
        end
    end
end

-- What the keeper's light thread does.
local function keep(self)
    repeat
        local woken = self.semaphore:wait(TICK)
        end_jobs(self)
        begin_jobs(self)
        if not woken then
            self.look()
        end
    until self.busy == 0 and #self.queue == 0 and #self.over == 0
    self.running = false
end

local function ensure_running(self)
    if self.running then
        return
    end
    local last, running = self.last, coroutine.running()
    if last.thread and last.parent == running then
        self.host.wait(last.thread)
    end
    self.running = true
    self.semaphore = self.host.new_semaphore() -- the one before may have posts left
    last.thread, last.parent = self.host.spawn(keep, self), running
end

--- Runs fn(...) in a light thread, from the next turn of nginx's loop on. What it raises goes to
--- the host's on_error.
---@param fn function
---@param ... any
---@return moonwire.KeeperJob
function methods:start(fn, ...)
    ensure_running(self)
    local job = { fn = fn, ended = false, stopped = false, count = select("#", ...), ... }
    self.jobs[job] = true
    self.busy = self.busy + 1
    self.queue[#self.queue + 1] = job
    self.semaphore:post(1)
    return job
end

--- Ends a job wherever it stands; the socket it waits on is closed by that.
---@param job moonwire.KeeperJob
---@return boolean begun false: it has not begun, and won't
function methods:stop(job)
    if job.ended or job.stopped then
        return job.thread ~= nil
    end
    job.stopped = true
    self.over[#self.over + 1] = job
    self.semaphore:post(1)
    return job.thread ~= nil
end

local keeper = {}

--- Makes the keeper of one request; it takes a light thread when there is something to keep.
---@param host table
---@param look fun()
---@return moonwire.Keeper
function keeper.new(host, look)
    return setmetatable({
        host = host, look = look, semaphore = false, busy = 0, jobs = {}, queue = {},
        over = {}, running = false, sockets = setmetatable({}, { __mode = "k" }),
        last = setmetatable({}, { __mode = "v" }),
    }, Keeper)
end

-- Parking places ----------------------------------------------------------------------------------

local ETIMEOUT = core.ETIMEOUT
local TURN = 0.001 -- seconds, of which the others have a turn; not every nginx can sleep for 0
local LONGEST = 86400 -- seconds of one wait of nginx's

--- Where one coroutine waits to be woken, or for time to pass; the shape of moonwire.core.Thread.
---@class moonwire.Parking
---@field private host table
---@field private waiting boolean
---@field private asleep boolean it waits on the semaphore
---@field private code integer|false what it was woken with
local parking = {}
local Parking = { __index = parking, __name = "moonwire.Parking" }

--- Waits; the calling coroutine is the one that the place belongs to.
---@param seconds number? nil: until it is woken
---@return integer code of the wake; ETIMEOUT
function parking:wait(seconds)
    local host = self.host
    self:hold()
    if seconds and seconds <= 0 then
        host.sleep(TURN)
    else
        local ends = seconds and core.now() + seconds
        local semaphore = self.semaphore
        if not semaphore then
            semaphore = host.new_semaphore()
            self.semaphore = semaphore
        end
        local left = seconds or LONGEST
        self.asleep = true
        while not self.code and left > 0 do
            semaphore:wait(math.min(math.ceil(left * 1000) / 1000, LONGEST))
            left = ends and ends - core.now() or LONGEST
        end
        self.asleep = false
    end
    return self:release() or ETIMEOUT
end

--- For a wait in something else than this place: it counts as waiting until release().
function parking:hold()
    self.waiting, self.code = true, false
end

---@return integer? code what it was woken with meanwhile
function parking:release()
    local code = self.code
    self.waiting, self.code = false, false
    return code or nil
end

--- Whether it is in a wait; for ever, when the coroutine was killed in one.
---@return boolean
function parking:is_waiting()
    return self.waiting
end

--- Ends the wait.
---@param code integer
---@return boolean woken false: nobody waits, or is woken already
function parking:wake(code)
    if not self.waiting or self.code then
        return false
    end
    self.code = code
    if self.asleep then
        self.semaphore:post(1)
    end
    return true
end

--- Makes a parking place.
---@param host table as for new(), with `sleep`
---@return moonwire.Parking
function keeper.parking(host)
    return setmetatable({
        host = host, waiting = false, asleep = false, code = false, semaphore = false,
    }, Parking)
end

return keeper
