-- The loopback server's pages that may be kept, as httpbin has them: for so long, or as long as
-- they stay the same. It keeps nothing itself.
local MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"

local kept = {}

--- The fields of /cache/N: it is fresh for so many seconds.
---@param seconds string
---@return table<string, string>
function kept.fresh(seconds)
    return { ["Cache-Control"] = "public, max-age=" .. seconds }
end

--- The fields of /cache, which never changes: whoever has it is told so.
---@param request moonwire.testing.Request
---@return table<string, string> fields
---@return boolean is_known to whoever asks
function kept.unchanged(request)
    local asked = request.headers
    return { ["Last-Modified"] = MODIFIED, ["ETag"] = '"moonwire"' },
        asked:has "If-Modified-Since" or asked:has "If-None-Match"
end

-- Whether a list of tags, or "*", has the tag among them; W/ counts for nothing.
local function has_tag(list, tag)
    if list:find "^%s*%*%s*$" then
        return true
    end
    for one in list:gmatch '"([^"]*)"' do
        if one == tag then
            return true
        end
    end
    return false
end

--- The fields of /etag/TAG, and what the request's If-None-Match and If-Match make of it.
---@param request moonwire.testing.Request
---@param tag string
---@return table<string, string> fields
---@return integer status 200, 304 or 412
function kept.tagged(request, tag)
    local none, some = request.headers:get "If-None-Match", request.headers:get "If-Match"
    local status = 200
    if some and not has_tag(some, tag) then
        status = 412
    elseif none and has_tag(none, tag) then
        status = 304
    end
    return { ["ETag"] = '"' .. tag .. '"' }, status
end

return kept
