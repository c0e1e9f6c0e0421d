-- connection/failure.lua - turns what broke an exchange into the one error value: which phase, how
-- far it came, whether it may be sent again.  It never closes anything.

local core = require "moonwire.core"
local deadlines = require "moonwire.deadline"
local errors = require "moonwire.error"

-- Why the connection of a failed exchange was closed, by the error's kind.
local REASONS = {
    body = "body_error",
    cancelled = "cancelled",
    closed = "peer_closed",
    limit = "protocol_error",
    protocol = "protocol_error",
    timeout = "timeout",
}

local DOING = {
    write = "while the request was sent",
    headers = "before the response's head was complete",
    body = "before the response's body was complete",
}

local M = {}

--- The close reason that goes with an error.
---@param err moonwire.Error
---@return string
function M.reason(err)
    return err.code == "EH1_UNSOLICITED" and "unsolicited" or REASONS[err.kind] or "error"
end

-- HTTP-RULES: a stale connection is the only harmless reason, and nothing may have been acted on.
local function is_safe_to_retry(connection, err)
    local data = connection.data
    local body = data.body
    return err.kind == "closed"
        and err.code ~= "ECLOSED" -- on this side
        and (connection.reused or connection.kept)
        and err.bytes_received == 0
        and (body == nil or body.rewindable or not connection.body_opened)
        and (err.bytes_sent == 0 or data.repeatable)
        and connection.backend:now() < connection.deadline
end

-- The option that set a limit, and its seconds. Who calls for a client says `timeout.idle`.
local function limit_of(connection, limit, since, phase)
    local seconds
    if limit == "total" then
        seconds = connection.deadline - since
    elseif limit == "idle" and phase == "write" and connection.send_timeout then
        return "send_timeout", connection.send_timeout
    else
        seconds = connection[limit .. "_timeout"]
    end
    if connection.since then
        return "timeout." .. limit, seconds
    end
    return limit == "total" and "deadline" or limit .. "_timeout", seconds
end

--- Adds what is known about the exchange to an error.
---@param connection moonwire.Connection
---@param err moonwire.Error
---@return moonwire.Error
function M.complete(connection, err)
    local bytes_in, bytes_out = connection.h1:exchange_bytes()
    local since = connection.since or connection.started
    err.url = connection.data.url
    err.elapsed = connection.backend:now() - since
    err.reused = connection.reused
    err.bytes_sent = bytes_out
    err.bytes_received = err.code == "EH1_UNSOLICITED" and 0 or bytes_in -- those answer nothing
    err.safe_to_retry = is_safe_to_retry(connection, err)
    if err.kind == "cancelled" then
        deadlines.tell(err)
    elseif err.timeout then
        deadlines.explain(err, limit_of(connection, err.timeout, since, err.phase))
    end
    return err
end

--- An error of the stream, said in terms of the exchange.
---@param err moonwire.Error
---@param phase string
---@return moonwire.Error
function M.from_stream(err, phase)
    local message
    if err.kind == "cancelled" then
        message = "cancelled " .. DOING[phase]
    else
        message = "the connection failed " .. DOING[phase] .. ": " .. err.message
    end
    return errors.new {
        kind = err.kind, phase = phase, message = message, code = err.code, errno = err.errno,
        cause = err,
    }
end

-- What was waited for in vain: for as long as its own limit, or until all time was over.
local MISSED = {
    idle = { write = "the peer took no more bytes of the request",
        body = "no more bytes of the response's body" },
    headers = { headers = "no complete response head after the request" },
    total = { write = "the request was not sent whole", headers = "no complete response head",
        body = "the response's body was not complete" },
}

--- A limit on time has passed: "total", "headers" or "idle".
---@param phase string
---@param limit string
---@return moonwire.Error
function M.timeout(phase, limit)
    return errors.new {
        kind = "timeout", phase = phase, code = "ETIMEOUT", timeout = limit,
        message = MISSED[limit][phase],
    }
end

--- All time was over before the first byte.
---@return moonwire.Error
function M.late()
    return errors.new {
        kind = "timeout", phase = "write", code = "ETIMEOUT", timeout = "total",
        message = "the time for the request was over before it was sent",
    }
end

--- What the codec can't accept.
---@param connection moonwire.Connection
---@param code integer
---@param phase string
---@return moonwire.Error
function M.from_codec(connection, code, phase)
    if code == core.EOF or code == core.codes.EH1_TRUNCATED then
        local nothing = connection.h1:exchange_bytes() == 0
        return errors.new {
            kind = "closed", phase = phase, code = core.error_name(code),
            message = "the peer closed the connection "
                .. (nothing and "without an answer" or DOING[phase]),
        }
    end
    local err = errors.from_code(code, phase, "bad response")
    local detail = connection.h1:error_detail()
    if detail and detail ~= "" then
        err.message = err.message .. ": " .. detail
    end
    return err
end

--- The peer has sent bytes before it was sent any.
---@param said string? the first of them, where the connection was new: a greeting, often
---@return moonwire.Error
function M.unsolicited(said)
    local line = said and said:match "^[^\r\n]*":gsub("[^\32-\126]", "?")
    return errors.new {
        kind = "closed", phase = "headers", code = "EH1_UNSOLICITED",
        message = "the peer sent bytes that answer no request"
            .. (line and (" before it was sent one: \"%s\""):format(line) or ""),
    }
end

--- More body than the caller wants.
---@param limit integer
---@return moonwire.Error
function M.too_large(limit)
    return errors.new {
        kind = "limit", phase = "body", code = "EBODY_LIMIT",
        message = ("the body is larger than max_body (%d bytes)"):format(limit),
    }
end

--- Something is asked of a connection that is closed.
---@param reason string
---@param phase string
---@return moonwire.Error
function M.closed(reason, phase)
    return errors.new {
        kind = "closed", phase = phase, code = "ECLOSED",
        message = "the connection is closed (" .. reason .. ")",
    }
end

return M
