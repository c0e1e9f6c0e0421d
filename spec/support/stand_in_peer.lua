-- The other side of a connection of spec.support.stand_in: moonwire.testing's mock peer on a real
-- socket. Unlike that one it waits, so it is for code that may.
local core = require "moonwire.core"
local each = pairs

local STEPS = { expect = true, send = true, delay = true, eof = true, reset = true, close = true }
local TURN = 0.002 -- seconds in which what was said is noticed
local PAUSE = 0.005 -- seconds beside those, between two pieces that come one after the other
local LATE = 0.05 -- seconds that an end may take to be seen

---@class spec.StandInPeer
---@field world spec.StandIn
---@field stream moonwire.Stream
---@field private got string[]
---@field private ended boolean
local methods = {}
local Peer = { __index = methods }

local function read(self)
    for data in function() return (self.stream:read()) end do
        self.got[#self.got + 1] = data
        if self.on_data_fn then
            self.on_data_fn(data)
        end
    end
    self.ended = true
end

local function all(self)
    local text = table.concat(self.got)
    self.got = { text }
    return text
end

local acts = {}

-- Waits for a text behind the one before; false when it can't come any more.
function acts.expect(self, text)
    while true do
        local _, last = all(self):find(text, self.seen + 1, true)
        if last then
            self.seen = last
            return true
        elseif self.ended or self.world:rest(0.001) ~= core.ETIMEOUT then
            return false
        end
    end
end

function acts.send(self, bytes, step)
    if step.pieces then
        self:send_pieces(bytes, step.pieces)
    else
        self:put(bytes)
    end
    return true
end

function acts.delay(self, seconds)
    self.world:rest(PAUSE)
    return self.world:pass(seconds) == core.ETIMEOUT
end

for _, name in ipairs { "eof", "reset", "close" } do
    acts[name] = function(self)
        self[name](self)
        return true
    end
end

local function follow(self, script)
    for _, step in ipairs(script) do
        for name, value in each(step) do
            if acts[name] and not acts[name](self, value, step) then
                return
            end
        end
    end
end

function methods:put(bytes)
    if bytes ~= "" and not self.ended then
        self.stream:write(bytes)
    end
end

-- Lets the client have what was sent, or the end, as the mock does before it goes on.
local function let_come(self)
    self:settle()
    self.world:rest(TURN)
end

function methods:send(bytes)
    self:put(bytes)
    let_come(self)
end

function methods:send_pieces(bytes, n)
    for from = 1, #bytes, n or 1 do
        self:put(bytes:sub(from, from + (n or 1) - 1))
        self.world:rest(0)
    end
end

function methods:after(seconds, fn)
    self.world:after(seconds, fn)
end

function methods:eof()
    self.stream:shutdown()
    self.world:rest(TURN)
end

function methods:close()
    self.stream:close()
    self.world:rest(TURN)
end

function methods:reset()
    self.stream:reset()
    self.stream:close()
    self.world:rest(TURN)
end

--- All that has come so far, and in a moment from now.
function methods:received()
    self.world:rest(0.002)
    return all(self)
end

function methods:on_data(fn)
    self.on_data_fn = fn
end

function methods:is_closed()
    local ends = self.world:now() + LATE
    while not self.ended and self.world:now() < ends
        and self.world:rest(0.001) == core.ETIMEOUT do -- luacheck: ignore 542
    end
    return self.ended
end

function methods:limit_writes() -- luacheck: ignore 212
    error("a real peer does not say how many bytes the system takes for it", 2)
end

methods.block_writes = methods.limit_writes

--- Waits until all that was sent is with the client's side.
function methods:settle()
    if not self.ended and not self.stream:is_closed() then
        self.stream:sync()
    end
end

local M = {}

--- Raises for a script that a real peer can't follow.
---@param script table[]
function M.check(script)
    for _, step in ipairs(script) do
        local known = false
        for name in each(step) do
            known = known or STEPS[name]
        end
        if not known then
            methods.limit_writes()
        end
    end
end

---@param world spec.StandIn
---@param stream moonwire.Stream
---@param script table[]?
---@return spec.StandInPeer
function M.new(world, stream, script)
    local self = setmetatable({
        world = world, stream = stream, got = {}, seen = 0, ended = false,
    }, Peer)
    world:spawn(function()
        read(self)
    end)
    if script then
        world:spawn(function()
            follow(self, script)
        end)
    end
    return self
end

return M
