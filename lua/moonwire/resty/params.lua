-- resty/params.lua - from the parameters of a request to the request that is sent. What frames it
-- is moonwire's own; a header that says otherwise is refused. It never sends anything.

local bodies = require "moonwire.body"
local errors = require "moonwire.error"
local headers_of = require "moonwire.headers"
local requests = require "moonwire.request"
local say = require "moonwire.resty.say"
local urls = require "moonwire.url"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local params = {}

local function only_value(headers, name)
    local value = headers:get(name)
    headers:remove(name)
    return value
end

-- "Connection: close" and "keep-alive" are what they say; other words name headers of one hop.
local function take_connection(headers, out)
    local value = only_value(headers, "connection")
    for word in (value or ""):lower():gmatch "[^%s,]+" do
        if word == "close" then
            out.close = true
        elseif word == "upgrade" then
            error("bad header \"Connection\": another protocol is for moonwire.http, which has "
                .. "upgrade = \"protocol\" and response:upgrade()", 0)
        elseif word ~= "keep-alive" and word ~= "te" then
            error(("bad header \"Connection\": %q can't be said to the server"):format(word), 0)
        end
    end
    headers:remove "keep-alive"
end

local function take_expect(headers, out)
    local value = only_value(headers, "expect")
    if value and value:lower() ~= "100-continue" then
        error(("bad header \"Expect\": 100-continue expected, got %q"):format(value), 0)
    end
    out.expect = value and true or nil
    local te = only_value(headers, "te")
    if te and te:lower() ~= "trailers" then
        error(("bad header \"TE\": trailers expected, got %q"):format(te), 0)
    end
    out.trailers = te and true or nil
end

local function take_length(headers)
    if headers:has "transfer-encoding" then
        error("bad header \"Transfer-Encoding\": leave it out. A body given as a function is sent "
            .. "chunked by itself: the function gives the body's bytes without chunk sizes", 0)
    end
    local value = only_value(headers, "content-length")
    if not value then
        return nil
    elseif not value:find "^%d+$" or tonumber(value) >= 2 ^ 53 then
        error(("bad header \"Content-Length\": %q"):format(value), 0)
    end
    return tonumber(value)
end

local function body_with_length(body, length)
    if type(body) == "number" then
        body = tostring(body)
    end
    if type(body) == "function" then
        return bodies.generator(body, { length = length })
    end
    local made = bodies.new(body)
    local has = made and made.length or 0
    if length and has ~= length then
        error(("bad header \"Content-Length\": it says %d, and the body has %d bytes"):format(
            length, has), 0)
    end
    return made
end

local function url_of(plan, given)
    local host = plan.host:find(":", 1, true) and "[" .. plan.host .. "]" or plan.host
    local path = given.path or "/"
    if path:byte() ~= 47 then
        error(("bad path: it has to begin with \"/\", got %q"):format(path), 0)
    end
    local user = given.userinfo and given.userinfo .. "@" or ""
    return ("%s://%s%s:%d%s"):format(plan.scheme, user, host, plan.port, path)
end

local function with_query(url, query)
    local text = type(query) == "table" and urls.query(query) or query or ""
    if text == "" then
        return url
    end
    return url .. (url:find("?", 1, true) and "&" or "?") .. text
end

local function make(plan, given)
    local headers = headers_of.new(given.headers)
    local out = { method = given.method }
    take_connection(headers, out)
    take_expect(headers, out)
    local through = plan.proxy and plan.scheme == "http" and plan.proxy
    if through and through.authorization and not headers:has "proxy-authorization" then
        headers:set("Proxy-Authorization", through.authorization)
    end
    out.body = body_with_length(given.body, take_length(headers))
    out.headers, out.absolute = headers, through and true or nil
    out.url = with_query(url_of(plan, given), given.query)
    return requests.new(out)
end

local TYPES = { method = "string", path = "string", headers = "table", max_body = "number" }

local function check(given, level)
    errors.check(level + 1, "params", "table", given)
    for name, expected in each(TYPES) do
        if given[name] ~= nil and not (name == "headers" and headers_of.is(given.headers)) then
            errors.check(level + 1, name, expected, given[name])
        end
    end
    local version = given.version
    if version ~= nil and version ~= 1.1 then
        error(("bad argument 'version' (requests are HTTP/1.1; got %s: leave it out, and for a "
            .. "connection of one request say headers = { Connection = \"close\" })"):format(
            tostring(version)), level + 1)
    end
end

--- Makes the request. Raises on wrong types; a value that can't be sent, which may have come from
--- elsewhere, is nil and a message.
---@param plan moonwire.resty.Plan
---@param given table
---@param level integer whose fault a wrong type is: 1 the caller
---@return moonwire.Request? request, string? problem, moonwire.Error? err
function params.request(plan, given, level)
    check(given, level + 1)
    local ok, request = pcall(make, plan, given)
    if ok then
        return request
    end
    return say.refusal((tostring(request):gsub("^[^\n]-%.lua:%d+: ", "")))
end

-- What connect() takes of the parameters of request_uri.
local CONNECTING = {
    "pool", "pool_size", "backlog", "proxy_opts", "ssl_verify", "ssl_server_name",
    "ssl_client_cert", "ssl_client_priv_key", "ssl_trusted_certificate", "ssl_send_status_req",
    "ssl_reused_session",
}

--- The parameters of request_uri, as those of connect() and of request(): the URI's parts, with
--- those that are named instead.
---@param url moonwire.Url
---@param given table
---@return table connecting, table asking
function params.split(url, given)
    local scheme = given.scheme or url.scheme
    local connecting = {
        scheme = scheme, host = given.host or url.peer,
        port = given.port or given.scheme == nil and url.port or nil,
    }
    for _, name in ipairs(CONNECTING) do
        connecting[name] = given[name]
    end
    connecting.pool_size = given.pool_size or given.keepalive_pool
    return connecting, {
        method = given.method, headers = given.headers, body = given.body,
        path = given.path or url.path, query = given.query or not given.path and url.query or nil,
        userinfo = url.userinfo, version = given.version, max_body = given.max_body,
    }
end

return params
