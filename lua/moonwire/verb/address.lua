-- verb/address.lua - what a person leaves out of a URL. It opens nothing, and checks nothing else.

local address = {}

-- Whether an authority is this machine's own.
local function is_here(authority)
    local host = authority:match "[^@]*$":lower()
    host = host:match "^(%[[%x:.]+%])" or host:match "^([^:]*)"
    return host == "localhost" or host:find "%.localhost$" ~= nil or host == "[::1]"
        or host:find "^127%.%d+%.%d+%.%d+$" ~= nil
end

--- A URL with its scheme: https, but http for this machine and for a unix socket. ":8080/x" is on
--- this machine, and so is "/x".
---@param text string
---@param is_local boolean it is reached by a unix socket
---@return string
function address.complete(text, is_local)
    if text:find "^%a[%w+.-]*://" then
        return text
    elseif text:find "^:%d" or text:find "^/" and not text:find "^//" then
        return "http://localhost" .. text
    end
    local rest = text:gsub("^//", "")
    local here = is_local or is_here(rest:match "^[^/?#]*")
    return (here and "http://" or "https://") .. rest
end

return address
