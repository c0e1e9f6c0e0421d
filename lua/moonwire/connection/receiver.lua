-- connection/receiver.lua - the receiving half of a connection: head, informational heads, body
-- pieces, end.  It never sends, but stops the sender when its body is refused.

local errors = require "moonwire.error"
local failure = require "moonwire.connection.failure"
local responses = require "moonwire.response"
local sender = require "moonwire.connection.sender"

local min = math.min

local CLOCK_SLACK = 0.001 -- seconds a timer may be early
local EARLY_REFUSAL = 300 -- from this status on, the rest of an upload is not wanted

local M = {}

-- What a callback of the script raises goes to the script, but leaves no exchange behind.
local function call_script(self, callback, ...)
    local ok, problem = xpcall(callback, errors.handler, ...)
    if not ok then
        self:shut("error")
        error(problem, 0)
    end
end

-- The stream gave no bytes and no end: what does that mean here?
local function receive_failed(self, err, phase)
    if self.failure then
        return nil, self.failure
    elseif self.state == "closed" then
        return self:fail(failure.closed(self.close_reason, phase))
    elseif self.write_error and err.kind ~= "cancelled" then
        return self:fail(self.write_error)
    end
    if phase == "headers" and self.sender and err.kind ~= "closed" then
        phase = "write" -- the request isn't out yet
    end
    if err.kind ~= "timeout" then
        return self:fail(failure.from_stream(err, phase))
    elseif self.backend:now() >= self.deadline - CLOCK_SLACK then
        return self:fail(failure.timeout(phase, "total"))
    end
    return self:fail(failure.timeout(phase, phase == "headers" and "headers" or "idle"))
end

local function codec_failed(self, code, phase)
    if self.write_error then
        return self:fail(self.write_error)
    end
    return self:fail(failure.from_codec(self, code, phase))
end

-- The head's time runs from the request's last byte; while that isn't out, only the deadline holds.
local function head_limit(self)
    if self.read_until then
        return min(self.read_until, self.deadline)
    end
    return min((self.sent_at or self.backend:now()) + self.headers_timeout, self.deadline)
end

-- Bytes that came before the first of ours went out answer nothing that we have asked.
local function came_unasked(self)
    local bytes_in, bytes_out = self.h1:bytes()
    if bytes_out > self.bytes_out_before then
        return false
    end
    self.bytes_in_before = bytes_in
    return true
end

local function fill_for_head(self)
    while true do
        local limit = head_limit(self)
        local n, err = self.stream:fill(self.h1, limit)
        if n and came_unasked(self) then
            return self:fail(failure.unsolicited())
        elseif n or not err then
            return true
        elseif err.kind ~= "timeout" or self.state == "closed"
            or self.backend:now() >= head_limit(self) then
            return receive_failed(self, err, "headers")
        end
    end
end

local function take_informational(self)
    local head = self.h1:head()
    if self.trace then
        self.trace:response(head)
    end
    if head.status == 100 then
        sender.go_ahead(self)
    end
    if self.on_informational then
        call_script(self, self.on_informational, head.status, head.headers)
    end
end

--- Reads up to the final head.
---@param self moonwire.Connection
---@return table? head, moonwire.Error? err
function M.receive_head(self)
    local h1 = self.h1
    local event, code
    repeat
        if event == nil or event == "need_data" then
            local ok, err = fill_for_head(self)
            if not ok then
                return nil, err
            end
        end
        event, code = h1:next()
        if event == "informational" then
            take_informational(self)
        elseif event == nil then
            return codec_failed(self, code, "headers")
        end
    until event == "head"
    return h1:head()
end

-- The head is here while the request isn't out: refused, or both directions go on. A body that was
-- held back isn't sent after the answer.
local function meet_early_response(self, status)
    if self.write_error then
        self.was_refused = true
        if self.sender then
            sender.stop(self)
        end
    elseif self.sender and (status >= EARLY_REFUSAL or sender.holds_back(self)) then
        self.was_refused = true
        sender.stop(self)
    end
end

--- The response is complete.
---@param self moonwire.Connection
function M.complete(self, response)
    self.received = true
    response:finish(self.h1:trailers(), self.backend:now())
    if not self.sender then
        self:settle()
    end
end

-- Holds what has come of the body against max_body, and tells the script about it.
local function check_size(self)
    local _, _, body_in = self.h1:bytes()
    local received = body_in - self.body_in_before
    if received == self.body_seen then
        return true
    end
    self.body_seen = received
    if self.max_body and received > self.max_body then
        return self:fail(failure.too_large(self.max_body))
    end
    if self.progress then
        local _, total = self.h1:framing()
        call_script(self, self.progress, received, total)
    end
    return true
end

-- Takes what has come along with the head, so that a small response needs no reader.
local function take_ready_body(self, response)
    local h1 = self.h1
    local is_watched = self.max_body or self.progress
    local first, rest, count
    while true do
        local event, data = h1:next()
        if event == "body" then
            if not first then
                first = data
            else
                rest, count = rest or { first }, (count or 1) + 1
                rest[count] = data
            end
        else
            if rest then
                first = table.concat(rest)
            end
            response.buffered = first
            if first and is_watched and not check_size(self) then
                return
            elseif event == "end" then
                return M.complete(self, response)
            elseif event == "upgraded" then
                response:finish(nil, self.backend:now())
                response:carry(self:detach())
            elseif event == nil then
                codec_failed(self, data, "body")
            end
            return
        end
    end
end

--- Makes a response of the head, with what has come of the body.
---@param self moonwire.Connection
---@param head table
---@return moonwire.Response
function M.make_response(self, head)
    local data = self.data
    local held_back = sender.holds_back(self)
    if self.sender or self.write_error then
        meet_early_response(self, head.status)
    end
    local response = responses.new(head, self, data)
    response.upload_complete = not self.sender and not self.was_refused
    if held_back then
        response.held_back = true
    end
    if self.sender then
        self.current.response = response
    end
    if self.trace then
        self.trace:response(head)
    end
    take_ready_body(self, response)
    if response.connection then
        self.current.response = response
        responses.watch(response)
    end
    return response
end

-- While the request is still being sent, it is for the sender to say that nothing moves; and the
-- peer has its time from the last byte it was sent.
local function fill_for_body(self)
    local backend, idle = self.backend, self.idle_timeout
    local since = backend:now()
    self.read_since = since
    while true do
        local n, err = self.stream:fill(self.h1, min(since + idle, self.deadline))
        if n or not err then
            return true
        end
        local now = backend:now()
        since = self.sender and now or self.sent_at or since
        if err.kind ~= "timeout" or now >= self.deadline or now >= since + idle then
            return receive_failed(self, err, "body")
        end
    end
end

-- Asks the codec through `step` until there is a piece of body, the end or an error.
local function pull(self, response, step, argument)
    local h1 = self.h1
    if self.state == "closed" then
        return self:fail(failure.closed(self.close_reason, "body"))
    end
    local is_watched = self.max_body or self.progress
    while true do
        local event, data, where = step(h1, argument)
        if is_watched and event and not check_size(self) then
            return nil, self.failure
        end
        if event == "body" then
            return data
        elseif event == "need_data" then
            local ok, err = fill_for_body(self)
            if not ok then
                return nil, err
            end
        elseif event == "end" then
            M.complete(self, response)
            return nil
        elseif where == "file" then
            return nil, errors.from_code(data, "body"), where
        else
            return codec_failed(self, data, "body")
        end
    end
end

--- For response.lua: the next piece of the body.
---@param self moonwire.Connection
---@return string? data nil: the end, moonwire.Error? err
function M.pull(self, response, max)
    return pull(self, response, self.h1.next, max)
end

--- For response.lua: drops the rest of the body.
---@param self moonwire.Connection
---@return nil, moonwire.Error? err
function M.pull_nothing(self, response)
    return pull(self, response, self.h1.next_discard)
end

--- For response.lua: writes the rest of the body to a file.
---@param self moonwire.Connection
---@return nil, moonwire.Error? err, string? where "file": it isn't the exchange that failed
function M.pull_to_file(self, response, file)
    return pull(self, response, self.h1.next_to_file, file)
end

--- For response.lua: how much of the body the codec has not given out, where the framing says.
---@param self moonwire.Connection
---@return integer?
function M.remaining(self)
    local _, length = self.h1:framing()
    local _, _, body_in = self.h1:bytes()
    return length and length - (body_in - self.body_in_before)
end

return M
