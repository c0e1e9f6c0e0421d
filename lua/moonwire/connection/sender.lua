-- connection/sender.lua - sends what can't be sent at once, in a thread of its own, while the
-- request's thread reads already.  It never reads from the peer.

local errors = require "moonwire.error"
local failure = require "moonwire.connection.failure"
local threads = require "moonwire.backend.thread"

local CLOCK_SLACK = 0.001 -- seconds a timer may be early
local READ_ON = 1 -- seconds a peer that refuses our bytes has to say why

---@class moonwire.connection.Sender
---@field thread moonwire.Thread
---@field reader moonwire.BodyReader? nil: all is in the codec already
---@field stopped boolean
---@field patience number? seconds to wait for the peer's word before the body is sent
---@field waits boolean? for that word
---@field told boolean? the peer wants the body
---@field report fun()? tells the script how much of the body has gone

local M = {}

-- While the response comes, a peer that takes nothing may be busy with it, or held up by a reader
-- of ours who pauses. Before its head nothing but bytes taken counts.
local function is_excused(self)
    if not self.has_head or self.received then
        return false
    end
    return not self.stream:has_reader()
        or self.backend:now() < self.read_since + self.idle_timeout
end

-- What tells the script how much of the body has gone. What that raises ends the exchange, and goes
-- to whoever asks for the response.
local function reporter(self, sender)
    local h1, callback, seen = self.h1, self.upload_progress, 0
    return function()
        local _, _, _, sent = h1:exchange_bytes()
        if sender.stopped or sent == seen then
            return
        end
        seen = sent
        local reader = sender.reader
        local ok, problem = xpcall(callback, errors.handler, sent, reader and reader.length)
        if not ok and not sender.stopped then
            sender.stopped = true
            self.sender, self.raised = false, { problem }
            self:shut("error")
        end
    end
end

-- Sends all output; `source`: what the codec was told of comes out of its file.
local function flush(self, sender, source)
    local stream, h1, report = self.stream, self.h1, sender.report
    local seconds = self.send_timeout or self.idle_timeout
    while true do
        local ok, err, where
        if source then
            ok, err, where = stream:flush_file(h1, source, self.deadline, seconds, report)
        else
            ok, err = stream:flush(h1, self.deadline, seconds, report)
        end
        if ok then
            if report then
                report()
            end
            return true
        elseif where then
            return sender.reader:explain(err)
        elseif err.kind == "closed" then
            return nil, err
        elseif err.kind ~= "timeout" and err.kind ~= "cancelled" then
            return nil, failure.from_stream(err, "write")
        elseif self.backend:now() >= self.deadline - CLOCK_SLACK then
            return nil, failure.timeout("write", "total")
        elseif err.kind == "cancelled" then
            return nil, failure.from_stream(err, "write")
        elseif not is_excused(self) then
            return nil, failure.timeout("write", "idle")
        end
    end
end

-- Waits for 100 Continue, but not for ever: a server may not know of it. Then opens the body.
local function await_word(self, sender)
    local backend = self.backend
    local limit = math.min(backend:now() + sender.patience, self.deadline)
    local code = 0
    sender.waits = true
    while code >= 0 and not sender.told and not sender.stopped do
        code = backend:wait(limit)
    end
    sender.waits = false
    if sender.stopped then
        return nil
    elseif not sender.told and backend:now() >= self.deadline then
        return nil, failure.timeout("write", "total")
    end
    sender.patience = nil
    if sender.reader then
        return sender.reader
    end
    local reader, err = self.data.body:open()
    self.body_opened, sender.reader = true, reader
    return reader, err
end

-- Why the body could not be made. That a wait in its function was ended by the request's deadline
-- isn't the function's fault.
local function body_failure(self, err)
    if errors.is(err.cause, "cancelled") and self.backend:now() >= self.deadline - CLOCK_SLACK then
        return failure.timeout("write", "total")
    end
    return err
end

-- Sends what the reader gives. Returns true, or nil and an error; `broken` says that it is the
-- peer, who may still tell why.
local function pump(self, sender)
    local h1, reader = self.h1, sender.reader
    local ok, err, chunk, code
    if not reader or not reader.immediate or sender.patience then
        ok, err = flush(self, sender)
        if not ok or not reader and not sender.patience then
            return ok, err, true
        end
    end
    if sender.patience then
        reader, err = await_word(self, sender)
        if not reader then
            return nil, err
        end
    end
    local claims = reader.claim ~= nil and self.stream:sends_files()
    repeat
        if sender.stopped then -- while it was about to go on
            return nil
        end
        local size, source
        if claims then
            size, source = reader:claim()
        end
        if size then
            ok, code = h1:send_past(size)
        else
            chunk, err = reader:read()
            if sender.stopped then
                return nil
            elseif err then
                return nil, body_failure(self, err)
            elseif chunk then
                ok, code = h1:send_body(chunk)
            else
                ok, code = h1:send_end()
            end
        end
        if not ok then
            return nil, errors.from_code(code, "write", "the request's body")
        end
        ok, err = flush(self, sender, source)
        if not ok then
            return nil, err, true
        end
    until not size and not chunk
    return true
end

--- Notes that the peer takes no more bytes. It has a second to say why.
---@param self moonwire.Connection
---@param err moonwire.Error
function M.note_broken(self, err)
    self.h1:send_abort()
    self.write_error = failure.from_stream(err, "write")
    self.read_until = self.backend:now() + READ_ON
end

local function finish(self)
    self.sender = false
    self.sent_at = self.backend:now()
    local response = self.current and self.current.response
    if response then
        response.upload_complete = true
    end
    if self.received then
        self:settle(self.sent_at)
    end
end

local function break_off(self, sender, err)
    M.note_broken(self, err)
    if self.has_head then
        self.sender = false
        if self.received then
            self:settle(self.backend:now())
        end
        return
    end
    self.backend:wait(self.read_until)
    if not sender.stopped and not self.has_head then
        self.sender = false
        self:fail(self.write_error)
    end
end

local function run(self, sender)
    local ok, err, broken = pump(self, sender)
    if sender.reader then
        sender.reader:close()
    end
    if sender.report then
        self.opts, self.upload_progress = false, nil
    end
    if sender.stopped then
        return
    elseif ok then
        finish(self)
    elseif broken and err.kind == "closed" then
        break_off(self, sender, err)
    else
        self.sender = false
        self:fail(err)
    end
end

--- Whether the body is held back until the peer wants it.
---@param self moonwire.Connection
---@return boolean
function M.holds_back(self)
    local sender = self.sender
    return sender and sender.patience ~= nil and not sender.told
end

--- The peer wants the body that was held back.
---@param self moonwire.Connection
function M.go_ahead(self)
    local sender = self.sender
    if sender and sender.patience then
        sender.told = true
        if sender.waits then
            self.backend:wake(sender.thread, 0)
        end
    end
end

--- Starts to send: what the codec has already, then what the reader gives.
---@param self moonwire.Connection
---@param reader moonwire.BodyReader? nil: nothing more, or with `patience` the body, opened later
---@param patience number? seconds to wait for 100 Continue before the body is sent
function M.start(self, reader, patience)
    local sender = { reader = reader, stopped = false, patience = patience or nil }
    self.sender = sender
    if self.upload_progress then
        sender.report = reporter(self, sender)
    end
    sender.thread = self.backend:start(run, self, sender)
    sender.thread.deadline = self.deadline
end

--- Stops at once: the body's function is not asked again, and a wait in it ends as cancelled.
---@param self moonwire.Connection
function M.stop(self)
    local sender = self.sender
    self.sender = false
    sender.stopped = true
    self.h1:send_abort()
    threads.cancel(sender.thread)
end

return M
