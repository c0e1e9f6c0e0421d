-- MOONWIRE_DEBUG=1: a pool that breaks a promise says so at once.
local support = require "spec.support"

-- A pool whose count is wrong from some moment on, and a call after that.
local SCRIPT = [[
local pool = require "moonwire.pool".new()
local _, waiter = pool:take("http://h:80", 0)
pool.states.%s = pool.states.%s + 1
pool:opened(waiter.dial, "connection", 0)
print "nobody noticed"
]]

local function run(debug, state)
    local script = SCRIPT:format(state, state)
    local _, out, err = support.run(("MOONWIRE_DEBUG=%s %s -e %s"):format(debug, support.luajit(),
        support.quote(script)))
    return out .. err
end

describe("MOONWIRE_DEBUG", function()
    it("has every call of a pool checked: the slots are the sum of their states", function()
        for _, state in ipairs { "opening", "active", "reserved", "idle" } do
            assert.is_truthy(run("1", state):find("the origins' slots don't add up: " .. state, 1,
                true), state)
        end
    end)

    it("is off by itself, and costs nothing then", function()
        assert.equal("nobody noticed\n", run("0", "active"))
        assert.equal("nobody noticed\n", run("", "active"))
    end)
end)
