-- json.lua - JSON in and out through lua-cjson, which may be absent.  It never touches the settings
-- of the script's own cjson.

local errors = require "moonwire.error"

local MAX_DEPTH = 1000 -- nesting; lua-cjson refuses what is deeper, so the C stack is safe

local found, cjson = pcall(require, "cjson.safe")
local codec
if found then
    codec = cjson.new()
    codec.decode_max_depth(MAX_DEPTH)
    codec.encode_max_depth(MAX_DEPTH)
end

local M = {}

--- What stands for JSON's null in decoded values; nil where lua-cjson is missing.
M.null = found and cjson.null or nil

local function missing()
    return nil, errors.new {
        kind = "system",
        message = "JSON needs the module lua-cjson, which isn't installed here "
            .. "(apt-get install lua-cjson, or luarocks install lua-cjson)",
    }
end

--- Writes a value as JSON.
---@param value any
---@return string? text, moonwire.Error? err kind "body" for what JSON can't say
function M.encode(value)
    if not codec then
        return missing()
    end
    local text, problem = codec.encode(value)
    if not text then
        return nil, errors.new {
            kind = "body",
            message = "can't be written as JSON: " .. tostring(problem),
        }
    end
    return text
end

--- Reads JSON.
---@param text string
---@return any value json.null for null
---@return moonwire.Error? err kind "protocol"
function M.decode(text)
    if not codec then
        return missing()
    end
    local value, problem = codec.decode(text)
    if value == nil then
        return nil, errors.new { kind = "protocol", message = "not JSON: " .. tostring(problem) }
    end
    return value
end

--- Whether a text is UTF-8 that a person can read, without control bytes but tabs and line ends: it
--- may stand in JSON as it is.
---@param text string
---@return boolean
function M.is_text(text)
    if text:find "[%z\1-\8\11\12\14-\31\127]" then
        return false
    elseif not text:find "[\128-\255]" then
        return true
    end
    local at = 1
    while at <= #text do
        local byte = text:byte(at)
        local more = byte < 0x80 and 0 or byte >= 0xC2 and byte < 0xE0 and 1
            or byte >= 0xE0 and byte < 0xF0 and 2 or byte >= 0xF0 and byte < 0xF5 and 3
        if not more or #text:sub(at + 1, at + more):gsub("[^\128-\191]", "") < more then
            return false
        end
        at = at + 1 + more
    end
    return true
end

return M
