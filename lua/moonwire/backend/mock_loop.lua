-- The mock's loop: threads take turns in the order they were woken, and when all of them wait the
-- clock jumps to the next timer. No real time passes and nothing depends on chance.
local core = require "moonwire.core"

local WAIT, ETIMEOUT = core.WAIT, core.ETIMEOUT
local state = core.state

-- Timers: a heap by time, then by the order they were set.

local function sooner(a, b)
    return a.time < b.time or a.time == b.time and a.order < b.order
end

local function heap_push(heap, entry)
    local at = #heap + 1
    heap[at] = entry
    while at > 1 do
        local up = math.floor(at / 2)
        if not sooner(heap[at], heap[up]) then
            return
        end
        heap[at], heap[up] = heap[up], heap[at]
        at = up
    end
end

local function heap_pop(heap)
    local top, last = heap[1], table.remove(heap)
    if top == last then
        return top
    end
    heap[1] = last
    local at = 1
    while true do
        local down = at * 2
        if heap[down + 1] and sooner(heap[down + 1], heap[down]) then
            down = down + 1
        end
        if not heap[down] or not sooner(heap[down], heap[at]) then
            return top
        end
        heap[at], heap[down] = heap[down], heap[at]
        at = down
    end
end

--- The parking place of one thread, with the methods of moonwire.core.Thread.
---@class moonwire.MockHandle: moonwire.core.Thread
---@field private loop moonwire.MockLoop
---@field private co thread?
---@field private fresh boolean it has never run
---@field private waiting boolean
---@field private code integer of the last wake
---@field private timer table?
---@field private slots table? the socket's waiting table it is entered in
---@field private direction string?
local handle_methods = {}
local Handle = { __index = handle_methods, __name = "moonwire.MockHandle" }

--- Parks the calling thread, entered as the one who waits in that direction.
---@param slots table? a socket's waiting threads by direction
---@param direction string? "read", "write", "both"
---@param seconds number?
---@param ready boolean? what it waits for is there: it only takes a turn
---@return integer code
function handle_methods:wait_for(slots, direction, seconds, ready)
    if self.waiting then
        error("this thread waits already", 0)
    end
    local read, write = direction ~= "write", direction ~= "read"
    if slots and (read and slots.read or write and slots.write) then
        error("another task already waits here", 0)
    elseif slots then
        slots.read = read and self or slots.read
        slots.write = write and self or slots.write
    end
    self.slots, self.waiting = slots, true
    self.loop.waiting = self.loop.waiting + 1
    if seconds then
        self.timer = self.loop:at(self.loop.time + seconds, self)
    end
    if ready then
        self:wake(0)
    end
    if self.co then
        return coroutine.yield(WAIT)
    end
    return self.loop:run_until(self)
end

function handle_methods:wait(seconds)
    return self:wait_for(nil, nil, seconds, false)
end

-- Leaves the timer and the socket it was entered at.
local function forget(self)
    local slots, timer = self.slots, self.timer
    self.waiting = false
    self.loop.waiting = self.loop.waiting - 1
    if timer then
        timer.target, self.timer = nil, nil
        self.loop.timers = self.loop.timers - 1
    end
    if slots then
        slots.read = slots.read ~= self and slots.read or nil
        slots.write = slots.write ~= self and slots.write or nil
        self.slots = nil
    end
end

function handle_methods:wake(code)
    if self.waiting then
        forget(self)
    elseif self.fresh then
        self.fresh = false
    else
        return false
    end
    self.code = code
    self.loop:ready(self)
    return true
end

function handle_methods:is_waiting()
    return self.waiting
end

---@class moonwire.MockLoop
---@field time number the clock
---@field turn integer counts the turns threads have had
---@field stepped integer? the turn that `steps` is about
---@field steps integer steps of sockets in that turn
---@field open integer open sockets
---@field waiting integer threads that wait
---@field timers integer timers that are set
---@field EPIPE integer
---@field ECONNRESET integer
---@field ECONNREFUSED integer
---@field private heap table[]
---@field private queue moonwire.MockHandle[] woken, from `first` to `last`
local methods = {}
local Loop = { __index = methods, __name = "moonwire.MockLoop" }

--- Sets a timer.
---@param time number absolute
---@param target moonwire.MockHandle|fun() woken with ETIMEOUT, or called outside any task
---@return table timer `timer.target = nil` takes it back
function methods:at(time, target)
    self.order = self.order + 1
    local timer = { time = time, order = self.order, target = target }
    heap_push(self.heap, timer)
    self.timers = self.timers + 1
    return timer
end

--- Puts a woken thread in line.
function methods:ready(handle)
    self.last = self.last + 1
    self.queue[self.last] = handle
end

-- Lets a timer go off that was taken from the heap.
local function go_off(self, timer)
    local target = timer.target
    if type(target) == "function" then
        timer.target = nil
        self.timers = self.timers - 1
        target()
    elseif target then
        target:wake(ETIMEOUT)
    end
end

-- Lets go off what is due now.
local function fire_due(self)
    local heap = self.heap
    while heap[1] and heap[1].time <= self.time do
        go_off(self, heap_pop(heap))
    end
end

-- Turns the clock to the next timer. False: there is none.
local function jump(self)
    local heap = self.heap
    while heap[1] and not heap[1].target do
        heap_pop(heap)
    end
    if not heap[1] then
        return false
    end
    self.time = math.max(self.time, heap[1].time)
    return true
end

--- Lets threads run until the main thread `handle` has been woken.
---@param handle moonwire.MockHandle
---@return integer code EDEADLOCK when nothing is left that could wake one
function methods:run_until(handle)
    while true do
        fire_due(self)
        local first = self.first
        local ready = self.queue[first]
        if ready then
            self.queue[first] = nil
            self.first = first + 1
            self.turn = self.turn + 1
            if ready == handle then
                return handle.code
            end
            local ok, yielded
            local arguments = ready.arguments
            if arguments then
                ready.arguments = nil
                ok, yielded = state.resume(ready.co, unpack(arguments, 1, arguments.count))
            else
                ok, yielded = state.resume(ready.co, ready.code)
            end
            if not ok then
                error(yielded, 0)
            elseif yielded ~= WAIT and coroutine.status(ready.co) == "suspended" then
                error("a task yielded, but not to wait: coroutine.yield belongs into a generator",
                    0)
            end
        elseif not jump(self) then
            forget(handle)
            return core.codes.EDEADLOCK
        end
    end
end

--- Makes the parking place of a coroutine, or of the main thread.
---@param co thread?
---@param ... any what the coroutine begins with; without any it is the code of the wake
---@return moonwire.MockHandle
function methods:thread(co, ...)
    local count = select("#", ...)
    return setmetatable({
        loop = self, co = co, fresh = co ~= nil, waiting = false,
        arguments = count > 0 and { count = count, ... } or nil,
    }, Handle)
end

local loop = {}

-- Linux errnos, in the form the core gives them.
local function system(errno)
    return -(1000 + errno)
end

---@return moonwire.MockLoop
function loop.new()
    return setmetatable({
        time = 1000, turn = 0, open = 0, waiting = 0, timers = 0, order = 0, steps = 0,
        heap = {}, queue = {}, first = 1, last = 0,
        EPIPE = system(32), ECONNRESET = system(104), ECONNREFUSED = system(111),
        EADDRINUSE = system(98),
    }, Loop)
end

return loop
