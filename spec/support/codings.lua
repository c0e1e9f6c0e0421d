-- codings.lua - bytes with content codings for specs.

local core = require "moonwire.core"

local M = {}

M.NAMES = { "gzip", "deflate", "br", "zstd" }

-- What comes out of a coding that is fed `pieces`.
local function run(coding, pieces)
    local out, left = {}, 1
    while true do
        local event, data = coding:next()
        if event == "data" then
            out[#out + 1] = data
        elseif event == "need_data" and pieces[left] then
            coding:feed(pieces[left])
            left = left + 1
        elseif event == "need_data" then
            coding:feed_eof()
        elseif event == "end" then
            coding:close()
            return table.concat(out)
        else
            error(core.error_text(data), 0)
        end
    end
end

--- Packs a string.
---@param name string
---@param text string
---@return string
function M.encode(name, text)
    return run(core.encoder(name), { text })
end

--- Unpacks a string; raises on failure.
---@param names string[] in the order in which they were put on
---@param text string
---@return string
function M.decode(names, text)
    return run(core.decoder(unpack(names)), { text })
end

--- Packs a piece so many times, and then another, without ever having them side by side.
---@param name string
---@param piece string
---@param times integer
---@param other string?
---@param more integer?
---@return string
function M.bomb(name, piece, times, other, more)
    local pieces = {}
    for i = 1, times do
        pieces[i] = piece
    end
    for _ = 1, more or 0 do
        pieces[#pieces + 1] = other
    end
    return run(core.encoder(name), pieces)
end

--- Bytes that can't be packed, the same ones each time.
---@param size integer
---@return string
function M.noise(size)
    local bytes, state = {}, 7
    for i = 1, size do
        state = (state * 1103515245 + 12345) % 2147483648
        bytes[i] = string.char(math.floor(state / 65536) % 256)
    end
    return table.concat(bytes)
end

return M
