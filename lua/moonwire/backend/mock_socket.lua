-- Sockets of the mock: pairs of byte queues in memory with the methods of moonwire.core.Tcp. A
-- piece is received as a piece, one in each turn of the loop, so that every wait is taken.
local core = require "moonwire.core"
local lua_steps = require "moonwire.backend.steps"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local EAGAIN, EOF, ECLOSED = core.EAGAIN, core.EOF, core.ECLOSED
local CAPACITY = 65536
local SLICE = 32 -- steps of one turn, then EAGAIN for the others' sake

---@class moonwire.MockSocket: moonwire.core.Tcp
---@field loop moonwire.MockLoop
---@field other moonwire.MockSocket? the other end
---@field sink fun(data: string)? takes what the other end sends, instead of the queue
---@field on_close fun()? is told that this end was closed
---@field on_end fun()? is told that the other end has shut down or closed
---@field private pieces string[] received, from `head` to `tail`
---@field private waiting moonwire.MockHandle[] by direction
---@field private guarded moonwire.Stream? is told when there is something to read
local methods = {}
local Socket = { __index = methods, __name = "moonwire.MockSocket" }

local function is_readable(self)
    return self.closed or self.head <= self.tail or self.ended or self.failure ~= nil
        or self.backlog ~= nil and #self.backlog > 0
end

local function is_writable(self)
    local other = self.other
    if self.closed or self.failure or other == nil or other.closed then
        return true
    end
    return not self.blocked and (other.sink ~= nil or other.buffered < CAPACITY)
end

local function take_step(loop)
    if loop.stepped ~= loop.turn then
        loop.stepped, loop.steps = loop.turn, 0
    end
    loop.steps = loop.steps + 1
    return loop.steps <= SLICE
end

local function wake(self, direction, code)
    local handle = self.waiting[direction]
    if handle then
        handle:wake(code)
    end
end

--- Has a stream told when there is something to read and nobody waits for it.
---@param target moonwire.Stream
function methods:guard(target)
    self.guarded = target
    self:stir()
end

--- Wakes whoever waits for what is possible now.
function methods:stir()
    if is_readable(self) then
        local target = self.guarded
        self.guarded = nil
        wake(self, "read", self.closed and ECLOSED or 0)
        if target and not self.closed then
            target:stirred()
        end
    end
    if is_writable(self) then
        wake(self, "write", self.closed and ECLOSED or 0)
    end
end

--- Puts bytes into the receive queue as one piece.
function methods:push(data)
    if self.sink then
        return self.sink(data)
    end
    self.tail = self.tail + 1
    self.pieces[self.tail] = data
    self.buffered = self.buffered + #data
    self:stir()
end

--- The other end sends no more.
function methods:finish()
    self.ended = true
    if self.on_end then
        self.on_end()
    end
    self:stir()
end

--- The connection breaks: what was received can still be read, then every step fails.
function methods:fail(code)
    self.failure = code
    self:stir()
end

function methods:recv(max)
    if self.closed then
        return nil, ECLOSED
    elseif self.head <= self.tail then
        if self.taken == self.loop.turn or not take_step(self.loop) then
            return nil, EAGAIN
        end
        local piece = self.pieces[self.head]
        local rest = piece:sub(max + 1)
        if rest == "" then
            self.pieces[self.head] = nil
            self.head = self.head + 1
            self.taken = self.loop.turn
        else
            self.pieces[self.head] = rest
            piece = piece:sub(1, max)
        end
        self.buffered = self.buffered - #piece
        if self.other then
            self.other:stir()
        end
        return piece
    elseif self.failure then
        return nil, self.failure
    elseif self.ended then
        return nil, EOF
    end
    return nil, EAGAIN
end

function methods:recv_now(max)
    self.taken, self.loop.stepped = nil, nil
    return self:recv(max)
end

methods.recv_into = lua_steps.recv_into

function methods:send(data, from)
    local other = self.other
    if self.closed then
        return nil, ECLOSED
    elseif self.failure then
        return nil, self.failure
    elseif self.shut or other.closed then
        return nil, self.loop.EPIPE
    elseif self.blocked or self.limit and self.sent == self.loop.turn then
        return nil, EAGAIN
    end
    if not take_step(self.loop) then
        return nil, EAGAIN
    end
    if not other.sink and other.buffered >= CAPACITY then
        return nil, EAGAIN
    end
    local room = other.sink and math.huge or CAPACITY -- no leftovers: they would stay small
    self.sent, self.guarded = self.loop.turn, nil
    local n = math.min(#data - from + 1, self.limit or math.huge, room)
    other:push(data:sub(from, from + n - 1))
    return n
end

function methods:send_from(h1)
    while h1:has_output() do
        local n, code = self:send(h1:output(CAPACITY), 1)
        if not n then
            return nil, code
        end
        h1:output_sent(n)
    end
    if self.closed then
        return nil, ECLOSED
    end
    return true
end

function methods:wait(handle, direction, seconds)
    if self.closed then
        return ECLOSED
    end
    self.guarded = direction == "write" and self.guarded or nil
    local ready = direction ~= "write" and is_readable(self)
        or direction ~= "read" and is_writable(self)
    return handle:wait_for(self.waiting, direction, seconds, ready)
end

function methods:accept(into)
    if self.closed then
        return nil, ECLOSED
    elseif #self.backlog == 0 then
        return nil, EAGAIN
    end
    -- the socket that was made when the other side connected goes on in `into`
    for key, value in each(table.remove(self.backlog, 1)) do
        into[key] = value
    end
    into.other.other = into
    return true
end

function methods:is_quiet()
    return not is_readable(self)
end

function methods:shutdown()
    if self.closed then
        return nil, ECLOSED
    elseif not self.shut then
        self.shut = true
        if self.other then
            self.other:finish()
        end
    end
    return true
end

function methods:close()
    if self.closed then
        return
    end
    self.closed = true
    if not self.sink then -- a scripted peer's end isn't counted
        self.loop.open = self.loop.open - 1
    end
    self:stir()
    if self.on_close then
        self.on_close()
    end
    for _, waiting in ipairs(self.backlog or {}) do
        waiting.other:fail(self.loop.ECONNRESET)
        waiting:close()
    end
    if self.other then
        if not self.shut then
            self.other:finish()
        end
        self.other:stir()
    end
end

function methods:is_closed()
    return self.closed
end

function methods:peer()
    local address = self.other and self.other.address
    if address and not self.closed then
        return address.address, address.port, address.family
    end
end

function methods:name()
    local address = self.address
    if address and not self.closed then
        return address.address, address.port, address.family
    end
end

function methods:fd() -- luacheck: ignore 212 (the same for every mock socket)
    return -1
end

--- Opens the socket as a listening one.
function methods:listen(address)
    self.closed, self.address = false, address
    self.loop.open = self.loop.open + 1
    self.backlog = {}
end

local socket = {}

--- Makes a closed socket.
---@param loop moonwire.MockLoop
---@return moonwire.MockSocket
function socket.new(loop)
    return setmetatable({
        loop = loop, closed = true, waiting = {},
        pieces = {}, head = 1, tail = 0, buffered = 0,
    }, Socket)
end

--- Makes two sockets that are connected to each other.
---@param loop moonwire.MockLoop
---@param ours table address of the first
---@param theirs table address of the second
---@return moonwire.MockSocket ours, moonwire.MockSocket theirs
function socket.pair(loop, ours, theirs)
    local a, b = socket.new(loop), socket.new(loop)
    a.closed, a.address, a.other = false, ours, b
    b.closed, b.address, b.other = false, theirs, a
    loop.open = loop.open + 2
    return a, b
end

return socket
