-- connection/leaving.lua - what becomes of a response whose body nobody wants: its rest is dropped
-- in the background where that is soon done, else the connection is closed.  It never keeps anybody
-- waiting.

local failure = require "moonwire.connection.failure"
local receiver = require "moonwire.connection.receiver"

local min = math.min

local DRAIN_BYTES = 64 * 1024 -- of the rest, known or not
local DRAIN_SECONDS = 0.05

local M = {}

-- Whether the rest may be short enough, and the connection of use after it.
local function is_worth_draining(self, response)
    local is_sent = self.h1:done()
    if not is_sent or self.data.close or self.stream:has_reader() then
        return false -- a task that reads the body is to be told
    end
    local framing, rest = self.h1:framing(), receiver.remaining(self)
    if framing == "close" or rest and rest > DRAIN_BYTES then
        return false
    end
    local kind = response.head:get "content-type"
    if kind and kind:lower():find("text/event-stream", 1, true) then
        return false -- it has no end
    end
    local can_drain = self.keeper.can_drain
    return not can_drain or can_drain(self)
end

local function drain(self)
    local h1, stream = self.h1, self.stream
    local limit = min(self.backend:now() + DRAIN_SECONDS, self.deadline)
    local _, _, before = h1:bytes()
    local _, err
    repeat
        _, err = stream:fill(h1, limit)
        if err or self.state ~= "active" then
            break
        end
        local event = h1:next_discard()
        local _, _, body_in = h1:bytes()
        if event == "end" then
            self.received = true
            return self:settle(self.backend:now())
        end
    until event ~= "need_data" or body_in - before > DRAIN_BYTES
    self:shut "unread_body"
end

--- For response.lua: nobody wants the rest of the body. What is here already is dropped. If that
--- isn't all, a rest of 64 KiB at most is waited for in the background, for 50 ms; a connection
--- with more of it is closed.
---@param self moonwire.Connection
function M.leave(self, response)
    if self.state ~= "active" then
        return
    end
    local event = self.h1:next_discard()
    if event == "end" then
        receiver.complete(self, response, self.h1:trailers(), self.backend:now())
    elseif event == "need_data" and is_worth_draining(self, response) then
        self.backend:start(drain, self)
    else
        self.failure = failure.complete(self, failure.closed("unread_body", "body"))
        self:shut "unread_body"
    end
end

--- For response.lua: the response was collected unread. The socket goes at once; who counts
--- connections is told from the loop, since a finalizer may run in the middle of anything.
---@param self moonwire.Connection
function M.abandon(self)
    if self.state ~= "closed" and not self.backend.capabilities.collects_sockets then
        self.stream:close()
        self.backend:start(self.shut, self, "unread_body")
    end
end

return M
