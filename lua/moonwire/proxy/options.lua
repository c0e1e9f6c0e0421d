-- proxy/options.lua - which proxies there are, as a script or the environment says it: checked, and
-- in one form; and which of them a URL goes through. It never connects.

local base64 = require "moonwire.base64"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local headers_of = require "moonwire.headers"
local no_proxy = require "moonwire.proxy.no_proxy"
local requests = require "moonwire.request"
local urls = require "moonwire.url"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local PORTS = { http = 80, https = 443, socks5 = 1080, socks5h = 1080 }
local SOCKS_MOST = 255 -- bytes that a user, and a password, has room for (RFC 1929)
local EXPECTED = "http://, https://, socks5:// or socks5h://host:port"

--- A proxy. Whoever prints one prints its label.
---@class moonwire.proxy.Proxy
---@field kind "http"|"https"|"socks5"|"socks5h"
---@field host string whom to connect to
---@field port integer
---@field label string "http://proxy.example:3128", without user and password
---@field user string?
---@field password string?
---@field headers moonwire.core.Headers? what http and https proxies are sent, Proxy-Authorization
---  among it
---@field tls moonwire.TlsOptions? for TLS with the proxy itself
---@field secret string equal for those with equal credentials and headers

--- Which proxy is for what: false, or nil, where there is none.
---@class moonwire.proxy.Rules
---@field http moonwire.proxy.Proxy|false|nil
---@field https moonwire.proxy.Proxy|false|nil
---@field exceptions moonwire.proxy.Exceptions?
---@field spares_local boolean? this machine's own addresses are reached without a proxy
---@field problems table<string, string>? by scheme: why it can't be said which proxy

---@class moonwire.ProxyOptions
---@field url string? the proxy for all URLs
---@field http string|false|nil the proxy for http:// URLs, in place of that; false: none
---@field https string|false|nil the same for https://
---@field no_proxy string? hosts that are reached without: "example.com, .internal, 10.0.0.0/8"
---@field headers table|moonwire.core.Headers|nil for http and https proxies
---@field tls moonwire.TlsOptions? for the connection to an https proxy; nothing of the client's own
---  `tls` goes there

local options = {}

-- One proxy ---------------------------------------------------------------------------------------

local function credentials_of(userinfo)
    if not userinfo or userinfo == "" or userinfo == ":" then
        return nil
    end
    local user, password = userinfo:match "^([^:]*):?(.*)$"
    return urls.unescape(user), urls.unescape(password)
end

local function secret_of(proxy)
    local parts = { proxy.user or "", proxy.password or "" }
    if proxy.headers then
        for name, value in proxy.headers:each() do
            parts[#parts + 1], parts[#parts + 2] = name:lower(), value
        end
    end
    local texts = {}
    for i, part in ipairs(parts) do
        texts[i] = #part .. ":" .. part -- other parts make another text
    end
    return proxy.user == nil and #parts == 2 and "" or table.concat(texts)
end

-- Proxy-Authorization in front of what is to be sent besides, unless that has it.
local function headers_for(user, password, extra)
    if not user then
        return extra
    end
    local headers = headers_of.new(extra)
    if not headers:has "proxy-authorization" then
        headers:add("Proxy-Authorization", "Basic " .. base64.encode(user .. ":" .. password))
    end
    return headers
end

--- A proxy out of its URL.
---@param text string
---@param extra moonwire.core.Headers? what an http or https proxy is sent besides
---@return moonwire.proxy.Proxy? proxy
---@return string? problem without what may be secret
function options.parse(text, extra)
    local kind, rest = text:match "^(%a[%w+.-]*)://(.*)$"
    kind = kind and kind:lower()
    if not PORTS[kind] then
        return nil, EXPECTED .. " expected"
    end
    local place = "http://" .. rest
    local url, problem = urls.parse(place)
    if not url then
        return nil, problem
    elseif url.target ~= "/" or url.fragment then
        return nil, "there is more behind the port than '/'"
    end
    local port = core.parse_url(place).port or PORTS[kind]
    local user, password = credentials_of(url.userinfo)
    local is_socks = kind:find "^socks" ~= nil
    if is_socks and user and (user == "" or #user > SOCKS_MOST or #password > SOCKS_MOST) then
        return nil, ("SOCKS5 has room for a user of 1 to %d bytes, and a password of %d"):format(
            SOCKS_MOST, SOCKS_MOST)
    end
    local host = url.host_kind == "ipv6" and "[" .. url.peer .. "]" or url.peer
    local proxy = {
        kind = kind, host = url.peer, port = port, user = user, password = password,
        label = ("%s://%s:%d"):format(kind, host, port),
        headers = not is_socks and headers_for(user, password, extra) or nil,
    }
    proxy.secret = secret_of(proxy)
    return proxy
end

-- The option --------------------------------------------------------------------------------------

local KNOWN = {
    url = true, http = true, https = true, no_proxy = true, headers = true, tls = true,
}

local function check_url(name, text, headers, level)
    if type(text) ~= "string" then
        errors.argument(level + 1, name, "string, such as \"http://host:3128\"", text)
    end
    local proxy, problem = options.parse(text, headers)
    if not proxy then
        error(("bad argument '%s' (%s)"):format(name, problem), level + 1)
    end
    return proxy
end

-- What can't be sent to a proxy can't be sent with CONNECT.
local function check_headers(given, level)
    if given == nil then
        return nil
    end
    local headers = headers_of.new(given, level + 1)
    if headers:has "host" then
        error("bad argument 'proxy.headers' (Host says where the request goes, and isn't the"
            .. " proxy's)", level + 1)
    end
    requests.new({ method = "CONNECT", target = "h:1", headers = headers }, level + 1)
    return headers
end

-- The script may change its own later on.
local function copy_of(given)
    local copy
    for name, value in each(given or {}) do
        copy = copy or {}
        copy[name] = value
    end
    return copy
end

local function check_table(given, level)
    for name in each(given) do
        if not KNOWN[name] then
            error(("unknown option 'proxy.%s' (known: headers http https no_proxy tls url)"):format(
                tostring(name)), level + 1)
        end
    end
    local headers = check_headers(given.headers, level + 1)
    if given.tls ~= nil then
        errors.check(level + 1, "proxy.tls", "table", given.tls)
    end
    local rules, both, tls = {}, nil, copy_of(given.tls)
    if given.url ~= nil then
        both = check_url("proxy.url", given.url, headers, level + 1)
    end
    for _, scheme in ipairs { "http", "https" } do
        local own = given[scheme]
        if own == nil or own == false then
            rules[scheme] = own == nil and both
        else
            rules[scheme] = check_url("proxy." .. scheme, own, headers, level + 1)
        end
        if rules[scheme] then
            rules[scheme].tls = tls
        end
    end
    if rules.http == nil and rules.https == nil then
        error("bad argument 'proxy' (there is no url, http or https in it)", level + 1)
    elseif given.no_proxy ~= nil then
        errors.check(level + 1, "proxy.no_proxy", "string", given.no_proxy)
        local problem
        rules.exceptions, problem = no_proxy.parse(given.no_proxy)
        if problem then
            error(("bad argument 'proxy.no_proxy' (%s)"):format(problem), level + 1)
        end
    end
    return rules
end

--- Checks the option `proxy`.
---@param value any
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.proxy.Rules|"environment"|false|nil rules false: no proxy at all; nil: nothing
---  is said
function options.check(value, level)
    if value == nil or value == false or value == "environment" then
        return value
    elseif type(value) == "table" then
        local rules = check_table(value, level + 1)
        return rules
    elseif type(value) ~= "string" then
        errors.argument(level + 1, "proxy", "URL, table, \"environment\" or false", value)
    end
    local proxy = check_url("proxy", value, nil, level + 1)
    return { http = proxy, https = proxy }
end

-- The environment ---------------------------------------------------------------------------------

-- HTTP_PROXY is a header of whoever asks a CGI program: http_proxy counts in small letters only.
local VARIABLES = {
    http = { "http_proxy", "all_proxy", "ALL_PROXY" },
    https = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" },
}

local function first_set(getenv, names)
    for _, name in ipairs(names) do
        local value = getenv(name)
        if value and value ~= "" then
            return value, name
        end
    end
end

--- Reads http_proxy, https_proxy, all_proxy and no_proxy, as other programs do: "host:port" is an
--- http proxy, and what can't be understood in no_proxy doesn't count.
---@param getenv fun(name: string): string?
---@return moonwire.proxy.Rules|false rules false: no proxy at all
function options.from_environment(getenv)
    local rules = { spares_local = true, problems = {} }
    for scheme, names in each(VARIABLES) do
        local value, name = first_set(getenv, names)
        if value then
            value = value:find("://", 1, true) and value or "http://" .. value
            local proxy, problem = options.parse(value)
            rules[scheme] = proxy
            rules.problems[scheme] = problem and ("the environment's %s is no proxy: %s"):format(
                name, problem)
        end
    end
    rules.exceptions = no_proxy.parse(first_set(getenv, { "no_proxy", "NO_PROXY" }) or "")
    return (rules.http or rules.https or next(rules.problems)) and rules or false
end

--- The proxy for a place.
---@param rules moonwire.proxy.Rules
---@param scheme "http"|"https"
---@param host string
---@param port integer
---@return moonwire.proxy.Proxy? proxy nil: none
---@return string? problem it can't be said
function options.choose(rules, scheme, host, port)
    local proxy, problem = rules[scheme], rules.problems and rules.problems[scheme]
    if not proxy and not problem or rules.exceptions and rules.exceptions:has(host, port)
        or rules.spares_local and no_proxy.is_local(host) then
        return nil
    end
    return proxy or nil, problem
end

return options
