-- Peers that send one byte after the other, for ever: row 34.
local kit = require "spec.hostile.kit"

local TICK = 0.005 -- seconds between two bytes

-- Sends `first` at once, then `unit` by the byte until the client goes or `most` bytes went.
local function drip(first, unit, most)
    return function(peer)
        local ok = peer:write(first)
        local sent = 0
        while ok and sent < (most or 2000) do
            local at = sent % #unit + 1
            ok = peer:pause(TICK) and peer:write(unit:sub(at, at))
            sent = sent + 1
        end
        return ok and most ~= nil
    end
end

local function slow(sentence, phase, timeout, words, reply, more)
    local case = {
        sentence, row = 34, reply = reply, once = true, opts = { timeout = timeout },
        reason = "timeout",
        error = { kind = "timeout", code = "ETIMEOUT", phase = phase, match = words },
    }
    for name, value in pairs(more or {}) do
        case[name] = value
    end
    return case
end

local HEAD = "HTTP/1.1 200 OK\r\n"
local LONG = kit.reply "Content-Length: 100000"
local INFORMATIONAL = "HTTP/1.1 102 Processing\r\n\r\n"

kit.rows(describe, it, "slow peers", {
    slow("a head by the byte ends at the headers timeout, though there is progress", "headers",
        { headers = 0.1, idle = 10 }, "%(timeout%.headers = 0.1 s; ", drip(HEAD, "X-A: b\r\n")),
    slow("a head by the byte ends at the total timeout", "headers",
        { total = 0.1, idle = 10 }, "%(timeout%.total = ", drip(HEAD, "X-A: b\r\n")),
    slow("empty lines by the byte end at the headers timeout", "headers",
        { headers = 0.1, idle = 10 }, "%(timeout%.headers = 0.1 s; ", drip("", "\r\n")),
    slow("informational responses don't put the headers timeout off", "headers",
        { headers = 0.1, idle = 10 }, "%(timeout%.headers = 0.1 s; ",
        drip(INFORMATIONAL, INFORMATIONAL), { informational = { 102 } }),
    slow("a body by the byte ends at the total timeout", "body",
        { total = 0.15, idle = 10 }, "%(timeout%.total = ", drip(LONG, "x")),
    slow("chunk framing by the byte ends at the total timeout", "body",
        { total = 0.15, idle = 10 }, "%(timeout%.total = ", drip(kit.chunked "5;", "a")),
    slow("trailers by the byte end at the total timeout", "body",
        { total = 0.15, idle = 10 }, "%(timeout%.total = ",
        drip(kit.chunked "0\r\n", "X-A: b\r\n")),
    slow("a peer that says nothing ends at the headers timeout", "headers", { headers = 0.05 },
        "%(timeout%.headers = 0.05 s; ", function(peer)
            return peer:read(1) ~= nil
        end),
    slow("a body that stands still ends at the idle timeout", "body", { idle = 0.05 },
        "%(timeout%.idle = 0.05 s; ", function(peer)
            peer:write(LONG .. "x")
            return peer:read(1) ~= nil
        end),
    { "the idle timeout alone leaves a body by the byte alone", row = 34, once = true,
        opts = { timeout = { idle = 0.2 } }, body = ("x"):rep(60),
        reply = drip(kit.reply "Content-Length: 60", "x", 60) },
})

-- What is left of a request's time is nobody's time afterwards.
local ENDS = {
    { "total", 3 }, { "headers", { headers = 3 } }, { "idle", { idle = 3 } },
    { "each", { total = 6, headers = 4, idle = 3 } },
}

local cases = {}
for i, ends in ipairs(ENDS) do
    local name, timeout = unpack(ends)
    cases[i] = {
        ("a timeout (%s) that didn't fire leaves the next request of its connection alone"):format(
            name), row = 34,
        play = function(w)
            local tick = w.name == "mock" and 1 or 0.03
            local scaled = type(timeout) == "number" and timeout * tick or {}
            for limit, seconds in pairs(type(timeout) == "table" and timeout or {}) do
                scaled[limit] = seconds * tick
            end
            w:begin()
            w.script = function(peer, attempt)
                local rest = attempt == 2 and 8 * tick or 0
                return peer:pause(rest) and peer:write(LONG:gsub("100000", "4") .. "ab")
                    and peer:pause(rest) and peer:write "cd"
            end
            local first = assert(w.client:get(w.url .. "/hostile", { timeout = scaled }))
            assert(first:text() == "abcd")
            local second = assert(w.client:get(w.url .. "/hostile"))
            assert(second:text() == "abcd" and second.timing.reused)
            w:finish()
        end,
    }
end
kit.scenarios(describe, it, "a timer", cases)

-- A byte a second, and the limits as they are when nobody says anything.
local function by_the_second(first, unit)
    return function(peer)
        local ok, sent = peer:write(first), 0
        while ok do
            local at = sent % #unit + 1
            ok, sent = peer:pause(1) and peer:write(unit:sub(at, at)), sent + 1
        end
        return false
    end
end

local function ends_after(seconds, limit, phase, first, unit, timeout)
    return function(w)
        w:begin()
        w.script = by_the_second(first, unit)
        local before = w.mock:now()
        local response, err = w.client:get(w.url .. "/hostile", { timeout = timeout })
        if response then
            response, err = response:text()
        end
        assert(response == nil and err.kind == "timeout", tostring(err))
        assert(err.timeout == limit and err.phase == phase, tostring(err))
        assert(math.abs(w.mock:now() - before - seconds) < 0.1, w.mock:now() - before)
        w.mock:advance(2)
        w:finish()
    end
end

kit.scenarios(describe, it, "a byte a second", {
    {
        "in the head is stopped by the headers timeout, which is 60 s", row = 34, only = "mock",
        play = ends_after(60, "headers", "headers", HEAD, "X-A: b\r\n"),
    },
    {
        "in the head is stopped by the total timeout", row = 34, only = "mock",
        play = ends_after(7, "total", "headers", HEAD, "X-A: b\r\n", 7),
    },
    {
        "in the body is stopped by the total timeout", row = 34, only = "mock",
        play = ends_after(200, "total", "body", LONG, "x", 200),
    },
    {
        "in the body is not stopped by the idle timeout", row = 34, only = "mock",
        play = function(w)
            w:begin()
            w.script = by_the_second(LONG, "x")
            local before = w.mock:now()
            local response = assert(w.client:get(w.url .. "/hostile", { timeout = { idle = 2 } }))
            while w.mock:now() < before + 1000 do
                assert(response:read())
            end
            response:close()
            w.mock:advance(2)
            w:finish()
        end,
    },
})
