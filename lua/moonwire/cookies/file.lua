-- cookies/file.lua - cookies as lines of a file in Netscape's format, which curl and wget read and
-- write too: text to values and back. It opens nothing and keeps nothing.

local field = require "moonwire.cookies.field"

local file = {}

local HEAD = "# Netscape HTTP Cookie File\n"
    .. "# Written by moonwire; it gives access like a password.\n\n"
local HTTP_ONLY = "#HttpOnly_"
local FLAGS = { TRUE = true, FALSE = false }

local function flag(value)
    return value and "TRUE" or "FALSE"
end

--- Writes cookies as the content of a file.
---@param list moonwire.Cookie[]
---@return string
function file.write(list)
    local lines = {}
    for i, cookie in ipairs(list) do
        local domain = cookie.host_only and cookie.domain or "." .. cookie.domain
        lines[i] = table.concat({
            (cookie.http_only and HTTP_ONLY or "") .. domain,
            flag(not cookie.host_only),
            cookie.path,
            flag(cookie.secure),
            ("%d"):format(cookie.expires or 0),
            cookie.name,
            cookie.value,
        }, "\t") .. "\n"
    end
    return HEAD .. table.concat(lines)
end

local function split(line)
    local fields = {}
    for text in (line .. "\t"):gmatch "([^\t]*)\t" do
        fields[#fields + 1] = text
    end
    if #fields == 6 then -- an empty value, where an editor has cut the line's end
        fields[7] = ""
    end
    return fields
end

--- Reads one line.
---@param line string without its end
---@return moonwire.Cookie? cookie its domain isn't checked; nil without a problem: the line is
---  empty or a comment
---@return string? problem
function file.read_line(line)
    local http_only = line:sub(1, #HTTP_ONLY) == HTTP_ONLY
    if http_only then
        line = line:sub(#HTTP_ONLY + 1)
    elseif line:find "^#" or not line:find "%S" then
        return nil
    end
    local fields = split(line)
    if #fields ~= 7 then
        return nil, ("%d fields with tabs between them, 7 expected"):format(#fields)
    end
    local domain, tail, path, secure, expires, name, value = unpack(fields)
    local seconds = expires:match "^%d+$" and tonumber(expires)
    if FLAGS[tail] == nil or FLAGS[secure] == nil then
        return nil, "the second and fourth field have to be TRUE or FALSE"
    elseif path:sub(1, 1) ~= "/" or path:find "[%z\1-\31\127]" then
        return nil, "the path doesn't begin with '/', or a control character is in it"
    elseif not seconds then
        return nil, "the time it expires isn't a number of seconds"
    end
    local problem = field.problem(name, value)
    if problem then
        return nil, problem
    end
    return {
        name = name, value = value, domain = domain, host_only = not FLAGS[tail], path = path,
        expires = seconds > 0 and math.min(seconds, 2 ^ 53) or nil, secure = FLAGS[secure],
        http_only = http_only,
    }
end

return file
