-- resty.lua - a client in the shape of lua-resty-http: connect, request, read, keep alive; times in
-- milliseconds, errors as strings. What is sent and what is taken for an answer is decided below.

local answers = require "moonwire.resty.answer"
local backends = require "moonwire.backend"
local errors = require "moonwire.error"
local gateway = require "moonwire.resty.gateway"
local keep = require "moonwire.resty.keep"
local links = require "moonwire.resty.link"
local opening = require "moonwire.resty.opening"
local params = require "moonwire.resty.params"
local proxies = require "moonwire.resty.proxy"
local say = require "moonwire.resty.say"
local tls = require "moonwire.backend.tls"
local urls = require "moonwire.url"
local version = require "moonwire.version"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local SECONDS = 60 -- of each of the three timeouts, as nginx has it
local IDLE_MILLISECONDS = 60000 -- that a connection is kept; nginx's default

---@class moonwire.resty.Client
---@field private connect_seconds number
---@field private send_seconds number
---@field private read_seconds number
---@field private proxy_opts moonwire.resty.ProxyOptions?
---@field private link moonwire.resty.Link
---@field private is_plain_form boolean connected by the old form: TLS is the caller's
local methods = {}
local Client = { __index = methods, __name = "moonwire.resty.Client" }

local function check_self(self, level)
    if getmetatable(self) ~= Client then
        errors.argument(level + 1, "self", "client (httpc:method())", self)
    end
end

-- Times -------------------------------------------------------------------------------------------

local function seconds_of(name, milliseconds, level)
    if milliseconds == nil then
        return SECONDS
    elseif type(milliseconds) ~= "number" or milliseconds <= 0 then
        errors.argument(level + 1, name, "milliseconds above 0", milliseconds)
    end
    return milliseconds / 1000
end

--- Sets the three timeouts, in milliseconds; nil: 60000. They hold from the next connect() or
--- request() on.
---@param connect number? for the connection, and as much again for TLS
---@param send number? that the server may take nothing of a request
---@param read number? that it may send nothing
function methods:set_timeouts(connect, send, read)
    check_self(self, 2)
    self.connect_seconds = seconds_of("connect_timeout", connect, 2)
    self.send_seconds = seconds_of("send_timeout", send, 2)
    self.read_seconds = seconds_of("read_timeout", read, 2)
end

--- Sets all three to the same.
---@param milliseconds number?
function methods:set_timeout(milliseconds)
    check_self(self, 2)
    local seconds = seconds_of("timeout", milliseconds, 2)
    self.connect_seconds, self.send_seconds, self.read_seconds = seconds, seconds, seconds
end

-- The connection ----------------------------------------------------------------------------------

--- The proxies of the connections to come; nil: none.
---@param opts moonwire.resty.ProxyOptions?
function methods:set_proxy_options(opts)
    check_self(self, 2)
    local copy
    if opts ~= nil then
        proxies.check(opts, 2)
        copy = {}
        for name, value in each(opts) do
            copy[name] = value
        end
    end
    self.proxy_opts = copy
end

-- connect(host, port, options) and connect("unix:/path", options).
local function plain_options(host, port, options, level)
    errors.check(level + 1, "host", "string", host)
    if type(port) == "table" then
        port, options = nil, port
    end
    if options ~= nil then
        errors.check(level + 1, "options", "table", options)
    end
    options = options or {}
    return {
        scheme = "http", host = host, port = tonumber(port), pool = options.pool,
        pool_size = options.pool_size, backlog = options.backlog, proxy_opts = {},
    }
end

local function connect(self, options, is_plain_form, level)
    local plan, problem, err = opening.plan(options, self.proxy_opts, level + 1)
    if not plan then
        return nil, problem, err
    end
    self.is_plain_form = is_plain_form
    return self.link:open(plan, self.connect_seconds)
end

--- Opens a connection, or takes one that was kept: with TLS where the scheme is https, through a
--- proxy where there is one. The old forms, connect(host, port, options) and
--- connect("unix:/path", options), know of neither.
---@param options table|string scheme, host, port, pool, pool_size, backlog, proxy_opts, ssl_verify,
---  ssl_server_name, ssl_client_cert, ssl_client_priv_key, ssl_trusted_certificate
---@param port integer|table|nil of the old form
---@param more table? of the old form: pool, pool_size, backlog
---@return integer? ok, string? problem, moonwire.Error? err
function methods:connect(options, port, more)
    check_self(self, 2)
    local is_plain_form = type(options) ~= "table"
    if is_plain_form then
        options = plain_options(options, port, more, 2)
    end
    local ok, problem, err = connect(self, options, is_plain_form, 2)
    if not ok then
        return nil, problem, err
    end
    return ok
end

--- TLS over a connection of the old form. Such a connection isn't kept alive: by the name of its
--- pool nobody could tell whom it was secured for.
---@param session false|nil
---@param host string whom the certificate must name
---@param verify boolean? false: take any certificate
---@param send_status_req nil is refused
---@return true? ok, string? problem, moonwire.Error? err
function methods:ssl_handshake(session, host, verify, send_status_req)
    check_self(self, 2)
    if session then
        error("bad argument 'session' (sessions can't be handed over: give nil)", 2)
    elseif send_status_req then
        error("bad argument 'send_status_req' (OCSP stapling isn't checked here)", 2)
    end
    errors.check(2, "host", "string", host)
    if verify ~= nil then
        errors.check(2, "verify", "boolean", verify)
    end
    local is_open, problem, err = self.link:check()
    if not is_open then
        return nil, problem, err
    elseif not self.is_plain_form then
        error("connect{...} sees to TLS: ssl_handshake is for connect(host, port)", 2)
    end
    local context
    context, err = tls.context({ server_name = host, verify = verify ~= false }, 2)
    if not context then
        return say.failure(err)
    end
    return self.link:secure(context, self.connect_seconds)
end

--- How often the connection was used before, 0 for a new one.
---@return integer? times, string? problem
function methods:get_reused_times()
    check_self(self, 2)
    local is_open, problem, err = self.link:check()
    if not is_open then
        return nil, problem, err
    end
    return self.link.times
end

--- Closes the connection.
---@return integer? ok, string? problem
function methods:close()
    check_self(self, 2)
    return self.link:close()
end

local function check_keeping(names, milliseconds, size, level)
    if milliseconds ~= nil and (type(milliseconds) ~= "number" or milliseconds < 0) then
        errors.argument(level + 1, names[1], "milliseconds from 0", milliseconds)
    elseif size ~= nil and (type(size) ~= "number" or size < 1 or size % 1 ~= 0) then
        errors.argument(level + 1, names[2], "whole number from 1", size)
    end
end

local function keep_alive(self, milliseconds, size)
    return self.link:keep((milliseconds or IDLE_MILLISECONDS) / 1000, size)
end

--- Keeps the connection for later, if it may be kept; else it is closed. It is gone from here.
---@param milliseconds number? how long it may be idle; 0: for ever; nil: 60000
---@param size integer? how many such are kept at most; nil: pool_size of connect(), or 30
---@return 1|2|nil ok 2: it was closed, as it had to be
---@return string? problem, moonwire.Error? err
function methods:set_keepalive(milliseconds, size)
    check_self(self, 2)
    check_keeping({ "max_idle_timeout", "pool_size" }, milliseconds, size, 2)
    return keep_alive(self, milliseconds, size)
end

-- Requests ----------------------------------------------------------------------------------------

local function send(self, request, max_body, answer)
    local response, problem, err = self.link:ask(request, {
        headers_timeout = self.read_seconds, idle_timeout = self.read_seconds,
        send_timeout = self.send_seconds, max_body = max_body,
    }, self.connect_seconds)
    if not response then
        return nil, problem, err
    end
    return answers.new(response, answer)
end

local function ask(self, given, level)
    local is_open, problem, err = self.link:check()
    if not is_open then
        return nil, problem, err
    end
    local request
    request, problem, err = params.request(self.link.plan, given, level + 1)
    if not request then
        return nil, problem, err
    end
    return send(self, request, given.max_body)
end

--- Sends a request over the connection and returns once the head of the response is there. One that
--- was kept, and has turned out to be closed before it answered a byte, is replaced by a new one
--- where the request can't have been seen, or may be sent twice.
---@param given table method, path, query, headers, body, max_body
---@return moonwire.resty.Answer? answer, string? problem, moonwire.Error? err
function methods:request(given)
    check_self(self, 2)
    local answer, problem, err = ask(self, given, 2)
    if not answer then
        return nil, problem, err
    end
    return answer
end

-- Whether a response of a pipeline has been read, or has failed; nothing is sent to find out.
local function is_over(answer)
    return rawget(answer, "error") or links.is_whole(rawget(answer, "response"))
end

-- A response of a pipeline: its request goes out when somebody looks at it first.
local function pipelined(self, request, max_body, before)
    return setmetatable({}, {
        __index = function(answer, name)
            if before and not is_over(before) then
                return name == "error" and "read the response before this one to its end first"
                    or nil
            end
            setmetatable(answer, nil)
            local ok, problem = send(self, request, max_body, answer)
            if not ok then
                answer.error = problem
            end
            return answer[name]
        end,
    })
end

--- Sends requests one after the other, each when its response is looked at first: the one before
--- has to be read to its end. A response whose request failed has no status, but `error`.
---@param list table[] parameters as of request()
---@return moonwire.resty.Answer[]? answers, string? problem, moonwire.Error? err
function methods:request_pipeline(list)
    check_self(self, 2)
    errors.check(2, "params", "table", list)
    local is_open, problem, err = self.link:check()
    if not is_open then
        return nil, problem, err
    end
    local all = {}
    for i, given in ipairs(list) do
        local request
        request, problem, err = params.request(self.link.plan, given, 2)
        if not request then
            return nil, problem, err
        end
        all[i] = pipelined(self, request, given.max_body, all[i - 1])
    end
    return all
end

local function read_whole(answer)
    local body, problem, err = answer:read_body()
    if not body then
        return nil, problem, err
    end
    answer.body = body
    return answer:read_trailers()
end

--- One call: connects, sends, reads the body, and keeps the connection alive.
---@param uri string
---@param given table? what connect() and request() take; keepalive (false: close the connection),
---  keepalive_timeout, keepalive_pool
---@return moonwire.resty.Answer? answer with `body`
---@return string? problem, moonwire.Error? err
function methods:request_uri(uri, given)
    check_self(self, 2)
    if given ~= nil then
        errors.check(2, "params", "table", given)
    end
    given = given or {}
    errors.check(2, "uri", "string", uri)
    check_keeping({ "keepalive_timeout", "keepalive_pool" }, given.keepalive_timeout,
        given.keepalive_pool, 2)
    local url, message = urls.parse(uri)
    if not url then
        return say.refusal("bad uri: " .. message)
    end
    local connecting, asking = params.split(url, given)
    local ok, problem, err = connect(self, connecting, false, 2)
    if not ok then
        return nil, problem, err
    end
    local answer
    answer, problem, err = ask(self, asking, 2)
    if answer then
        ok, problem, err = read_whole(answer)
    end
    if not answer or not ok then
        self.link:close()
        return nil, problem, err
    elseif given.keepalive == false then
        self.link:close()
    else
        keep_alive(self, given.keepalive_timeout, given.keepalive_pool)
    end
    return answer
end

-- The client of a host ----------------------------------------------------------------------------

local function check_size(size, level)
    if size ~= nil and (type(size) ~= "number" or size < 1 or size % 1 ~= 0) then
        errors.argument(level + 1, "chunksize", "whole number from 1", size)
    end
end

--- A reader of the body that the host's client sends, fit for the body of request().
---@param size integer? of its pieces; 65536
---@param socket nil is refused
---@return (fun(max: integer?): string?, string?)? reader nil without a problem: there is no body
---@return string? problem, moonwire.Error? err
function methods:get_client_body_reader(size, socket)
    check_self(self, 2)
    check_size(size, 2)
    if socket ~= nil then
        error("bad argument 'sock' (the body read is that of the client's request: give none)", 2)
    end
    return gateway.reader(backends.current(), size)
end

--- Sends what the host's client has sent on over the connection.
---@param size integer? of the pieces of its body
---@return moonwire.resty.Answer? answer, string? problem, moonwire.Error? err
function methods:proxy_request(size)
    check_self(self, 2)
    check_size(size, 2)
    local given, problem, err = gateway.params(backends.current(), size)
    if not given then
        return nil, problem, err
    end
    return self:request(given)
end

--- Answers the host's client by a response, without the headers that are for one hop only.
---@param answer moonwire.resty.Answer
---@param size integer? of the pieces of its body
---@return true? ok, string? problem, moonwire.Error? err
function methods:proxy_response(answer, size)
    check_self(self, 2)
    errors.check(2, "response", "table", answer)
    check_size(size, 2)
    return gateway.respond(backends.current(), answer, size)
end

-- Utilities ---------------------------------------------------------------------------------------

--- Takes a URI apart: {scheme, host, port, path, query}.
---@param uri string
---@param query_in_path boolean? false: the query is by itself
---@return table? parts, string? problem, moonwire.Error? err
function methods:parse_uri(uri, query_in_path)
    check_self(self, 2)
    local url, message = urls.parse(uri)
    if not url then
        return say.refusal("bad uri: " .. message)
    elseif query_in_path == false then
        return { url.scheme, url.peer, url.port, url.path, url.query or "" }
    end
    return { url.scheme, url.peer, url.port, url.target, "" }
end

--- Was for proxies before connect() knew of them.
function methods:connect_proxy()
    error("connect_proxy is not offered: use connect{..., proxy_opts = {...}}, which sees to the "
        .. "tunnel and to TLS", 2)
end

local resty = { _VERSION = version }

--- Makes a client. It has one connection at a time.
---@return moonwire.resty.Client
function resty.new()
    return setmetatable({
        connect_seconds = SECONDS, send_seconds = SECONDS, read_seconds = SECONDS,
        link = links.new(), is_plain_form = false,
    }, Client)
end

--- Closes the connections that are kept alive here; in nginx they are nginx's.
function resty.close_idle()
    keep.close_idle(backends.current())
end

return resty
