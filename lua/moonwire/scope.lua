-- Scopes: what is spawned in one ends in it. A scope joins its tasks, cancels all of them on the
-- first failure, and carries deadlines. It starts nothing by itself and knows no I/O.
local backend = require "moonwire.backend"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local task = require "moonwire.task"
local thread = require "moonwire.backend.thread"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local huge = math.huge

local TORN = "scopes ended in the wrong order: a generator must not yield from inside scope() or"
    .. " timeout()"

---@class moonwire.Scope
---@field cancelled boolean it was cancelled, by whomever, or its deadline has passed
---@field package parent moonwire.Scope?
---@field package thread moonwire.Thread? who runs the body; nil: the scope of code outside any task
---@field package backend moonwire.Backend
---@field package deadline number absolute
---@field package timed boolean the deadline is its own, not an outer scope's
---@field package expired boolean? a wait was refused because of its own deadline
---@field package is_cancelled boolean
---@field package cancelled_here boolean? by its own cancel() or a failure
---@field package tasks table<moonwire.Task, integer> those that have not ended, numbered
---@field package count integer of tasks
---@field package spawned integer how many it has had
---@field package joining boolean? the body has ended and waits for the tasks
---@field package over boolean? it has ended
---@field package stuck boolean? nothing could happen while it waited for its tasks
---@field package outer_deadline number
---@field package seconds number? what timeout() was given
---@field package failed boolean?
---@field package failure any
---@field package closers table<table, boolean>? objects to close when the scope ends
local methods = {}
local Scope = { __name = "moonwire.Scope" }

function Scope.__index(self, key)
    if key == "cancelled" then
        return self.is_cancelled or self.deadline ~= huge
            and self.backend:now() >= self.deadline
    end
    return methods[key]
end

local cancel_thread

-- The tasks in the order in which they were spawned, so that every run is the same.
local function in_order(tasks)
    local list = {}
    for child in each(tasks) do
        list[#list + 1] = child
    end
    table.sort(list, function(a, b)
        return tasks[a] < tasks[b]
    end)
    return list
end

local function cancel(self)
    if self.is_cancelled or self.over then
        return
    end
    self.is_cancelled = true
    for _, child in ipairs(in_order(self.tasks)) do
        cancel_thread(child.thread, self)
    end
    if self.thread then
        cancel_thread(self.thread, self)
    end
end

-- Cancels what a thread does inside the scope `outer`: the scopes it has opened there and its wait.
function cancel_thread(target, outer)
    local inner = target.scope
    while inner and inner ~= outer do
        cancel(inner)
        inner = inner.parent
    end
    target.cancelled = true
    target.backend:wake(target, core.ECANCELLED)
end

local function fail(self, value)
    if not self.failed then -- the first failure is the one that is told
        self.failed, self.failure, self.cancelled_here = true, value, true
        cancel(self)
    end
end

--- Spawns a task in this scope.
---@param fn function
---@param ... any its arguments
---@return moonwire.Task
function methods:spawn(fn, ...)
    errors.check(2, "f", "function", fn)
    if self.over then
        error("this scope has ended: nothing can be spawned in it any more", 2)
    end
    local child = task.start(self, self.backend, fn, ...)
    self.spawned = self.spawned + 1
    self.tasks[child] = self.spawned
    self.count = self.count + 1
    return child
end

--- Cancels the scope: every wait inside it, its tasks' as well, gives nil and an error of kind
--- "cancelled" until the scope is left. Twice is harmless.
function methods:cancel()
    self.cancelled_here = true
    cancel(self)
end

--- For moonwire's own parts: cancels what one thread does inside this scope, but not the scope.
---@param target moonwire.Thread
function methods:cancel_within(target)
    cancel_thread(target, self)
end

--- For moonwire's own parts: has an object closed when the scope ends.
---@param object {close: fun(self)}
function methods:on_end(object)
    self.closers = self.closers or {}
    self.closers[object] = true
end

--- For moonwire's own parts: takes an object back from on_end: it was closed before.
---@param object {close: fun(self)}
function methods:forget_end(object)
    self.closers[object] = nil
end

--- For moonwire's own parts: told by a task of the scope that it has ended.
---@param child moonwire.Task
---@param failed boolean
---@param value any what it raised
---@param watched boolean somebody is waiting in join()
function methods:ended(child, failed, value, watched)
    self.tasks[child] = nil
    self.count = self.count - 1
    if failed and self.thread then
        fail(self, value)
    elseif failed and not watched then
        self.backend.on_error(value)
    end
    if self.count == 0 and self.joining then
        self.backend:wake(self.thread, 0)
    end
end

local function enter(me, deadline)
    local self = setmetatable({ -- with room for 16 fields: see connection.new
        parent = me.scope, thread = false, backend = false, deadline = 0, outer_deadline = 0,
        timed = false, is_cancelled = false, tasks = {}, count = 0, spawned = 0, joining = false,
    }, Scope)
    self.thread, self.backend, self.is_cancelled = me, me.backend, me.cancelled
    self.deadline, self.outer_deadline = me.deadline, me.deadline
    if deadline < self.deadline then
        self.deadline, self.timed = deadline, true
    end
    me.scope, me.deadline = self, self.deadline
    return self
end

-- Waits for the tasks and gives the thread back to the outer scope.
local function leave(self)
    local me, parent = self.thread, self.parent
    self.joining = true
    while self.count > 0 do
        if thread.park_shielded(me) == core.codes.EDEADLOCK then
            if self.stuck then
                break -- they don't react to being cancelled
            end
            self.stuck = true
            fail(self, thread.stuck_message(me.backend))
        end
    end
    self.over = true
    for object in each(self.closers or {}) do
        object:close()
    end
    me.scope, me.deadline = parent, self.outer_deadline
    if self.cancelled_here then
        me.cancelled = me.doomed or parent ~= nil and parent.is_cancelled or false
    end
end

-- The deadline has passed. The wait that it cut short says where that was.
local function timed_out(self, cause)
    local err = errors.new {
        kind = "timeout", code = "ETIMEOUT",
        message = ("timed out after %g s"):format(self.seconds),
    }
    if errors.is(cause, "cancelled") and cause.phase then -- of a request
        err.message = err.message .. ": " .. cause.message
        err.cause, err.phase, err.url, err.elapsed = cause, cause.phase, cause.url, cause.elapsed
        err.bytes_sent, err.bytes_received = cause.bytes_sent, cause.bytes_received
    end
    return nil, err
end

-- What the body gave, once the tasks have ended. Failures are raised; a body that raised because
-- the scope itself was cancelled or timed out gives nil and an error.
local function conclude(self, ok, ...)
    local me = self.thread
    if backend.thread() ~= me then
        cancel(self)
        error(TORN, 0)
    elseif me.scope ~= self then
        cancel_thread(me, self)
        me.scope = self
        fail(self, TORN)
    end
    local cancelled = not ok and task.was_cancelled(me, (...))
    if not ok and not cancelled then
        fail(self, (...))
    end
    leave(self)
    if self.failed then
        error(self.failure, 0)
    elseif self.expired then
        local first, second = ...
        if ok and first == nil then
            first = second
        end
        return timed_out(self, first)
    elseif not cancelled then
        return ...
    elseif self.cancelled_here then
        return nil, (...)
    end
    error((...), 0) -- an outer scope's cancellation: it goes up to there
end

local scope = {}

--- Runs fn as the body of a scope and returns when it and all that it spawned have ended. The first
--- failure, the body's or a task's, cancels the others and is raised again with its traceback.
---@param fn fun(s: moonwire.Scope, ...: any): ...
---@param ... any further arguments for fn
---@return any ... what fn returns; nil and an error of kind "cancelled" when it raised that because
---  of s:cancel()
function scope.open(fn, ...)
    errors.check(2, "f", "function", fn)
    local self = enter(backend.thread(), huge)
    return conclude(self, xpcall(fn, errors.handler, self, ...))
end

--- Runs fn in a scope with a deadline. When that has passed every wait inside fails with an error
--- of kind "cancelled" and timeout gives nil and an error of kind "timeout", whatever fn returned
--- then. Of nested deadlines the nearest wins, and only the one that passed says "timeout". An fn
--- that waits for nothing after the deadline has not noticed it: its results count.
---@param seconds number
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns, or nil and an error
function scope.timeout(seconds, fn, ...)
    errors.check(2, "seconds", "number", seconds)
    if seconds < 0 or seconds ~= seconds then
        errors.argument(2, "seconds", "a number of 0 or more", seconds)
    end
    errors.check(2, "f", "function", fn)
    local me = backend.thread()
    local self = enter(me, me.backend:now() + seconds)
    self.seconds = seconds
    return conclude(self, xpcall(fn, errors.handler, ...))
end

-- The body of run: a scope that is not handed to it.
local function root(fn, ...)
    local self = enter(backend.thread(), huge)
    return conclude(self, xpcall(fn, errors.handler, ...))
end

--- Runs fn in a root scope on a backend, with the loop, until it and all it spawned have ended.
---@param on moonwire.Backend
---@param fn function
---@return any ... what fn returns; what it or a task raises is raised
function scope.run_on(on, fn, ...)
    return on:run(root, fn, ...)
end

--- Runs fn until it and all it spawned have ended: outside any task as the first task, with the
--- loop; inside a task as in a scope.
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns; what it or a task raises is raised
function scope.run(fn, ...)
    errors.check(2, "f", "function", fn)
    if backend.thread().scope then
        return root(fn, ...)
    end
    return backend.current():run(root, fn, ...)
end

--- The scope of what is spawned outside any scope: it never ends, and a task's failure cancels
--- nothing but goes to the backend's on_error when nobody joins.
---@param on moonwire.Backend
---@return moonwire.Scope
function scope.detached(on)
    if not on.detached then
        on.detached = setmetatable({
            backend = on, deadline = huge, timed = false, is_cancelled = false,
            tasks = {}, count = 0, spawned = 0,
        }, Scope)
    end
    return on.detached
end

--- The innermost scope of the running code; outside any scope the one that never ends.
---@return moonwire.Scope
function scope.current()
    local me = backend.thread()
    return me.scope or scope.detached(me.backend)
end

--- Spawns a task in the current scope. Outside any scope the task goes on whenever the loop runs,
--- that is, while something else is waited for; its failure is printed unless it is joined.
---@param fn function
---@param ... any its arguments
---@return moonwire.Task
function scope.spawn(fn, ...)
    errors.check(2, "f", "function", fn)
    return scope.current():spawn(fn, ...)
end

return scope
