-- Reads spec files that were written for the mock so that they run on real sockets, by way of the
-- relay: those tests that spec/ngx/untranslated.lua doesn't list.
local raw = require "spec.support.raw"
local stand_in = require "spec.support.stand_in"
local suite = require "spec.support.suite"
local support = require "spec.support"

local COPIED = {
    ["spec.support.wire"] = true, ["spec.support.mock_client"] = true,
    ["spec.support.asking"] = true, ["spec.support.caching"] = true,
}

local M = {}

-- A `require` that gives the stand-in for the mock, to the files of the specs as well that use it.
local function requirer(words, place)
    local env, copies = setmetatable({}, { __index = words }), {}
    function env.require(name)
        if name == "moonwire.testing.mock" then
            return stand_in.mock(place)
        elseif stand_in.modules[name] then
            return stand_in.modules[name]
        elseif not COPIED[name] then
            return require(name)
        elseif not copies[name] then
            local path = support.root .. "/" .. name:gsub("%.", "/") .. ".lua"
            copies[name] = setfenv(assert(loadfile(path)), env)()
        end
        return copies[name]
    end
    return env
end

--- Reads the tests of a file.
---@param file string its path from the root
---@param place spec.Place
---@return spec.Suite
function M.read(file, place)
    raw.place = place
    return suite.read(function()
        local chunk = assert(loadfile(support.root .. "/" .. file))
        setfenv(chunk, requirer(getfenv(1), place))()
    end)
end

return M
