-- testing/transport.lua - answers requests in place of the network, by routes that a test sets up.
-- All above it is as ever: redirects, repetitions, cookies, decoding. It opens nothing.

local errors = require "moonwire.error"
local replies = require "moonwire.testing.replies"
local routes = require "moonwire.testing.routes"

---@class moonwire.testing.Transport: moonwire.client.Transport
---@field calls moonwire.testing.Call[] the requests that have come, in their order
---@field private routes moonwire.testing.Route[]
---@field private unanswered string[]
local methods = {}
local Transport = { __index = methods, __name = "moonwire.testing.Transport" }

--- Answers requests. Of routes that fit, the one that was added last answers.
---@param method string "*" for any
---@param url string|fun(call: moonwire.testing.Call): any a URL; or a path, of any origin; with
---  `:name` for one segment and `*` at the end for the rest; or what says whether it fits
---@param reply moonwire.testing.Reply|moonwire.testing.Reply[]|fun(call: moonwire.testing.Call,
---  params: table<string, string>): moonwire.testing.Reply  of a list one after the other, the last
---  one for ever
---@param opts moonwire.testing.RouteOptions? what else a request has to be like
---@return moonwire.testing.Transport self
function methods:on(method, url, reply, opts)
    replies.check(reply, 2)
    self.routes[#self.routes + 1] = routes.new(method, url, reply, opts, 2)
    return self
end

local function describe(list)
    local lines = {}
    for i, route in ipairs(list) do
        local times = route.opts.times
        lines[i] = ("  %s %s%s"):format(route.method, route.text,
            times and route.called >= times and " (has answered " .. times .. " times)" or "")
    end
    return #lines > 0 and table.concat(lines, "\n") or "  none"
end

local function no_route(self, call)
    local line = call.method .. " " .. call.url
    self.unanswered[#self.unanswered + 1] = line
    return nil, errors.new {
        kind = "system", phase = "connect", url = call.url,
        message = ("no route of this test answers %s; its routes:\n%s"):format(line,
            describe(self.routes)),
    }
end

--- For the client: answers a request.
---@package
---@param request moonwire.Request
---@param job moonwire.client.Job
---@return moonwire.Response? response, moonwire.Error? err
function methods:send(request, job)
    local call, err = routes.call(request)
    if not call then
        return nil, err
    end
    self.calls[#self.calls + 1] = call
    local route, params = routes.find(self.routes, call)
    if not route then
        return no_route(self, call)
    end
    route.called = route.called + 1
    local reply = route.reply
    if type(reply) == "table" and reply[1] ~= nil then
        reply = reply[math.min(route.called, #reply)]
    end
    if type(reply) == "function" then
        reply = reply(call, params)
        replies.check(reply, 1)
    end
    return replies.play(reply, request, job)
end

--- Raises when a request had no route, or a route (with `times`: so often) no request.
function methods:assert_done()
    if #self.unanswered > 0 then
        error(("no route of this test answers:\n  %s"):format(
            table.concat(self.unanswered, "\n  ")), 2)
    end
    local idle = {}
    for _, route in ipairs(self.routes) do
        if route.called < (route.opts.times or 1) then
            idle[#idle + 1] = ("  %s %s: %d of %d"):format(route.method, route.text, route.called,
                route.opts.times or 1)
        end
    end
    if #idle > 0 then
        error("these routes were not asked for:\n" .. table.concat(idle, "\n"), 2)
    end
end

local transport = {}

--- Makes a transport without routes.
---@return moonwire.testing.Transport
function transport.new()
    return setmetatable({ calls = {}, routes = {}, unanswered = {} }, Transport)
end

return transport
