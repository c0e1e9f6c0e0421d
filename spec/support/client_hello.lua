-- Reads a client's first message of TLS (RFC 8446, 4.1.2), which is one record.

local M = {}

--- The number in some bytes of a text.
---@param text string
---@param at integer
---@param bytes integer
---@return number
function M.number(text, at, bytes)
    local value = 0
    for i = at, at + bytes - 1 do
        value = value * 256 + text:byte(i)
    end
    return value
end

--- Its extensions by their number.
---@param text string what the client has sent
---@return table<integer, string>
function M.extensions(text)
    assert(text:byte(1) == 22 and text:byte(6) == 1, "no ClientHello")
    local at, number = 6 + 4 + 2 + 32, M.number
    at = at + 1 + text:byte(at) -- session
    at = at + 2 + number(text, at, 2) -- ciphers
    at = at + 1 + text:byte(at) -- compression
    local last, list = at + 1 + number(text, at, 2), {}
    at = at + 2
    while at < last do
        local length = number(text, at + 2, 2)
        list[number(text, at, 2)] = text:sub(at + 4, at + 3 + length)
        at = at + 4 + length
    end
    return list
end

return M
