-- resty/proxy.lua - which proxy a connection goes through, if any. It never connects.

local dial_options = require "moonwire.dial.options"
local say = require "moonwire.resty.say"
local urls = require "moonwire.url"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local proxy = {}

---@class moonwire.resty.ProxyOptions
---@field http_proxy string? URI of the proxy for http
---@field http_proxy_authorization string? a Proxy-Authorization for it, unless the request has one
---@field https_proxy string? URI of the proxy for https, which is reached through CONNECT
---@field https_proxy_authorization string? a Proxy-Authorization for that
---@field no_proxy string? hosts and their subdomains without one: "example.com, .internal", "*"

local KNOWN = {
    http_proxy = true, http_proxy_authorization = true, https_proxy = true,
    https_proxy_authorization = true, no_proxy = true,
}

--- Raises unless options are what set_proxy_options takes.
---@param opts table
---@param level integer whose fault it is: 1 the caller
function proxy.check(opts, level)
    if type(opts) ~= "table" then
        error(("bad argument 'proxy_opts' (table expected, got %s)"):format(type(opts)), level + 1)
    end
    for name, value in each(opts) do
        if not KNOWN[name] then
            error(("bad argument 'proxy_opts' (unknown option %q)"):format(tostring(name)),
                level + 1)
        elseif type(value) ~= "string" then
            error(("bad argument 'proxy_opts.%s' (string expected, got %s)"):format(name,
                type(value)), level + 1)
        end
    end
end

-- Whether a host is in the list, or below a domain that is. Nothing is below an address.
local function is_excluded(host, list)
    host = host:lower()
    local has_domain = not dial_options.numeric(host)
    for word in (list or ""):lower():gmatch "[^%s,]+" do
        local domain = word:gsub("^%*?%.", "")
        if word == "*" or host == word or host == domain then
            return true
        elseif has_domain and host:sub(-#domain - 1) == "." .. domain then
            return true
        end
    end
    return false
end

--- The proxy for a host.
---@param opts moonwire.resty.ProxyOptions|false|nil
---@param scheme string
---@param host string
---@return {host: string, port: integer, authorization: string?}|false|nil proxy false: none
---@return string? problem
---@return moonwire.Error? err
function proxy.choose(opts, scheme, host)
    local uri = opts and opts[scheme .. "_proxy"]
    if not uri or is_excluded(host, opts.no_proxy) then
        return false
    end
    local url, problem = urls.parse(uri)
    if not url then
        return say.refusal(("bad %s_proxy: %s"):format(scheme, problem))
    elseif url.scheme ~= "http" then
        return say.refusal(("bad %s_proxy: proxies are spoken to by http:// only"):format(scheme))
    elseif url.userinfo then
        return say.refusal(("bad %s_proxy: give its password as %s_proxy_authorization"):format(
            scheme, scheme))
    end
    return {
        host = url.peer, port = url.port, authorization = opts[scheme .. "_proxy_authorization"],
    }
end

return proxy
