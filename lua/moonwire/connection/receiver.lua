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
    if self.sent_at then
        return false
    end
    local bytes_in, bytes_out = self.h1:bytes()
    if bytes_out > self.bytes_out_before then
        return false
    end
    self.bytes_in_before = bytes_in
    return true
end

local function fill_for_head(self, asked)
    while true do
        local limit = head_limit(self)
        local n, err = self.stream:fill(self.h1, limit, asked)
        asked = nil
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

local function take_informational(self, status, headers)
    if status == 100 then
        sender.go_ahead(self)
    end
    if self.on_informational then
        call_script(self, self.on_informational, status, headers)
    end
end

--- Reads up to the final head.
---@param self moonwire.Connection
---@return integer? status
---@return string|moonwire.Error reason or the error
---@return string? http_version
---@return moonwire.core.Headers? headers
function M.receive_head(self)
    local h1 = self.h1
    local event
    repeat
        if event == nil or event == "need_data" then
            local ok, err = fill_for_head(self, event == nil and self.sent_at)
            if not ok then
                return nil, err
            end
        end
        local status, reason, version, headers
        event, status, reason, version, headers = h1:next_head()
        if event == nil then
            return codec_failed(self, status, "headers")
        elseif event ~= "need_data" and self.trace then
            self.trace:response(status, reason, version, headers)
        end
        if event == "head" then
            return status, reason, version, headers
        elseif event == "informational" then
            take_informational(self, status, headers)
        end
    until false
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
---@param trailers moonwire.core.Headers?
---@param now number
function M.complete(self, response, trailers, now)
    self.received = true
    response:finish(trailers, now)
    if not self.sender then
        self:settle(now)
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
local function take_ready_body(self, response, now)
    local text, event, detail = self.h1:next_ready()
    response.buffered = text
    if text and (self.max_body or self.progress) and not check_size(self) then
        return
    elseif event == "end" then
        M.complete(self, response, detail, now)
    elseif event == "upgraded" then
        response:finish(nil, now)
        response:carry(self:detach())
    elseif event == nil then
        codec_failed(self, detail, "body")
    end
end

--- Makes a response of its head, with what has come of the body.
---@param self moonwire.Connection
---@param status integer
---@param reason string
---@param version string
---@param headers moonwire.core.Headers
---@return moonwire.Response
function M.make_response(self, status, reason, version, headers)
    local now = self.backend:now()
    local held_back = sender.holds_back(self)
    if self.sender or self.write_error then
        meet_early_response(self, status)
    end
    local response = responses.new(status, reason, version, headers, self, now)
    if held_back then
        response.held_back = true
    end
    if self.sender then
        self.current.response = response
    end
    take_ready_body(self, response, now)
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
            M.complete(self, response, h1:trailers(), self.backend:now())
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
