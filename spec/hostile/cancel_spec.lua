-- Requests that are cancelled, or whose time is over, at each point where one can wait: row 40. At
-- random points, many thousand times: storm_spec.lua.
local assert = require "luassert"
local kit = require "spec.hostile.kit"
local moonwire = require "moonwire"

local OK = kit.reply("Content-Length: 2", "ok")

-- Where a request waits at each moment, when each step takes a second: [from, to) and the phase.
local STEPS = {
    { 0, 1, "resolve" }, { 1, 2, "connect" }, { 2, 4, "headers" }, { 4, 6, "body" },
}

local function phase_at(seconds)
    for _, step in ipairs(STEPS) do
        if seconds >= step[1] and seconds < step[2] then
            return step[3]
        end
    end
end

local function step_through(peer)
    return peer:pause(1) and peer:write(OK:sub(1, 20)) and peer:pause(1)
        and peer:write(OK:sub(21, -3)) and peer:pause(2) and peer:write(OK:sub(-2))
end

-- Makes names and connections of the mock take a second each.
local function slow_down(w)
    local port = w.url:match "%d+$"
    w.mock:hosts({ slow = { "127.0.0.1" } }, { delay = 1 })
    w.mock.backend.places["127.0.0.1:" .. port].delay = 1
    return "http://slow:" .. port .. "/hostile"
end

-- Waits for a place that another request has.
local function with_busy_pool(w, url, f)
    local holder = moonwire.spawn(function()
        return w.client:get(url, { timeout = 5 })
    end)
    moonwire.sleep(0)
    f()
    holder:join()
end

kit.scenarios(describe, it, "each point of waiting", {
    {
        "a total timeout names the phase that it ended, at every quarter of a second", row = 40,
        only = "mock", play = function(w)
            local url = slow_down(w)
            for quarter = 1, 23 do
                w:begin()
                w.script = step_through
                local response, err = w.client:get(url, { timeout = quarter / 4 })
                if response then
                    response, err = response:text()
                end
                if quarter % 4 ~= 0 then -- else both happen at once
                    assert.is_nil(response)
                    assert.equal(phase_at(quarter / 4), err.phase)
                end
                if err then
                    assert.equal("timeout", err.kind)
                end
                w.mock:advance(10)
                w:finish()
            end
        end,
    },
    {
        "a cancelled scope ends the request in every phase, at every quarter of a second",
        row = 40, only = "mock", play = function(w)
            local url = slow_down(w)
            for quarter = 0, 23 do
                w:begin()
                w.script = step_through
                local seen
                local _, err = moonwire.timeout(quarter / 4, function()
                    local response, problem = w.client:get(url)
                    if response then
                        response, problem = response:text()
                    end
                    seen = problem
                    return response
                end)
                if quarter % 4 ~= 0 then
                    assert.equal("timeout", err.kind)
                    assert.equal("cancelled", seen.kind)
                    assert.equal(phase_at(quarter / 4), seen.phase)
                    local first = w.connections[1]
                    assert.equal(first and "cancelled", first and first.close_reason)
                end
                w.mock:advance(10)
                w:finish()
            end
        end,
    },
    {
        "a request that waits for a place can be cancelled, and the place is there for the next",
        row = 40, client = { pool = { max_total = 1, max_per_origin = 1 } },
        play = function(w)
            local tick = w.name == "mock" and 1 or 0.01
            w:begin()
            w.script = function(peer)
                return peer:read(1) ~= nil
            end
            with_busy_pool(w, w.url .. "/hostile", function()
                local response, err = w.client:get(w.url .. "/healthy", {
                    timeout = { pool = tick },
                })
                assert.is_nil(response)
                assert.equal("timeout", err.kind)
                assert.equal("pool", err.phase)
                local _, late = moonwire.timeout(tick, w.client.get, w.client, w.url .. "/healthy")
                assert.equal("timeout", late.kind)
                assert.equal(0, w.client:stats().waiting)
                assert.equal(w.hosted and 0 or 1, w.client:stats().active) -- a host counts itself
                w.connections[1]:close()
            end)
            w:finish()
        end,
    },
})
