-- host.lua - the tasks of a C program (include/moonwire.h): each ends in one call of `ended`. It
-- decides when; src/host.c, its only user, talks to the program.
local core = require "moonwire.core"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua
local errors = require "moonwire.error"
local ev = require "moonwire.backend.ev"
local scope = require "moonwire.scope"
local threads = require "moonwire.backend.thread"
local trace = require "moonwire.trace"

local state, codes = core.state, core.codes

-- How often close() lets everything run that is ready. A task whose every wait is refused needs a
-- few; one that goes on without end shall not hold up the program.
local CLOSING_ROUNDS = 1000

local NO_MEMORY = "not enough memory" -- what Lua raises then

---@class moonwire.Host
---@field private backend moonwire.EvBackend
---@field private ended fun(id: integer, record: any, kind: string?, message: string?,
---  traceback: string?, ...: any)
---@field private tasks table<integer, {task: moonwire.Task?, record: any}> under way
---@field private count integer of them
---@field private last integer id
---@field private closing boolean
local methods = {}
local Host = { __index = methods, __name = "moonwire.Host" }

-- The words of a failure: kind, message, traceback.
local function describe(value)
    if errors.is(value) then
        return value.kind, tostring(value), value.traceback
    elseif type(value) ~= "string" then
        return "error", "(error object is a " .. type(value) .. " value: " .. tostring(value) .. ")"
    end
    local message, traceback = value:match "^(.-)\n(stack traceback:\n.*)$"
    return "error", message or value, traceback
end

local function conclude(self, id, ok, ...)
    local entry = self.tasks[id]
    if not entry then
        return -- close() has given it up
    end
    if ok then
        self.ended(id, entry.record, nil, nil, nil, ...)
    else
        self.ended(id, entry.record, describe((...)))
    end
    -- Not before: where there was no memory to tell it, close() does.
    self.tasks[id], self.count = nil, self.count - 1
end

local function cancelled()
    return errors.from_code(codes.ECANCELLED, nil, "running a task of the host")
end

local function bare(_, fn, ...)
    return fn(...)
end

-- In a scope of its own: it has ended when all that it spawned has.
local function run(fn, ...)
    if threads.current().doomed then
        error(cancelled(), 0) -- before it began
    end
    return scope.open(bare, fn, ...)
end

local function body(self, id, fn, ...)
    conclude(self, id, xpcall(run, errors.handler, fn, ...))
end

--- Starts a task; it runs at the next turn of the loop.
---@param record any handed to `ended`
---@param fn function
---@param ... any its arguments
---@return integer id above 0; a code below 0: ECLOSED
function methods:start(record, fn, ...)
    if self.closing or self.backend.loop:is_closed() then
        return codes.ECLOSED
    end
    local id, entry = self.last + 1, { record = record }
    self.tasks[id], self.count, self.last = entry, self.count + 1, id
    local ok, task = pcall(self.scope.spawn, self.scope, body, self, id, fn, ...)
    if not ok then -- no memory
        self.tasks[id], self.count = nil, self.count - 1
        error(task, 0)
    end
    entry.task = task
    return id
end

--- Starts a task out of source text.
function methods:start_text(record, text, name)
    return self:start(record, function()
        local chunk, message = loadstring(text, name)
        if not chunk then
            error(message, 0)
        end
        return chunk()
    end)
end

--- Starts a script that lies in a file.
function methods:start_file(record, path)
    return self:start(record, function()
        local chunk, message = loadfile(path)
        if not chunk then
            error(message, 0)
        end
        return chunk()
    end)
end

--- Cancels a task that is under way; any other id is left as it is.
function methods:cancel(id)
    local entry = self.tasks[id]
    if entry then
        entry.task:cancel()
    end
    return 0
end

-- What a thread died of that is no task of the program goes to the log.
local function turn(self, seconds)
    local loop = self.backend.loop
    local ok, resumed, code = pcall(loop.step, loop, seconds)
    if ok then
        return resumed, code
    end
    if resumed == NO_MEMORY then -- the program decides whether to try again
        return nil, codes.ENOMEM
    end
    self.backend.on_error(resumed)
    return 1
end

--- Lets run what is ready, after a wait for events of so many seconds at most.
---@param seconds number math.huge: until there is one
---@return integer count of tasks under way; below 0 a code
function methods:step(seconds)
    if state.current then
        return codes.ESTATE -- a task runs: it would step itself
    elseif self.backend.loop:is_closed() then
        return codes.ECLOSED
    end
    local _, code = turn(self, seconds)
    return code or self.count
end

--- Steps until no task is under way.
---@return integer code
function methods:run()
    local code = self.count
    while code > 0 do
        code = self:step(math.huge)
    end
    return code
end

local function under_way(self)
    local ids = {}
    for id in each(self.tasks) do
        ids[#ids + 1] = id
    end
    table.sort(ids)
    return ids
end

local function take_state(self, log, tracing)
    state.host, state.backend, state.log = self, self.backend, log
    if tracing then
        trace.enable()
    end
end

-- All is as it was before open().
local function leave_state(self)
    self.backend.loop:close()
    trace.disable()
    state.host, state.backend, state.log = nil, nil, nil
end

--- Cancels all tasks and lets them end; those that don't are dropped, and told as cancelled.
---@return integer code ESTATE inside a task
function methods:close()
    if state.current then
        return codes.ESTATE
    end
    self.closing = true
    for _, id in ipairs(under_way(self)) do
        self:cancel(id)
    end
    for _ = 1, CLOSING_ROUNDS do
        if self.count == 0 or self.backend.loop:is_closed() then
            break
        elseif turn(self, 0) == 0 then
            break
        end
    end
    for _, id in ipairs(under_way(self)) do
        local ok, err = pcall(conclude, self, id, false, cancelled())
        if not ok then
            self.backend.on_error(err)
        end
    end
    leave_state(self)
    return 0
end

local host = {}

--- Readies this Lua state for a C program.
---@param loop lightuserdata? its `struct ev_loop *`; nil: one of our own
---@param log fun(level: string, text: string) is given what would go to stderr
---@param ended function see moonwire.Host
---@param tracing boolean whether a transcript goes to the log
---@return moonwire.Host? host
---@return string? why not
function host.open(loop, log, ended, tracing)
    if state.host then
        return nil, "this Lua state has a context already: close that one first"
    elseif state.backend then
        return nil, "moonwire already has a loop in this Lua state: open the context before any"
            .. " of its functions is called"
    end
    local backend = ev.new(loop)
    backend.capabilities.environment = false -- it is the program's, whoever's loop this is
    local self = setmetatable({
        backend = backend, ended = ended, tasks = {}, count = 0, last = 0, closing = false,
        scope = scope.detached(backend),
    }, Host)
    local ok, err = pcall(take_state, self, log, tracing)
    if not ok then -- no memory
        leave_state(self)
        error(err, 0)
    end
    return self
end

return host
