-- A bare loop of moonwire.core for the specs of spec/io: threads without the runtime, and a check
-- that nothing is left open.
local core = require "moonwire.core"
local process = require "spec.support.process"

local core_loop = {}

---@class CoreLoop
---@field loop moonwire.core.Loop
---@field main moonwire.core.Thread
local methods = {}
local CoreLoop = { __index = methods }

--- Starts a coroutine that is given its own thread.
---@param f fun(thread: moonwire.core.Thread)
---@return moonwire.core.Thread
function methods:spawn(f)
    local thread
    thread = self.loop:thread(coroutine.create(function()
        f(thread)
    end))
    assert(thread:wake(0))
    return thread
end

--- Runs the loop until f, started as a thread, has ended; its errors are raised.
function methods:run(f)
    local done = false
    self:spawn(function(thread)
        f(thread)
        done = true
        self.main:wake(0)
    end)
    while not done do
        local code = self.main:wait(20)
        assert(code == 0, "the thread did not end: " .. core.error_name(code))
    end
end

--- A pair of connected sockets.
function methods:pair(family, address, port)
    local listener, client, server = self.loop:tcp(), self.loop:tcp(), self.loop:tcp()
    assert(listener:listen(family or "ipv4", address or "127.0.0.1", port or 0))
    local name, number = listener:name()
    local ok, code = client:connect(family or "ipv4", name, number)
    if not ok then
        assert(code == core.EAGAIN, core.error_name(code))
        assert(client:wait(self.main, "write", 5) == 0)
        assert(client:connect_result())
    end
    ok, code = listener:accept(server)
    while not ok do
        assert(code == core.EAGAIN, core.error_name(code))
        assert(listener:wait(self.main, "read", 5) == 0)
        ok, code = listener:accept(server)
    end
    listener:close()
    return client, server
end

--- Runs f with a new loop, closes it, and fails when something was left open in it.
---@param f fun(on: CoreLoop)
function core_loop.with(f)
    collectgarbage()
    collectgarbage()
    local fds = process.count_fds()
    local loop = core.loop()
    local on = setmetatable({ loop = loop, main = loop:thread() }, CoreLoop)
    f(on)
    local stats = loop:stats()
    loop:close()
    for name, count in pairs(stats) do
        assert(count == 0, ("%d %s left open"):format(count, name))
    end
    assert(process.count_fds() == fds, "a file descriptor was left open")
end

return core_loop
