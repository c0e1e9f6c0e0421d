-- Tasks: threads that give a result, can be joined and cancelled, and belong to a scope.
local backend = require "moonwire.backend"
local errors = require "moonwire.error"
local waiters = require "moonwire.waiters"

---@class moonwire.Task
---@field private scope moonwire.Scope
---@field private thread moonwire.Thread
---@field private done boolean
---@field private failed boolean it raised `results[1]`
---@field private count integer of results
---@field private results any[]
---@field private joiners moonwire.Waiters?
local methods = {}
local Task = { __index = methods, __name = "moonwire.Task" }

--- Waits until the task has ended.
---@return any ... what its function returned; nil and an error of kind "cancelled" when it was
---  cancelled and raised that, or when the caller is cancelled while it waits. What else the task
---  raised is raised again, with its traceback
function methods:join()
    if backend.thread() == self.thread then
        error("a task can't join itself", 2)
    end
    if not self.done then
        self.joiners = self.joiners or waiters.new()
        local code = self.joiners:wait()
        if not self.done then
            return nil, errors.from_code(code, nil, "joining a task")
        end
    end
    if self.failed then
        error(self.results[1], 0)
    end
    return unpack(self.results, 1, self.count)
end

--- Cancels the task: the wait it is in and all later ones give nil and an error of kind
--- "cancelled". Tasks it has spawned belong to its scope and go on; scopes it has opened are
--- cancelled with it. A task that has ended is left as it is.
function methods:cancel()
    if not self.done then
        self.thread.doomed = true
        self.scope:cancel_within(self.thread)
    end
end

--- Whether its function has ended.
---@return boolean
function methods:is_done()
    return self.done
end

local task = {}

--- Whether what a thread raised only says that it was cancelled.
---@param me moonwire.Thread
---@param value any
---@return boolean
function task.was_cancelled(me, value)
    return errors.is(value, "cancelled")
        and (me.cancelled or me.backend:now() >= me.deadline)
end

local function finish(self, ok, ...)
    self.count, self.results = select("#", ...), { ... }
    local me, watched = self.thread, self.joiners ~= nil and self.joiners.count > 0
    if not ok then
        if task.was_cancelled(me, self.results[1]) then
            self.count, self.results = 2, { nil, self.results[1] }
        else
            self.failed = true
        end
    end
    self.done = true
    if self.joiners then
        self.joiners:wake_all(0)
    end
    self.scope:ended(self, self.failed, self.results[1], watched)
end

local function body(self, fn, ...)
    finish(self, xpcall(fn, errors.handler, ...))
end

--- Starts a task in a scope; its function runs at the next turn of the loop.
---@param scope moonwire.Scope
---@param on moonwire.Backend
---@param fn function
---@return moonwire.Task
function task.start(scope, on, fn, ...)
    local self = setmetatable({ -- with room for 8 fields: see connection.new
        scope = scope, done = false, failed = false, count = 0, thread = false, results = false,
    }, Task)
    local me = on:start(body, self, fn, ...)
    me.scope, me.deadline = scope, scope.deadline
    me.cancelled = scope.is_cancelled
    self.thread = me
    return self
end

return task
