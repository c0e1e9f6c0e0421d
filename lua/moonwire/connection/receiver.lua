-- connection/receiver.lua - the receiving half of a connection: head, informational heads, body
-- pieces, end.  It never sends, but stops the sender when its body is refused.

local decoding = require "moonwire.response.decoding"
local errors = require "moonwire.error"
local failure = require "moonwire.connection.failure"
local responses = require "moonwire.response"
local sender = require "moonwire.connection.sender"

local min = math.min

local WEAK = { __mode = "v" }
local CLOCK_SLACK = 0.001 -- seconds a timer may be early
local PIECE = 32 * 1024 -- of a body at once, unless its reader says; Lua asks the system for
-- memory for a large string alone, which costs more than to fill it
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
    if self.raised then
        error(self.raised[1], 0)
    elseif self.failure then
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
    local bytes_in, bytes_out = self.h1:exchange_bytes()
    return bytes_in > 0 and bytes_out == 0
end

-- The stream has failed before the head was whole: true where that was a limit which has moved.
local function may_go_on(self, err)
    return err.kind == "timeout" and self.state ~= "closed"
        and self.backend:now() < head_limit(self)
end

local function take_informational(self, status, headers)
    if status == 100 then
        sender.go_ahead(self)
    end
    if self.on_informational then
        call_script(self, self.on_informational, status, headers)
    end
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
local function check_size(self, response)
    local _, _, received = self.h1:exchange_bytes()
    if received == self.body_seen then
        return true
    end
    self.body_seen = received
    if self.max_body and decoding.came_too_much(response, received, self.max_body) then
        return self:fail(failure.too_large(self.max_body))
    end
    if self.progress then
        local _, total = self.h1:framing()
        call_script(self, self.progress, received, total)
    end
    return true
end

-- What has come along with the head: so a small response needs no reader.
local function take_ready_body(self, response, after, detail, now, reusable, why, max)
    if response.buffered and (self.max_body or self.progress) and not check_size(self, response)
    then
        return
    elseif after == "end" then
        self.received = true
        response.finished = now
        if detail then
            response.trailers = detail
        end
        if not self.sender then
            self:settle(now, reusable, why, max)
        end
    elseif after == "upgraded" then
        response:finish(nil, now)
        response:carry(self:detach())
    elseif after == nil then
        codec_failed(self, detail, "body")
    end
end

-- Makes a response of its head, with what has come of the body, and of how the exchange was ended
-- if it was.
local function make_response(self, status, reason, version, headers, text, after, detail, now,
    reusable, why, max)
    now = now or self.backend:now()
    self.has_head = true
    local held_back = false
    if self.sender or self.write_error then
        held_back = sender.holds_back(self)
        meet_early_response(self, status)
    end
    local response = responses.new(status, reason, version, headers, text, self, now)
    if held_back then
        response.held_back = true
    end
    if self.sender then
        self.current = setmetatable({ response = response }, WEAK)
    end
    if self.sender or self.was_refused then
        response.upload_complete = false
    end
    take_ready_body(self, response, after, detail, now, reusable, why, max)
    if not response.finished then
        self.current = self.current or setmetatable({ response = response }, WEAK)
        responses.watch(response, self)
    end
    return response
end

--- Reads up to the final head, and what has come of the body along with it.
---@param self moonwire.Connection
---@return moonwire.Response? response, moonwire.Error? err
function M.receive(self)
    local h1, stream, asked = self.h1, self.stream, self.sent_at
    local ends = not (self.sender or self.write_error or self.trace or self.max_body
        or self.progress) -- else there is something to be done before
    local event, status, reason, version, headers, text, after, detail, now, reusable, why, max
    while true do
        if event == "informational" then -- more may be here behind it
            event, status, reason, version, headers, text, after, detail = h1:next_answer()
        else
            event, status, reason, version, headers, text, after, detail, now, reusable, why, max
                = stream:answer(h1, head_limit(self), asked, ends)
            asked = nil
            if not self.sent_at and reason ~= "stream" and came_unasked(self) then
                return self:fail(failure.unsolicited())
            end
        end
        if event == nil and reason ~= "stream" then
            return codec_failed(self, status, "headers")
        elseif event == nil and not may_go_on(self, status) then
            return receive_failed(self, status, "headers")
        elseif event == "head" or event == "informational" then
            if self.trace then
                self.trace:response(status, reason, version, headers)
            end
            if event == "head" then
                return make_response(self, status, reason, version, headers, text, after, detail,
                    now, reusable, why, max)
            end
            take_informational(self, status, headers)
        end
    end
end

-- While the request is still being sent, it is for the sender to say that nothing moves; and the
-- peer has its time from the last byte it was sent.
local function fill_for_body(self, way, file)
    local backend, idle = self.backend, self.idle_timeout
    local since = backend:now()
    self.read_since = since
    while true do
        local stream = self.stream
        local limit = min(since + idle, self.deadline)
        local n, err, where = stream[way](stream, self.h1, limit, file)
        if n or not err then
            return true
        elseif where then
            return nil, errors.from_code(err, "body"), where
        end
        local now = backend:now()
        since = self.sender and now or self.sent_at or since
        if err.kind ~= "timeout" or now >= self.deadline or now >= since + idle then
            return receive_failed(self, err, "body")
        end
    end
end

-- Asks the codec through `step` until there is a piece of body, the end or an error. What it needs
-- is received by the stream's method `way`.
local function pull(self, response, way, step, argument)
    local h1 = self.h1
    if self.state == "closed" then
        if self.raised then
            error(self.raised[1], 0)
        end
        return self:fail(failure.closed(self.close_reason, "body"))
    end
    local is_watched = self.max_body or self.progress
    local file = way == "save" and argument or nil
    while true do
        local event, data, where = step(h1, argument)
        if is_watched and event and not check_size(self, response) then
            return nil, self.failure
        end
        if event == "body" then
            return data
        elseif event == "need_data" then
            local ok, err, whose = fill_for_body(self, way, file)
            if not ok then
                return nil, err, whose
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
---@return string? data nil: the end
---@return moonwire.Error? err
function M.pull(self, response, max)
    return pull(self, response, "fill", self.h1.next, max or PIECE)
end

--- For response.lua: drops the rest of the body.
---@param self moonwire.Connection
---@return nil, moonwire.Error? err
function M.pull_nothing(self, response)
    return pull(self, response, "skip", self.h1.next_discard)
end

--- For response.lua: writes the rest of the body to a file.
---@param self moonwire.Connection
---@return nil, moonwire.Error? err, string? where "file": it isn't the exchange that failed
function M.pull_to_file(self, response, file)
    return pull(self, response, "save", self.h1.next_to_file, file)
end

--- For response.lua: how much of the body the codec has not given out, where the framing says.
---@param self moonwire.Connection
---@return integer?
function M.remaining(self)
    local _, length = self.h1:framing()
    local _, _, received = self.h1:exchange_bytes()
    return length and length - received
end

return M
