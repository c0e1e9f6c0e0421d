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
