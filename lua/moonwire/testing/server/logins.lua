-- The loopback server's doors: paths that want to know who is asking, as httpbin's do. It checks
-- what it is told, keeps nothing, and opens nothing.
local base64 = require "moonwire.base64"
local challenges = require "moonwire.auth.challenge"
local core = require "moonwire.core"

local ALGORITHMS = {
    ["MD5"] = true, ["SHA-256"] = true, ["SHA-512-256"] = true, ["SHA-512"] = true,
}
local REALM = "moonwire"

local logins = {}

local function admit(respond, fields)
    fields.authenticated = true
    return respond(200, fields)
end

local function refuse(respond, challenge)
    return respond(401, { authenticated = false }, { ["WWW-Authenticate"] = challenge })
end

--- /basic-auth/USER/PASSWORD
---@param request moonwire.testing.Request
---@param respond moonwire.testing.Respond
---@param rest string of the path
function logins.basic(_, request, respond, rest)
    local user, password = rest:match "^([^/]*)/([^/]*)$"
    local given = (request.headers:get "Authorization" or ""):match "^[Bb]asic +(%S+)$"
    if user and given and base64.decode(given) == user .. ":" .. password then
        return admit(respond, { user = user })
    end
    return refuse(respond, 'Basic realm="' .. REALM .. '"')
end

--- /bearer: any token will do.
---@param request moonwire.testing.Request
---@param respond moonwire.testing.Respond
function logins.bearer(_, request, respond)
    local token = (request.headers:get "Authorization" or ""):match "^[Bb]earer +(%S+)$"
    if token then
        return admit(respond, { token = token })
    end
    return refuse(respond, "Bearer")
end

local function hash(name, ...)
    return core.digest(name, table.concat({ ... }, ":")):finish()
end

-- Whether what a client says of itself is right.
local function is_right(request, door, said)
    local params = said and said.scheme == "digest" and said.params
    if not params or params.username ~= door.user or params.realm ~= REALM
        or params.uri ~= request.target or params.qop ~= door.qop or not params.nonce
        or not params.nc or not params.cnonce then
        return false
    end
    local secret = hash(door.algorithm, door.user, REALM, door.password)
    local action = door.qop == "auth-int"
        and hash(door.algorithm, request.method, params.uri, hash(door.algorithm, request:text()))
        or hash(door.algorithm, request.method, params.uri)
    return params.response == hash(door.algorithm, secret, params.nonce, params.nc, params.cnonce,
        params.qop, action)
end

--- /digest-auth/QOP/USER/PASSWORD, and then /ALGORITHM if it isn't MD5. Any nonce will do.
---@param request moonwire.testing.Request
---@param respond moonwire.testing.Respond
---@param rest string of the path
function logins.digest(_, request, respond, rest)
    local qop, user, password, behind = rest:match "^(auth[-int]*)/([^/]*)/([^/]*)(.*)$"
    local algorithm = behind == "" and "MD5" or behind and behind:sub(2)
    if qop ~= "auth" and qop ~= "auth-int" or not ALGORITHMS[algorithm] then
        return respond(404, { error = "there is no such door" })
    end
    local door = { qop = qop, user = user, password = password, algorithm = algorithm }
    local said = challenges.list { request.headers:get "Authorization" or "" }
    if is_right(request, door, said[1]) then
        return admit(respond, { user = user })
    end
    local nonce = core.random_bytes(16):gsub(".", function(byte)
        return ("%02x"):format(byte:byte())
    end)
    return refuse(respond, ('Digest realm="%s", nonce="%s", qop="%s", algorithm=%s'):format(REALM,
        nonce, qop, algorithm))
end

return logins
