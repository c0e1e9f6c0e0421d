-- Bytes that nobody asked for, and ends, before the next request: rows 21 to 25 and 33.
local kit = require "spec.hostile.kit"

local reply = kit.reply

local OK = reply("Content-Length: 2", "ok")
local EVIL = reply("Content-Length: 5", "evil\n")
local PAUSE = 0.002 -- seconds; the client has long been idle then

-- A good response, and then, while the connection is idle, something else.
local function idle(row, sentence, bytes, reason, more)
    local case = {
        sentence, row = row, body = "ok", reason = reason, length = #bytes,
        reply = function(peer)
            peer:write(OK)
            peer:arrive()
            peer:pause(PAUSE)
            peer.sent = 0
            peer:send(bytes)
            if more and more.ending then
                peer[more.ending](peer)
            end
        end,
    }
    return case
end

local function same_segment(row, sentence, bytes, reason)
    return { sentence, row = row, body = "ok", reply = bytes, reason = reason }
end

kit.rows(describe, it, "bytes behind a response", {
    same_segment(21, "a second response right behind the first is never given out", OK .. EVIL,
        "unsolicited"),
    same_segment(21, "a second response behind a chunked one is never given out",
        kit.chunked "2\r\nok\r\n0\r\n\r\n" .. EVIL, "unsolicited"),
    same_segment(21, "a second response behind chunked trailers is never given out",
        kit.chunked "2\r\nok\r\n0\r\nA: b\r\n\r\n" .. EVIL, "unsolicited"),
    same_segment(21, "an informational response behind the first is never given out",
        OK .. "HTTP/1.1 103 Early Hints\r\n\r\n", "unsolicited"),
    same_segment(33, "one byte more than the length is not in the body", OK .. "!", "unsolicited"),
    same_segment(33, "one byte more than the length with Connection: close is not in the body",
        reply({ "Connection: close", "Content-Length: 2" }, "ok!"), "close_header"),
    same_segment(33, "one byte behind the last chunk is not in the body",
        kit.chunked "2\r\nok\r\n0\r\n\r\n!", "unsolicited"),
    same_segment(33, "a NUL behind the response closes the connection", OK .. "\0", "unsolicited"),
    same_segment(33, "more than four bytes of empty lines behind the response close the connection",
        OK .. "\r\n\r\n\r\n", "unsolicited"),
    same_segment(33, "two empty lines behind the response are harmless", OK .. "\r\n\r\n"),
})

kit.rows(describe, it, "bytes while idle", {
    idle(22, "a response on an idle connection answers nothing", EVIL, "unsolicited"),
    idle(22, "an informational response on an idle connection closes it",
        "HTTP/1.1 102 Processing\r\n\r\n", "unsolicited"),
    idle(22, "garbage on an idle connection closes it", "EXTRA", "unsolicited"),
    idle(22, "a response behind an empty line on an idle connection answers nothing",
        "\r\n" .. EVIL, "unsolicited"),
    idle(22, "LF alone on an idle connection closes it", "\n", "unsolicited"),
    idle(23, "an empty line on an idle connection is harmless", "\r\n"),
    idle(23, "two empty lines on an idle connection are harmless", "\r\n\r\n"),
    idle(23, "three empty lines on an idle connection close it", "\r\n\r\n\r\n", "unsolicited"),
    idle(24, "408 and FIN on an idle connection are a quiet end",
        reply("Connection: close", "", "HTTP/1.1 408 Request Timeout"),
        function(delivery, reason) -- less than its status could be any response
            local first = delivery.size or delivery.cut or 100
            return first < 12 and reason == "unsolicited" and reason or "peer_closed_idle"
        end, { ending = "eof" }),
    idle(25, "FIN on an idle connection is a quiet end", "", "peer_closed_idle",
        { ending = "eof" }),
    idle(25, "a peer that closes an idle connection ends it quietly", "", "peer_closed_idle",
        { ending = "close" }),
    idle(25, "RST on an idle connection is a quiet end", "", "peer_closed_idle",
        { ending = "reset" }),
    idle(25, "an empty line and FIN on an idle connection are a quiet end", "\r\n",
        "peer_closed_idle", { ending = "eof" }),
})

-- The bytes are there when the connection is taken, and nobody has looked at them yet.
local function at_checkout(row, sentence, bytes, reason, ending)
    return {
        row = row, sentence,
        not_relayed = ending ~= nil, -- to ask the relay for it gives the client its turn
        play = function(w)
            w.script = function(peer)
                peer:write(OK)
            end
            for cut = reason and math.min(1, #bytes) or #bytes, #bytes do
                w:begin()
                assert.equal("ok", assert(w.client:get(w.url .. "/hostile")):text())
                local peer, first = w.peers[#w.peers], w.connections[1]
                if cut > 0 then
                    peer.stream:write(bytes:sub(1, cut))
                end
                if ending then
                    peer[ending](peer)
                end
                assert.equal(select(2, w:expected()), first.state)
                -- so long a socket that was empty counts as such, or so long the relay may take
                local later = os.clock() + (w.place and 0.02 or 0.0005)
                repeat until os.clock() > later
                assert.equal(reason == nil, w:get_healthy())
                assert.equal(w:expected(reason, first.close_reason), first.close_reason)
                assert.equal(1, w.attempts)
                w:finish()
            end
        end,
    }
end

kit.scenarios(describe, it, "bytes at checkout", {
    at_checkout(22, "a response that has just come answers nothing", EVIL, "unsolicited"),
    at_checkout(22, "garbage that has just come closes the connection", "EXTRA", "unsolicited"),
    at_checkout(23, "an empty line that has just come is harmless", "\r\n"),
    at_checkout(25, "a FIN that has just come makes the next request use another connection", "",
        "peer_closed_idle", "eof"),
    at_checkout(25, "a RST that has just come makes the next request use another connection", "",
        "peer_closed_idle", "reset"),
})
