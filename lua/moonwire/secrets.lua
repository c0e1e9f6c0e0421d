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

--- Whether a header's value is a secret.
---@param name string in any case
---@return boolean
function secrets.is_header(name)
    return HEADERS[name:lower()] or false
end

--- A header's value, or what stands in its place.
---@param name string
---@param value string
---@return string
function secrets.shown(name, value)
    return HEADERS[name:lower()] and secrets.REDACTED or value
end

return secrets
