-- The public module `moonwire`: tasks, scopes, time. It does nothing but name what the runtime has.
local backend = require "moonwire.backend"
local channel = require "moonwire.channel"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local gather = require "moonwire.gather"
local scope = require "moonwire.scope"
local semaphore = require "moonwire.semaphore"
local signal = require "moonwire.signal"
local version = require "moonwire.version"

local moonwire = {
    version = version, --- such as "0.1.0"
    run = scope.run,
    spawn = scope.spawn,
    scope = scope.open,
    timeout = scope.timeout,
    gather = gather.gather,
    race = gather.race,
    map = gather.map,
    channel = channel.new,
    semaphore = semaphore.new,
    on_signal = signal.on,
}

--- Monotonic seconds since some moment; only differences mean something.
---@return number
function moonwire.now()
    return backend.current():now()
end

--- Waits so many seconds; 0 lets the other tasks have their turn.
---@param seconds number
---@return true? ok
---@return moonwire.Error? err kind "cancelled"
function moonwire.sleep(seconds)
    errors.check(2, "seconds", "number", seconds)
    if seconds < 0 or seconds ~= seconds then
        errors.argument(2, "seconds", "a number of 0 or more", seconds)
    end
    local on = backend.current()
    local code = on:wait(on:now() + seconds)
    if code == core.ETIMEOUT then
        return true
    end
    return nil, errors.from_code(code, nil, "sleeping")
end

return moonwire
