-- Writes what the fuzz targets begin with, made of the golden traces, and packed bodies:
--     luajit seeds.lua FOLDER

package.path = "./?.lua;" .. package.path
package.loaded["moonwire.core"] = {} -- the traces are read here, not replayed
local trace_of = require "spec.support.trace"

local THEN = "\255\1" -- FUZZ_THEN of player.h
local LARGEST = 8000

-- The request kinds of player.c.
local KINDS = { GET = 0, HEAD = 1, POST = 2, CONNECT = 3, close = 4, upgrade = 5 }

local function write(folder, name, ...)
    os.execute(("mkdir -p '%s'"):format(folder))
    local file = assert(io.open(folder .. "/" .. name, "wb"))
    file:write(...)
    file:close()
end

local function first_of(trace)
    local words = trace.requests[1] or {}
    for i = 3, #words do
        local kind = words[i]:match "^%l+"
        if kind == "close" or kind == "upgrade" then
            return KINDS[kind]
        end
    end
    return KINDS[words[1]] or 0
end

-- A few bytes of text, packed. The numbers are those of enum mw_coding_kind; 16: that in the next
-- two bits as well.
local CODED = {
    { 0, "1f8b0800000000000003cbcdcfcf2bcf2c4a55c81d65d0920100f068885868010000" },
    { 1, "789ccbcdcfcf2bcf2c4a55c81d65d0920100b52c8e81" },
    { 1, "cbcdcfcf2bcf2c4a55c81d65d0920100" },
    { 2, "1367010024404a10c68af104937606" },
    { 3, "28b52ffd0458850000486d6f6f6e776972652001005c54cb11896b3985" },
    { 16 + 2 * 4, "030e801f8b0800000000000003cbcdcfcf2bcf2c4a5500002e15a3740900000003" },
}

local function bytes_of(hex)
    return (hex:gsub("%x%x", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

local folder = arg[1]
for number, coded in ipairs(CODED) do
    local cuts, bytes = string.char(3, 5, 7, 2, 40), bytes_of(coded[2])
    write(folder .. "/coding", "once" .. number, string.char(coded[1]), cuts, bytes)
    write(folder .. "/coding", "twice" .. number, string.char(coded[1] + 32), cuts, bytes, bytes)
end
for number, path in ipairs(trace_of.files()) do
    local trace = trace_of.read(path)
    local name = path:match "([^/]+)%.txt$"
    local bytes = table.concat(trace.segments, THEN)
    local choice = first_of(trace) + (trace.eof and 16 or 0) + (trace.compat.obs_fold and 64 or 0)
    if #bytes <= LARGEST then
        local cuts = string.char(3, 1 + number % 40, 7, 2)
        local max = string.char(number % 256)
        write(folder .. "/" .. trace.role, name, string.char(choice), cuts, max, bytes)
        local role = trace.role == "server" and 128 or 0
        write(folder .. "/split", name, string.char(choice + role), cuts, max, bytes)
        write(folder .. "/split", name .. "-low", string.char(choice + role + 32), cuts, max, bytes)
        write(folder .. "/pair", name, cuts, max, bytes)
    end
end
