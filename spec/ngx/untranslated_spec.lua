-- Holds the specs of connections and clients against what is run of them on real sockets: each of
-- their tests is run as it is, or listed with a reason, and what is said to be written by hand is.
local originals = require "spec.support.originals"
local suite = require "spec.support.suite"
local support = require "spec.support"
local untranslated = require "spec.ngx.untranslated"

local PLACE = { host = "ev" } -- nothing is run here

-- The spec files of connections and clients, as they are in the tree.
local function files_there()
    local _, text = support.run(("cd %s/spec && ls connection*_spec.lua client*_spec.lua"
        .. " connection/*_spec.lua client/*_spec.lua"):format(support.quote(support.root)))
    local list = {}
    for name in text:gmatch "%S+" do
        list[#list + 1] = "spec/" .. name
    end
    table.sort(list)
    return list
end

describe("the specs of connections and clients", function()
    it("are all among those that run inside a worker", function()
        local listed = { unpack(untranslated.files) }
        for file, reason in pairs(untranslated.elsewhere) do
            listed[#listed + 1] = file
            assert.is_string(reason)
        end
        table.sort(listed)
        assert.same(files_there(), listed)
    end)

    it("have every test that is left out there, and each once", function()
        for _, file in ipairs(untranslated.files) do
            local known = {}
            for _, test in ipairs(originals.read(file, PLACE).tests) do
                assert.is_nil(known[test.name], file .. " has this twice: " .. test.name)
                known[test.name] = true
            end
            for name, reason in pairs(untranslated[file] or {}) do
                assert.is_true(known[name], file .. " has no test of this name: " .. name)
                assert.is_string(reason)
            end
        end
    end)

    it("are written by hand where that is said, and only there", function()
        local written = {}
        for _, test in ipairs(suite.read(support.root .. "/spec/ngx/by_hand.lua", PLACE).tests) do
            written[test.name] = true
        end
        for _, file in ipairs(untranslated.files) do
            for name, reason in pairs(untranslated[file] or {}) do
                if reason == untranslated.by_hand then
                    local whole = file .. ": " .. name
                    assert.is_true(written[whole], "spec/ngx/by_hand.lua lacks: " .. whole)
                    written[whole] = nil
                end
            end
        end
        assert.is_nil(next(written), "nothing says that this is written by hand: "
            .. tostring(next(written)))
    end)
end)
