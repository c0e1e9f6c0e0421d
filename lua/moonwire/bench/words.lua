-- bench/words.lua - numbers as people read them: times, sizes, counts.
local words = {}

-- Three digits that count: 1.23, 12.3, 123.
local function short(number)
    if number >= 99.95 then
        return ("%.0f"):format(number)
    elseif number >= 9.995 then
        return ("%.1f"):format(number)
    end
    return ("%.2f"):format(number)
end

local TIMES = { { 60, 60, "min" }, { 1, 1, "s" }, { 1e-3, 1e-3, "ms" } }

--- "123 µs", "1.23 ms", "12.3 s".
---@param seconds number? nil: "-"
---@return string
function words.time(seconds)
    if not seconds then
        return "-"
    end
    for _, unit in ipairs(TIMES) do
        if seconds >= unit[1] * 0.99995 then
            return short(seconds / unit[2]) .. " " .. unit[3]
        end
    end
    return short(seconds / 1e-6) .. " µs"
end

--- The same for an axis: "2 ms", "0".
---@param seconds number
---@return string
function words.tick(seconds)
    return seconds == 0 and "0"
        or (words.time(seconds):gsub("(%.%d-)0+ ", "%1 "):gsub("%. ", " "))
end

--- "123 B", "1.23 kB", "12.3 MB": thousands.
---@param bytes number
---@return string
function words.size(bytes)
    if bytes < 1000 then
        return ("%.0f B"):format(bytes)
    end
    for _, unit in ipairs { "kB", "MB", "GB" } do
        bytes = bytes / 1000
        if bytes < 999.5 then
            return short(bytes) .. " " .. unit
        end
    end
    return short(bytes / 1000) .. " TB"
end

--- "1,234,567".
---@param number number
---@return string
function words.count(number)
    local digits = ("%.0f"):format(number)
    local head = #digits % 3
    local text = digits:sub(1, head) .. digits:sub(head + 1):gsub("%d%d%d", ",%0")
    return (text:gsub("^,", ""))
end

--- Requests a second: "0.50", "12.3", "1,234".
---@param number number
---@return string
function words.rate(number)
    return number == 0 and "0" or number < 99.95 and short(number) or words.count(number)
end

return words
