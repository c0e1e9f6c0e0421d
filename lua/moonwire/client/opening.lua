-- client/opening.lua - from a call to a stream that its request can be sent over: connects, goes
-- over to TLS, and says whose limit it was when there was no time. It knows no pool.

local deadlines = require "moonwire.deadline"
local dialer = require "moonwire.dial"
local errors = require "moonwire.error"
local proxies = require "moonwire.client.proxy"
local scope = require "moonwire.scope"
local threads = require "moonwire.backend.thread"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local min = math.min

local opening = {}

--- Completes an error of a phase before the request.
---@param backend moonwire.Backend
---@param call moonwire.client.Call
---@param err moonwire.Error
---@param limit number when that phase had to be over
---@param phase string
---@return nil, moonwire.Error err
function opening.explain(backend, call, err, limit, phase)
    err.url = call.data.url
    if err.attempts and err.attempts[1] == err then -- it keeps the time of its own
        local attempt = {}
        for name, value in each(err) do
            attempt[name] = name ~= "attempts" and value or nil
        end
        err.attempts[1] = errors.new(attempt)
    end
    err.elapsed = backend:now() - call.started
    if err.kind == "timeout" then
        err.timeout = limit >= call.deadline and "total" or phase
        deadlines.explain(err, "timeout." .. err.timeout, call.timeouts[err.timeout])
    elseif err.kind == "cancelled" then
        deadlines.tell(err)
    end
    return nil, err
end

local function open(s, backend, call, tls, dial)
    dial.scope, dial.phase = s, "connect"
    local timeouts = call.timeouts
    local data = call.data
    local limit = min(call.deadline, backend:now() + timeouts.connect)
    local stream, err
    if call.route then
        stream, err, limit = proxies.connect(backend, call, tls, dial, limit)
    elseif call.path then
        stream, err = dialer.connect_path(backend, call.path, limit, call.dialing, call.pool)
    else
        stream, err = dialer.connect(backend, data.host, data.port, limit, call.dialing,
            call.pool)
    end
    if not stream then
        return opening.explain(backend, call, err, limit, dial.phase)
    elseif not call.tls or stream:reused_times() > 0 then
        return stream
    end
    dial.phase = "tls"
    limit = min(call.deadline, backend:now() + timeouts.tls)
    local ok
    ok, err = tls:secure(stream, call.tls, call.key, data.peer, limit)
    if not ok then
        return opening.explain(backend, call, err, limit, "tls")
    end
    return stream
end

-- Whether the calling thread may still begin something for the call.
local function is_in_time(backend, call, now)
    local me = threads.of(backend)
    return not me.cancelled and me.deadline > now and call.deadline > now
end

--- Dials without a wait, where the peer is on this machine and there is nothing to do but to
--- connect.
---@param backend moonwire.Backend
---@param call moonwire.client.Call
---@param now number
---@return moonwire.Stream? stream nil: it has to be dialed for as ever, which says what is wrong
---@return number? now
function opening.at_once(backend, call, now)
    local near = call.near
    if near == nil then
        local data = call.data
        near = not call.tls and not call.route
            and dialer.near(data.peer, data.port, call.path, call.dialing)
        call.__index.near = near -- the plan's, for all of its calls
    end
    if near and is_in_time(backend, call, now) then
        return dialer.connect_now(backend, near, now)
    end
end

--- Dials in the calling thread, where nobody needs to end that alone.
---@param backend moonwire.Backend
---@param call moonwire.client.Call
---@param tls moonwire.client.Tls
---@param dial table
---@return moonwire.Stream? stream, moonwire.Error? err
function opening.here(backend, call, tls, dial)
    local stream, err = open(nil, backend, call, tls, dial)
    return stream, err
end

--- Dials in the calling thread. Meanwhile `dial.scope` is there: cancelling it ends the dial, and
--- nothing else that the thread does; and `dial.phase`.
---@param backend moonwire.Backend
---@param call moonwire.client.Call
---@param tls moonwire.client.Tls
---@param dial table
---@return moonwire.Stream? stream, moonwire.Error? err
function opening.stream(backend, call, tls, dial)
    local stream, err = scope.open(open, backend, call, tls, dial)
    dial.scope = nil
    return stream, err
end

return opening
