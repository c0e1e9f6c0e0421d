-- resty/opening.lua - from what connect() is given to an open connection: one that was kept for the
-- very same purpose, or a new one, through a proxy and TLS where that is asked for. It sends no
-- request but CONNECT.

local connections = require "moonwire.connection"
local dialer = require "moonwire.dial"
local errors = require "moonwire.error"
local keep = require "moonwire.resty.keep"
local proxies = require "moonwire.resty.proxy"
local requests = require "moonwire.request"
local say = require "moonwire.resty.say"
local tls = require "moonwire.backend.tls"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local CONTEXTS_MOST = 64 -- TLS contexts kept ready; with more they are made anew
local POOL_SIZE = 30 -- the default of nginx's lua_socket_pool_size
local PORTS = { http = 80, https = 443 }

--- How to open a connection; equal plans may share connections.
---@class moonwire.resty.Plan
---@field scheme "http"|"https"
---@field host string without brackets
---@field port integer
---@field path string? of a unix socket
---@field name string of the pool
---@field pool_size integer so many are kept
---@field backlog integer?
---@field tls moonwire.TlsContext?
---@field proxy {host: string, port: integer, authorization: string?}|false

local opening = {}

-- The plan ----------------------------------------------------------------------------------------

local REFUSED = {
    ssl_send_status_req = "OCSP stapling isn't checked here: leave it out",
    ssl_reused_session = "sessions can't be handed over: leave it out, and keep connections alive",
}

local TYPES = {
    scheme = "string", host = "string", pool = "string", ssl_server_name = "string",
    ssl_client_cert = "string", ssl_client_priv_key = "string", ssl_trusted_certificate = "string",
    pool_size = "number", backlog = "number", port = "number", ssl_verify = "boolean",
}

local function check_types(options, level)
    for name, expected in each(TYPES) do
        local value = options[name]
        if value ~= nil and type(value) ~= expected then
            expected = name:find "^ssl_client" and "PEM text, or a path" or expected
            errors.argument(level + 1, name, expected, value)
        end
    end
    for name, instead in each(REFUSED) do
        if options[name] then
            error(("bad argument '%s' (%s)"):format(name, instead), level + 1)
        end
    end
    local size = options.pool_size
    if size and (size < 1 or size % 1 ~= 0) then
        errors.argument(level + 1, "pool_size", "whole number from 1", size)
    elseif options.proxy_opts ~= nil then
        proxies.check(options.proxy_opts, level + 1)
    end
end

-- Parts with their lengths, so that other parts make another text.
local function joined(parts)
    local texts = {}
    for i, part in ipairs(parts) do
        texts[i] = #tostring(part) .. ":" .. part
    end
    return table.concat(texts, " ")
end

local function tls_options(options, host)
    return {
        verify = options.ssl_verify ~= false,
        server_name = options.ssl_server_name or host,
        cert = options.ssl_client_cert, key = options.ssl_client_priv_key,
        ca_file = options.ssl_trusted_certificate,
    }
end

-- What sets connections apart by TLS.
local function tls_parts(own)
    return { own.server_name, tostring(own.verify), own.cert or "", own.key or "",
        own.ca_file or "" }
end

local contexts, count = {}, 0 -- by their options: each has read the CAs

-- The context for options. The files of one and the same path are read once.
local function context_of(own, level)
    local key = joined(tls_parts(own))
    local context = contexts[key]
    if not context then
        local err
        context, err = tls.context(own, level + 1)
        if not context then
            return nil, err
        elseif count >= CONTEXTS_MOST then
            contexts, count = {}, 0
        end
        contexts[key], count = context, count + 1
    end
    return context
end

-- Whatever tells connections apart.
local function name_of(options, plan)
    local proxy = plan.proxy or {}
    local parts = { plan.scheme, plan.path or plan.host, plan.port, options.pool or "" }
    if plan.scheme == "https" then
        for _, value in ipairs(tls_parts(tls_options(options, plan.host))) do
            parts[#parts + 1] = value
        end
    end
    for _, value in ipairs { proxy.host or "", proxy.port or "", proxy.authorization or "" } do
        parts[#parts + 1] = value
    end
    return "resty " .. joined(parts)
end

--- Makes a plan; raises on wrong types.
---@param options table what connect() was given
---@param defaults table? what set_proxy_options was given
---@param level integer whose fault a wrong type is: 1 the caller
---@return moonwire.resty.Plan? plan, string? problem, moonwire.Error? err
function opening.plan(options, defaults, level)
    check_types(options, level + 1)
    local path = options.host and options.host:match "^unix:(.+)"
    local scheme = options.scheme or (path and "http")
    if not options.host then
        return say.refusal "bad host: there is none"
    elseif not PORTS[scheme] then
        return say.refusal(("bad scheme: \"http\" or \"https\" expected, got %q"):format(
            tostring(scheme)))
    end
    local port = options.port or PORTS[scheme]
    if port < 1 or port > 65535 or port % 1 ~= 0 then
        return say.refusal(("bad port: %s"):format(tostring(port)))
    end
    local plan = {
        scheme = scheme, port = port, path = path, pool_size = options.pool_size or POOL_SIZE,
        host = path and "localhost" or options.host:gsub("^%[(.*)%]$", "%1"),
        backlog = options.backlog,
    }
    local proxy, problem, err = proxies.choose(not path and (options.proxy_opts or defaults),
        scheme, plan.host)
    if proxy == nil then
        return nil, problem, err
    end
    plan.proxy = proxy
    plan.name = name_of(options, plan)
    if scheme == "https" then
        plan.tls, err = context_of(tls_options(options, plan.host), level + 1)
        if not plan.tls then
            return say.failure(err)
        end
    end
    return plan
end

-- Opening -----------------------------------------------------------------------------------------

-- Where the host owns the pool the stream may be one that was kept.
local function connect(backend, plan, deadline)
    local place = plan.proxy or plan
    local pool = { name = plan.name, size = plan.pool_size, queue = plan.backlog }
    if plan.path then
        return dialer.connect_path(backend, plan.path, deadline, nil, pool)
    end
    return dialer.connect(backend, place.host, place.port, deadline, nil, pool)
end

-- Has the proxy connect to the host; gives the stream that leads there.
local function tunnel(stream, plan, deadline, seconds)
    local host = plan.host:find(":", 1, true) and "[" .. plan.host .. "]" or plan.host
    local target = host .. ":" .. plan.port
    local connection = connections.new(stream)
    local response, err = connection:request(requests.new {
        method = "CONNECT", target = target,
        headers = { ["Proxy-Authorization"] = plan.proxy.authorization },
    }, { deadline = deadline, headers_timeout = seconds, idle_timeout = seconds })
    if response and response.status >= 200 and response.status < 300 then
        return response:upgrade()
    end
    connection:close()
    return nil, err or errors.new {
        kind = "connect", phase = "connect",
        message = ("the proxy %s:%d has not connected to %s: it answered %d %s"):format(
            plan.proxy.host, plan.proxy.port, target, response.status, response.reason or ""),
    }
end

local function secure(backend, stream, plan, seconds)
    local deadline = backend:now() + seconds
    local err
    if plan.proxy then
        stream, err = tunnel(stream, plan, deadline, seconds)
        if not stream then
            return nil, err
        end
    end
    local ok
    ok, err = stream:start_tls(plan.tls, deadline)
    return ok and stream, err
end

--- Opens a connection: one that was kept, or a new one.
---@param backend moonwire.Backend
---@param plan moonwire.resty.Plan
---@param seconds number for connecting, the lookup included, and as much again for the handshake
---@param fresh boolean? none that was kept
---@return moonwire.Connection? connection
---@return moonwire.Error|integer err_or_times how often it was used before
function opening.open(backend, plan, seconds, fresh)
    if not fresh then
        local kept, times = keep.take(backend, plan.name)
        if kept then
            return kept, times
        end
    end
    local deadline = backend:now() + seconds
    local stream, err = connect(backend, plan, deadline)
    while stream and fresh and stream:reused_times() > 0 do
        stream:close() -- it is as old as the one that failed
        stream, err = connect(backend, plan, deadline)
    end
    local times = stream and stream:reused_times()
    if stream and plan.tls and times == 0 then
        stream, err = secure(backend, stream, plan, seconds)
    end
    if not stream then
        return nil, err
    end
    return keep.connection(stream, times), times
end

return opening
