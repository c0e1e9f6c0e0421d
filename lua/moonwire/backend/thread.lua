-- Threads: what can wait, and the one function that every wait of moonwire goes through. It knows
-- no socket and no timer: how to wait comes from the backend.
local core = require "moonwire.core"
local errors = require "moonwire.error"

local can_wait, state = core.can_wait, core.state
local ECANCELLED, ETIMEOUT, EDEADLOCK = core.ECANCELLED, core.ETIMEOUT, core.codes.EDEADLOCK
local huge = math.huge

--- One thing that can wait: a coroutine of the loop, or the code outside any task ("main", whose
--- waits run the loop in place).
---@class moonwire.Thread
---@field handle moonwire.core.Thread the backend's parking place
---@field backend moonwire.Backend
---@field co thread? nil for main
---@field deadline number every wait of this thread ends here with ECANCELLED
---@field cancelled boolean every wait of this thread is refused
---@field doomed boolean? cancelled as a whole, not only a scope inside it
---@field scope moonwire.Scope? the innermost scope it is in
---@field finished boolean? its function has ended
---@field slot any what a queue hands over to it, or it to the queue
local thread = {}

local NO_WAIT = "can't wait here: between this call and its task lies a C call (string.gsub,"
    .. " table.sort, require, dofile, a host's function), or a coroutine that was resumed by a"
    .. " copy of coroutine.resume or coroutine.wrap made before moonwire first ran. Wait outside"
    .. " that call and pass the value in, or write coroutine.wrap(...) where it is used"

--- The thread that runs now.
---@return moonwire.Thread? thread outside any task: main; nil when no backend was ever used
function thread.current()
    local current = state.current
    if current then
        return current
    end
    return state.backend and state.backend.main
end

--- The thread that a wait on this backend parks now.
---@param backend moonwire.Backend
---@return moonwire.Thread
function thread.of(backend)
    local current = state.current
    if current and current.backend == backend then
        return current
    end
    return backend.main
end

--- The coroutine that runs in a thread now, for who looks whether it may wait.
---@param me moonwire.Thread the running one
---@return thread? co nil: the code outside any task, which may
function thread.coroutine(me)
    return me.co and state.active or nil
end

-- A wait was cut short by the thread's deadline: the scope that set it is told.
local function expire(me)
    local scope = me.scope
    while scope and not scope.timed do
        scope = scope.parent
    end
    if scope then
        scope.expired = true
    end
end

--- Raises unless the calling code may wait on this backend.
---@param backend moonwire.Backend
function thread.check(backend)
    local me = state.current
    if me and me.backend == backend and not can_wait(state.active) then
        error(backend.why_not and backend:why_not() or NO_WAIT, 0)
    end
end

-- The step of code outside any task: it runs the loop, and whatever the loop raises comes out.
local function step_in_place(me, object, step, detail, seconds)
    local current, active = state.current, state.active
    state.current = nil
    local ok, code
    if step then
        ok, code = pcall(step, object, me.handle, detail, seconds)
    else
        ok, code = pcall(me.handle.wait, me.handle, seconds)
    end
    state.current, state.active = current, active
    if not ok then
        error(code, 0)
    end
    return code
end

--- As park, for who has called check(); `now` is the backend's time, if the caller knows it.
---@param backend moonwire.Backend
---@param deadline number
---@param object any
---@param step function?
---@param detail any
---@param now number? what `seconds` are counted from, where the step takes that (Tcp:wait)
---@return integer code
function thread.park_checked(backend, deadline, object, step, detail, now)
    local current, active = state.current, state.active
    local me = current
    if me == nil or me.backend ~= backend then
        me = backend.main
    end
    if me.cancelled then
        return ECANCELLED
    end
    local clipped = me.deadline <= deadline
    if clipped then
        deadline = me.deadline
    end
    local seconds
    if deadline ~= huge then
        seconds = deadline - (now or backend:now())
        if seconds <= 0 then
            if clipped then
                expire(me)
                return ECANCELLED
            end
            seconds = 0
        end
    end
    local code
    if not me.co then
        code = step_in_place(me, object, step, detail, seconds)
    else
        -- whoever runs next says so itself; code between the loop's turns is outside any task
        state.current = nil
        if step then
            code = step(object, me.handle, detail, seconds, now)
        else
            code = me.handle:wait(seconds)
        end
        state.current, state.active = current, active
    end
    if code == ETIMEOUT and clipped then
        expire(me)
        return ECANCELLED
    end
    return code
end

--- Parks the calling thread. Without `step` it waits for a wake or the deadline; with it, for what
--- `step(object, handle, detail, seconds)` waits for (Tcp:wait, Dns:lookup).
---@param backend moonwire.Backend
---@param deadline number in the backend's time; math.huge: none
---@param object any
---@param step function?
---@param detail any
---@return integer code from the wake or the step; ETIMEOUT at the deadline; ECANCELLED when the
---  thread is cancelled or its own deadline has passed
function thread.park(backend, deadline, object, step, detail)
    thread.check(backend)
    return thread.park_checked(backend, deadline, object, step, detail)
end

--- Parks the calling thread until it is woken, cancelled or not: for waiting on those who are
--- being cancelled themselves. Wakes of a cancellation come through, so call it in a loop.
---@param me moonwire.Thread the calling thread
---@return integer code EDEADLOCK when nothing is left that could wake anybody
function thread.park_shielded(me)
    local cancelled, deadline = me.cancelled, me.deadline
    me.cancelled, me.deadline = false, huge
    local ok, code = pcall(me.backend.wait, me.backend, huge)
    me.cancelled, me.deadline = me.cancelled or cancelled, deadline
    if not ok then
        error(code, 0)
    end
    return code
end

--- What is said when nothing is left that could wake anybody.
---@param backend moonwire.Backend
---@return string
function thread.stuck_message(backend)
    return ("nothing can happen any more: %d task(s) wait, and no timer, socket, lookup or signal"
        .. " is left that could wake one"):format(backend:stats().threads)
end

--- Cancels a thread as a whole: the wait it is in and all later ones give ECANCELLED.
---@param target moonwire.Thread
function thread.cancel(target)
    target.doomed, target.cancelled = true, true
    target.backend:wake(target, ECANCELLED)
end

local function finish(me, ok, value)
    state.current = nil
    me.finished = true
    if not ok then
        me.backend.on_error(value)
    end
end

--- What the coroutine of a thread runs.
---@param me moonwire.Thread
---@param fn function
function thread.begin(me, fn, ...)
    state.current, state.active = me, me.co
    finish(me, xpcall(fn, errors.handler, ...))
end

--- Makes the record of a backend's main thread.
---@param backend moonwire.Backend
---@param handle moonwire.core.Thread made without a coroutine
---@return moonwire.Thread
function thread.main(backend, handle)
    return { backend = backend, handle = handle, deadline = huge, cancelled = false }
end

--- Makes a thread and starts it at the next turn of the loop. An error that leaves `fn` goes to
--- backend.on_error.
---@param backend moonwire.Backend
---@param new_handle fun(backend: moonwire.Backend, co: thread, ...: any): moonwire.core.Thread
---  makes the handle of a coroutine that begins with those arguments
---@param fn function
---@return moonwire.Thread
function thread.start(backend, new_handle, fn, ...)
    local me = { -- with room for 8 fields: see connection.new
        backend = backend, deadline = huge, cancelled = false, doomed = false, finished = false,
        co = false, handle = false,
    }
    local co = coroutine.create(thread.begin)
    me.co = co
    me.handle = new_handle(backend, co, me, fn, ...)
    me.handle:wake(0)
    return me
end

-- Cancels all that a thread does: the outermost scope it is in, or itself.
local function cancel_root(target)
    local root = target.scope
    while root and root.parent do
        root = root.parent
    end
    if root then
        root:cancel()
    else
        thread.cancel(target)
    end
end

--- Runs a function as a thread with the loop until it has ended; in a thread of this backend it is
--- just called. What it returns is returned, what it raises is raised again. When the loop itself
--- fails or nothing can happen any more, all that runs is cancelled, and then that is raised.
---@param backend moonwire.Backend
---@param fn function
function thread.run(backend, fn, ...)
    local current = state.current
    if current and current.backend == backend then
        return fn(...)
    end
    local main, ok, count, results = backend.main, nil, 0, nil
    local function keep(success, ...)
        ok, count, results = success, select("#", ...), { ... }
        backend:wake(main, 0)
    end
    local first = backend:start(function(...)
        keep(xpcall(fn, errors.handler, ...))
    end, ...)
    local problem
    while ok == nil do
        local parked, code = pcall(thread.park_shielded, main)
        if not parked or code == EDEADLOCK then
            if problem ~= nil then
                error(problem, 0) -- they don't react to being cancelled
            end
            problem = parked and thread.stuck_message(backend) or code
            cancel_root(first)
        end
    end
    if problem ~= nil then
        error(problem, 0)
    elseif not ok then
        error(results[1], 0)
    end
    return unpack(results, 1, count)
end

--- The words for an error that nobody can be handed.
---@param value any
---@return string
function thread.words(value)
    local text = tostring(value)
    if errors.is(value) and value.traceback then
        text = text .. "\n" .. value.traceback
    end
    return "moonwire: uncaught error in a background task: " .. text
end

--- What a backend does with such an error: it goes to stderr, or to the log of the C program it
--- runs in.
---@param value any
function thread.report(value)
    if state.log then
        return state.log("error", thread.words(value))
    end
    io.stderr:write(thread.words(value), "\n")
end

return thread
