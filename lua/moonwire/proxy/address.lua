-- proxy/address.lua - the bytes of a numeric address, as they stand in a packet. It asks nobody.

local core = require "moonwire.core"

local address = {}

-- The 16-bit numbers of "a:b:c", of which the last may be written like an IPv4 address.
local function groups_of(text)
    local groups = {}
    for word in text:gmatch "[^:]+" do
        local a, b, c, d = word:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
        if a then
            groups[#groups + 1] = a * 256 + b
            groups[#groups + 1] = c * 256 + d
        else
            groups[#groups + 1] = tonumber(word, 16)
        end
    end
    return groups
end

local function ipv6_bytes(text)
    local head, tail = text:match "^(.-)::(.*)$"
    local groups, rest = groups_of(head or text), groups_of(tail or "")
    for _ = 1, 8 - #groups - #rest do
        groups[#groups + 1] = 0
    end
    for _, group in ipairs(rest) do
        groups[#groups + 1] = group
    end
    local bytes = {}
    for i, group in ipairs(groups) do
        bytes[i] = string.char(math.floor(group / 256), group % 256)
    end
    return table.concat(bytes)
end

--- Bytes of a numeric address; those of an IPv4-mapped IPv6 address are the IPv4 address's. Where
--- it is (the zone behind a '%') doesn't count.
---@param text string
---@return string? bytes 4 or 16; nil: it is no numeric address
function address.bytes(text)
    local one, family = core.parse_address((text:gsub("%%.*$", "")))
    if family == "ipv4" then
        local a, b, c, d = one:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
        return string.char(a, b, c, d)
    elseif family == "ipv6" then
        return ipv6_bytes(one)
    end
end

return address
