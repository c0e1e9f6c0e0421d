-- cache/policy.lua - the rules of a private cache (RFC 9111, and RFC 5861's stale-if-error): what
-- may be kept, for how long it may be used, and what a 304 makes of it. It keeps nothing itself,
-- and never asks what time it is.

local dates = require "moonwire.date"
local fields = require "moonwire.cache.fields"

local min, max, huge = math.min, math.max, math.huge

local HEURISTIC = 0.1 -- of the time since it was last modified (RFC 9111 section 4.2.2)
local HEURISTIC_MOST = 24 * 3600 -- seconds

-- May be kept without being asked to (RFC 9110 section 15.1); a part (206) never is.
local BY_DEFAULT = {
    [200] = true, [203] = true, [204] = true, [300] = true, [301] = true, [308] = true,
    [404] = true, [405] = true, [410] = true, [414] = true, [501] = true,
}
local NEVER = { [206] = true, [304] = true }

-- Of one connection, or for one reader; a cookie is set once.
local NOT_KEPT = {
    "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
    "upgrade", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization",
    "set-cookie", "set-cookie2",
}
-- What no Connection field takes away: it would be kept longer than its server wants, or misread.
local ALWAYS_KEPT = {
    ["cache-control"] = true, expires = true, date = true, age = true, vary = true, etag = true,
    ["last-modified"] = true, ["content-encoding"] = true, ["content-type"] = true,
    ["content-length"] = true,
}
-- Say what the stored body is, and no 304 changes that.
local OF_THE_BODY = {
    ["content-encoding"] = true, ["content-length"] = true, ["content-type"] = true,
    ["content-range"] = true, ["content-md5"] = true, ["content-digest"] = true,
    ["repr-digest"] = true, ["digest"] = true,
}

--- A response, as it is kept.
---@class moonwire.cache.Entry
---@field url string
---@field status integer
---@field reason string
---@field http_version string
---@field headers moonwire.core.Headers
---@field body string as it came
---@field asked number seconds since 1970: when its request went out, or that of the last 304
---@field answered number when its head, or the last 304, came
---@field rules moonwire.cache.Rules? what its headers say, once somebody has asked

---@class moonwire.cache.Rules
---@field lifetime number seconds for which it is fresh
---@field initial_age number seconds, when it came
---@field no_cache boolean
---@field must_revalidate boolean
---@field stale_if_error number seconds

--- What the Cache-Control of a request asks for.
---@class moonwire.cache.Wishes
---@field no_store boolean
---@field no_cache boolean
---@field only_if_cached boolean
---@field max_age number
---@field min_fresh number
---@field max_stale number
---@field stale_if_error number

local policy = {}

-- Seconds; what isn't a number is `otherwise`.
local function limit(text, absent, otherwise)
    if text == nil then
        return absent
    end
    return fields.seconds(text) or otherwise
end

---@param headers moonwire.core.Headers of the request
---@return moonwire.cache.Wishes
function policy.wishes(headers)
    local said = fields.directives(headers)
    local has_none = next(said) == nil
    local pragma = has_none and fields.said(headers, "pragma")
    return {
        no_store = said["no-store"] ~= nil,
        no_cache = said["no-cache"] ~= nil or pragma and pragma:lower():find("no-cache", 1, true)
            and true or false,
        only_if_cached = said["only-if-cached"] ~= nil,
        max_age = limit(said["max-age"], huge, 0),
        min_fresh = limit(said["min-fresh"], 0, huge),
        max_stale = said["max-stale"] == true and huge or limit(said["max-stale"], 0, 0),
        stale_if_error = limit(said["stale-if-error"], 0, 0),
    }
end

-- How long it is fresh (4.2.1): seconds, and whether the server says so.
local function lifetime_of(status, headers, said, date, answered)
    if said["max-age"] ~= nil then
        return fields.seconds(said["max-age"]) or 0, true
    end
    local expires = fields.date(headers, "expires", answered)
    if expires ~= nil then
        return expires and max(0, expires - date) or 0, true
    end
    local modified = fields.date(headers, "last-modified", answered)
    if modified and modified < date and (BY_DEFAULT[status] or said.public) then
        return min(HEURISTIC_MOST, HEURISTIC * (date - modified)), false
    end
    return 0, false
end

---@param entry moonwire.cache.Entry
---@return moonwire.cache.Rules
function policy.rules(entry)
    local rules = entry.rules
    if rules then
        return rules
    end
    local headers, asked, answered = entry.headers, entry.asked, entry.answered
    local said = fields.directives(headers)
    local date = fields.date(headers, "date", answered) or answered
    rules = {
        lifetime = lifetime_of(entry.status, headers, said, date, answered),
        initial_age = max(answered - date, fields.age(headers) + max(0, answered - asked)),
        no_cache = said["no-cache"] ~= nil,
        must_revalidate = said["must-revalidate"] ~= nil,
        stale_if_error = limit(said["stale-if-error"], 0, 0),
    }
    entry.rules = rules
    return rules
end

--- How old it is (4.2.3). A clock that was set back makes it as old as can be.
---@param entry moonwire.cache.Entry
---@param now number seconds since 1970
---@return number seconds
function policy.age(entry, now)
    if now < entry.answered then
        return huge
    end
    return policy.rules(entry).initial_age + (now - entry.answered)
end

--- Whether there is anything that a server can be asked by (4.3.1).
---@param entry moonwire.cache.Entry
---@return table<string, string>? conditions the headers for that
function policy.conditions(entry)
    local etag = fields.etag(entry.headers)
    local modified = fields.date(entry.headers, "last-modified", entry.answered)
        and entry.headers:get "last-modified" or nil
    if not etag and not modified then
        return nil
    end
    return { ["If-None-Match"] = etag, ["If-Modified-Since"] = modified }
end

--- Whether a response to GET may be kept, and is of use (3).
---@param entry moonwire.cache.Entry without its body as yet
---@return boolean
function policy.is_storable(entry)
    local status, headers = entry.status, entry.headers
    if status < 200 or NEVER[status] or not fields.vary(headers) then
        return false
    end
    local said = fields.directives(headers)
    if said["no-store"] and not (said["must-understand"] and BY_DEFAULT[status]) then
        return false
    end
    local asked_to = said["max-age"] or said.public or said.private or headers:has "expires"
    if not asked_to and not BY_DEFAULT[status] then
        return false
    end
    local rules = policy.rules(entry)
    return rules.lifetime > rules.initial_age and not rules.no_cache
        or policy.conditions(entry) ~= nil or rules.stale_if_error > 0
end

--- How an entry may be used (4.2): "hit"; "stale", by the request's max-stale; nil: its server has
--- to be asked.
---@param entry moonwire.cache.Entry
---@param wishes moonwire.cache.Wishes
---@param now number seconds since 1970
---@return "hit"|"stale"|nil
function policy.use(entry, wishes, now)
    local rules, age = policy.rules(entry), policy.age(entry, now)
    if rules.no_cache or wishes.no_cache or age > wishes.max_age or wishes.max_age == 0 then
        return nil
    end
    local left = rules.lifetime - age
    if left > 0 then
        return left >= wishes.min_fresh and "hit" or nil
    end
    local may_be_stale = wishes.min_fresh == 0 and not rules.must_revalidate
    return may_be_stale and -left <= wishes.max_stale and wishes.max_stale > 0 and "stale" or nil
end

--- Whether it may stand in for a server that fails (RFC 5861 section 4).
---@param entry moonwire.cache.Entry
---@param wishes moonwire.cache.Wishes
---@param now number seconds since 1970
---@return boolean
function policy.stands_in(entry, wishes, now)
    local rules = policy.rules(entry)
    if rules.no_cache or rules.must_revalidate or wishes.no_cache then
        return false
    end
    local allowed = max(rules.stale_if_error, wishes.stale_if_error)
    local age = policy.age(entry, now)
    return allowed > 0 and age <= wishes.max_age and age - rules.lifetime <= allowed
end

local function opaque(etag)
    return etag:match '"[^"]*"$'
end

--- Whether a 304, or the response to HEAD, is about this very entry (4.3.4).
---@param entry moonwire.cache.Entry
---@param head moonwire.core.Headers
---@return boolean
function policy.confirms(entry, head)
    if head:has "etag" then
        local theirs, ours = fields.etag(head), fields.etag(entry.headers)
        if not theirs or not ours then
            return false
        elseif theirs:byte() == 34 then -- a strong one: the very same bytes
            return theirs == ours
        end
        return opaque(theirs) == opaque(ours)
    end
    local modified = head:get "last-modified"
    return not modified or modified == entry.headers:get "last-modified"
end

--- Whether the response to HEAD is about what an entry has kept (4.3.5).
---@param entry moonwire.cache.Entry
---@param head moonwire.core.Headers
---@return boolean
function policy.head_confirms(entry, head)
    local length = head:get "content-length"
    local has_validator = head:has "etag" or head:has "last-modified"
    return has_validator and policy.confirms(entry, head)
        and (not length or length == (entry.headers:get "content-length" or tostring(#entry.body)))
end

--- A response's headers without what isn't kept (3.1).
---@param head moonwire.core.Headers
---@return moonwire.core.Headers a copy
function policy.kept_headers(head)
    local headers = head:copy()
    for _, line in ipairs(head:get_all "connection") do
        for name in line:gmatch "[^%s,]+" do
            if not ALWAYS_KEPT[name:lower()] then
                headers:remove(name)
            end
        end
    end
    for _, name in ipairs(NOT_KEPT) do
        headers:remove(name)
    end
    return headers
end

--- An entry out of a response's head; its body is still to come.
---@param url string
---@param response moonwire.Response
---@param asked number seconds since 1970
---@param answered number
---@return moonwire.cache.Entry
function policy.entry(url, response, asked, answered)
    local headers = policy.kept_headers(response.head)
    if not headers:has "date" then
        headers:add("Date", dates.format(answered)) -- RFC 9110 section 6.6.1
    end
    return {
        url = url, status = response.status, reason = response.reason or "",
        http_version = response.http_version, headers = headers, body = "", asked = asked,
        answered = answered,
    }
end

--- What an entry is after a 304, or a HEAD, that confirms it (3.2).
---@param entry moonwire.cache.Entry
---@param head moonwire.core.Headers
---@param asked number seconds since 1970
---@param answered number
---@return moonwire.cache.Entry a new one
function policy.updated(entry, head, asked, answered)
    local headers, news = entry.headers:copy(), policy.kept_headers(head)
    headers:remove "age"
    if not news:has "date" then
        news:add("Date", dates.format(answered))
    end
    for name in news:each() do
        if not OF_THE_BODY[name:lower()] then
            headers:remove(name)
        end
    end
    for name, value in news:each() do
        if not OF_THE_BODY[name:lower()] then
            headers:add(name, value)
        end
    end
    return {
        url = entry.url, status = entry.status, reason = entry.reason,
        http_version = entry.http_version, headers = headers, body = entry.body, asked = asked,
        answered = answered,
    }
end

return policy
