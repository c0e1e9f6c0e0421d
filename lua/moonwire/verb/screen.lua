-- verb/screen.lua - what a person sees of a response: its head, and a body made fit for the
-- terminal. It gives texts and writes nothing.

local clean = require "moonwire.verb.clean"
local json_text = require "moonwire.verb.json_text"

local screen = {}

local CODES = {
    name = "36", key = "34;1", string = "32", number = "36", literal = "35",
    good = "32;1", moved = "33;1", bad = "31;1",
}

local function colour(kind, text)
    return "\27[" .. CODES[kind] .. "m" .. text .. "\27[0m"
end

local function plain(_, text)
    return text
end

local function kind_of(status)
    return status >= 400 and "bad" or status >= 300 and "moved" or "good"
end

-- A line's worth of it.
local function one_line(text)
    return (clean.text(text):gsub("\n", " "))
end

--- The status line and the header fields, and an empty line, for a person.
---@param response moonwire.Response
---@param with_colours boolean
---@return string
function screen.head(response, with_colours)
    local paint = with_colours and colour or plain
    local lines = { paint(kind_of(response.status), one_line(("HTTP/%s %d %s"):format(
        response.http_version, response.status, response.reason or ""))) }
    for name, value in response.headers:each() do
        lines[#lines + 1] = paint("name", one_line(name)) .. ": " .. one_line(value)
    end
    return table.concat(lines, "\n") .. "\n\n"
end

--- The same as bytes for a program.
---@param response moonwire.Response
---@return string
function screen.raw_head(response)
    local lines = { ("HTTP/%s %d %s"):format(response.http_version, response.status,
        response.reason or "") }
    for name, value in response.headers:each() do
        lines[#lines + 1] = name .. ": " .. value
    end
    return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- What a body is ---------------------------------------------------------------------------------

local TEXTS = { "^text/", "^application/.*json", "%+json$", "^application/xml$", "%+xml$",
    "^application/javascript$", "^application/x%-www%-form%-urlencoded$" }

local function media_type(response)
    return (response.headers:get "content-type" or ""):lower():match "^%s*([^;%s]*)"
end

local function is_said_to_be_text(kind)
    for _, pattern in ipairs(TEXTS) do
        if kind:find(pattern) then
            return true
        end
    end
    return false
end

--- Whether a body is nothing to be looked at, going by its type and its first bytes.
---@param response moonwire.Response
---@param first string
---@return boolean
function screen.is_binary(response, first)
    if first:find("\0", 1, true) then
        return true
    elseif is_said_to_be_text(media_type(response)) then
        return false
    end
    local open = clean.open_end(first)
    return not clean.is_clean(open > 0 and first:sub(1, -open - 1) or first)
end

--- What makes the pieces of a body fit: JSON in lines and colours, else the text without what a
--- terminal would act on.
---@param response moonwire.Response
---@param with_colours boolean
---@return {feed: (fun(self, piece: string): string), finish: fun(self): string}
function screen.formatter(response, with_colours)
    local kind = media_type(response)
    if kind:find "^application/.*json" or kind:find "[+/]json$" then
        return json_text.printer(with_colours and colour or nil, true)
    end
    return clean.new()
end

--- "12.3 kB".
---@param bytes number
---@return string
function screen.size(bytes)
    local unit = 1
    local UNITS = { "bytes", "kB", "MB", "GB", "TB" }
    while bytes >= 999.5 and unit < #UNITS do
        bytes, unit = bytes / 1000, unit + 1
    end
    return (unit == 1 and "%d %s" or bytes < 99.95 and "%.1f %s" or "%.0f %s"):format(bytes,
        UNITS[unit])
end

--- What stands in place of a body that isn't shown.
---@param response moonwire.Response
---@return string
function screen.notice(response)
    local size, kind = tonumber(response.headers:get "content-length"), media_type(response)
    local about = {}
    about[1] = kind ~= "" and one_line(kind) or nil
    about[#about + 1] = size and screen.size(size) or nil
    return ("the body is binary%s: -o FILE saves it"):format(
        #about > 0 and " (" .. table.concat(about, ", ") .. ")" or "")
end

return screen
