-- spec/simulate/faults.lua - faults that are built into moonwire on purpose, each for as long as a
-- function runs, to see that the simulator finds them.

local clients = require "moonwire.client"
local connections = require "moonwire.connection"
local core = require "moonwire.core"
local failure = require "moonwire.connection.failure"
local mock = require "moonwire.testing.mock"
local pools = require "moonwire.pool"
local readers = require "moonwire.body.readers"
local receiver = require "moonwire.connection.receiver"
local responses = require "moonwire.response"

local stream = mock.new():stream()

-- Where the methods of each class are.
local classes = {
    client_supply = getmetatable(clients.new().supply).__index,
    codec = debug.getmetatable(core.h1 "client").__index,
    connection = getmetatable(connections.new(stream)).__index,
    generator = getmetatable(readers.generator(function() end)).__index,
    pool = getmetatable(pools.new()).__index,
    socket = getmetatable(stream.core).__index,
    stream = getmetatable(stream).__index,
    failure = failure,
    receiver = receiver,
    responses = responses,
}

local faults = {}

-- A fault: `change` gets the function that is there and gives another one in its place. What
-- follows is changed as well.
local function fault(what, class, name, change, ...)
    local changes = { { classes[class], name, change } }
    if ... then
        local class2, name2, change2 = ...
        changes[2] = { classes[class2], name2, change2 }
    end
    for _, one in ipairs(changes) do
        assert(type(one[1][one[2]]) == "function", what)
    end
    faults[#faults + 1] = { what = what, changes = changes }
end

local function swap(changes)
    for _, one in ipairs(changes) do
        local class, name = one[1], one[2]
        one.original = class[name]
        class[name] = one[3](class[name])
    end
end

local function swap_back(changes)
    for _, one in ipairs(changes) do
        one[1][one[2]] = one.original
    end
end

--- Runs a function with the fault built in.
---@param one table of the list
---@param fn function
---@param ... any its arguments
---@return any ... what it returns
function faults.with(one, fn, ...)
    swap(one.changes)
    local results = { pcall(fn, ...) }
    swap_back(one.changes)
    if not results[1] then
        error(results[2], 0)
    end
    return unpack(results, 2)
end

-- The codec ---------------------------------------------------------------------------------------

fault("a response that breaks off is taken for whole", "connection", "pull", function(pull)
    return function(self, response, max)
        local data, err = pull(self, response, max)
        if err and err.code == "EH1_TRUNCATED" then
            err = nil
        end
        return data, err
    end
end)

fault("an informational response is taken for the final one", "codec",
    "next_answer", function(next_answer)
        return function(h1)
            local event, status, reason, version, headers, text, behind, detail = next_answer(h1)
            if event == "informational" then
                return "head", status, reason, version, headers, nil, "need_data"
            end
            return event, status, reason, version, headers, text, behind, detail
        end
    end)

fault("a piece of a body is dropped", "codec", "next", function(next_event)
    local count = 0
    return function(h1, max)
        local event, data = next_event(h1, max)
        count = count + (event == "body" and 1 or 0)
        if event == "body" and count % 50 == 0 then
            return next_event(h1, max)
        end
        return event, data
    end
end)

local function keep_closing(reusable, reason, ...)
    if reason == "close_header" then
        return true
    end
    return reusable, reason, ...
end

fault("a connection that its server closes is kept", "codec", "finish", function(finish)
    return function(h1)
        return keep_closing(finish(h1))
    end
end)

-- Connection and stream ---------------------------------------------------------------------------

local function always()
    return function()
        return true
    end
end

fault("nobody looks at an idle connection", "socket", "is_quiet", always, "stream", "watch", always)

fault("bytes that come before the request are taken for its answer", "receiver", "receive",
    function(receive)
        return function(self)
            self.sent_at = self.sent_at or self.started -- as if it had gone
            return receive(self)
        end
    end)

fault("a request that times out leaves its connection in use", "connection", "shut",
    function(shut)
        return function(self, reason)
            if reason ~= "timeout" or not self.keeper.on_idle then
                return shut(self, reason)
            end
            self.state = "idle"
            self.last_used = self.backend:now()
            self.keeper.on_idle(self)
        end
    end)

local function without_deadline(read)
    return function(self, h1, _, asked)
        return read(self, h1, nil, asked)
    end
end

fault("a read forgets its deadline", "stream", "fill", without_deadline, "stream", "answer",
    without_deadline)

fault("everything is safe to send again", "failure", "complete", function(complete)
    return function(connection, err)
        err = complete(connection, err)
        err.safe_to_retry = err.kind == "closed" and err.bytes_received == 0
        return err
    end
end)

fault("a body that gives up is taken for whole", "generator", "read", function(read)
    return function(self)
        return (read(self))
    end
end)

fault("every upload is complete", "receiver", "receive", function(receive)
    return function(self)
        local response, err = receive(self)
        if response then
            response.upload_complete = true
        end
        return response, err
    end
end)

fault("nobody misses a forgotten response", "responses", "watch", function()
    return function() end
end)

-- Pool and client ---------------------------------------------------------------------------------

fault("what a cancelled waiter was granted is lost", "pool", "cancel", function(cancel)
    return function(self, waiter, now)
        if waiter.state == "granted" then
            waiter.state = "cancelled"
            return nil
        end
        return cancel(self, waiter, now)
    end
end)

fault("now and then a waiter is not woken", "pool", "next_wake", function(next_wake)
    local count = 0
    return function(self)
        local waiter = next_wake(self)
        count = count + (waiter and 1 or 0)
        if waiter and count % 20 == 0 then
            return nil
        end
        return waiter
    end
end)

fault("a connection serves whatever origin", "pool", "take", function(take)
    return function(self, _, now, fresh)
        return take(self, "http://any:80", now, fresh)
    end
end)

fault("a connection that could not be opened keeps its place", "pool", "closed", function(closed)
    return function(self, slot)
        if slot.state ~= "opening" then
            closed(self, slot)
        end
    end
end)

fault("a dial that nobody wants goes on", "pool", "next_abort", function()
    return function() end
end)

fault("who waits is not dialed for", "pool", "next_dial", function()
    return function() end
end)

fault("a closed client sleeps on", "client_supply", "close", function(close)
    return function(self)
        self.reaper = nil
        close(self)
    end
end)

return faults
