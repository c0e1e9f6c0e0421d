-- Channels: values from task to task, in order, with room for a fixed number of them.
local core = require "moonwire.core"
local errors = require "moonwire.error"
local waiters = require "moonwire.waiters"

---@class moonwire.Channel
---@field private capacity integer
---@field private values any[] from `first` to `last`
---@field private first integer
---@field private last integer
---@field private senders moonwire.Waiters each brings its value along
---@field private receivers moonwire.Waiters
---@field private closed boolean
local methods = {}
local Channel = { __index = methods, __name = "moonwire.Channel" }

--- Sends a value: to a waiting receiver, or into the channel, or waits until there is room.
---@param value any not nil
---@return true? ok
---@return moonwire.Error? err kind "closed" when the channel is or gets closed, "cancelled"; the
---  value was not sent then
function methods:send(value)
    if value == nil then
        errors.argument(2, "value", "anything but nil", value)
    elseif self.closed then
        return nil, errors.from_code(core.ECLOSED, nil, "sending to a channel")
    elseif self.receivers:wake(0, value) then
        return true
    elseif self.last - self.first + 1 < self.capacity then
        self.last = self.last + 1
        self.values[self.last] = value
        return true
    end
    local code = self.senders:wait(value)
    if code < 0 then
        return nil, errors.from_code(code, nil, "sending to a channel")
    end
    return true
end

--- Receives the next value, waiting for one.
---@return any value nil when the channel is closed and empty
---@return moonwire.Error? err kind "cancelled"
function methods:receive()
    if self.first <= self.last then
        local value = self.values[self.first]
        self.values[self.first] = nil
        self.first = self.first + 1
        local woken, offer = self.senders:wake(0)
        if woken then
            self.last = self.last + 1
            self.values[self.last] = offer
        end
        return value
    end
    local woken, offer = self.senders:wake(0)
    if woken then
        return offer
    elseif self.closed then
        return nil
    end
    local code, value = self.receivers:wait()
    if code >= 0 then
        return value
    elseif code == core.ECLOSED then
        return nil
    end
    return nil, errors.from_code(code, nil, "receiving from a channel")
end

--- Closes the channel. What is in it can still be received; waiting senders are given an error of
--- kind "closed", waiting receivers nil. Twice is harmless.
function methods:close()
    if not self.closed then
        self.closed = true
        self.senders:wake_all(core.ECLOSED)
        self.receivers:wake_all(core.ECLOSED)
    end
end

--- Whether it was closed; there may be values in it still.
---@return boolean
function methods:is_closed()
    return self.closed
end

--- How many values are in the channel.
---@return integer
function methods:count()
    return self.last - self.first + 1
end

local function next_value(self)
    local value, err = self:receive()
    if err then
        error(err, 0)
    end
    return value
end

--- Iterates over the values until the channel is closed and empty; raises when cancelled.
---     for value in channel:each() do
---@return fun(self: moonwire.Channel): any
---@return moonwire.Channel
function methods:each()
    return next_value, self
end

local channel = {}

--- Makes a channel.
---@param capacity integer? how many values it holds; 0, when not given: each send meets a receive
---@return moonwire.Channel
function channel.new(capacity)
    capacity = capacity or 0
    if type(capacity) ~= "number" or capacity < 0 or capacity ~= capacity then
        errors.argument(2, "capacity", "a number of 0 or more", capacity)
    end
    return setmetatable({
        capacity = capacity,
        values = {}, first = 1, last = 0,
        senders = waiters.new(), receivers = waiters.new(),
        closed = false,
    }, Channel)
end

return channel
