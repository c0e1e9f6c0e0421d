-- secrets.lua - which parts of an exchange are nobody's business: left out of transcripts and
-- recordings. It changes nothing itself.

local secrets = {}

--- What stands in their place.
secrets.REDACTED = "<redacted>"

local HEADERS = {
    ["authorization"] = true, ["authentication-info"] = true, ["cookie"] = true, ["cookie2"] = true,
    ["proxy-authorization"] = true, ["proxy-authentication-info"] = true, ["set-cookie"] = true,
    ["set-cookie2"] = true,
}

local URLS = { ["location"] = true, ["content-location"] = true, ["referer"] = true }

-- Names in a query whose values are secrets, mostly.
local QUERY = {
    access_token = true, api_key = true, apikey = true, client_secret = true, code = true,
    key = true, password = true, refresh_token = true, secret = true, sig = true, signature = true,
    token = true, ["x-amz-credential"] = true, ["x-amz-security-token"] = true,
    ["x-amz-signature"] = true,
}

--- Whether a field of a query is a secret, mostly.
---@param name string decoded, in any case
---@return boolean
function secrets.is_query(name)
    return QUERY[name:lower()] or false
end

local function unescape(hex)
    return string.char(tonumber(hex, 16))
end

--- A URL without user and password, and without the values of a query's fields that are secrets.
---@param url string
---@param more table<string, boolean>? further names, in lower case
---@return string
function secrets.url(url, more)
    url = url:gsub("^(%a[%w+.-]*://)[^/?#]*@", "%1")
    local before, query = url:match "^([^?]*)%?(.*)$"
    if not before then
        return url
    end
    query = query:gsub("([^&=]+)=([^&]*)", function(name, value)
        local plain = name:gsub("%%(%x%x)", unescape):lower()
        return name .. "=" .. ((QUERY[plain] or more and more[plain]) and "redacted" or value)
    end)
    return before .. "?" .. query
end

--- A request line without the secrets of its target.
---@param line string
---@return string
function secrets.line(line)
    local before, target, after = line:match "^(%S+ )(%S+)( .*)$"
    return before and before .. secrets.url(target) .. after or line
end

--- Whether a header's value is a secret.
---@param name string in any case
---@return boolean
function secrets.is_header(name)
    return HEADERS[name:lower()] or false
end

--- A header's value, or what stands in its place; of a URL all but its secrets.
---@param name string
---@param value string
---@return string
function secrets.shown(name, value)
    if HEADERS[name:lower()] then
        return secrets.REDACTED
    elseif URLS[name:lower()] then
        return secrets.url(value)
    end
    return value
end

return secrets
