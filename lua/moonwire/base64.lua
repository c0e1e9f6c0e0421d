-- base64.lua - bytes as text and back (RFC 4648 section 4). For what is short, or rare.

local base64 = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local values = {}
for index = 1, #ALPHABET do
    values[ALPHABET:byte(index)] = index - 1
end

---@param text string
---@return string
function base64.encode(text)
    local out = {}
    for from = 1, #text, 3 do
        local a, b, c = text:byte(from, from + 2)
        local bits = a * 65536 + (b or 0) * 256 + (c or 0)
        for shift = 18, 0, -6 do
            local index = math.floor(bits / 2 ^ shift) % 64 + 1
            out[#out + 1] = ALPHABET:sub(index, index)
        end
    end
    local text64 = table.concat(out)
    local padding = (3 - #text % 3) % 3
    return text64:sub(1, #text64 - padding) .. ("="):rep(padding)
end

--- Takes the padded form only, without line breaks.
---@param text string
---@return string? bytes nil: it is no base64
function base64.decode(text)
    local digits = text:match "^([%w+/]*)=?=?$"
    if not digits or #text % 4 ~= 0 then
        return nil
    end
    local out = {}
    for from = 1, #digits, 4 do
        local bits, count = 0, 0
        for at = from, from + 3 do
            local value = values[digits:byte(at)]
            bits, count = bits * 64 + (value or 0), count + (value and 1 or 0)
        end
        local bytes = string.char(math.floor(bits / 65536), math.floor(bits / 256) % 256,
            bits % 256)
        out[#out + 1] = bytes:sub(1, count - 1)
    end
    return table.concat(out)
end

return base64
