-- Row 40: the storm of spec/hostile/storm.lua by way of the relay, with client and server on the
-- backend that this process has: ev or ngx.
local backends = require "moonwire.backend"
local moonwire = require "moonwire"
local process = require "spec.support.process"
local relayed = require "spec.support.relayed"
local storm = require "spec.hostile.storm"

local place = ... ---@type spec.Place

local SEED = 40
local ROUNDS = 1000

local function blow()
    local hosted = backends.default().capabilities.pool_owned_by_host
    return storm.run {
        seed = SEED, rounds = ROUNDS, tick = 0.006, place = place, hosted = hosted,
        cert = place.certs .. "/server.pem", key = place.certs .. "/server.key",
        ca_file = not hosted and place.certs .. "/root.pem" or nil,
    }
end

-- Waits for what the other ends close.
local function fds_in_the_end(expected)
    local count = process.count_fds()
    for _ = 1, 200 do
        if count <= expected then
            break
        end
        moonwire.sleep(0.01)
        count = process.count_fds()
    end
    return count
end

describe("row 40: a storm of cancelled requests (relayed)", function()
    it("leaves nothing behind", function()
        local before, after
        local seen = relayed.run(function()
            before = process.count_fds()
            local seen = blow()
            after = fds_in_the_end(before)
            return seen
        end)
        assert.equal(before, after, "open files")
        for _, outcome in ipairs { "ok", "cancelled", "timeout" } do
            local count = seen.outcomes[outcome] or 0
            assert.is_true(count > ROUNDS / 200, outcome .. ": " .. count)
        end
        assert.equal(ROUNDS / 100, seen.closed)
        local phases = seen.phases
        phases.place = (phases.pool or 0) + (phases.connect or 0) -- nginx's pool is in its connect
        for _, phase in ipairs { "place", "tls", "headers" } do
            local count = phases[phase] or 0
            assert.is_true(count > ROUNDS / 500, phase .. ": " .. count)
        end
    end)
end)
