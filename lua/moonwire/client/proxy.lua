-- client/proxy.lua - the way of a request through a proxy: which one that is, what its connections
-- are shared by, and how they are opened. It sends nothing but what is for the proxy.

local core = require "moonwire.core"
local dial_options = require "moonwire.dial.options"
local dialer = require "moonwire.dial"
local errors = require "moonwire.error"
local proxies = require "moonwire.proxy.options"
local requests = require "moonwire.request"
local socks5 = require "moonwire.proxy.socks5"
local tunnel = require "moonwire.proxy.tunnel"

local min = math.min

local ADDRESSES_MOST = 4 -- of one host, that a SOCKS5 proxy is asked to connect to
local NUMBERS_MOST = 256 -- of proxies that are told apart by what must not be shown

---@class moonwire.client.Route
---@field proxy moonwire.proxy.Proxy
---@field data table the request's fields, as they go this way
---@field tls moonwire.TlsContext? for the connection to the proxy
---@field session_key string? what sessions of that TLS are kept by
---@field through boolean a connection leads to the origin; else to the proxy, for any http origin
---@field name string what it is called in keys: without secrets, and never the same for others

local proxy = {}

-- The options -------------------------------------------------------------------------------------

--- Checks the option `proxy`, and what may not stand beside it.
---@param opts table
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.proxy.Rules|"environment"|false|nil rules
function proxy.check(opts, level)
    local rules = proxies.check(opts.proxy, level + 1)
    if rules and opts.unix_socket ~= nil then
        error("bad argument 'proxy' (there is unix_socket as well, which nothing stands before)",
            level + 1)
    end
    return rules
end

--- Checks what is said about TLS with the proxies.
---@param tls moonwire.client.Tls
---@param rules moonwire.proxy.Rules|"environment"|false|nil
---@param level integer whose fault a wrong value is: 1 the caller
function proxy.check_tls(tls, rules, level)
    local one = type(rules) == "table" and (rules.http or rules.https)
    if one and one.tls then
        tls:context_apart(one.tls, level + 1)
    end
end

-- Which way ---------------------------------------------------------------------------------------

-- What the environment says; asked once by each client.
local function environment(settings)
    local rules = settings.environment
    if rules == nil then
        rules = proxies.from_environment(os.getenv)
        settings.environment = rules
    end
    return rules
end

-- The rules for a request. Its own options count before the client's, and a unix socket before the
-- environment.
local function rules_for(self, opts, level)
    local settings = self.settings
    local rules = settings.proxy
    if opts and opts.proxy ~= nil then
        rules = proxies.check(opts.proxy, level + 1)
    elseif opts and opts.unix_socket then
        return nil
    elseif rules == nil and not settings.unix_socket
        and self.supply.backend.capabilities.environment then
        rules = "environment"
    end
    if rules == "environment" then
        return environment(settings)
    end
    return rules
end

local numbers, count, last_number = {}, 0, 0

-- A number for what must not be shown, never used for anything else.
local function number_of(secret)
    if not numbers[secret] then
        if count >= NUMBERS_MOST then
            numbers, count = {}, 0
        end
        count, last_number = count + 1, last_number + 1
        numbers[secret] = last_number
    end
    return numbers[secret]
end

--- A request as it goes that way. Fields for the proxy go with it where the proxy is who reads it,
--- and nowhere else.
---@param route moonwire.client.Route
---@param data table of moonwire.request
---@return table data
function proxy.data(route, data)
    if not route.through then
        return requests.through(data, route.proxy.headers)
    elseif data.headers:has "proxy-authorization" then
        return requests.without(data, "proxy-authorization")
    end
    return data
end

--- The way of a request through a proxy.
---@param self moonwire.Client
---@param data table of moonwire.request
---@param opts moonwire.RequestOptions?
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.client.Route? route nil: straight to the origin
---@return moonwire.Error? err which proxy can't be said
function proxy.route(self, data, opts, level)
    local rules = rules_for(self, opts, level + 1)
    if not rules then
        return nil
    end
    local scheme = data.origin:match "^%a+"
    local via, problem = proxies.choose(rules, scheme, data.peer, data.port)
    if problem then
        return nil, errors.new {
            kind = "connect", phase = "connect", code = "EPROXY", message = problem,
        }
    elseif not via then
        return nil
    end
    local context, _, identity
    if via.kind == "https" then
        context, _, identity = self.settings.tls:context_apart(via.tls, level + 1)
        if not context then
            return nil, _
        end
    end
    local through = via.kind:find "^socks" ~= nil or scheme == "https" or data.upgrade ~= nil
    local secret = via.secret .. (identity or "")
    local name = via.label .. (secret ~= "" and " proxy" .. number_of(secret) or "")
    local route = {
        proxy = via, data = data, tls = context, through = through,
        session_key = context and "proxy " .. name, name = name,
    }
    route.data = proxy.data(route, data)
    return route
end

--- What connections that go this way are shared by.
---@param route moonwire.client.Route
---@param origin string
---@param secured string what sets apart by the origin's TLS
---@param dialing moonwire.dial.Options?
---@return string
function proxy.key(route, origin, secured, dialing)
    local via = route.proxy
    local key = (route.through and origin .. secured or "http://*") .. "\0by " .. route.name
        .. dial_options.key(dialing, dial_options.place(via.host, via.port))
    if via.kind == "socks5" then -- which is told the addresses
        key = key .. dial_options.key(dialing, origin:match "//(.*)$")
    end
    return key
end

-- Opening -----------------------------------------------------------------------------------------

-- What an error on the way to the proxy is about.
local function name_proxy(via, err)
    err.message = ("the proxy %s: %s"):format(via.label, err.message)
    return err
end

-- A connection to the proxy itself. Gives as well when it has to be done by now.
local function reach(backend, call, tls, dial, limit)
    local route = call.route
    local via = route.proxy
    local stream, err = dialer.connect(backend, via.host, via.port, limit, call.dialing, call.pool)
    if not stream then
        return nil, name_proxy(via, err), limit
    elseif not route.tls or stream:reused_times() > 0 then
        return stream, nil, limit
    end
    dial.phase = "tls"
    local began = backend:now()
    local ends = min(call.deadline, began + call.timeouts.tls)
    local ok
    ok, err = tls:secure(stream, route.tls, route.session_key, via.host, ends)
    if not ok then
        return nil, name_proxy(via, err), ends
    end
    dial.phase = "connect"
    return stream, nil, min(call.deadline, limit + backend:now() - began)
end

-- Has the proxy connect to the host.
local function lead_on(stream, call, tls, host, limit)
    local via, port, session_key = call.route.proxy, call.data.port, call.route.session_key
    if via.kind == "socks5" or via.kind == "socks5h" then
        local ok, err, again = socks5.open(stream, via, host, port, limit)
        return ok and stream, err, again
    end
    local other, err = tunnel.open(stream, via, host, port, limit)
    if other and session_key then
        tls:keep_session(session_key, other) -- the origin's come later
    end
    return other, err
end

-- The first of each family, then the others: the proxy may know one family only.
local function in_turn(addresses)
    local list, others = { addresses[1].address }, {}
    for i = 2, #addresses do
        local one = addresses[i]
        if #list == 1 and one.family ~= addresses[1].family then
            list[2] = one.address
        else
            others[#others + 1] = one.address
        end
    end
    for _, one in ipairs(others) do
        list[#list + 1] = #list < ADDRESSES_MOST and one or nil
    end
    return list
end

-- What the proxy is asked for: a zone means nothing to it.
local function hosts_for(backend, call, limit)
    local via, data = call.route.proxy, call.data
    local host = data.peer:gsub("%%.*$", "")
    if via.kind ~= "socks5" then
        return { host }
    end
    local addresses, err = dialer.addresses(backend, host, data.port, limit, call.dialing)
    return addresses and in_turn(addresses), err
end

-- The host (nginx) goes over to TLS once on a connection.
local function no_tls_in_tls(via)
    return errors.new {
        kind = "tls", phase = "tls", code = "ETLS",
        message = ("the proxy %s: here the host does TLS, and none within TLS: an http:// proxy can"
            .. " be used for https"):format(via.label),
    }
end

local function failed_all(messages, err)
    if #messages > 1 then
        err.message = table.concat(messages, "; ")
    end
    return err
end

-- A connection that leads to the origin.
local function connect_through(backend, call, tls, dial, limit)
    local messages = {}
    if call.route.tls and call.tls and backend.capabilities.pool_owned_by_host then
        return nil, no_tls_in_tls(call.route.proxy), limit
    end
    local hosts, err = hosts_for(backend, call, limit)
    for _, host in ipairs(hosts or {}) do
        local stream, problem, ends = reach(backend, call, tls, dial, limit)
        if not stream then
            return nil, problem, ends
        elseif stream:reused_times() > 0 then
            return stream, nil, ends
        end
        local began, timing = backend:now(), stream.timing
        local other, again
        other, err, again = lead_on(stream, call, tls, host, ends)
        if other then
            timing.connect = timing.connect + backend:now() - began
            other.timing = timing
            return other, nil, ends
        end
        limit, messages[#messages + 1] = ends, err.message
        if not again then
            break
        end
    end
    return nil, failed_all(messages, err), limit
end

--- Opens a connection for a call whose way is through a proxy, up to the TLS with the origin.
---@param backend moonwire.Backend
---@param call moonwire.client.Call
---@param tls moonwire.client.Tls
---@param dial table
---@param limit number
---@return moonwire.Stream? stream
---@return moonwire.Error? err
---@return number limit that was met, or goes on; of the phase in `dial.phase`
function proxy.connect(backend, call, tls, dial, limit)
    local trace = core.state.trace
    if trace then
        trace:note("to %s by the proxy %s", call.data.origin, call.route.proxy.label)
    end
    if call.route.through then
        return connect_through(backend, call, tls, dial, limit)
    end
    return reach(backend, call, tls, dial, limit)
end

return proxy
