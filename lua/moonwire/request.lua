-- request.lua - a request as a value: checked and serialised once, sent as often as one likes.  It
-- never opens or sends anything.

local base64 = require "moonwire.base64"
local bodies = require "moonwire.body"
local coding = require "moonwire.body.coding"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local headers_of = require "moonwire.headers"
local urls = require "moonwire.url"
local version = require "moonwire.version"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

-- What moonwire sets itself, and what to use instead.
local OWNED = {
    ["connection"] = "use close = true for a connection of one request",
    ["expect"] = "use expect = true",
    ["content-length"] = "it comes from the body; a function's is given by body.generator",
    ["keep-alive"] = "moonwire keeps connections by itself",
    ["te"] = "use trailers = true",
    ["transfer-encoding"] = "a body of unknown length is sent chunked by itself",
    ["upgrade"] = "use upgrade = \"protocol\"",
}

local DEFAULTS = {
    { "User-Agent", "moonwire/" .. version },
    { "Accept", "*/*" },
}
local ACCEPTED = "gzip, deflate, br, zstd" -- as browsers write it, whom caches know
local TUNNEL_DEFAULTS = { DEFAULTS[1] }

local IDEMPOTENT = {
    GET = true, HEAD = true, OPTIONS = true, TRACE = true, PUT = true, DELETE = true, QUERY = true,
}

-- "user:pass" of a URL, percent-decoded, as RFC 7617 wants it.
local function basic_authorization(userinfo)
    local plain = urls.unescape(userinfo)
    if not plain:find(":", 1, true) then
        plain = plain .. ":"
    end
    return "Basic " .. base64.encode(plain)
end

---@class moonwire.request.Options
---@field url string? there must be one, but for CONNECT
---@field target string? "host:port", for CONNECT only
---@field method string? "GET" if none is given
---@field headers moonwire.core.Headers|table|nil what moonwire.headers takes
---@field query table|string|nil added to the url's own
---@field body any what moonwire.body takes
---@field json any a value to be sent as JSON
---@field form table? fields to be sent like a form's
---@field multipart table? fields and files to be sent like a form's: see moonwire.body
---@field close boolean? say "Connection: close"
---@field trailers boolean? say "TE: trailers": fields behind the response's body are welcome. Those
---  that come unasked are taken as well
---@field expect boolean|integer|nil true: ask the server before the body is sent ("Expect:
---  100-continue"); a number: if the body has so many bytes, or nobody knows how many
---@field upgrade string? protocols to offer, "websocket" or "h2c, foo/2": see response:upgrade()
---@field raw_target boolean? the path goes out with its dot segments, as in "/a/../b"
---@field decompress boolean? ask for content codings (Accept-Encoding), and take them off the
---  response's body
---@field compress "gzip"|"deflate"|"br"|"zstd"|false|nil put on the body, unless that is a string
---  that would not get shorter
---@field absolute boolean? the request line says the whole URL, as a proxy for http wants it

---@class moonwire.Request
---@field method string
---@field url string without credentials and fragment; CONNECT's target
---@field origin string? "http://host:port"; nil for CONNECT, like the next two
---@field peer string? whom to connect to
---@field port integer?
---@field target string what the request line says
---@field headers moonwire.core.Headers a copy, all that is sent but for the framing
---@field body moonwire.Body?
---@field head moonwire.core.RequestHead
---@field decompress boolean the codings of the response's body are taken off
---@field compress string|false the coding that the body was to be given
---@field idempotent boolean a server may be asked twice (RFC 9110 section 9.2.2)
---@field expects boolean the head says Expect (of a body that is measured late: M.head_for knows)
local methods = {}

-- A request is {data}: every field is read through __index, so none can be written.
local Request = {
    __name = "moonwire.Request",
    __index = function(self, key)
        local data = rawget(self, 1)
        if key == "headers" then
            return data.headers:copy()
        end
        local value = data[key]
        if value == nil then
            value = methods[key]
        end
        return value
    end,
    __newindex = function(_, key)
        error(("a request can't be changed: use request:with{%s = ...}"):format(tostring(key)), 2)
    end,
    __tostring = function(self)
        local data = rawget(self, 1)
        return data.method .. " " .. data.url
    end,
}

local M = {}

--- Tells whether a value is a request.
---@param value any
---@return boolean
function M.is(value)
    return getmetatable(value) == Request
end

--- For those that send it: the fields of a request, which they only read.
---@param request moonwire.Request
---@return table? data nil: not a request
function M.data(request)
    return getmetatable(request) == Request and rawget(request, 1) or nil
end

local function check_owned(headers, level)
    for name, instead in each(OWNED) do
        if headers:has(name) then
            error(("bad header %q: moonwire sets it itself; %s"):format(name, instead), level + 1)
        end
    end
end

local function body_of(opts, level)
    local given = (opts.body ~= nil and 1 or 0) + (opts.json ~= nil and 1 or 0)
        + (opts.form ~= nil and 1 or 0) + (opts.multipart ~= nil and 1 or 0)
    if given > 1 then
        error("bad argument 'body' (give one of body, json, form and multipart)", level + 1)
    elseif opts.json ~= nil then
        return (bodies.json(opts.json, level + 1))
    elseif opts.form ~= nil then
        return (bodies.form(opts.form, level + 1))
    elseif opts.multipart ~= nil then
        return (bodies.multipart(opts.multipart, nil, level + 1))
    end
    return (bodies.new(opts.body, nil, level + 1)) -- no tail call: it counts levels
end

local function query_text(query, level)
    if type(query) == "table" then
        return urls.query(query)
    elseif query ~= nil and type(query) ~= "string" then
        errors.argument(level + 1, "query", "table or string", query)
    end
    return query or ""
end

local function with_query(target, query)
    if query == "" then
        return target
    end
    return target .. (target:find("?", 1, true) and "&" or "?") .. query
end

-- Of a part of a body the codings can't be taken off, and HEAD has none.
local function accepts_codings(opts, method, url, headers)
    return opts.decompress and url.target and method ~= "HEAD"
        and not headers:has "accept-encoding" and not headers:has "range"
end

local function headers_for(given, url, body, coded, level)
    local headers = core.headers()
    check_owned(given, level + 1)
    headers:add("Host", given:get "host" or url.authority)
    local seen_host = false
    for name, value in given:each() do
        if name:lower() ~= "host" then
            headers:add(name, value)
        elseif seen_host then
            error("bad header \"host\": given twice", level + 1)
        else
            seen_host = true
        end
    end
    for _, default in ipairs(url.target and DEFAULTS or TUNNEL_DEFAULTS) do
        if not headers:has(default[1]) then
            headers:add(default[1], default[2])
        end
    end
    if body and body.content_type and not headers:has "content-type" then
        headers:add("Content-Type", body.content_type)
    elseif body and body.boundary
        and not headers:get("content-type"):find(body.boundary, 1, true) then
        error("bad header \"content-type\": without the boundary of a multipart body nobody can "
            .. "read it; leave the header out, moonwire sets it", level + 1)
    end
    if coded then
        headers:add("Content-Encoding", coded)
    end
    if url.userinfo and not headers:has "authorization" then
        headers:add("Authorization", basic_authorization(url.userinfo))
    end
    return headers
end

local function framing_of(body)
    if not body then
        return nil
    elseif body.measured then
        return 0 -- serialised again once the length is known: M.head_for
    end
    return body.length or "chunked"
end

-- Whether the server is asked before a body framed like that.
local function expects(data, framing)
    local wanted = data.expect
    if not wanted or not framing or framing == 0 then
        return false
    end
    return wanted == true or framing == "chunked" or framing >= wanted
end

local function serialise(data, framing, level)
    local opts
    if data.close or data.trailers or data.expect or data.upgrade then
        opts = {
            close = data.close, trailers = data.trailers, expect = expects(data, framing),
            upgrade = data.upgrade,
        }
    end
    local ok, head = pcall(core.request_head, data.method, data.target, data.headers, framing, opts)
    if not ok then
        local problem = tostring(head):gsub("^.-:%d+: ", "")
        error(problem, level + 1)
    end
    return head
end

--- For those that send it: the head of a request whose body has told its length only now.
---@param data table of M.data
---@param length integer?
---@return moonwire.core.RequestHead
---@return boolean expects it says Expect
function M.head_for(data, length)
    local framing = length or "chunked"
    return serialise(data, framing, 2), expects(data, framing)
end

-- The same fields with other headers, and another target if one is given. `value` stays the request
-- that the script knows.
local function changed(data, headers, target)
    local copy = {}
    for name, value in each(data) do
        copy[name] = value
    end
    copy.headers, copy.target = headers, target or data.target
    copy.head = serialise(copy, framing_of(data.body), 2)
    return copy
end

--- What an http proxy is sent in place of a request to an http origin: the whole URL in its line,
--- and fields for the proxy, of which the request's own take the place.
---@param data table of M.data
---@param extra moonwire.core.Headers?
---@return table data
function M.through(data, extra)
    local headers = data.headers:copy()
    if extra then
        for name, value in extra:each() do
            if not data.headers:has(name) then
                headers:add(name, value)
            end
        end
    end
    return changed(data, headers, data.url)
end

--- The same request without a header.
---@param data table of M.data
---@param name string
---@return table data
function M.without(data, name)
    local headers = data.headers:copy()
    headers:remove(name)
    return changed(data, headers)
end

local KNOWN = { "absolute", "body", "close", "compress", "decompress", "expect", "form", "headers",
    "json", "method", "multipart", "query", "raw_target", "target", "trailers", "upgrade", "url" }
local is_known = {}
for _, name in ipairs(KNOWN) do
    is_known[name] = true
end

local function check_names(opts, level)
    for name in each(opts) do
        if not is_known[name] then
            error(("unknown option '%s' (known: %s)"):format(tostring(name),
                table.concat(KNOWN, " ")), level + 1)
        end
    end
end

local function check_connect(opts, level)
    if opts.url ~= nil then
        error("bad argument 'url' (CONNECT has target = \"host:port\" instead)", level + 1)
    elseif type(opts.target) ~= "string" then
        errors.argument(level + 1, "target", "string", opts.target)
    elseif opts.upgrade ~= nil then
        error("bad argument 'upgrade' (CONNECT opens a tunnel already)", level + 1)
    end
end

local function check_opts(opts, level)
    if type(opts) ~= "table" then
        errors.argument(level + 1, "request", "table", opts)
    end
    check_names(opts, level + 1)
    if opts.method ~= nil and type(opts.method) ~= "string" then
        errors.argument(level + 1, "method", "string", opts.method)
    elseif opts.method == "CONNECT" then
        check_connect(opts, level + 1)
    elseif type(opts.url) ~= "string" then
        errors.argument(level + 1, "url", "string", opts.url)
    elseif opts.target ~= nil then
        error("bad argument 'target' (for CONNECT only: a request's is in its url)", level + 1)
    end
    local expect = opts.expect
    if expect ~= nil and type(expect) ~= "boolean"
        and not (type(expect) == "number" and expect >= 0) then
        errors.argument(level + 1, "expect", "true, false or a number of bytes", expect)
    elseif opts.upgrade ~= nil and type(opts.upgrade) ~= "string" then
        errors.argument(level + 1, "upgrade", "string", opts.upgrade)
    elseif opts.raw_target ~= nil and type(opts.raw_target) ~= "boolean" then
        errors.argument(level + 1, "raw_target", "boolean", opts.raw_target)
    end
    coding.check(opts, level + 1)
end

-- The body as it is sent, and the coding that it has then.
local function coded_body(body, opts, given, level)
    if not body or not opts.compress then
        return body, nil
    elseif given:has "content-encoding" then
        error("bad argument 'compress' (the headers have a Content-Encoding: with that the body is "
            .. "sent as it is)", level + 1)
    end
    return coding.compressed(body, opts.compress)
end

-- Where a request goes: its URL taken apart, and what its line says.
local function parse_place(opts, level)
    if opts.method == "CONNECT" then
        local authority, problem = urls.authority(opts.target)
        if not authority then
            error("bad argument 'target' (" .. problem .. ")", level + 1)
        end
        return { authority = authority }, authority, "", authority
    end
    local url, problem = urls.parse(opts.url, opts.raw_target)
    if not url then
        error("bad argument 'url' (" .. tostring(problem) .. ")", level + 1)
    end
    local query = query_text(opts.query, level + 1)
    local target = with_query(url.target, query)
    return url, target, query, url.href:sub(1, #url.href - #url.target) .. target
end

--- Makes a request. Raises, with the argument named, on whatever could not be sent.
---@param opts moonwire.request.Options
---@param level? integer whose fault a wrong argument is: 1 the caller (default), 2 its caller ...
---@return moonwire.Request
function M.new(opts, level)
    level = (level or 1) + 1
    check_opts(opts, level)
    local url, target, query, shown = parse_place(opts, level)
    local given = headers_of.new(opts.headers, level)
    local plain = body_of(opts, level)
    local body, coded = coded_body(plain, opts, given, level)
    local method = opts.method or "GET"
    local headers = headers_for(given, url, body, coded, level)
    if accepts_codings(opts, method, url, headers) then
        headers:add("Accept-Encoding", ACCEPTED)
    end
    local data = {
        method = method,
        url = shown,
        origin = url.origin,
        host = url.host,
        peer = url.peer,
        port = url.port,
        target = opts.absolute and opts.method ~= "CONNECT" and shown or target,
        absolute = opts.absolute and true or false,
        body = body,
        close = opts.close and true or false,
        trailers = opts.trailers and true or false,
        expect = opts.expect,
        upgrade = opts.upgrade,
        decompress = opts.decompress or false,
        compress = opts.compress or false,
        headers = headers,
        idempotent = IDEMPOTENT[method] or false,
        given = {
            headers = given, url = opts.url, target = opts.target, query = query,
            body = plain, raw_target = opts.raw_target and true or false,
        },
    }
    data.repeatable = data.idempotent or data.headers:has "idempotency-key"
    local framing = framing_of(body)
    data.expects = expects(data, framing)
    data.head = serialise(data, framing, level)
    data.value = setmetatable({ data }, Request)
    return data.value
end

-- The old headers, with those named in `changes` replaced.
local function merged(old, changes, level)
    local headers = headers_of.new(old)
    if changes == nil then
        return headers
    end
    local new = headers_of.new(changes, level + 1)
    for name in new:each() do
        headers:remove(name)
    end
    for name, values in each(type(changes) == "table" and changes or {}) do
        if type(name) == "string" and type(values) == "table" and #values == 0 then
            headers:remove(name)
        end
    end
    for name, value in new:each() do
        headers:add(name, value)
    end
    return headers
end

--- A copy with some fields changed. Headers that are named replace those of that name, `name = {}`
--- leaves them out; the others stay. `body = false` leaves the body out, `expect = false` and
--- `upgrade = false` those.
---@param changes table as for new
---@return moonwire.Request
function methods:with(changes)
    if type(changes) ~= "table" then
        errors.argument(2, "changes", "table", changes)
    end
    local data = M.data(self)
    if not data then
        errors.argument(2, "self", "request", self)
    end
    check_names(changes, 2)
    local body = changes.body
    if body == nil and changes.json == nil and changes.form == nil and changes.multipart == nil then
        body = data.given.body
    end
    local query = changes.query
    if query == nil and changes.url == nil then
        query = data.given.query
    end
    local function kept(name)
        local value = changes[name]
        if value == nil then
            value = data[name]
        end
        return value
    end
    local raw_target = changes.raw_target
    if raw_target == nil then
        raw_target = data.given.raw_target
    end
    return (M.new({
        method = changes.method or data.method,
        url = changes.url or data.given.url,
        target = changes.target or data.given.target,
        headers = merged(data.given.headers, changes.headers, 2),
        body = body or nil,
        json = changes.json,
        form = changes.form,
        multipart = changes.multipart,
        query = query,
        close = kept "close",
        trailers = kept "trailers",
        expect = kept "expect",
        upgrade = kept "upgrade" or nil,
        absolute = kept "absolute",
        decompress = kept "decompress",
        compress = kept "compress",
        raw_target = raw_target,
    }, 2))
end

return M
