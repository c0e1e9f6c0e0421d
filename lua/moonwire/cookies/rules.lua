-- cookies/rules.lua - whom a cookie may be for: hosts and what is below them, paths, and what a
-- name promises (RFC 6265bis). It keeps nothing.

local suffixes = require "moonwire.cookies.suffixes"
local urls = require "moonwire.url"

local rules = {}

local function is_name(host)
    return not host:find(":", 1, true) and not host:find "^[%d.]+$"
end

local function is_registered(host)
    return is_name(host) and suffixes.registered(host) ~= nil
end

--- Cookies that could ever be sent together have the same site.
---@param host string
---@return string
function rules.site(host)
    return is_name(host) and suffixes.registered(host) or host
end

--- Whether a host is a name below a domain; no address is below anything.
---@param host string
---@param domain string
---@return boolean
function rules.is_below(host, domain)
    return #host > #domain and host:sub(-#domain - 1) == "." .. domain and is_name(host)
end

--- Whether a cookie is for a host.
---@param cookie moonwire.Cookie
---@param host string
---@return boolean
function rules.is_for(cookie, host)
    return cookie.domain == host or not cookie.host_only and rules.is_below(host, cookie.domain)
end

--- Whether a path is a cookie's own or below that.
---@param path string
---@param own string
---@return boolean
function rules.path_matches(path, own)
    return path == own or path:sub(1, #own) == own
        and (own:sub(-1) == "/" or path:byte(#own + 1) == 47)
end

--- A domain or address in the one way of writing it.
---@param domain string
---@return string? domain nil: it is none
function rules.canonical(domain)
    domain = domain:gsub("^%.", "")
    if domain:find "^[%x.]*:[%x:.]*%%?[%w%-._~]*$" then
        domain = "[" .. domain:gsub("%%", "%%25") .. "]"
    elseif not domain:find "^[%w%-_.\128-\255]+$" then
        return nil
    end
    local parts = urls.parse("http://" .. domain)
    return parts and parts.peer
end

--- Whom a cookie that a host sets is sent to.
---@param host string
---@param wanted string? its Domain attribute
---@return string? domain
---@return boolean|string host_only whether it is that host alone; or why it is nobody
function rules.reach(host, wanted)
    if not wanted then
        return host, true
    end
    local domain = rules.canonical(wanted)
    if domain == host then
        return host, not is_registered(host)
    elseif not domain or not rules.is_below(host, domain) then
        return nil, "its domain isn't that of the host"
    elseif not is_registered(domain) then
        return nil, "its domain is a public suffix"
    end
    return domain, false
end

--- Whether all that is below a domain may be sent its cookies.
---@param domain string
---@return boolean
function rules.may_be_wide(domain)
    return is_registered(domain)
end

--- Whether a cookie isn't what its name promises to whoever reads it.
---@param cookie moonwire.Cookie
---@param wanted_domain string? its Domain attribute
---@param wanted_path string? its Path attribute
---@return boolean
function rules.breaks_promise(cookie, wanted_domain, wanted_path)
    local name = cookie.name:lower()
    if name:find "^__host%-" then
        return not (cookie.secure and cookie.host_only and not wanted_domain
            and wanted_path == "/")
    end
    return name:find "^__secure%-" ~= nil and not cookie.secure
end

return rules
