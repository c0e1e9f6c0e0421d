-- client/chain.lua - a call that is more than one exchange: leads its request through the layers
-- (redirects, repetitions ...) down to the exchange, or to what a test has in its place. It knows
-- no layer by name but redirect.

local core = require "moonwire.core"
local events = require "moonwire.client.events"
local layers = require "moonwire.client.layers"
local redirect = require "moonwire.client.redirect"
local sending = require "moonwire.client.sending"

local huge = math.huge

--- A layer stands around all that is further in: it may change the request, send it more than once
--- or not at all, and look at the response. It hands on what it doesn't care for.
---@class moonwire.client.Layer
---@field client_options table<string, fun(value: any, level: integer): any> options of http.client:
---  each checks a value (nil: the script gives none) and returns what stands in the settings
---@field request_options table<string, fun(value: any, level: integer): any> the same of a request,
---  for values other than nil; what they return is for the layer itself
---@field wants fun(opts: table): boolean whether calls with these options, or all calls of a client
---  with these settings, have to come through it
---@field send fun(job: moonwire.client.Job, request: moonwire.Request, go: moonwire.client.Go):
---  moonwire.Response?, moonwire.Error?

---@alias moonwire.client.Go fun(job: moonwire.client.Job, request: moonwire.Request):
---  moonwire.Response?, moonwire.Error?

--- One call of a script, over all its redirects and repetitions.
---@class moonwire.client.Job
---@field client moonwire.Client
---@field backend moonwire.Backend
---@field settings moonwire.client.Settings of the client
---@field opts moonwire.RequestOptions of the call; an empty table where it has none
---@field plan moonwire.client.Plan of the call's own request
---@field started number
---@field deadline number when the time for all of it is over
---@field left_origin boolean a redirect has led to another origin: what the script gave to be shown
---  to the first one (credentials, certificates) goes no further, not even back there
---@field retries integer how often a request was repeated by policy
---@field trace_id string? of the call, where it has one: see client/traceparent.lua

--- What answers in place of the network while a test says so (moonwire.testing).
---@class moonwire.client.Transport
---@field send function (self, request, job: moonwire.client.Job, go: moonwire.client.Go): a
---  response, or nil and an error; `go` sends the request over the network

local NO_OPTIONS = {}

local state = core.state

local chain = {}

local function exchange_over_network(job, request)
    local plan = job.plan
    if plan.request ~= request then
        local problem
        plan, problem = sending.plan(job.client, request, job.opts, 1, job.left_origin)
        if not plan then
            return nil, problem
        end
    end
    local response, err = sending.send(job.client, plan, job.opts, job.backend, job.started)
    return response, err
end

local function exchange_unseen(job, request)
    local transport = state.transport
    if transport then
        return transport:send(request, job, exchange_over_network)
    end
    return exchange_over_network(job, request)
end

local function exchange(job, request)
    if events.is_watched(job.client.supply) then
        return events.exchange(job, request, exchange_unseen)
    end
    return exchange_unseen(job, request)
end

local function link(layer, go)
    local send = layer.send
    return function(job, request)
        return send(job, request, go)
    end
end

local outermost = exchange
local below = {} -- what each layer goes on to
for i = #layers, 1, -1 do
    below[layers[i]] = outermost
    outermost = link(layers[i], outermost)
end

local function new_job(client, plan, opts, backend, started)
    local total = plan.timeouts.total
    return {
        client = client, backend = backend, settings = client.settings, opts = opts or NO_OPTIONS,
        plan = plan, started = started, deadline = total and started + total or huge,
        left_origin = false, retries = 0,
    }
end

--- Whether something stands in for the network now, or listens to all that a client does.
---@param client moonwire.Client
---@return boolean
function chain.is_diverted(client)
    return (state.transport or state.listeners or client.supply.listeners) and true or false
end

--- Whether calls with these options, or all calls of a client with these settings, need the layers.
--- What a response alone can ask for (leads_on) isn't counted.
---@param opts table
---@return boolean
function chain.wants(opts)
    for _, layer in ipairs(layers) do
        if layer.wants(opts) then
            return true
        end
    end
    return false
end

--- Leads a request through all layers.
---@param client moonwire.Client
---@param plan moonwire.client.Plan of the request
---@param opts moonwire.RequestOptions?
---@param backend moonwire.Backend
---@return moonwire.Response? response, moonwire.Error? err
function chain.run(client, plan, opts, backend)
    local job = new_job(client, plan, opts, backend, backend:now())
    return outermost(job, plan.request)
end

--- Whether a response, got without the layers, leads on to another request.
---@param client moonwire.Client
---@param opts moonwire.RequestOptions?
---@param response moonwire.Response
---@return boolean
function chain.leads_on(client, opts, response)
    return redirect.applies(client.settings, opts or NO_OPTIONS, response)
end

--- Goes on where a response leads.
---@param client moonwire.Client
---@param plan moonwire.client.Plan of its request
---@param opts moonwire.RequestOptions?
---@param backend moonwire.Backend
---@param started number when the call began
---@param response moonwire.Response
---@return moonwire.Response? response, moonwire.Error? err
function chain.follow(client, plan, opts, backend, started, response)
    local job = new_job(client, plan, opts, backend, started)
    return redirect.follow(job, plan.request, response, below[redirect])
end

return chain
