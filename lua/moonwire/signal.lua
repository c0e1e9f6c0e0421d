-- Signals: each one that arrives starts a task. Only signals that are asked for are touched.
local backend = require "moonwire.backend"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local scope = require "moonwire.scope"

-- Where the systems differ: Linux, then macOS and the BSDs.
local LINUX = jit.os == "Linux"
local NUMBERS = {
    HUP = 1, INT = 2, QUIT = 3, ALRM = 14, TERM = 15, WINCH = 28,
    USR1 = LINUX and 10 or 30, USR2 = LINUX and 12 or 31,
    CHLD = LINUX and 17 or 20, CONT = LINUX and 18 or 19, TSTP = LINUX and 20 or 18,
}

-- How many handles a signal has, by its number; one table per Lua state.
core.state.signals = core.state.signals or {}
local asked_for = core.state.signals
local KILL, STOP = 9, LINUX and 19 or 17

---@class moonwire.SignalHandle
---@field private number integer
---@field private thread moonwire.Thread
---@field private scope moonwire.Scope
---@field private watch {close: fun(self)}
---@field private closed boolean
local methods = {}
local SignalHandle = { __index = methods, __name = "moonwire.SignalHandle" }

--- Stops reacting to the signal; tasks that were started go on. Twice is harmless.
function methods:close()
    if not self.closed then
        self.closed = true
        asked_for[self.number] = asked_for[self.number] - 1
        self.scope:forget_end(self)
        self.watch:close()
        self.thread.backend:wake(self.thread, core.ECLOSED)
    end
end

-- What the handle's thread does: waits for the signal, starts a task, and again.
local function listen(self, on, within, f)
    while not self.closed do
        local code = on:wait(math.huge)
        if code > 0 and not self.closed then
            within:spawn(f, code)
        end
    end
end

local signal = {}

--- Whether somebody has asked for a signal: then the `moonwire` command leaves SIGINT to them.
---@param number integer
---@return boolean
function signal.is_asked_for(number)
    return (asked_for[number] or 0) > 0
end

--- Has f(number) run as a task whenever the signal arrives, until the handle is closed or the
--- current scope ends. A signal that comes while one is being taken in is not counted twice.
---@param which string|integer "INT", "SIGTERM", 10
---@param f fun(number: integer)
---@return moonwire.SignalHandle? handle
---@return moonwire.Error? err kind "system": another loop of the process has that signal
function signal.on(which, f)
    local number = which
    if type(which) == "string" then
        number = NUMBERS[which:upper():gsub("^SIG", "")]
    end
    if type(number) ~= "number" or number < 1 or number > 64 or number % 1 ~= 0
        or number == KILL or number == STOP then
        errors.argument(2, "signal", "name or number of a signal that can be caught", which)
    end
    errors.check(2, "f", "function", f)
    local on, within = backend.current(), scope.current()
    local self = setmetatable({ closed = false, number = number }, SignalHandle)
    self.thread = on:start(listen, self, on, within, f)
    local watch, err = on:signal(number, self.thread)
    if not watch then
        self.closed = true -- its thread ends when it begins
        return nil, err
    end
    self.watch = watch
    asked_for[number] = (asked_for[number] or 0) + 1
    self.scope = within
    within:on_end(self)
    return self
end

return signal
