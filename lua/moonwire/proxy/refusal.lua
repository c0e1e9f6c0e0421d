-- proxy/refusal.lua - what goes wrong between us and a proxy, in one form of words: it names the
-- proxy, never the password. It decides nothing.

local errors = require "moonwire.error"

local refusal = {}

--- The proxy has said no, or something that is no answer.
---@param proxy moonwire.proxy.Proxy
---@param what string "has not connected to h:443: ..."
---@param extra table? further fields of the error; this table becomes it
---@return nil, moonwire.Error err kind "connect"
function refusal.new(proxy, what, extra)
    local err = extra or {}
    err.kind, err.phase, err.code = "connect", "connect", err.code or "EPROXY"
    err.message = ("the proxy %s %s"):format(proxy.label, what)
    return nil, errors.new(err)
end

--- An error on the way to the proxy's answer: the time was over, or the connection.
---@param proxy moonwire.proxy.Proxy
---@param place string where it was to connect to
---@param err moonwire.Error
---@return nil, moonwire.Error err kind "timeout" and "cancelled" stay, all else is "connect"
function refusal.from(proxy, place, err)
    local ended = err.kind == "timeout" or err.kind == "cancelled"
    local what = err.kind == "timeout" and "" or err.kind == "cancelled" and ": cancelled"
        or ": " .. err.message
    return nil, errors.new {
        kind = ended and err.kind or "connect", phase = "connect", code = err.code,
        errno = err.errno, cause = err,
        message = ("the proxy %s has not connected to %s%s"):format(proxy.label, place, what),
    }
end

return refusal
