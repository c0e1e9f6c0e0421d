-- client/sending.lua - one exchange: a request goes out over a connection of the client's supply,
-- and once more where that is harmless. It follows nothing, and never looks at bytes.

local dial_options = require "moonwire.dial.options"
local options = require "moonwire.client.options"
local proxies = require "moonwire.client.proxy"
local requests = require "moonwire.request"

local huge = math.huge

---@class moonwire.client.Plan
---@field request moonwire.Request
---@field data table its fields: see moonwire.request's data()
---@field key string what connections are shared by
---@field timeouts table<string, number>
---@field retry boolean a connection that turns out to be stale is made up for

---@class moonwire.client.Call: moonwire.client.Plan
---@field started number
---@field deadline number
---@field waited number seconds, for a place in the pool

local sending = {}

-- The request has failed over the connection of a slot. One that turned out to be stale before a
-- byte went is replaced by any other; once a byte has gone there is one more try at most, over a
-- fresh one.
local function go_on(self, call, slot, err)
    local source, retried = self.supply, not call.retry
    local response
    while slot do
        if slot.connection.unfit and slot.state == "active" then
            self.replaced = self.replaced + 1
            slot, err = source:replace(call, slot)
        elseif err.safe_to_retry and not retried and not source.closed then
            retried = true
            self.retried = self.retried + 1
            slot, err = source:checkout(call, true)
        else
            source:return_unused(slot)
            return nil, err
        end
        if slot then
            response, err = slot.connection:exchange(call.data, call.sending, call.started)
            if response then
                return response
            end
        end
    end
    return nil, err
end

-- Sends the request of a call over whichever connection there is.
local function exchange(self, call)
    local slot, err = self.supply:checkout(call, false)
    if not slot then
        return nil, err
    end
    local response
    response, err = slot.connection:exchange(call.data, call.sending, call.started)
    if response then
        response.asked = call.started
        return response
    end
    return go_on(self, call, slot, err)
end

-- A server that doesn't know Expect says so with 417: the request goes once more without, if its
-- body can (RFC 9110 section 10.1.1).
local function exchange_expecting(self, call)
    local response, err = exchange(self, call)
    local body = call.data.body
    if not response or response.status ~= 417 or not body
        or not (response.held_back or body.rewindable) then
        return response, err
    end
    response:close()
    call.request = call.request:with { expect = false }
    call.data = requests.data(call.request)
    if call.route then
        call.data = proxies.data(call.route, call.data)
    end
    response, err = exchange(self, call)
    return response, err
end

-- What connection:request needs to know.
local function sending_for(self, deadline, timeouts, opts)
    return {
        deadline = deadline,
        headers_timeout = timeouts.headers,
        idle_timeout = timeouts.idle,
        expect_timeout = timeouts.expect,
        max_body = opts and opts.max_body or self.settings.max_body,
        on_informational = opts and opts.on_informational,
        progress = opts and opts.progress,
        upload_progress = opts and opts.upload_progress,
    }
end

-- What connections are shared by: where to, and how they were dialed.
local function connection_key(origin, secured, path, dialing, route)
    if route then
        return proxies.key(route, origin, secured, dialing)
    elseif path then
        return origin .. secured .. " " .. path .. dial_options.path_key(dialing)
    elseif dialing then
        return origin .. secured .. dial_options.key(dialing, origin:match "//(.*)$")
    end
    return origin .. secured
end

--- What a call is made of before its time has begun: where to, and over which kind of connection.
--- It is what its calls inherit from.
---@param self moonwire.Client
---@param request moonwire.Request
---@param opts moonwire.RequestOptions?
---@param level integer whose fault a wrong value is: 1 the caller
---@param bare boolean? without what is for the host of the first request only: certificate and
---  server name of `tls`
---@return moonwire.client.Plan? plan, moonwire.Error? err
function sending.plan(self, request, opts, level, bare)
    local settings = self.settings
    local data = requests.data(request)
    local timeouts = settings.timeouts
    if opts and opts.timeout ~= nil then
        timeouts = options.timeouts(opts.timeout, timeouts, level + 1)
    end
    if not data.origin then
        error("CONNECT opens a tunnel: send it over a connection of moonwire.connection", level + 1)
    end
    local context, suffix, identity = nil, "", nil
    if data.origin:byte(5) == 115 then -- the s of https
        context, suffix, identity = settings.tls:context_for(opts and opts.tls, level + 1,
            bare)
        if not context then
            suffix.url = data.url
            return nil, suffix
        end
    end
    local dialing = settings.dialing
    if opts then
        dialing = dial_options.check(opts, dialing, level + 1)
    end
    local path = opts and opts.unix_socket or settings.unix_socket
    local route, problem = proxies.route(self, data, opts, level + 1)
    if route then
        data, path = route.data, nil
    elseif problem then
        problem.url = data.url
        return nil, problem
    end
    local again = opts and opts.retry
    if again == nil then
        again = settings.retry
    end
    local source = self.supply
    local plan = {
        request = request,
        data = data,
        key = connection_key(data.origin, suffix, path, dialing, route),
        pool = source.hosted and source:host_pool(
            connection_key(data.origin, "", path, dialing, route), identity) or nil,
        tls = context,
        secured = false,
        route = route,
        path = path,
        dialing = dialing,
        timeouts = timeouts,
        retry = again ~= false,
        sending = sending_for(self, huge, timeouts, opts),
    }
    plan.secured = context and plan.key or route and route.session_key
    plan.__index = plan
    return plan
end

-- What a plan's request is sent with when its call has begun by then.
local function sending_from(self, plan, opts, started)
    local total = plan.timeouts.total
    return total and sending_for(self, started + total, plan.timeouts, opts) or plan.sending
end

-- A request on its way, until when.
local function new_call(plan, started, way)
    local call = setmetatable({ started = 0, waited = 0, deadline = 0, sending = false }, plan)
    call.started, call.deadline, call.sending = started, way.deadline, way
    return call
end

--- A call that has begun by then, for what isn't an exchange.
---@param self moonwire.Client
---@param plan moonwire.client.Plan
---@param opts moonwire.RequestOptions?
---@param started number
---@return moonwire.client.Call
function sending.call(self, plan, opts, started)
    return new_call(plan, started, sending_from(self, plan, opts, started))
end

--- Sends the request of a plan. Mostly a connection was just freed, and then that is all there is
--- to it.
---@param self moonwire.Client
---@param plan moonwire.client.Plan
---@param opts moonwire.RequestOptions? that the plan was made with
---@param backend moonwire.Backend
---@param since number? when the call began that the exchange is for; now if it begins with it
---@return moonwire.Response? response
---@return moonwire.Error? err
---@return number started when the call began
function sending.send(self, plan, opts, backend, since)
    local now, data = backend:now(), plan.data
    local started = since or now
    local way = sending_from(self, plan, opts, started)
    local response, err
    self.sent = self.sent + 1
    if data.expect then
        response, err = exchange_expecting(self, new_call(plan, started, way))
        return response, err, started
    end
    local slot = self.supply:take_recent(plan.key, now)
    if slot then
        response, err = slot.connection:exchange(data, way, started, now)
        if not response then
            response, err = go_on(self, new_call(plan, started, way), slot, err)
        end
    else
        response, err = exchange(self, new_call(plan, started, way))
    end
    return response, err, started
end

return sending
