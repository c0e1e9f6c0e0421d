-- auth/digest.lua - the sums of Digest authentication (RFC 7616). It remembers no server and sends
-- nothing.

local core = require "moonwire.core"
local errors = require "moonwire.error"

local LONGEST = 8192 -- bytes of realm, nonce and opaque together that are sent back

-- Which is taken where a server offers several: the larger number.
local STRENGTH = { ["MD5"] = 1, ["SHA-256"] = 2, ["SHA-512-256"] = 3, ["SHA-512"] = 4 }

--- What a server has asked for, and how often it was answered.
---@class moonwire.auth.Digest
---@field hash string
---@field session boolean an algorithm that ends in -sess
---@field algorithm string? as the server writes it
---@field realm string
---@field nonce string
---@field opaque string?
---@field qop "auth"|"auth-int"|nil nil: a server of 1997
---@field userhash boolean
---@field stale boolean only the nonce was wrong
---@field cnonce string
---@field count integer
---@field secret string? the hash of user, realm and password
---@field strength integer

local digest = {}

local function hash(name, ...)
    return assert(core.digest(name, table.concat({ ... }, ":"))):finish()
end

local function quote(text)
    return '"' .. text:gsub('["\\]', "\\%0") .. '"'
end

-- Which quality of protection is used; false: the server offers none that is known here.
local function qop_of(text)
    if not text then
        return nil
    end
    local offered = {}
    for word in text:lower():gmatch "[^%s,]+" do
        offered[word] = true
    end
    return offered["auth"] and "auth" or offered["auth-int"] and "auth-int" or false
end

--- Whether a text of the server's can be sent back to it.
---@param text string
---@return boolean
function digest.is_sendable(text)
    return #text <= LONGEST and not text:find "[%z\1-\8\10-\31\127]"
end

-- What is made of a challenge; nil: it can't be answered.
local function read(params)
    local algorithm = (params.algorithm or "MD5"):upper()
    local name, session = algorithm:match "^(.-)(%-SESS)$"
    name = name or algorithm
    local qop = qop_of(params.qop)
    if not STRENGTH[name] or not params.realm or not params.nonce or qop == false
        or not digest.is_sendable(params.realm .. params.nonce .. (params.opaque or ""))
        or not core.digest(name) then
        return nil
    end
    return {
        hash = name, session = session ~= nil, algorithm = params.algorithm, realm = params.realm,
        nonce = params.nonce, opaque = params.opaque, qop = qop,
        userhash = (params.userhash or ""):lower() == "true",
        stale = (params.stale or ""):lower() == "true", cnonce = "", count = 0,
        strength = STRENGTH[name],
    }
end

--- The strongest of the challenges that can be answered.
---@param challenges moonwire.auth.Challenge[]
---@return moonwire.auth.Digest? asked
function digest.choose(challenges)
    local best
    for _, one in ipairs(challenges) do
        local asked = one.scheme == "digest" and read(one.params)
        if asked and (not best or asked.strength > best.strength) then
            best = asked
        end
    end
    if best then
        best.cnonce = core.random_bytes(16):gsub(".", function(byte)
            return ("%02x"):format(byte:byte())
        end)
    end
    return best
end

local function failure(message)
    return nil, errors.new { kind = "auth", phase = "write", message = message }
end

--- The hash of a request's body.
---@param name string
---@param body moonwire.Body?
---@return string? hash, moonwire.Error? err
function digest.of_body(name, body)
    local sum = assert(core.digest(name))
    if body and not body.rewindable then
        return failure("the server wants a hash of the body before it is sent (qop=auth-int), and"
            .. " this one can be read only once: give a string or body.file(path)")
    elseif body then
        local reader, err = body:open()
        if not reader then
            return nil, err
        end
        repeat
            local chunk
            chunk, err = reader:read()
            if chunk then
                sum:add(chunk)
            end
        until not chunk
        reader:close()
        if err then
            return nil, err
        end
    end
    return sum:finish()
end

-- H(A1): it stays the same as long as the challenge does (RFC 7616 section 3.4.2).
local function secret_of(asked, user, password)
    if not asked.secret then
        local secret = hash(asked.hash, user, asked.realm, password)
        if asked.session then
            secret = hash(asked.hash, secret, asked.nonce, asked.cnonce)
        end
        asked.secret = secret
    end
    return asked.secret
end

--- The next Authorization for what a server has asked for.
---@param asked moonwire.auth.Digest
---@param user string
---@param password string
---@param method string
---@param uri string as the request line says it
---@param body moonwire.Body?
---@return string? value, moonwire.Error? err
function digest.authorization(asked, user, password, method, uri, body)
    local action = hash(asked.hash, method, uri)
    if asked.qop == "auth-int" then
        local sum, err = digest.of_body(asked.hash, body)
        if not sum then
            return nil, err
        end
        action = hash(asked.hash, method, uri, sum)
    end
    local secret = secret_of(asked, user, password)
    asked.count = asked.count + 1
    local count = ("%08x"):format(asked.count)
    local response = asked.qop
        and hash(asked.hash, secret, asked.nonce, count, asked.cnonce, asked.qop, action)
        or hash(asked.hash, secret, asked.nonce, action)
    local name = asked.userhash and hash(asked.hash, user, asked.realm) or user
    local parts = {
        "username=" .. quote(name), "realm=" .. quote(asked.realm), "nonce=" .. quote(asked.nonce),
        "uri=" .. quote(uri), "response=" .. quote(response),
    }
    if asked.algorithm then
        parts[#parts + 1] = "algorithm=" .. asked.algorithm
    end
    if asked.qop or asked.session then
        parts[#parts + 1] = "cnonce=" .. quote(asked.cnonce)
    end
    if asked.qop then
        parts[#parts + 1] = "qop=" .. asked.qop
        parts[#parts + 1] = "nc=" .. count
    end
    if asked.opaque then
        parts[#parts + 1] = "opaque=" .. quote(asked.opaque)
    end
    if asked.userhash then
        parts[#parts + 1] = "userhash=true"
    end
    return "Digest " .. table.concat(parts, ", ")
end

return digest
