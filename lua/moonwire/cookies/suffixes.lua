-- cookies/suffixes.lua - below which names anybody may have one: the public suffix list of this Lua
-- state, read when it is first asked.

local core = require "moonwire.core"

local suffixes = {}

local list -- false: this system has none

-- Without a list "co.uk" looks like "example.com": a name of two parts may be anybody's.
local function guess(name)
    return name:match "[^.]+%.[^.]+%.[^.]+$"
end

--- The part of a host name that somebody has registered: "example.co.uk" of "www.example.co.uk".
---@param name string in lower case, no numeric address, without a dot at its end
---@return string? name nil: it is a public suffix itself
function suffixes.registered(name)
    if list == nil then
        list = core.public_suffixes() or false
    end
    if not list then
        return guess(name)
    end
    return list:registered(name)
end

return suffixes
