-- response/tap.lua - shows the bytes of a response's body, as they came, to somebody else beside
-- its reader: a cache, a recording. It reads nothing that the reader doesn't ask for.

local pulling = require "moonwire.response.pulling"

-- What such a response has in place of its connection.
---@class moonwire.response.Tap
---@field private inner moonwire.Connection|moonwire.response.Source|moonwire.response.Tap
---@field private on_bytes fun(bytes: string)
---@field private on_end fun(err: moonwire.Error|string|nil)?
local methods = {}
local Tap = { __index = methods, __name = "moonwire.response.Tap" }

local function finish(self, err)
    local on_end = self.on_end
    self.on_end = nil
    if on_end then
        on_end(err)
    end
end

function methods:pull(response, max)
    local chunk, err = self.inner:pull(response, max)
    if chunk then
        self.on_bytes(chunk)
        return chunk
    end
    finish(self, err)
    return nil, err
end

methods.pull_nothing = pulling.nothing
methods.pull_to_file = pulling.to_file

function methods:remaining()
    return self.inner:remaining()
end

function methods:leave(response)
    finish(self, "left")
    self.inner:leave(response)
end

function methods:shut(reason)
    finish(self, "left")
    self.inner:shut(reason)
end

local tap = {}

--- Has functions called for the body of a response that nobody has read from yet. Of one that is
--- collected unread nobody hears any more.
---@param response moonwire.Response
---@param on_bytes fun(bytes: string) for each piece; may not fail
---@param on_end fun(err: moonwire.Error|string|nil) once, at the end: nil when the body is whole,
---  else what broke it off, or "left" when the reader gave it up
function tap.on(response, on_bytes, on_end)
    if response.buffered then
        on_bytes(response.buffered)
    end
    if response.connection then
        response.connection = setmetatable({
            inner = response.connection, on_bytes = on_bytes, on_end = on_end,
        }, Tap)
    elseif response.failure then
        on_end(response.failure)
    else
        on_end(nil)
    end
end

return tap
