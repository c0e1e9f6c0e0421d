-- client/cache.lua - the layer that answers requests out of a client's cache, asks servers whether
-- what is there is still right, and keeps what they send. The rules are cache/policy.lua's.

local caches = require "moonwire.cache"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local headers_of = require "moonwire.headers"
local made = require "moonwire.response.made"
local policy = require "moonwire.cache.policy"
local requests = require "moonwire.request"
local secrets = require "moonwire.secrets"
local tap = require "moonwire.response.tap"
local urls = require "moonwire.url"

local SAFE = { GET = true, HEAD = true, OPTIONS = true, TRACE = true, QUERY = true }
-- The script asks the server about something of its own.
local CONDITIONS = {
    "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range",
}
-- It may be another server that answers.
local OTHER_WAYS = { "unix_socket", "resolve", "local_address", "tls" }
local FAILED = { [500] = true, [502] = true, [503] = true, [504] = true }
local FAILURES = {
    resolve = true, connect = true, tls = true, timeout = true, protocol = true, closed = true,
}

local function check_cache(value, level)
    if value == nil or value == false then
        return false
    elseif value == true then
        return caches.memory()
    elseif not caches.is(value) then
        errors.argument(level + 1, "cache", "boolean or cache of moonwire.cache", value)
    end
    return value
end

local function check_off(value, level)
    if value ~= false then
        errors.argument(level + 1, "cache", "false: a cache is a client's,", value)
    end
    return value
end

local layer = { client_options = { cache = check_cache }, request_options = { cache = check_off } }

--- Whether a client has a cache.
---@param opts table
---@return boolean
function layer.wants(opts)
    return opts.cache and true or false
end

-- One request on its way through here.
---@class moonwire.client.CacheCall
---@field job moonwire.client.Job
---@field cache moonwire.Cache
---@field request moonwire.Request
---@field data table its fields
---@field wishes moonwire.cache.Wishes
---@field entry moonwire.cache.Entry? what is there for it
---@field ticket moonwire.cache.Ticket?
---@field asked number seconds since 1970: when the server was

local function note(what, request)
    local trace = core.state.trace
    if trace then
        trace:note("%s %s: %s", request.method, secrets.url(request.url), what)
    end
end

-- Whether a request is the cache's business at all.
local function is_plain(data, opts, wishes)
    local headers = data.headers
    for _, name in ipairs(OTHER_WAYS) do
        if opts[name] ~= nil then
            return false
        end
    end
    if data.method ~= "GET" and data.method ~= "HEAD" or data.body or data.upgrade
        or wishes.no_store then
        return false
    end
    for _, name in ipairs(CONDITIONS) do
        if headers:has(name) then
            return false
        end
    end
    -- Digest says something else each time; a Host of its own makes it another URL
    local who = headers:get "authorization"
    return not (who and who:find "^[Dd][Ii][Gg][Ee][Ss][Tt]%s")
        and headers:get "host" == data.url:match "^%a+://([^/?#]*)"
end

local function made_response(call, parts)
    local opts, settings = call.job.opts, call.job.settings
    parts.request, parts.max_body = call.request, opts.max_body or settings.max_body
    local text = parts.body
    if text and parts.max_body and #text > parts.max_body then
        local is_given = false
        parts.length = #text
        parts.body = function()
            if not is_given then
                is_given = true
                return text
            end
        end
    end
    return made.new(call.job.backend, parts)
end

-- A response out of the cache.
local function serve(call, entry, how, more)
    local headers = entry.headers:copy()
    local age = policy.age(entry, call.job.backend:wall())
    headers:set("Age", ("%d"):format(math.min(age, 2 ^ 31)))
    for _, line in ipairs(more or {}) do
        headers:add("Set-Cookie", line)
    end
    local response = made_response(call, {
        status = entry.status, reason = entry.reason, http_version = entry.http_version,
        headers = headers, body = call.data.method ~= "HEAD" and entry.body or nil,
    })
    response.from_cache = how
    call.cache:note(how == "revalidated" and how or "hits")
    if how == "stale" then
        call.cache:note "stale"
    end
    note(("from the cache (%s, %d s old)"):format(how, math.min(age, 2 ^ 31)), call.request)
    return response
end

-- Keeps the body as its reader reads it; in the cache it is only once it is whole.
local function keep_when_read(call, entry, response)
    local head, cache, ticket = response.head, call.cache, call.ticket
    local length = tonumber(head:get "content-length" or "")
    local has_end = length or head:has "transfer-encoding" or response.status == 204
    if not has_end or length and length > cache.max_entry then
        return
    end
    local pieces, size, headers = {}, 0, call.data.headers
    tap.on(response, function(bytes)
        size = size + #bytes
        if size > cache.max_entry then
            pieces = nil
        elseif pieces then
            pieces[#pieces + 1] = bytes
        end
    end, function(problem)
        if pieces and not problem and not ticket.void and (not length or length == size) then
            entry.body = table.concat(pieces)
            cache:keep(entry, headers)
        end
        pieces = nil
    end)
end

-- What the response to HEAD tells about what is there.
local function learn_from_head(call, response, answered)
    local entry, cache = call.entry, call.cache
    if not entry or response.status >= 500 or call.ticket.void then
        return
    end
    if response.status == 200 and policy.head_confirms(entry, response.head) then
        local updated = policy.updated(entry, response.head, call.asked, answered)
        if policy.is_storable(updated) then
            cache:keep(updated, call.data.headers)
            return
        end
    end
    cache:drop(call.data.url, call.data.headers)
end

-- The server has sent something new.
local function take(call, response, answered)
    call.cache:note "misses"
    if call.data.method == "HEAD" then
        learn_from_head(call, response, answered)
        return response
    end
    local entry = policy.entry(call.data.url, response, call.asked, answered)
    if policy.is_storable(entry) then
        keep_when_read(call, entry, response)
    elseif call.entry and response.status < 500 then
        call.cache:drop(call.data.url, call.data.headers)
    end
    return response
end

-- The server says that what is there is still right; nil: it means something else.
local function confirm(call, response, answered)
    local entry, head = call.entry, response.head
    local headers = call.data.headers
    response:close()
    if not policy.confirms(entry, head) then
        note("the 304 is about another response: asking again", call.request)
        call.cache:drop(entry.url, headers)
        return nil
    end
    local updated = policy.updated(entry, head, call.asked, answered)
    if not call.ticket.void then
        if policy.is_storable(updated) then
            call.cache:keep(updated, headers)
        else
            call.cache:drop(entry.url, headers)
        end
    end
    return serve(call, updated, "revalidated", head:get_all "set-cookie")
end

local function ask(call, request, go)
    call.ticket = call.cache:ticket(call.data.url)
    call.asked = call.job.backend:wall()
    local response, err = go(call.job, request)
    return response, err, call.job.backend:wall()
end

-- Asks the server, and takes what it says, or what is there where it fails and may be stood in for.
local function fetch(call, go)
    local entry, request = call.entry, call.request
    local conditions = entry and policy.conditions(entry)
    local response, err, answered = ask(call, conditions and request:with { headers = conditions }
        or request, go)
    if response and response.status == 304 and conditions then
        local served = confirm(call, response, answered)
        if served then
            return served
        end
        call.entry, entry = nil, nil
        response, err, answered = ask(call, request, go)
    end
    local has_failed = not response and FAILURES[err.kind] or response and FAILED[response.status]
    if entry and has_failed and policy.stands_in(entry, call.wishes, answered) then
        if response then
            response:close()
        end
        return serve(call, entry, "stale")
    elseif not response then
        return nil, err
    end
    return take(call, response, answered)
end

-- A request that changes something: what was kept of it isn't right any more (4.4).
local function send_unsafe(cache, data, job, request, go)
    local response, err = go(job, request)
    if not response or response.status >= 400 then
        return response, err
    end
    cache:invalidate(data.url)
    for _, name in ipairs { "location", "content-location" } do
        local place = response.head:get(name)
        local text = place and urls.resolve(data.url, place)
        local url = text and urls.parse(text)
        if url and url.origin == data.origin then
            cache:invalidate(url.href)
        end
    end
    return response
end

---@param job moonwire.client.Job
---@param request moonwire.Request
---@param go moonwire.client.Go
---@return moonwire.Response? response, moonwire.Error? err
function layer.send(job, request, go)
    local cache = job.settings.cache
    if not cache then
        return go(job, request)
    end
    local data = requests.data(request)
    if not SAFE[data.method] then
        return send_unsafe(cache, data, job, request, go)
    end
    local wishes = policy.wishes(data.headers)
    if job.opts.cache == false or not is_plain(data, job.opts, wishes) then
        return go(job, request)
    end
    local call = {
        job = job, cache = cache, request = request, data = data, wishes = wishes,
        entry = cache:find(data.url, data.headers), asked = 0,
    }
    local how = call.entry and policy.use(call.entry, wishes, job.backend:wall())
    if how then
        return serve(call, call.entry, how)
    elseif wishes.only_if_cached then
        return made_response(call, {
            status = 504, reason = "Gateway Timeout", headers = headers_of.new(), body = "",
        })
    end
    return fetch(call, go)
end

return layer
