-- proxy/no_proxy.lua - the list of hosts that no proxy is asked for, as NO_PROXY has it. It never
-- looks a name up, so an address in the list is for URLs with that address only.

local addresses = require "moonwire.proxy.address"
local urls = require "moonwire.url"

local no_proxy = {}

---@class moonwire.proxy.Exceptions
---@field private all boolean
---@field private rules table[]
local methods = {}
local Exceptions = { __index = methods, __name = "moonwire.proxy.Exceptions" }

-- Whether the first bits of two addresses are equal.
local function same_network(one, other, bits)
    local whole = math.floor(bits / 8)
    if #one ~= #other or one:sub(1, whole) ~= other:sub(1, whole) then
        return false
    end
    local unit = 2 ^ (8 - bits % 8)
    return bits % 8 == 0
        or math.floor(one:byte(whole + 1) / unit) == math.floor(other:byte(whole + 1) / unit)
end

local function network_rule(word)
    local text, length = word:match "^(.-)/(%d+)$"
    local bytes = text and addresses.bytes(text)
    local bits = tonumber(length)
    if bytes and #bytes == 4 and text:find(":", 1, true) then
        bits = bits - 96 -- ::ffff:10.0.0.0/104
    end
    if not bytes or bits < 0 or bits > #bytes * 8 then
        return nil, ("'%s' is no network, such as 10.0.0.0/8 or fd00::/8"):format(word)
    end
    return { bytes = bytes, bits = bits }
end

-- "host:port", "[::1]:port", "[::1]" and a host alone; more than one colon is an IPv6 address.
local function split_port(word)
    local host, port = word:match "^%[(.*)%]:?(%d*)$"
    if not host and select(2, word:gsub(":", "")) == 1 then
        host, port = word:match "^(.*):(%d+)$"
    end
    return host or word, tonumber(port)
end

local function host_rule(word)
    local host, port = split_port(word)
    local bytes = addresses.bytes(host)
    if bytes then
        return { bytes = bytes, bits = #bytes * 8, port = port }
    end
    local below = host:match "^%*?%.(.+)$"
    local name = (below or host):gsub("%.$", "")
    if name:find "[\128-\255]" then -- as URLs have it: bücher.example is xn--bcher-kva.example
        local url = urls.parse("http://" .. name)
        name = url and url.host or ""
    end
    if name == "" or name:find "[*:%[%]%s]" then
        return nil, ("'%s' is none of: *, host, host:port, .domain, *.domain, address,"
            .. " network/bits"):format(word)
    end
    return { name = name, ending = "." .. name, itself = not below, port = port }
end

local function fits(rule, host, bytes, port)
    if rule.port and rule.port ~= port then
        return false
    elseif rule.bytes then
        return bytes ~= nil and same_network(bytes, rule.bytes, rule.bits)
    end -- nothing is below an address
    return not bytes and (rule.itself and host == rule.name
        or host:sub(-#rule.ending) == rule.ending)
end

local function normal(host)
    return (host:lower():gsub("%.$", ""))
end

--- Whether a host is in the list.
---@param host string a name, or a numeric address without brackets; its zone doesn't count
---@param port integer
---@return boolean
function methods:has(host, port)
    if self.all then
        return true
    end
    host = normal(host)
    local bytes = addresses.bytes(host)
    for _, rule in ipairs(self.rules) do
        if fits(rule, host, bytes, port) then
            return true
        end
    end
    return false
end

--- Whether a host is this machine by its name: localhost, and what is below that, 127.0.0.0/8, ::1.
---@param host string
---@return boolean
function no_proxy.is_local(host)
    local bytes = addresses.bytes(host)
    if bytes then
        return #bytes == 4 and bytes:byte() == 127 or bytes == ("\0"):rep(15) .. "\1"
    end
    return ("." .. normal(host)):find "%.localhost$" ~= nil
end

--- Reads a list, "example.com, .internal, 10.0.0.0/8, host:8080": "*" is every host, "a.b" that
--- host and all below it, ".a.b" and "*.a.b" only those below it.
---@param text string
---@return moonwire.proxy.Exceptions exceptions without what can't be understood
---@return string? problem what that is, the first of it
function no_proxy.parse(text)
    local self = setmetatable({ all = false, rules = {} }, Exceptions)
    local first_problem
    for part in text:gmatch "[^,]+" do
        local word = part:match "^%s*(.-)%s*$":lower()
        if word == "*" then
            self.all = true
        elseif word ~= "" then
            local rule, problem = (word:find("/", 1, true) and network_rule or host_rule)(word)
            self.rules[#self.rules + 1] = rule
            first_problem = first_problem or problem
        end
    end
    return self, first_problem
end

return no_proxy
