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
---@return any value M.null for null, moonwire.Error? err kind "protocol"
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

return M
