-- proxy/socks5.lua - has a SOCKS5 proxy connect to a place (RFC 1928; user and password: RFC 1929).
-- It reads not a byte more than the proxy's answers have, and looks no name up.

local addresses = require "moonwire.proxy.address"
local refusal = require "moonwire.proxy.refusal"

local VERSION, AUTH_VERSION, CONNECT = 5, 1, 1
local NO_LOGIN, LOGIN, NONE_FITS = 0, 2, 255
local IPV4, NAME, IPV6 = 1, 3, 4
local LENGTHS = { [IPV4] = 4, [IPV6] = 16 }

local REPLIES = {
    "general failure", "its rules don't allow that", "network unreachable", "host unreachable",
    "connection refused", "the time to live was over", "it doesn't know CONNECT",
    "it doesn't know this kind of address",
}

-- Another address of the same host may fare better.
local WORTH_ANOTHER = {
    [1] = true, [3] = true, [4] = true, [5] = true, [6] = true, [8] = true,
}

local socks5 = {}

---@class moonwire.proxy.Socks
---@field stream moonwire.Stream
---@field proxy moonwire.proxy.Proxy
---@field place string where to, for messages
---@field deadline number
local Socks = {}
Socks.__index = Socks

function Socks:refuse(what, ...)
    return refusal.new(self.proxy, ("has not connected to %s: "):format(self.place)
        .. what:format(...))
end

function Socks:send(...)
    local ok, err = self.stream:write({ ... }, self.deadline)
    if not ok then
        return refusal.from(self.proxy, self.place, err)
    end
    return true
end

-- So many bytes of its answer, as numbers.
function Socks:read(count)
    local bytes, err = self.stream:read_exactly(count, self.deadline)
    if bytes then
        return bytes:byte(1, count)
    end
    return refusal.from(self.proxy, self.place, err)
end

local function log_in(self)
    local user, password = self.proxy.user, self.proxy.password
    local ok, err = self:send(string.char(AUTH_VERSION, #user), user, string.char(#password),
        password)
    if not ok then
        return nil, err
    end
    local version, status = self:read(2)
    if not version then
        return nil, status
    elseif version ~= AUTH_VERSION then
        return self:refuse("what it answered to user and password is not of SOCKS5")
    elseif status ~= 0 then
        return self:refuse("it doesn't take this user and password")
    end
    return true
end

-- What both sides can do: to ask for nothing, or for a user and a password.
local function greet(self)
    local has_user = self.proxy.user ~= nil
    local ok, err = self:send(has_user and string.char(VERSION, 2, NO_LOGIN, LOGIN)
        or string.char(VERSION, 1, NO_LOGIN))
    if not ok then
        return nil, err
    end
    local version, method = self:read(2)
    if not version then
        return nil, method
    elseif version ~= VERSION then
        return self:refuse("what it answered is not of SOCKS5 (its first byte is %d)", version)
    elseif method == NO_LOGIN then
        return true
    elseif method == LOGIN and has_user then
        return log_in(self)
    elseif method == NONE_FITS then
        return self:refuse(has_user and "it takes neither a user and a password nor nobody"
            or "it wants to know who asks; %s://user:password@... says that", self.proxy.kind)
    end
    return self:refuse("it wants a way to log in that it wasn't offered (%d)", method)
end

local function place_bytes(host)
    local bytes = addresses.bytes(host)
    if bytes then
        return string.char(#bytes == 4 and IPV4 or IPV6) .. bytes
    end
    return string.char(NAME, #host) .. host
end

-- The address it connects from follows, which nobody needs.
local function read_reply(self)
    local version, reply, reserved, kind = self:read(4)
    if not version then
        return nil, reply
    elseif version ~= VERSION or reserved ~= 0 then
        return self:refuse("its reply is not of SOCKS5")
    elseif reply ~= 0 then
        local _, err = self:refuse("%s", REPLIES[reply] or "for a reason unknown, " .. reply)
        return nil, err, WORTH_ANOTHER[reply] or false
    end
    local length, problem = LENGTHS[kind], nil
    if kind == NAME then
        length, problem = self:read(1)
    elseif not length then
        return self:refuse("its reply has an address of an unknown kind, %d", kind)
    end
    if not length then
        return nil, problem
    end
    local first
    first, problem = self:read(length + 2) -- with the port
    if not first then
        return nil, problem
    end
    return true
end

local NAME_MOST = 255 -- bytes that a name has room for

--- Has the proxy at the other end of a stream connect to a place; bytes from there follow. When
--- that fails the stream is closed.
---@param stream moonwire.Stream
---@param proxy moonwire.proxy.Proxy
---@param host string a name, which the proxy looks up, or a numeric address
---@param port integer
---@param deadline number
---@return true? ok
---@return moonwire.Error? err kind "connect", "timeout" or "cancelled"
---@return boolean? again another address of the host may be tried
function socks5.open(stream, proxy, host, port, deadline)
    local self = setmetatable({
        stream = stream, proxy = proxy, deadline = deadline,
        place = ("%s:%d"):format(host:find(":", 1, true) and "[" .. host .. "]" or host, port),
    }, Socks)
    local ok, err, again
    if #host > NAME_MOST then
        ok, err = self:refuse("the name is too long for SOCKS5")
    else
        ok, err = greet(self)
    end
    if ok then
        ok, err = self:send(string.char(VERSION, CONNECT, 0), place_bytes(host),
            string.char(math.floor(port / 256), port % 256))
    end
    if ok then
        ok, err, again = read_reply(self)
    end
    if ok then
        return true
    end
    stream:close()
    return nil, err, again
end

return socks5
