-- client.lua - from one call to one response: makes the request out of what the script gives and
-- what the client has, and has it sent. It never looks at bytes.

local backends = require "moonwire.backend"
local chain = require "moonwire.client.chain"
local download = require "moonwire.download"
local errors = require "moonwire.error"
local events = require "moonwire.client.events"
local headers_of = require "moonwire.headers"
local hosted = require "moonwire.client.hosted"
local options = require "moonwire.client.options"
local plans = require "moonwire.client.plans"
local report = require "moonwire.client.report"
local requests = require "moonwire.request"
local sending = require "moonwire.client.sending"
local supply = require "moonwire.client.supply"
local threads = require "moonwire.backend.thread"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

---@class moonwire.Client
---@field package settings moonwire.client.Settings
---@field package supply moonwire.client.Supply
---@field private plans moonwire.client.Plans of what is nothing but a method and a URL, and of
---  prepared requests
---@field package sent integer
---@field package replaced integer
---@field package retried integer
---@field package redirected integer
---@field package repeated integer by policy
---@field package answered integer[] responses by the first digit of their status
---@field package failed table<string, integer> calls by the kind of their error
---@field private layered boolean its calls go through the layers of client/chain.lua
local methods = {}
local Client = { __index = methods, __name = "moonwire.Client" }

-- The backend of the caller; a client with open connections stays with the one it has.
local function use_backend(self, level)
    local backend, source = backends.current(), self.supply
    if backend ~= source.backend then
        if backend.capabilities.pool_owned_by_host and not source.hosted then
            source = hosted.new(self.settings)
            source.listeners = self.supply.listeners
            self.supply = source
        end
        if not source:use(backend) then
            error("this client has connections on another backend: close it there first", level + 1)
        end
    end
    threads.check(backend)
    return backend
end

-- Raises when the client can't take a request now.
local function check_open(self, level)
    if self.supply.closed or self.supply.closing then
        error("the client is closed", level + 1)
    end
    return use_backend(self, level + 1)
end

-- The plan for a request; where it has neither options nor a body that would be kept with it, it is
-- made once.
local function plan_for(self, request, opts, level)
    local can_keep = opts == nil and not requests.data(request).body
    local plan = can_keep and self.plans:find("", request)
    if plan then
        return plan
    end
    local err
    plan, err = sending.plan(self, request, opts, level + 1)
    if plan and can_keep then
        self.plans:keep("", request, plan)
    end
    return plan, err
end

local function note_outcome(self, response, err)
    if response then
        local answered, status = self.answered, response.status
        local class = (status - status % 100) / 100
        answered[class] = answered[class] + 1
    else
        self.failed[err.kind] = (self.failed[err.kind] or 0) + 1
    end
end

-- The response for a request whose plan is made. Mostly one exchange is all there is to it.
local function run(self, plan, opts, backend)
    local response, err, started
    if self.layered or opts and chain.wants(opts) or chain.is_diverted(self) then
        response, err = chain.run(self, plan, opts, backend)
        note_outcome(self, response, err)
        return response, err
    end
    response, err, started = sending.send(self, plan, opts, backend)
    if response and response.status > 300 and chain.leads_on(self, opts, response) then
        response, err = chain.follow(self, plan, opts, backend, started, response)
    end
    note_outcome(self, response, err)
    return response, err
end

local function send(self, request, opts, level)
    local backend = check_open(self, level + 1)
    local plan, err = plan_for(self, request, opts, level + 1)
    if not plan then
        return nil, err
    end
    return run(self, plan, opts, backend)
end

-- A relative URL goes behind the base URL, as a text does; so it never leaves the base's host.
local function full_url(self, url, level)
    errors.check(level + 1, "url", "string", url)
    local base = self.settings.base_url
    if not base or url:find "^%a[%w+.-]*://" then
        return url
    elseif url == "" or url:find "^[?#]" then
        return base .. url
    end
    return base:gsub("/+$", "") .. "/" .. url:gsub("^/+", "")
end

local function merged_headers(self, given, level)
    local own = self.settings.headers
    if not own or given == nil then
        return given or own
    end
    local merged, list = own:copy(), headers_of.new(given, level + 1)
    for name in list:each() do
        merged:remove(name)
    end
    for name, value in list:each() do
        merged:add(name, value)
    end
    return merged
end

-- The plan for what is nothing but a method and a URL, made once.
local function plain_plan(self, method, url, level)
    local plan = self.plans:find(method, url)
    if plan then
        return plan
    end
    local err
    plan, err = sending.plan(self, requests.new({
        method = method, url = full_url(self, url, level + 1), headers = self.settings.headers,
        decompress = self.settings.decompress,
    }, level + 1), nil, level + 1)
    if plan then
        self.plans:keep(method, url, plan)
    end
    return plan, err
end

local function make_request(self, method, url, opts, level)
    opts = opts or {}
    local settings = self.settings
    local function chosen(name)
        local value = opts[name]
        if value == nil then
            value = settings[name]
        end
        return value
    end
    return (requests.new({
        method = method,
        url = full_url(self, url, level + 1),
        headers = merged_headers(self, opts.headers, level + 1),
        query = opts.query,
        body = opts.body,
        json = opts.json,
        form = opts.form,
        multipart = opts.multipart,
        expect = chosen "expect",
        decompress = chosen "decompress",
        compress = chosen "compress",
        upgrade = opts.upgrade,
        close = opts.close,
        trailers = opts.trailers,
        raw_target = opts.raw_target,
    }, level + 1))
end

local function call_method(self, method, url, opts, level)
    local response, err
    if opts ~= nil then
        options.request(opts, false, false, level + 1)
    elseif type(url) == "string" and type(method) == "string" then
        local backend = check_open(self, level + 1)
        local plan
        plan, err = plain_plan(self, method, url, level + 1)
        if plan then
            response, err = run(self, plan, nil, backend)
        end
        return response, err
    end
    local request = make_request(self, method, url, opts, level + 1)
    response, err = send(self, request, opts, level + 1)
    return response, err
end

---@class moonwire.RequestOptions
---@field headers table|moonwire.core.Headers|nil they replace the client's of the same name
---@field query table|string|nil goes behind the URL's own query
---@field body any a string, list of strings, function, open file, response, or of moonwire.body
---@field json any the body as JSON
---@field form table? the body as a form
---@field multipart table? the body as a form with files: see moonwire.body
---@field timeout number|moonwire.Timeouts|nil seconds, a number is for all of it
---@field expect boolean|integer|nil ask the server before the body is sent: always, or from so
---  many bytes on
---@field upgrade string? protocols to offer: see response:upgrade()
---@field decompress boolean? false: the response's body as it comes, and no Accept-Encoding
---@field compress "gzip"|"deflate"|"br"|"zstd"|false|nil put on the request's body
---@field close boolean? the connection serves this request only
---@field trailers boolean? ask for fields behind the response's body: see response.trailers
---@field auth moonwire.AuthOption|nil who is asking; false: nobody, whatever the client has
---@field raw_target boolean? the path goes out with its dot segments, as in "/a/../b"
---@field redirect boolean|integer|moonwire.RedirectOptions|nil whether responses that lead on are
---  followed, and how many: 10; false or 0: none
---@field retry boolean|moonwire.RetryOptions|nil a policy for what fails; false: never send a
---  request twice, however harmless that is
---@field cookies table<string, string|number>? sent with this request, on the first origin only
---@field cache false? past the client's cache
---@field max_body integer? a longer body is an error of kind "limit"
---@field unix_socket string? path of the socket to connect to, whatever the URL's host
---@field tls moonwire.TlsOptions? they replace the client's of the same name
---@field resolve table<string, string[]>? "host:port" -> numeric addresses, instead of a lookup
---@field on_resolve (fun(host: string, addresses: moonwire.net.Address[]): any, string?)?  is
---  asked before anything is connected: true, a list of the addresses that may be used, or nil and
---  why none may
---@field local_address string? numeric, of this side
---@field proxy string|moonwire.ProxyOptions|false|nil "http://user:password@host:port", or https,
---  socks5, socks5h; "environment": those of http_proxy and its like, the default but inside nginx
---  and C programs; false: none
---@field traceparent boolean|string|nil|fun(request: moonwire.Request): string? W3C Trace Context:
---  true, the trace to go on with, or a function that gives one
---@field on_informational fun(status: integer, headers: moonwire.core.Headers)?
---@field progress fun(received: integer, total: integer?)?
---@field upload_progress fun(sent: integer, total: integer?)? as the body goes out: from the start
---  once more where the request is sent again

--- Sends a GET request and returns as soon as the head of the response is there.
---@param url string behind the base URL, unless it is absolute
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response
---@return moonwire.Error? err
function methods:get(url, opts)
    local response, err = call_method(self, "GET", url, opts, 2)
    return response, err
end

--- The same with HEAD.
---@param url string
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function methods:head(url, opts)
    local response, err = call_method(self, "HEAD", url, opts, 2)
    return response, err
end

--- The same with POST.
---@param url string
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function methods:post(url, opts)
    local response, err = call_method(self, "POST", url, opts, 2)
    return response, err
end

--- The same with PUT.
---@param url string
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function methods:put(url, opts)
    local response, err = call_method(self, "PUT", url, opts, 2)
    return response, err
end

--- The same with PATCH.
---@param url string
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function methods:patch(url, opts)
    local response, err = call_method(self, "PATCH", url, opts, 2)
    return response, err
end

--- The same with DELETE.
---@param url string
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function methods:delete(url, opts)
    local response, err = call_method(self, "DELETE", url, opts, 2)
    return response, err
end

--- The same with OPTIONS.
---@param url string
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function methods:options(url, opts)
    local response, err = call_method(self, "OPTIONS", url, opts, 2)
    return response, err
end

--- client:request("GET", url, opts), client:request{method =, url =, ...}, or, with a request made
--- by moonwire.request, client:request(request, opts).
---@param method string|table|moonwire.Request
---@param url string|moonwire.RequestOptions|nil
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function methods:request(method, url, opts)
    local response, err
    if requests.is(method) then
        if url ~= nil then
            options.request(url, false, true, 2)
        end
        response, err = send(self, method, url, 2)
    elseif type(method) == "table" then
        options.request(method, true, false, 2)
        local request = make_request(self, method.method or "GET", method.url, method, 2)
        response, err = send(self, request, method, 2)
    else
        errors.check(2, "method", "string", method)
        response, err = call_method(self, method, url, opts, 2)
    end
    return response, err
end

--- Downloads a file: it gets its name when it is whole, and until then `path .. ".part"` is written
--- to. What breaks off is gone on with where it broke off, where the server can do that.
---@param url string
---@param path string? of the file; a folder, or nil for the one we are in: the server says what the
---  file is called, or the URL
---@param opts moonwire.DownloadOptions?
---@return moonwire.Download? download {path, bytes, resumed_from, attempts, sha256, response}
---@return moonwire.Error? err `err.path`: what is left for another run to go on with (`resume`)
function methods:download(url, path, opts)
    local plan = download.plan(path, opts, self.settings, 2)
    local request = make_request(self, "GET", url, plan.content, 2)
    local backend = check_open(self, 2)
    local ok, err = sending.plan(self, request, plan.sending, 2)
    if not ok then
        return nil, err
    end
    return download.run(self, self.settings, request, plan, backend)
end

-- Around the calls --------------------------------------------------------------------------------

--- Closes the connections that nobody uses.
function methods:close_idle()
    self.supply:close_idle()
end

--- Opens connections before they are needed, until `count` to the URL's origin are idle, as far as
--- the pool's limits allow; no other connection is closed for them. Returns when they are there.
---@param url string
---@param count integer? 1 when not given
---@param opts moonwire.RequestOptions? what decides where the connections go: only requests with
---  equal options use them
---@return integer? idle how many are idle then
---@return moonwire.Error? err why there is none
function methods:preconnect(url, count, opts)
    if count ~= nil and (type(count) ~= "number" or count < 0 or count % 1 ~= 0) then
        errors.argument(2, "count", "whole number from 0", count)
    end
    if opts ~= nil then
        options.request(opts, false, true, 2)
    end
    local backend = check_open(self, 2)
    local plan, err = plain_plan(self, "GET", url, 2)
    if plan and opts then
        plan, err = sending.plan(self, plan.request, opts, 2)
    end
    if not plan then
        return nil, err
    end
    local call = sending.call(self, plan, opts, backend:now())
    return self.supply:preconnect(call, count or 1)
end

--- Closes all connections; an exchange under way fails with kind "closed". With a number of seconds
--- it first lets exchanges end, and requests that wait for a connection have their turn, for so
--- long at most. Either way a request made from then on raises. Twice is harmless.
---@param seconds number? wait so long
---@return boolean all false: something was cut short after these seconds
function methods:close(seconds)
    if seconds ~= nil and (type(seconds) ~= "number" or seconds < 0 or seconds ~= seconds) then
        errors.argument(2, "seconds", "number from 0", seconds)
    end
    local all = true
    if seconds and self.supply.backend then
        threads.check(self.supply.backend)
        all = self.supply:leave(seconds)
    else
        self.supply:close()
    end
    self.plans = plans.new()
    return all
end

--- Whether it takes no request any more.
---@return boolean
function methods:is_closed()
    return self.supply.closed or self.supply.closing or false
end

--- Has a function called for each event of this client, until it is taken off again. Nothing is
--- told while nobody listens; a listener that raises is told on stderr, and harms no request. The
--- events and their fields stand in docs/observing.md.
---@param event "request"|"response"|"data"|"finish"|"error"|"redirect"|"retry"|"connect"|"close"
---@param listener fun(event: table)
---@return fun() off takes the listener off
function methods:on(event, listener)
    local off = events.on(self, event, listener, 2)
    return off
end

--- Numbers of now (total opening active reserved idle waiting; the same by origin in `origins`),
--- and since the start: `requests`; of connections `opened`, `reused`, `closed`, why that was
--- (`closed_by`), `expired` and `evicted` of these; `waited`: requests that had no place at once,
--- and `waits`: how long those waited that found no idle connection, as {count, sum, bounds,
--- buckets}; `replaced_stale`, `retries_stale`: kept connections that their server had closed,
--- found before the request was sent or by sending it; `idle_closed_by_peer`, `unsolicited`; of
--- the calls `responses` by class ("2xx"), `errors` by kind, `redirects`, `retries` (by policy);
--- and of all who look names up here: dns_hits, dns_negative, dns_merged, dns_misses, dns_running.
---@return table
function methods:stats()
    return report.stats(self)
end

--- The same in the text format of Prometheus.
---@param labels table<string, string>? put on every sample
---@return string
function methods:metrics(labels)
    labels = labels or {}
    errors.check(2, "labels", "table", labels)
    for name in each(labels) do
        if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
            errors.argument(2, "labels", "table of label names", name)
        end
    end
    return report.metrics(self, labels)
end

local client = {}

---@class moonwire.ClientOptions
---@field base_url string? what relative URLs are put behind
---@field headers table|moonwire.core.Headers|nil sent with each request that has none of that name
---@field timeout number|moonwire.Timeouts|nil as for a request
---@field max_body integer?
---@field unix_socket string?
---@field resolve table<string, string[]>? as for a request, like the next two
---@field on_resolve (fun(host: string, addresses: moonwire.net.Address[]): any, string?)?
---@field local_address string?
---@field proxy string|moonwire.ProxyOptions|false|nil as for a request
---@field pool moonwire.PoolLimits?
---@field expect boolean|integer|nil as for a request
---@field auth moonwire.AuthOption|nil as for a request; for every origin that its script asks
---@field redirect boolean|integer|moonwire.RedirectOptions|nil as for a request
---@field retry boolean|moonwire.RetryOptions|nil as for a request
---@field cookies boolean|moonwire.CookieJar|nil true: what responses set goes into a jar of this
---  client, and from there to where it belongs; or a jar of moonwire.cookies
---@field decompress boolean? as for a request, like the next one
---@field compress "gzip"|"deflate"|"br"|"zstd"|false|nil
---@field cache boolean|moonwire.Cache|nil keeps responses: true for 32 MiB of memory
---@field tls moonwire.TlsOptions? for https: who is trusted, what is shown
---@field traceparent boolean|string|nil|fun(request: moonwire.Request): string? as for a request
---@field limits moonwire.PeerLimits?
---@field compat {obs_fold: boolean?}? what is taken from a peer although it is wrong: obs_fold, a
---  field over several lines, which are joined by a space; never one that frames the message

--- Makes a client: defaults for its requests, and a pool of connections of its own.
---@param opts moonwire.ClientOptions?
---@return moonwire.Client
function client.new(opts)
    local settings = options.client(opts, 2)
    return setmetatable({
        settings = settings,
        layered = chain.wants(settings),
        supply = supply.new(settings),
        plans = plans.new(),
        sent = 0,
        replaced = 0,
        retried = 0,
        redirected = 0,
        repeated = 0,
        answered = { 0, 0, 0, 0, 0, 0, 0, 0, 0 },
        failed = {},
    }, Client)
end

return client
