-- progress/words.lua - sizes and times as people read them, and lines about how far something is.
-- It writes nothing.

local words = {}

local UNITS = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" }

-- The unit that a number of bytes is told in.
local function scale(bytes)
    local unit, size = 1, 1
    while unit < #UNITS and bytes / size >= 1000 do
        unit, size = unit + 1, size * 1024
    end
    return size, UNITS[unit]
end

local function in_units(bytes, size)
    return (size == 1 and "%d" or "%.1f"):format(bytes / size)
end

--- "12.3 MiB"
---@param bytes number
---@return string
function words.bytes(bytes)
    local size, unit = scale(bytes)
    return in_units(bytes, size) .. " " .. unit
end

--- "1:05", "1:02:03"
---@param seconds number
---@return string
function words.time(seconds)
    local whole = math.floor(seconds + 0.5)
    if whole >= 360000 then
        return ("%d days"):format(whole / 86400 + 0.5)
    elseif whole >= 3600 then
        return ("%d:%02d:%02d"):format(whole / 3600, whole / 60 % 60, whole % 60)
    end
    return ("%d:%02d"):format(whole / 60, whole % 60)
end

-- "3.0/27.0 MiB"; aligned: as long from the start as it will be at the end.
local function amount(info, is_aligned)
    if not info.total then
        return words.bytes(info.bytes)
    end
    local size, unit = scale(info.total)
    local here, all = in_units(info.bytes, size), in_units(info.total, size)
    local blanks = is_aligned and (" "):rep(#all - #here) or ""
    return ("%s%s/%s %s"):format(blanks, here, all, unit)
end

local function share(info)
    return info.total and info.total > 0 and math.min(info.bytes / info.total, 1) or nil
end

-- How many columns a text takes; East Asian characters take two.
local function width(text)
    local count = 0
    for lead in text:gmatch "[%z\1-\127\194-\244]" do
        count = count + (lead:byte() >= 227 and 2 or 1)
    end
    return count
end

--- A text of so many columns: cut, or with blanks behind it.
---@param text string
---@param columns integer
---@return string
function words.fit(text, columns)
    if width(text) > columns then
        local used, out = 0, {}
        for char in text:gmatch "[%z\1-\127\194-\244][\128-\191]*" do
            used = used + width(char)
            if used > columns - 1 then
                break
            end
            out[#out + 1] = char
        end
        text = table.concat(out) .. "~"
    end
    return text .. (" "):rep(columns - width(text))
end

--- A text that can't move the cursor.
---@param text string
---@return string
function words.harmless(text)
    return (text:gsub("[%z\1-\31\127]", "?"):gsub("\194[\128-\159]", "?"))
end

local LONGEST_BAR, SHORTEST_BAR = 40, 8

--- A line of less than so many columns.
---@param name string
---@param info moonwire.ProgressInfo
---@param columns integer
---@param note string? in place of rate and time to go
---@return string
function words.line(name, info, columns, note)
    local part = share(info)
    local numbers = (part and ("%3d%% "):format(part * 100) or "") .. amount(info, true)
    local tail = note and "  " .. note
        or (info.rate and "  " .. words.bytes(info.rate) .. "/s" or "")
            .. (info.eta and "  " .. words.time(info.eta) or "")
    local room = columns - 1
    local for_name = math.min(math.max(math.floor(room / 4), 8), width(name))
    local left = words.fit(name, for_name) .. " "
    local for_bar = math.min(room - for_name - 1 - #numbers - 28, LONGEST_BAR)
    local bar = ""
    if part and for_bar >= SHORTEST_BAR then
        local filled = math.floor(part * for_bar)
        bar = "[" .. ("="):rep(filled) .. (filled < for_bar and ">" or "")
            .. (" "):rep(for_bar - filled - 1) .. "] "
    end
    return (words.fit(left .. bar .. numbers .. tail, room):gsub(" +$", ""))
end

--- The same for where there is no terminal.
---@param name string
---@param info moonwire.ProgressInfo
---@param note string?
---@return string
function words.plain(name, info, note)
    local part = share(info)
    local text = ("%s: %s%s"):format(name, part and ("%d%%, "):format(part * 100) or "",
        amount(info))
    if note then
        return text .. ", " .. note
    end
    return text .. (info.rate and ", " .. words.bytes(info.rate) .. "/s" or "")
        .. (info.eta and (", %s to go"):format(words.time(info.eta)) or "")
end

return words
