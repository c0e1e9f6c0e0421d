-- connection.lua - one HTTP/1.1 connection: drives the codec over a stream, one exchange at a time.
-- It never opens a stream, and never sends a request again.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local failure = require "moonwire.connection.failure"
local leaving = require "moonwire.connection.leaving"
local receiver = require "moonwire.connection.receiver"
local options = require "moonwire.connection.options"
local requests = require "moonwire.request"
local sender = require "moonwire.connection.sender"
local threads = require "moonwire.backend.thread"

local huge, min = math.huge, math.min

-- The moves a connection may make.
local MOVES = {
    new = { active = true, idle = true, closed = true },
    active = { new = true, idle = true, closed = true, detached = true },
    idle = { active = true, closed = true },
    closed = {},
    detached = {}, -- another protocol has the stream
}

local HEADERS_TIMEOUT = 60 -- seconds from the last byte of the request to the head
local IDLE_TIMEOUT = 30 -- seconds without progress
local EXPECT_TIMEOUT = 1 -- seconds a server has to say that it wants the body
local IDLE_LIFETIME = 30 -- seconds a connection is kept where the peer says nothing
local LIFETIME_LIMIT = 300 -- seconds it is kept at most, whatever the peer says
local IDLE_BYTES = 64 -- of what an idle connection has to say; enough to tell a 408
local NO_OPTIONS = {}
local EAGAIN = core.EAGAIN

---@class moonwire.connection.Options
---@field limits moonwire.PeerLimits?
---@field compat {obs_fold: boolean?}? of the codec
---@field origin string? "http://host:port", for whoever keeps connections
---@field on_idle fun(connection: moonwire.Connection)? an exchange is over and another may begin
---@field on_close fun(connection: moonwire.Connection, reason: string)?
---@field can_drain (fun(connection: moonwire.Connection): boolean)? whether it may take a moment
---  to drop the rest of a body, so that it can be kept; always if none is given
---@field trace moonwire.Trace?

---@class moonwire.Connection
---@field id integer no other connection of this Lua state has the same
---@field origin string? "http://host:port" where it is known
---@field state "new"|"active"|"idle"|"closed"|"detached"
---@field stream moonwire.Stream
---@field backend moonwire.Backend
---@field close_reason string? once it is closed; "upgraded" once it is detached
---@field unfit string|false why it can't be used any more, found out while it was idle
---@field kept boolean it was idle before its first request, so it may be stale then
---@field seat any for whoever keeps connections: where it has its place
---@field lifetime number|false seconds the peer lets it be idle, where it has said so
---@field package keeper moonwire.connection.Options what it was made with
---@field private h1 moonwire.core.H1
---@field private current {response: moonwire.Response?}? weak: an unread response may be collected
---@field private sender moonwire.connection.Sender? while a body is being sent
---@field package send_timeout number? seconds that the peer may take nothing, where it was given
---@field private since number? when the call began that the exchange is for
---@field package facts moonwire.response.Facts? of the last response
---@field private opts table? whose fields were taken over last
---@field private watched boolean the stream was told to tell what happens while it is idle
---@field private sent_at number? when the request's last byte went
---@field private read_since number? when the wait for more of the body began
---@field private failure moonwire.Error? what ended the exchange
---@field package upload_progress fun(sent: integer, total: integer?)? of the exchange
---@field package raised {[1]: any}? what upload_progress has raised; for who reads the response
---@field private write_error moonwire.Error? the peer takes no more bytes, but may still answer
local methods = {}
local Connection = { __index = methods, __name = "moonwire.Connection" }

local M = {}

local last_id = 0 -- of all connections of this Lua state

local function move(self, state)
    if not MOVES[self.state][state] then
        error(("connection: %s to %s is no move"):format(self.state, state), 2)
    end
    self.state = state
end

local function forget_exchange(self)
    self.data = false
    if self.current then
        self.current = nil
    end
    if self.on_informational or self.progress then
        self.opts, self.on_informational, self.progress = false, nil, nil
    end
end

--- For the connection's own parts: the one way into "closed".
---@package
---@param reason string
function methods:shut(reason)
    if self.state == "closed" or self.state == "detached" then
        return
    end
    move(self, "closed")
    self.close_reason = reason
    if self.sender then
        sender.stop(self)
    end
    self.stream:close()
    if self.trace then
        self.trace:note("closed the connection: %s", reason)
    end
    local on_close = self.keeper.on_close
    if on_close then
        on_close(self, reason)
    end
end

--- For the connection's own parts: another protocol has begun behind the response, and the stream
--- is the caller's from now on.
---@package
---@return moonwire.Stream
function methods:detach()
    local stream = self.stream
    if self.sender then -- it has sent all, and doesn't know yet
        sender.stop(self)
    end
    stream:unread(self.h1:leftover())
    move(self, "detached")
    self.close_reason = "upgraded"
    forget_exchange(self)
    if self.trace then
        self.trace:note("left the connection to another protocol")
    end
    local on_close = self.keeper.on_close
    if on_close then
        on_close(self, "upgraded")
    end
    return stream
end

--- For who keeps connections: the codec of one that is over, for another with the same options.
---@package
---@return moonwire.core.H1? h1 nil: it can't serve another
function methods:give_codec()
    return self.h1:move() and self.h1 or nil
end

--- For the connection's own parts: ends the exchange with an error.
---@package
---@param err moonwire.Error
---@return nil, moonwire.Error
function methods:fail(err)
    if self.failure then
        return nil, self.failure
    end
    self.failure = failure.complete(self, err)
    if self.trace then
        self.trace:note("failed: %s", tostring(err))
    end
    self:shut(failure.reason(err))
    return nil, err
end

-- What an idle connection has to say. It may be closed, or have sent bytes that would be taken for
-- the answer to the next request; the codec lets a few empty lines pass.
local function judge(self, data)
    if not data or data:find "^HTTP/1%.%d 408" then
        return "peer_closed_idle"
    end
    self.h1:feed(data)
    return self.h1:next() ~= "need_data" and "unsolicited"
end

-- A look at an idle connection, which never waits.
local function is_fit(self)
    local stream = self.stream
    if self.unfit or stream:is_quiet() then
        return not self.unfit
    end
    repeat
        local data = stream:read_now(IDLE_BYTES)
        if data == "" then
            break
        end
        self.unfit = judge(self, data)
    until self.unfit
    return not self.unfit
end

-- The peer has stirred while the connection is idle.
local function look(self)
    if self.state ~= "idle" then
        return
    elseif is_fit(self) then
        self.stream:watch(look, self)
    else
        self:shut(self.unfit)
    end
end

--- For the connection's own parts: both messages are complete, or as complete as they will be.
---@package
---@param now number
---@param reusable boolean? what stream:finish() gave, where that was called already
---@param timeout number|string|nil
---@param max integer?
function methods:settle(now, reusable, timeout, max)
    if reusable == nil then
        reusable, timeout, max = self.stream:finish(self.h1)
    end
    local reason = not reusable and timeout
    if reusable and (timeout and timeout <= 1 or max and max <= 1) then
        reason = "keep_alive_limit"
    end
    self.last_used = now
    if reason then
        self:shut(self.was_refused and "early_response" or reason)
        forget_exchange(self)
        return
    end
    self.lifetime = timeout and min(timeout - 1, LIFETIME_LIMIT) or false
    forget_exchange(self)
    move(self, "idle")
    if not self.watched then
        self.watched = true
        self.stream:watch(look, self)
    end -- else the stream has done so
    local on_idle = self.keeper.on_idle
    if on_idle then
        on_idle(self)
    end
end

--- For who keeps connections: it is kept although it wasn't used. From now on its peer is watched.
---@package
function methods:put_aside()
    if self.state == "new" then
        self.kept, self.watched = true, true
        move(self, "idle")
        self.stream:watch(look, self)
    end
end

-- What response.lua asks for; nobody else does.
methods.pull = receiver.pull
methods.pull_nothing = receiver.pull_nothing
methods.pull_to_file = receiver.pull_to_file
methods.remaining = receiver.remaining
methods.abandon = leaving.abandon
methods.leave = leaving.leave

-- Sending -----------------------------------------------------------------------------------------

local RARE = { "max_body", "on_informational", "progress", "send_timeout", "upload_progress" }

-- Those of the exchange before are mostly the same.
local function adopt(self, opts)
    self.opts = opts
    self.deadline = opts.deadline or huge
    self.headers_timeout = opts.headers_timeout or HEADERS_TIMEOUT
    self.idle_timeout = opts.idle_timeout or IDLE_TIMEOUT
    for i = 1, #RARE do
        local name = RARE[i]
        if self[name] ~= opts[name] then
            self[name] = opts[name]
        end
    end
end

local function begin(self, data, now)
    self.data = data
    self.started = now
    self.reused = self.requests > 0
    self.body_seen, self.body_opened = 0, false
    self.sent_at = false
    self.received, self.has_head = false, false
end

local function refuse(self, data)
    if self.state == "active" then
        return nil, errors.new {
            kind = "system", phase = "write", code = "ESTATE", url = data.url,
            message = "an exchange is under way on this connection: read its response to the end "
                .. "or close it first",
        }
    end
    local err = failure.closed(self.close_reason, "write")
    local reused = self.requests > 0
    err.url, err.reused, err.safe_to_retry = data.url, reused, reused
    err.bytes_sent, err.bytes_received = 0, 0
    return nil, err
end

local function refuse_unfit(self, data)
    begin(self, data, self.backend:now())
    local err = failure.complete(self, errors.new {
        kind = "closed", phase = "write", code = "EOF",
        message = self.unfit == "unsolicited"
            and "the peer sent bytes that answer no request over the idle connection"
            or "the peer has closed the idle connection",
    })
    self.data = false
    self:shut(self.unfit)
    return nil, err
end

-- Bytes that a new connection brings along answer nothing either (RFC 9112 section 9.2), whatever
-- they look like. That it has ended already is told by the exchange.
local function refuse_unasked(self, data)
    local said = self.stream:read_now(IDLE_BYTES)
    if not said or said == "" then
        return nil
    end
    self.h1:feed(said)
    if self.h1:next() == "need_data" then
        return nil -- an empty line
    end
    begin(self, data, self.backend:now())
    local _, err = self:fail(failure.unsolicited(said))
    self.data = false
    return err
end

-- A request whose time is over, or whose task is cancelled, isn't begun: the connection stays as
-- it is.
local function refuse_late(self, data, me, now)
    local err
    if me.cancelled or me.deadline <= now then
        local code = self.backend:wait(now) -- tells the scope whose deadline it was
        err = errors.from_code(code, "write", "the request was not sent")
    elseif self.deadline <= now then
        err = failure.late()
    else
        return nil
    end
    begin(self, data, now)
    failure.complete(self, err)
    self.data = false
    return err
end

-- For a body that doesn't just go with its head: its reader, the head, and whether the server is
-- asked before. Then it is opened when it is wanted, unless it has to be measured.
local function open_body(data)
    local body = data.body
    if data.expects then
        return nil, data.head, true
    end
    local reader, err = body:open()
    if not reader then
        err.url = data.url
        return nil, nil, false, err
    elseif body.measured then
        return reader, requests.head_for(data, reader.length)
    end
    return reader, data.head, false
end

local function trace_request(self, head)
    local trace = self.trace
    if self.reused then
        trace:note("reusing the connection, request %d on it", self.requests + 1)
    elseif not self.stream.timing then -- else who dialed has said it
        local address, port = self.stream:peer()
        trace:note("connected to %s%s", address or "?", port and " port " .. port or "")
    end
    trace:request(head:bytes())
end

-- The request is on its way; what is known of the exchange from now on.
local function set_out(self, data, head, now)
    begin(self, data, now)
    if self.trace then
        trace_request(self, head)
    end
    self.requests = self.requests + 1
end

-- A request that goes out at once has gone, or some of it has.
local function go_on(self, code, err)
    if code == 0 then
        self.sent_at = self.started -- a moment ago
    elseif code == EAGAIN then
        sender.start(self)
    elseif err.kind == "closed" then
        sender.note_broken(self, err)
    else
        return self:fail(failure.from_stream(err, "write"))
    end
    return receiver.receive(self)
end

-- What an idle or new connection has to be before a request goes out. Nil and an error otherwise.
local function look_first(self, data, me)
    if self.state == "idle" and not is_fit(self) then
        return refuse_unfit(self, data)
    end
    local now = self.backend:now()
    local refused = refuse_late(self, data, me, now)
        or self.state == "new" and not self.stream:is_quiet() and refuse_unasked(self, data)
    if refused then
        return nil, refused
    end
    return now
end

-- With a body that is read while it is sent, or after a closer look: by steps of their own.
local function send_by_steps(self, data, opts, me)
    threads.check(self.backend)
    local now, err = look_first(self, data, me)
    if not now then
        return nil, err
    end
    local h1, body = self.h1, data.body
    if not body or body.text and not data.expects and not opts.upload_progress then
        move(self, "active")
        set_out(self, data, data.head, now)
        h1:send_whole(data.head, body and body.text)
        local sent, problem = self.stream:try_flush(h1)
        return go_on(self, sent and 0 or sent == false and EAGAIN or nil, problem)
    end
    local reader, head, asks, problem = open_body(data)
    if not head then
        return nil, problem
    end
    move(self, "active")
    set_out(self, data, head, now)
    h1:send_request(head)
    self.body_opened = reader ~= nil
    sender.start(self, reader, asks and (opts.expect_timeout or EXPECT_TIMEOUT))
    return receiver.receive(self)
end

--- As request, for a client: its options are checked already, and the same table has the same
--- options each time.
---@package
---@param data table of moonwire.request
---@param opts moonwire.connection.RequestOptions
---@param since number? when the client's own call began, which `err.elapsed` counts from; it has
---  seen to it that it can wait
---@param now number? the time, if the client has just looked
---@return moonwire.Response? response, moonwire.Error? err
function methods:exchange(data, opts, since, now)
    local state, backend = self.state, self.backend
    if state ~= "idle" and state ~= "new" then
        threads.check(backend)
        return refuse(self, data)
    end
    local me = threads.of(backend)
    local body, limit = data.body, me.deadline
    self.since = since or false
    if self.opts ~= opts then
        adopt(self, opts)
    end
    if self.unfit or me.cancelled or body and (data.expects
        or not body.text or opts.upload_progress) then
        return send_by_steps(self, data, opts, me)
    elseif limit > self.deadline then
        limit = self.deadline
    end
    move(self, "active")
    local code, err
    code, now, err = self.stream:ask(self.h1, data.head, body and body.text,
        not since and threads.coroutine(me) or nil, limit, now)
    if code > 0 then -- it has not begun
        move(self, state)
        return send_by_steps(self, data, opts, me)
    end
    set_out(self, data, data.head, now)
    return go_on(self, code, err)
end

--- Sends a request and returns as soon as the head of its response is there. A response that has
--- come whole by then is complete, and the connection is idle again; one that switches protocols
--- (101, or a 2xx to CONNECT) has the stream, and the connection is detached.
---@param request moonwire.Request
---@param opts? moonwire.connection.RequestOptions
---@return moonwire.Response? response, moonwire.Error? err
function methods:request(request, opts)
    local data = requests.data(request)
    if not data then
        errors.argument(2, "request", "request made by moonwire.request", request)
    end
    if opts then
        options.check(opts, 2)
        self.opts = false -- it may be the same table with other options
    end
    return self:exchange(data, opts or NO_OPTIONS)
end

-- Around an exchange ------------------------------------------------------------------------------

--- Whether it has served a request and may serve another.
---@return boolean
function methods:is_idle()
    return self.state == "idle"
end

--- Whether it serves no further request: closed, or left to another protocol.
---@return boolean
function methods:is_closed()
    return self.state == "closed" or self.state == "detached"
end

--- Whether an idle connection had better not be used: closed, idle for too long, or with something
--- to read from the peer (one look at the socket, which never waits).
---@param seconds number? how long it may be idle: 30, or what the peer has said if that is less
---@param now number? the backend's time, if the caller has it at hand
---@return boolean
function methods:has_expired(seconds, now)
    if seconds ~= nil then
        errors.check(2, "seconds", "number", seconds)
    end
    if self:is_closed() then
        return true
    elseif self.state == "active" then
        return false
    end
    local limit = min(seconds or self.lifetime or IDLE_LIFETIME, self.lifetime or huge)
    return (now or self.backend:now()) - self.last_used >= limit or not is_fit(self)
end

--- Closes at once, whatever is under way; twice is harmless. An exchange under way fails with kind
--- "closed".
---@param reason string? for stats().close_reason; "closed" if none is given
function methods:close(reason)
    if reason ~= nil then
        errors.check(2, "reason", "string", reason)
    end
    self:shut(self.unfit or reason or "closed")
end

--- Numbers over the connection's whole life; times are the backend's.
---@return table stats requests, bytes_in, bytes_out, created, last_used, close_reason; timing (of
---  opening it) and tls, as in a response
function methods:stats()
    local bytes_in, bytes_out = self.h1:bytes()
    return {
        id = self.id,
        origin = self.origin or nil,
        state = self.state,
        requests = self.requests,
        bytes_in = bytes_in,
        bytes_out = bytes_out,
        created = self.created,
        last_used = self.last_used,
        close_reason = self.close_reason,
        timing = self.stream.timing,
        tls = self.stream.tls,
    }
end

--- Makes a connection of a stream, which belongs to it from now on.
---@param stream moonwire.Stream
---@param opts? moonwire.connection.Options
---@param now number? the backend's time, if the caller has it at hand
---@param h1 moonwire.core.H1? a codec that has served another connection with the same options, and
---  has moved
---@return moonwire.Connection
function M.new(stream, opts, now, h1)
    if type(stream) ~= "table" or type(stream.fill) ~= "function" then
        errors.argument(2, "stream", "stream", stream)
    elseif opts ~= nil and type(opts) ~= "table" then
        errors.argument(2, "opts", "table", opts)
    end
    opts = opts or NO_OPTIONS
    now = now or stream.backend:now()
    last_id = last_id + 1
    -- A table has room for 8, 16 or 32 fields, and has it from the start when the constants among
    -- those that stand here, none of them nil, are more than half of that. So these are all that a
    -- usual exchange sets, but for close_reason.
    local self = setmetatable({
        id = 0, stream = false, backend = false, h1 = false, state = "new", requests = 0,
        created = 0, last_used = 0, trace = false, kept = false, watched = false, seat = false,
        lifetime = false, unfit = false, origin = opts.origin or false, keeper = opts,
        -- of the exchange
        data = false, sender = false, since = false, opts = false, facts = false, started = 0,
        sent_at = false, deadline = huge, headers_timeout = HEADERS_TIMEOUT,
        idle_timeout = IDLE_TIMEOUT, reused = false, body_seen = 0, body_opened = false,
        received = false, has_head = false,
    }, Connection)
    self.id, self.stream, self.backend = last_id, stream, stream.backend
    self.h1 = h1 or core.h1("client", opts.limits, opts.compat)
    self.trace = opts.trace or core.state.trace or false
    self.created, self.last_used, self.started = now, now, now
    return self
end

return M
