-- connection/options.lua - what may be said about one exchange of a connection, and whether it is
-- right.  It changes nothing.

local errors = require "moonwire.error"

---@class moonwire.connection.RequestOptions
---@field deadline number? the backend's time at which all of the exchange must be over
---@field headers_timeout number? seconds from the request's last byte to the head: 60
---@field idle_timeout number? seconds without progress in the direction we wait for: 30
---@field send_timeout number? seconds that the peer may take nothing of the request: idle_timeout
---@field expect_timeout number? seconds to wait for 100 Continue, where the request expects it: 1
---@field max_body integer? bytes
---@field on_informational fun(status: integer, headers: moonwire.core.Headers)? for each 1xx
---@field progress fun(received: integer, total: integer?)? as the body arrives
---@field upload_progress fun(sent: integer, total: integer?)? as the request's body goes

local M = {}

local function check_number(opts, name, level)
    local value = opts[name]
    if value ~= nil and (type(value) ~= "number" or value ~= value) then
        errors.argument(level + 1, name, "number", value)
    end
end

--- Raises unless they are what they ought to be.
---@param opts moonwire.connection.RequestOptions
---@param level integer whose fault it is
function M.check(opts, level)
    if type(opts) ~= "table" then
        errors.argument(level + 1, "opts", "table", opts)
    end
    check_number(opts, "deadline", level + 1)
    check_number(opts, "headers_timeout", level + 1)
    check_number(opts, "idle_timeout", level + 1)
    check_number(opts, "send_timeout", level + 1)
    check_number(opts, "expect_timeout", level + 1)
    check_number(opts, "max_body", level + 1)
    if opts.on_informational ~= nil then
        errors.check(level + 1, "on_informational", "function", opts.on_informational)
    end
    if opts.progress ~= nil then
        errors.check(level + 1, "progress", "function", opts.progress)
    end
    if opts.upload_progress ~= nil then
        errors.check(level + 1, "upload_progress", "function", opts.upload_progress)
    end
end

return M
