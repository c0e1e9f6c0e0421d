-- Requests that are cancelled, or whose time is over, at every point where one can wait: row 40.
local assert = require "luassert"
local bodies = require "moonwire.body"
local kit = require "spec.hostile.kit"
local moonwire = require "moonwire"

local OK = kit.reply("Content-Length: 2", "ok")
local ROUNDS = 10000
local TASKS = 16

-- What the server does with "/hostile?KIND", with a wait of so many seconds at each point.
local kinds = {}

function kinds.fast(peer)
    return peer:write(OK)
end

function kinds.head(peer, seconds)
    return peer:pause(seconds) and peer:write(OK:sub(1, 20)) and peer:pause(seconds)
        and peer:write(OK:sub(21))
end

function kinds.body(peer, seconds)
    return peer:write(kit.chunked "2\r\nok") and peer:pause(seconds)
        and peer:write "\r\n0\r\n" and peer:pause(seconds) and peer:write "\r\n"
end

function kinds.drain(peer, seconds)
    return peer:write(kit.reply("Content-Length: 20000", ("x"):rep(9000))) and peer:pause(seconds)
        and peer:write(("x"):rep(11000))
end

function kinds.upload(peer, seconds)
    return peer:read_body() and peer:pause(seconds) and peer:write(OK)
end

function kinds.silent(peer)
    return peer:read(1) ~= nil
end

local NAMES = { "fast", "head", "body", "drain", "upload", "silent" }

local function serve(seconds)
    return function(peer, _, head)
        return kinds[head:match "%?(%a+)"](peer, seconds) or false
    end
end

-- A body that waits before each of its chunks.
local function slow_body(seconds)
    local left = 3
    return bodies.generator(function()
        left = left - 1
        if left < 0 then
            return nil
        end
        moonwire.sleep(seconds)
        return "chunk"
    end)
end

-- One request of a kind, read to its end. Gives "ok", or the kind of the error.
local function exchange(w, kind, seconds, timeout)
    local opts = { timeout = timeout }
    local method = "GET"
    if kind == "upload" then
        method, opts.body = "PUT", slow_body(seconds)
    end
    local response, err = w.client:request(method, w.url .. "/hostile?" .. kind, opts)
    if not response then
        return err.kind, err
    elseif kind == "drain" then
        response:close()
        return "ok"
    end
    local text
    text, err = response:text()
    if err then
        return err.kind, err
    end
    assert.equal("ok", text)
    return "ok"
end

-- Random numbers that are the same in each run.
local function dice(seed)
    return function(n)
        seed = (seed * 16807) % 2147483647
        return seed % n
    end
end

-- The ways in which an exchange is ended after so many seconds.
local ways = {
    function(w, kind, tick, seconds) -- a scope with a deadline
        local result, err = moonwire.timeout(seconds, exchange, w, kind, tick)
        return result or err.kind
    end,
    function(w, kind, tick, seconds) -- the request's own time
        return (exchange(w, kind, tick, seconds > 0 and seconds or tick / 4))
    end,
    function(w, kind, tick, seconds) -- a task that is cancelled by another
        local task = moonwire.spawn(exchange, w, kind, tick)
        moonwire.sleep(seconds)
        task:cancel()
        local result, err = task:join()
        return result or err.kind
    end,
    function(w, kind, tick, seconds) -- the time of one phase
        seconds = seconds > 0 and seconds or tick / 4
        return (exchange(w, kind, tick, {
            total = 20 * tick, pool = seconds, connect = seconds, headers = seconds, idle = seconds,
        }))
    end,
}

local FAIR = { ok = true, cancelled = true, timeout = true }

local function count_outcomes(w, seed, rounds, tick)
    local roll, outcomes, left = dice(seed), {}, rounds
    local list = {}
    for i = 1, TASKS do
        list[i] = i
    end
    moonwire.map(list, function()
        while left > 0 do
            left = left - 1
            local kind, way = NAMES[roll(#NAMES) + 1], ways[roll(#ways) + 1]
            local outcome = way(w, kind, tick, roll(16) * tick / 4)
            assert.is_true(FAIR[outcome], kind .. " ended in " .. tostring(outcome))
            outcomes[outcome] = (outcomes[outcome] or 0) + 1
        end
    end, { concurrency = TASKS })
    return outcomes
end

kit.scenarios(describe, it, "cancellation", {
    {
        "10 000 requests that end at any point leave the pool as it was", row = 40,
        client = { pool = { max_total = 4, max_per_origin = 4 } },
        play = function(w)
            local tick = w.name == "mock" and 1 or 0.001
            w:begin()
            w.script = serve(tick)
            local outcomes = count_outcomes(w, 40, ROUNDS, tick)
            local sum = 0
            for _, name in ipairs { "ok", "cancelled", "timeout" } do
                assert.is_true((outcomes[name] or 0) > ROUNDS / 50, name .. " is too rare")
                sum = sum + outcomes[name]
            end
            assert.equal(ROUNDS, sum)
            w:await("all connections that are in use end", function()
                local stats = w.client:stats()
                return stats.active == 0 and stats.opening == 0 and stats.reserved == 0
            end)
            assert.equal(0, w.client:stats().waiting)
            w:finish()
            for i = 1, 4 do -- all places are there
                w.script = serve(0)
                local response = assert(w.client:get(w.url .. "/hostile?fast", { timeout = 5 }), i)
                assert.equal("ok", response:text())
            end
        end,
    },
})

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
            w.script = serve(10 * tick)
            with_busy_pool(w, w.url .. "/hostile?silent", function()
                local response, err = w.client:get(w.url .. "/healthy", {
                    timeout = { pool = tick },
                })
                assert.is_nil(response)
                assert.equal("timeout", err.kind)
                assert.equal("pool", err.phase)
                local _, late = moonwire.timeout(tick, w.client.get, w.client, w.url .. "/healthy")
                assert.equal("timeout", late.kind)
                assert.equal(0, w.client:stats().waiting)
                assert.equal(1, w.client:stats().active)
                w.connections[1]:close()
            end)
            w:finish()
        end,
    },
})
