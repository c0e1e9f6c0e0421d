-- client/traceparent.lua - says to servers which trace a request belongs to (W3C Trace Context):
-- one trace for a call, one span for each exchange. It keeps no spans itself.

local core = require "moonwire.core"
local errors = require "moonwire.error"

local function hex(bytes)
    return (bytes:gsub(".", function(byte)
        return ("%02x"):format(byte:byte())
    end))
end

-- Trace id and flags of a traceparent: nil where it isn't one (section 3.2 of the recommendation).
local function parse(text)
    local version, trace, span, flags = text:match "^(%x%x)%-(%x+)%-(%x+)%-(%x%x)"
    if not version or version == "ff" or #trace ~= 32 or #span ~= 16 or text:find "%u"
        or trace == ("0"):rep(32) or span == ("0"):rep(16)
        or version == "00" and #text ~= 55 or #text > 55 and text:sub(56, 56) ~= "-" then
        return nil
    end
    return trace, flags
end

local EXPECTED = 'boolean, function or text such as "00-<trace id>-<span id>-01"'

local function check(value, level)
    if value == nil then
        return false
    elseif type(value) == "string" then
        if not parse(value) then
            error(("bad argument 'traceparent' (%q isn't one)"):format(value), level + 1)
        end
    elseif type(value) ~= "boolean" and type(value) ~= "function" then
        errors.argument(level + 1, "traceparent", EXPECTED, value)
    end
    return value
end

local layer = {
    client_options = { traceparent = check }, request_options = { traceparent = check },
}

---@param opts table
---@return boolean
function layer.wants(opts)
    return opts.traceparent and true or false
end

-- The trace that a call belongs to, as "trace id", "flags". One that a function can't tell is a new
-- one.
local function trace_of(job, given, request)
    local text = given
    if type(given) == "function" then
        text = given(request)
    end
    if type(text) == "string" then
        local trace, flags = parse(text)
        if not trace then
            error(("traceparent: the function gave %q, which isn't one"):format(text), 0)
        end
        return trace, flags
    end
    if not job.trace_id then
        job.trace_id = hex(core.random_bytes(16))
    end
    return job.trace_id, "01"
end

---@param job moonwire.client.Job
---@param request moonwire.Request
---@param go moonwire.client.Go
---@return moonwire.Response? response, moonwire.Error? err
function layer.send(job, request, go)
    local given = job.opts.traceparent
    if given == nil then
        given = job.settings.traceparent
    end
    if given and not request.headers:has "traceparent" then
        local trace, flags = trace_of(job, given, request)
        request = request:with {
            headers = {
                traceparent = ("00-%s-%s-%s"):format(trace, hex(core.random_bytes(8)), flags),
            },
        }
    end
    return go(job, request)
end

return layer
