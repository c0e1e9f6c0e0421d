-- client/redirect.lua - follows a response that leads on, as the policy allows: which method and
-- body go along, and which credentials do not. It never sends anything itself.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local events = require "moonwire.client.events"
local headers_of = require "moonwire.headers"
local requests = require "moonwire.request"
local secrets = require "moonwire.secrets"
local urls = require "moonwire.url"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local MOST = 10
local LEADS_ON = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

-- For the origin of the first request only (HTTP-RULES: with the certificate and the URL's user).
local CREDENTIALS = {
    "authorization", "cookie", "cookie2", "proxy-authorization", "www-authenticate",
}

---@class moonwire.RedirectOptions
---@field max integer? how many are followed: 10
---@field to_http boolean? follow from https to http as well: refused if not given
---@field keep_headers string[]? names of headers with credentials that go along to other origins

---@class moonwire.client.RedirectPolicy
---@field max integer
---@field to_http boolean
---@field keep table<string, boolean> by lower-case name

local KNOWN = { max = true, to_http = true, keep_headers = true }
local DEFAULT = { max = MOST, to_http = false, keep = {} }

local function check_max(name, value, level)
    if type(value) ~= "number" or value < 0 or value % 1 ~= 0 then
        errors.argument(level + 1, name, "whole number from 0", value)
    end
    return value
end

local function check_names(list, level)
    errors.check(level + 1, "redirect.keep_headers", "table", list)
    local keep = {}
    for _, name in ipairs(list) do
        errors.check(level + 1, "redirect.keep_headers", "string", name)
        keep[name:lower()] = true
    end
    return keep
end

local function check(value, level)
    if value == nil or value == true then
        return DEFAULT
    elseif value == false or value == 0 then
        return false
    elseif type(value) == "number" then
        return { max = check_max("redirect", value, level + 1), to_http = false, keep = {} }
    elseif type(value) ~= "table" then
        errors.argument(level + 1, "redirect", "boolean, number or table", value)
    end
    for name in each(value) do
        if not KNOWN[name] then
            error(("unknown option 'redirect.%s' (known: keep_headers max to_http)"):format(
                tostring(name)), level + 1)
        end
    end
    if value.to_http ~= nil then
        errors.check(level + 1, "redirect.to_http", "boolean", value.to_http)
    end
    local max = value.max == nil and MOST or check_max("redirect.max", value.max, level + 1)
    return max > 0 and {
        max = max, to_http = value.to_http or false,
        keep = value.keep_headers ~= nil and check_names(value.keep_headers, level + 1) or {},
    }
end

local function policy_of(settings, opts)
    if opts.redirect == nil then
        return settings.redirect
    end
    return check(opts.redirect, 1)
end

local redirect = { client_options = { redirect = check }, request_options = { redirect = check } }

local function fail(response, message)
    response:close()
    return nil, errors.new {
        kind = "redirect", phase = "headers", url = response.url, message = message,
        safe_to_retry = false,
    }
end

-- The one Location of a response: nil where there is none.
local function location_of(response)
    local all = response.head:get_all "location"
    for i = 2, #all do
        if all[i] ~= all[1] then
            return nil, "the server gives two different places to go to"
        end
    end
    return all[1]
end

-- Where it leads: an absolute URL, taken apart. Its fragment is nobody's business but a browser's.
local function target_of(request, location, policy)
    local text, problem = urls.resolve(request.url, location)
    local url
    if text then
        url, problem = urls.parse(text)
    end
    if not url then
        return nil, ("the server leads to %q: %s"):format(secrets.url(location), problem)
    elseif url.scheme == "http" and request.origin:find "^https:" and not policy.to_http then
        return nil, ("the server leads from https to %s; redirect = { to_http = true } goes there"):
            format(secrets.url(url.href))
    end
    return url
end

-- What method goes along (RFC 9110 section 15.4).
local function method_after(status, method)
    if status == 303 and method ~= "HEAD" and method ~= "GET"
        or (status == 301 or status == 302) and method == "POST" then
        return "GET"
    end
    return method
end

local function remove_content(headers)
    local names = {}
    for name in headers:each() do
        if name:lower():find "^content%-" then
            names[#names + 1] = name
        end
    end
    for _, name in ipairs(names) do
        headers:remove(name)
    end
end

local function remove_credentials(headers, policy)
    for _, name in ipairs(CREDENTIALS) do
        if not policy.keep[name] then
            headers:remove(name)
        end
    end
end

-- The request that comes next.
local function next_request(job, request, url, response, policy)
    local data = requests.data(request)
    local method = method_after(response.status, data.method)
    local body = data.body
    if method ~= data.method then
        body = nil
    elseif body and not (body.rewindable or response.held_back) then
        return nil, ("the server leads to %s with %d, and the request's body can't be sent a second"
            .. " time: give a string or body.file(path), or look at the response itself with"
            .. " redirect = false"):format(secrets.url(url.href), response.status)
    end
    local headers = headers_of.new(data.headers)
    headers:remove "host"
    if not body then
        remove_content(headers)
    end
    local target = url.href
    if url.origin ~= data.origin then
        job.left_origin = true
    elseif url.userinfo then
        headers:remove "authorization"
        target = target:gsub("//", "//" .. url.userinfo:gsub("%%", "%%%%") .. "@", 1)
    end
    if job.left_origin then
        remove_credentials(headers, policy)
    end
    return requests.new {
        method = method, url = target, headers = headers, body = body, expect = data.expect,
        close = data.close, trailers = data.trailers, upgrade = data.upgrade,
        decompress = data.decompress, -- the body has its coding already
    }
end

local function note(job, response, next_one)
    local trace = core.state.trace
    if trace then
        trace:note("following a redirect to %s", secrets.url(next_one.url))
    end
    local client = job.client
    client.redirected = client.redirected + 1
    if events.is_watched(client.supply) then
        events.emit(client.supply, "redirect", { response = response, request = next_one })
    end
end

--- Whether a response leads on and the policy goes along.
---@param settings moonwire.client.Settings
---@param opts table of the request
---@param response moonwire.Response
---@return boolean
function redirect.applies(settings, opts, response)
    return LEADS_ON[response.status] and policy_of(settings, opts) and response.head:has "location"
        or false
end

--- Goes where a response leads, and on from there.
---@param job moonwire.client.Job
---@param request moonwire.Request it answers that
---@param response moonwire.Response
---@param go moonwire.client.Go
---@return moonwire.Response? response, moonwire.Error? err
function redirect.follow(job, request, response, go)
    local policy = policy_of(job.settings, job.opts)
    local history, seen = {}, {}
    repeat
        local location, problem = location_of(response)
        if not location and not problem then
            break
        elseif #history >= policy.max then
            return fail(response, ("more than %d redirects, and this one leads to %q: redirect ="
                .. " { max = ... } follows more"):format(policy.max, secrets.url(location or "?")))
        end
        local url, next_one
        if location then
            url, problem = target_of(request, location, policy)
        end
        if url then
            next_one, problem = next_request(job, request, url, response, policy)
        end
        if not next_one then
            return fail(response, problem)
        end
        if response.head:has "set-cookie" and job.settings.cookies then
            seen = {} -- whoever was refused without a cookie may be let in with it
        else
            seen[request.method .. " " .. request.url] = true
        end
        if seen[next_one.method .. " " .. next_one.url] then
            return fail(response, ("the redirects go round in a circle: %s leads to %s again"):
                format(secrets.url(request.url), secrets.url(next_one.url)))
        end
        response:close()
        history[#history + 1] = response
        note(job, response, next_one)
        request = next_one
        local err
        response, err = go(job, request)
        if not response then
            return nil, err
        end
    until not LEADS_ON[response.status]
    if #history > 0 then
        response.history = history
    end
    return response
end

--- Following begins with a response: nothing has to come through here for it.
---@return boolean
function redirect.wants()
    return false
end

---@param job moonwire.client.Job
---@param request moonwire.Request
---@param go moonwire.client.Go
---@return moonwire.Response? response, moonwire.Error? err
function redirect.send(job, request, go)
    local response, err = go(job, request)
    if response and redirect.applies(job.settings, job.opts, response) then
        return redirect.follow(job, request, response, go)
    end
    return response, err
end

return redirect
