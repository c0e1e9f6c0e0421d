-- proxy/tunnel.lua - has an http proxy connect to a place: CONNECT (RFC 9110 section 9.3.6). It
-- sends the proxy what is for the proxy, and nothing of the request that it is for.

local connections = require "moonwire.connection"
local refusal = require "moonwire.proxy.refusal"
local requests = require "moonwire.request"

local huge = math.huge
local REASON_MOST = 200 -- bytes of what it says that are worth repeating

local tunnel = {}

-- 401 is tinyproxy's word for a wrong password.
local WHO_ASKS = { [401] = true, [407] = true }

-- What to do about these.
local function advice(proxy, response)
    local schemes, offered = {}, false
    for _, challenge in ipairs(response.headers:get_all "proxy-authenticate") do
        schemes[#schemes + 1] = challenge:match "^%s*([%w-]+)"
        offered = offered or challenge:lower():find "%f[%w]basic%f[^%w-]" -- of several in one line
    end
    if #schemes > 0 and not offered then
        return (": it wants %s, and only Basic is spoken with proxies"):format(
            table.concat(schemes, " or "))
    elseif proxy.headers and proxy.headers:has "proxy-authorization" then
        return ": it doesn't take this user and password"
    end
    return (": it wants to know who asks; %s://user:password@... says that"):format(proxy.kind)
end

local function refused(proxy, target, response)
    local reason = (response.reason or ""):sub(1, REASON_MOST)
    return refusal.new(proxy, ("has not connected to %s: it answered %d%s%s"):format(target,
        response.status, reason ~= "" and " " .. reason or "",
        WHO_ASKS[response.status] and advice(proxy, response) or ""), { status = response.status })
end

--- Has the proxy at the other end of a stream connect to a place. When that fails the stream is
--- closed, with whatever the proxy sends to explain it.
---@param stream moonwire.Stream
---@param proxy moonwire.proxy.Proxy
---@param host string
---@param port integer
---@param deadline number
---@return moonwire.Stream? stream that leads there
---@return moonwire.Error? err kind "connect", "timeout" or "cancelled"
function tunnel.open(stream, proxy, host, port, deadline)
    local target = ("%s:%d"):format(host:find(":", 1, true) and "[" .. host .. "]" or host, port)
    local connection = connections.new(stream, { origin = proxy.label })
    local response, err = connection:request(requests.new {
        method = "CONNECT", target = target, headers = proxy.headers,
    }, { deadline = deadline, headers_timeout = huge, idle_timeout = huge })
    if not response then
        connection:close()
        return refusal.from(proxy, target, err)
    elseif response.status < 200 or response.status > 299 then
        connection:close()
        return refused(proxy, target, response)
    end
    stream = response:upgrade()
    local early, problem = stream:read_now(1)
    if early == "" then
        return stream
    end
    stream:close()
    if early then
        return refusal.new(proxy, ("sent bytes behind its answer to CONNECT %s, before %s can have"
            .. " said anything"):format(target, host))
    end
    return refusal.new(proxy, ("answered CONNECT %s, and ended the connection%s"):format(target,
        problem and ": " .. problem.message or ""))
end

return tunnel
