-- Protocols that are switched with and without being asked, and answers to "Expect: 100-continue":
-- rows 20 and 31.
local assert = require "luassert"
local bodies = require "moonwire.body"
local kit = require "spec.hostile.kit"
local moonwire = require "moonwire"

local reply = kit.reply
local SWITCHING = "HTTP/1.1 101 Switching Protocols"
local OFFER = { upgrade = "foo, bar" }

local function refused(sentence, lines, opts, start)
    return kit.refused(20, sentence .. " is refused", "EH1_UPGRADE",
        reply(lines, "foo bytes", start or SWITCHING), { opts = opts })
end

-- The stream is handed over with the bytes that came behind the head, and works both ways.
local function switched(sentence, leading)
    return {
        sentence, row = 20, opts = OFFER, reason = "upgraded",
        reply = function(peer)
            peer:send(reply({ "Connection: upgrade", "Upgrade: bar" }, leading, SWITCHING))
        end,
        accept = function(result)
            assert.equal(101, result.response.status)
            local stream = assert(result.response:upgrade())
            assert.equal(leading, stream:read_exactly(#leading))
            assert(stream:write "GET /healthy HTTP/1.1\r\n\r\n")
            assert.equal("HTTP/1.1 200 OK\r\n", stream:read_until "\r\n")
            stream:close()
        end,
    }
end

kit.rows(describe, it, "101", {
    refused("101 that nobody asked for", { "Connection: upgrade", "Upgrade: foo" }),
    refused("101 to another protocol", { "Connection: upgrade", "Upgrade: baz" }, OFFER),
    refused("101 to one protocol too many", { "Connection: upgrade", "Upgrade: foo, baz" }, OFFER),
    refused("101 to a part of the offered name", { "Connection: upgrade", "Upgrade: fo" }, OFFER),
    refused("101 without Upgrade", "Connection: upgrade", OFFER),
    refused("101 without Connection: upgrade", "Upgrade: foo", OFFER),
    refused("101 with Connection: notupgrade", { "Connection: notupgrade", "Upgrade: foo" }, OFFER),
    refused("101 on HTTP/1.0", { "Connection: upgrade", "Upgrade: foo" }, OFFER,
        "HTTP/1.0 101 Switching Protocols"),
    switched("bytes right behind 101 reach the new protocol", "leading bytes"),
    switched("bytes behind 101 that look like a response reach the new protocol",
        reply("Content-Length: 4", "evil")),
    switched("101 with nothing behind it gives the stream", ""),
})

local OK = reply("Content-Length: 2", "ok")
local GO_ON = "HTTP/1.1 100 Continue\r\n\r\n"
local WAIT = 0.05 -- seconds that the client waits for 100
local TEXT = "the whole body"

-- Whether bytes of the body have come, though nobody said 100.
local function saw_body(peer)
    local data = peer.stream:read_now()
    return data ~= nil and data ~= ""
end

local function chunks()
    local pieces = { "the ", "whole ", "body" }
    local at = 0
    return bodies.generator(function()
        at = at + 1
        return pieces[at]
    end)
end

local began -- when the request was about to be made

local function begin()
    began = moonwire.now()
end

local function expecting(sentence, script, more)
    local case = {
        sentence, row = 31, method = "POST", body = "ok", reply = script, prepare = begin,
        opts = { expect = true, body = TEXT, timeout = { total = 5, expect = 5 } },
    }
    for name, value in pairs(more or {}) do
        case[name] = value
    end
    return case
end

local function refuses(with)
    return function(peer, attempt, head)
        local asked = head:find("Expect: 100-continue\r\n", 1, true) ~= nil
        assert.equal(attempt == 1, asked)
        if attempt == 1 then
            peer:send(with)
            peer:pause()
            assert.is_false(saw_body(peer), "the body was sent")
            return false
        end
        assert.equal(TEXT, peer:read_body())
        return peer:write(OK)
    end
end

local function held_back(result)
    assert.is_false(result.response.upload_complete)
end

-- Reads the body before anything is said.
local function says_late(bytes, seconds)
    return function(peer)
        assert.equal(TEXT, peer:read_body())
        assert.is_true(moonwire.now() - began >= WAIT * 0.9) -- clocks may be a little apart
        peer:pause(seconds)
        peer:send(bytes)
    end
end

local IMPATIENT = { expect = true, body = TEXT, timeout = { total = 5, expect = WAIT } }

local cases = {}
for _, ending in ipairs { "eof", "close", "reset" } do
    cases[#cases + 1] = expecting("an end in place of 100 is an error (" .. ending .. ")",
        function(peer)
            peer[ending](peer)
            return false
        end, {
            body = nil, reason = "peer_closed", once = true,
            error = { kind = "closed", phase = "headers" },
        })
end
for _, make in ipairs { false, chunks } do
    local kind = make and " (from a function)" or " (a string)"
    for _, case in ipairs {
        expecting("417 is answered by the request without Expect" .. kind,
            refuses(reply("Content-Length: 0", "", "HTTP/1.1 417 Expectation Failed")),
            { attempts = 2 }),
        expecting("200 without 100: no body is sent, and the connection is not used again" .. kind,
            refuses(OK), { reason = "early_response", check = held_back }),
        expecting("401 without 100: no body is sent, and the connection is not used again" .. kind,
            refuses(reply("Content-Length: 2", "no", "HTTP/1.1 401 Who")),
            { reason = "early_response", check = held_back, status = 401, body = "no" }),
        expecting("100, then the body, then 200" .. kind, function(peer)
            peer:send(GO_ON)
            assert.equal(TEXT, peer:read_body())
            peer:send(OK)
        end, { informational = { 100 } }),
        expecting("nothing: the body is sent when the time for 100 is over" .. kind,
            says_late(OK, 0), { opts = IMPATIENT, once = true }),
        expecting("100 that comes too late is ignored" .. kind,
            says_late(GO_ON .. OK, 2 * WAIT),
            { opts = IMPATIENT, once = true, informational = { 100 } }),
    } do
        case.make_body = make or nil
        cases[#cases + 1] = case
    end
end
kit.rows(describe, it, "Expect", cases)

kit.scenarios(describe, it, "Expect by default", {
    {
        "100 that comes after three seconds: the body was sent after one", row = 31, only = "mock",
        play = function(w)
            local sent_after
            w:begin()
            w.script = function(peer)
                local before = w.mock:now()
                assert.equal(TEXT, peer:read_body())
                sent_after = w.mock:now() - before
                peer:pause(2)
                peer:write(GO_ON .. OK)
            end
            local response = assert(w.client:post(w.url .. "/hostile", {
                expect = true, body = TEXT,
            }))
            assert.equal("ok", response:text())
            assert.equal(1, sent_after)
            assert.is_true(w:get_healthy())
            w:finish()
        end,
    },
})
