-- The other side of a mock connection: a spec says, by hand or by a script, what it sends and when,
-- and looks at what it was sent.
local errors = require "moonwire.error"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

---@class moonwire.MockPeer
---@field private socket moonwire.MockSocket the peer's end
---@field private ours moonwire.MockSocket the end under test
---@field private backend moonwire.MockBackend
---@field private got string[] what was sent to the peer
---@field private script table[]?
---@field private step integer of the script
---@field private seen integer bytes that the script has looked through
---@field private on_data_fn fun(data: string)?
---@field private ended boolean the end under test sends no more
local methods = {}
local Peer = { __index = methods, __name = "moonwire.MockPeer" }

--- Sends bytes; the stream receives them as one piece, in a turn of its own.
---@param bytes string
function methods:send(bytes)
    errors.check(2, "bytes", "string", bytes)
    if bytes ~= "" and not self.ours.closed then
        self.ours:push(bytes)
    end
end

--- Sends bytes in pieces of n bytes; each is received in a turn of its own.
---@param bytes string
---@param n integer? 1 when not given
function methods:send_pieces(bytes, n)
    n = n or 1
    for from = 1, #bytes, n do
        self:send(bytes:sub(from, from + n - 1))
    end
end

--- Runs a function as a thread so many seconds from now.
---@param seconds number
---@param fn function
function methods:after(seconds, fn)
    errors.check(2, "seconds", "number", seconds)
    errors.check(2, "fn", "function", fn)
    local loop = self.backend.loop
    loop:at(loop.time + seconds, function()
        self.backend:start(fn)
    end)
end

--- Ends the peer's direction: after what was sent the stream reads its end.
function methods:eof()
    self.socket:shutdown()
end

--- Closes the peer: the stream reads its end, and writing to it fails with EPIPE.
function methods:close()
    self.socket:close()
end

--- Breaks the connection: after what was sent every step fails with ECONNRESET.
function methods:reset()
    self.ours:fail(self.backend.loop.ECONNRESET)
    self.socket:close()
end

--- All bytes that were sent to the peer.
---@return string
function methods:received()
    local all = table.concat(self.got)
    self.got = { all }
    return all
end

--- Lets at most n bytes through per turn (nil: any number): short writes.
---@param n integer?
function methods:limit_writes(n)
    self.ours.limit = n
    self.ours:stir()
end

--- Lets nothing through while `blocked` is true.
---@param blocked boolean
function methods:block_writes(blocked)
    self.ours.blocked = blocked
    self.ours:stir()
end

--- Has a function called with each piece that is sent to the peer. It must not wait: `after` starts
--- a thread that may.
---@param fn fun(data: string)?
function methods:on_data(fn)
    self.on_data_fn = fn
end

--- Whether the end under test has shut down or closed.
---@return boolean
function methods:is_ended()
    return self.ended
end

--- Whether the end under test was closed.
---@return boolean
function methods:is_closed()
    return self.ours.closed
end

--- Whether all steps of the script were taken.
---@return boolean
function methods:is_done()
    return self.script == nil or self.step > #self.script
end

local advance

local steps = {
    expect = function(self, text)
        local all = self:received()
        local _, last = all:find(text, self.seen + 1, true)
        if not last then
            return false
        end
        self.seen = last
    end,
    send = function(self, bytes, step)
        if step.pieces then
            self:send_pieces(bytes, step.pieces)
        else
            self:send(bytes)
        end
    end,
    delay = function(self, seconds)
        local loop = self.backend.loop
        self.delayed = true
        loop:at(loop.time + seconds, function()
            self.delayed = false
            advance(self)
        end)
    end,
    eof = methods.eof,
    reset = methods.reset,
    close = methods.close,
    limit = methods.limit_writes,
    block = methods.block_writes,
}

-- Takes the script's steps as far as they go now.
function advance(self)
    while self.script and not self.delayed do
        local step = self.script[self.step]
        if not step then
            return
        end
        for name, act in each(steps) do
            if step[name] ~= nil then
                if act(self, step[name], step) == false then
                    return
                end
                break
            end
        end
        self.step = self.step + 1
    end
end

local peer = {}

local function check_script(script)
    for i, step in ipairs(script) do
        local known = false
        for name in each(errors.check(4, "script[" .. i .. "]", "table", step)) do
            known = known or steps[name] ~= nil
        end
        if not known then
            errors.argument(4, "script[" .. i .. "]",
                "a step: expect, send, delay, eof, reset, close, limit or block", step)
        end
    end
end

--- Makes the peer of a connection and starts its script.
---@param backend moonwire.MockBackend
---@param socket moonwire.MockSocket the peer's end
---@param ours moonwire.MockSocket the end under test
---@param script table[]?
---@return moonwire.MockPeer
function peer.new(backend, socket, ours, script)
    check_script(script or {})
    local self = setmetatable({
        backend = backend, socket = socket, ours = ours,
        got = {}, script = script, step = 1, seen = 0, ended = false,
    }, Peer)
    socket.sink = function(data)
        self.got[#self.got + 1] = data
        if self.on_data_fn then
            self.on_data_fn(data)
        end
        advance(self)
    end
    backend.loop.open = backend.loop.open - 1 -- of a pair only the end under test counts
    socket.on_end = function()
        self.ended = true
    end
    advance(self)
    return self
end

return peer
