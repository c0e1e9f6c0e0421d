-- date.lua - the dates of HTTP, to and from seconds since 1970. It never asks what time it is.

local date = {}

local MONTHS = {
    Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10,
    Nov = 11, Dec = 12,
}
local LENGTHS = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
local PATTERNS = {
    "^%a%a%a, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$", -- IMF-fixdate
    "^%a+, (%d%d)%-(%a%a%a)%-(%d%d) (%d%d):(%d%d):(%d%d) GMT$", -- RFC 850
}
local ASCTIME = "^%a%a%a (%a%a%a) ([ %d]%d) (%d%d):(%d%d):(%d%d) (%d%d%d%d)$"

--- Seconds since 1970 of a moment in UTC.
---@param year integer
---@param month integer 1 to 12
---@param day integer
---@param hour integer
---@param minute integer
---@param second integer
---@return integer? seconds nil: there is no such moment
function date.seconds(year, month, day, hour, minute, second)
    local is_leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
    if not LENGTHS[month] or day < 1 or day > LENGTHS[month] or month == 2 and day == 29
        and not is_leap or hour > 23 or minute > 59 or second > 60 then
        return nil
    end
    -- days since March 1st of year 0, so that a leap day is the last of its year
    local y, m = year, month - 3
    if m < 0 then
        y, m = y - 1, m + 12
    end
    local days = y * 365 + math.floor(y / 4) - math.floor(y / 100) + math.floor(y / 400)
        + math.floor((153 * m + 2) / 5) + day - 1 - 719468
    return ((days * 24 + hour) * 60 + minute) * 60 + second
end

--- Reads an HTTP-date in any of its three forms (RFC 9110 section 5.6.7). A year of two digits that
--- would be more than 50 years ahead is one of the past.
---@param text string
---@param now integer? seconds since 1970, for such a year; the machine's clock if none is given
---@return integer? seconds nil: it is no date
function date.parse(text, now)
    local day, month, year, hour, minute, second
    for _, pattern in ipairs(PATTERNS) do
        day, month, year, hour, minute, second = text:match(pattern)
        if day then
            break
        end
    end
    if not day then
        month, day, hour, minute, second, year = text:match(ASCTIME)
    end
    if not day or not MONTHS[month] then
        return nil
    end
    year = tonumber(year)
    if year < 100 then
        local this = tonumber(os.date("!%Y", now or os.time()))
        year = year + math.floor(this / 100) * 100
        year = year > this + 50 and year - 100 or year
    end
    return date.seconds(year, MONTHS[month], tonumber(day), tonumber(hour), tonumber(minute),
        tonumber(second))
end

local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local NAMES = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

--- Writes an HTTP-date (IMF-fixdate), whatever the language of the system.
---@param seconds integer since 1970
---@return string
function date.format(seconds)
    local t = os.date("!*t", seconds)
    return ("%s, %02d %s %04d %02d:%02d:%02d GMT"):format(DAYS[t.wday], t.day, NAMES[t.month],
        t.year, t.hour, t.min, t.sec)
end

return date
