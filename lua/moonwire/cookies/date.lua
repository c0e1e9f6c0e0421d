-- cookies/date.lua - the dates in Set-Cookie fields, as loose as servers write them (RFC 6265
-- section 5.1.1). It knows no time zone but UTC.

local dates = require "moonwire.date"

local date = {}

local MONTHS = {}
for i, name in ipairs { "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov",
    "dec" } do
    MONTHS[name] = i
end
-- The parts of a date in whatever order they come; each is taken once.
local function read(text)
    local hour, minute, second, day, month, year
    for token in text:gmatch "[^\t -/;-@[-`{-~]+" do
        local h, m, s = token:match "^(%d%d?):(%d%d?):(%d%d?)%f[%D]"
        local short, long = token:match "^(%d%d?)%f[%D]", token:match "^(%d%d%d?%d?)%f[%D]"
        if not hour and h then
            hour, minute, second = tonumber(h), tonumber(m), tonumber(s)
        elseif not day and short then
            day = tonumber(short)
        elseif not month and MONTHS[token:sub(1, 3):lower()] then
            month = MONTHS[token:sub(1, 3):lower()]
        elseif not year and long then
            year = tonumber(long)
        end
    end
    return hour, minute, second, day, month, year
end

--- Reads a date.
---@param text string "Wed, 21 Oct 2015 07:28:00 GMT", or what a server has made of that
---@return integer? seconds since 1970; nil: it is no date
function date.parse(text)
    local hour, minute, second, day, month, year = read(text)
    if not (hour and day and month and year) then
        return nil
    elseif year < 70 then
        year = year + 2000
    elseif year < 100 then
        year = year + 1900
    end
    if second > 59 or year < 1601 then
        return nil
    end
    return dates.seconds(year, month, day, hour, minute, second)
end

return date
