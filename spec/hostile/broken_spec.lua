-- Exchanges that break off: rows 26 to 28 and 32.
local bodies = require "moonwire.body"
local kit = require "spec.hostile.kit"

local reply, chunked = kit.reply, kit.chunked

local OK = reply("Content-Length: 2", "ok")

-- What the peer does with requests that it won't answer, in order; then it answers.
local function fails(...)
    local endings = { ... }
    return function(peer, attempt)
        local ending = endings[attempt]
        if not ending then
            peer.body = peer:read_body()
            return peer:send(OK)
        end
        peer[ending](peer)
        return false
    end
end

local function use_once(w)
    w:get_healthy()
end

-- Of the connections made, the number of the one that went stale: a host that keeps the first one
-- gives it out as another.
local function number_of_stale(w)
    return w.hosted and 2 or 1
end

-- What was sent over the fresh connection.
local function came(expected)
    return function(_, w)
        assert.equal(expected, w.peers[2].body)
        assert.equal("peer_closed", w.connections[number_of_stale(w)].close_reason)
    end
end

local file = assert(io.open("README.md", "rb"))
local README = file:read "*a"

-- The connection has served a request, takes this one and breaks off without an answer.
local function stale(sentence, method, opts, ending, error, more)
    local case = {
        sentence .. " (" .. ending .. ")", row = 26, method = method, opts = opts,
        prepare = use_once, reply = fails(ending), body = method ~= "HEAD" and "ok" or "",
        attempts = error and 1 or 2, error = error, reason = error and "peer_closed" or nil,
        check = function(_, w)
            local lost = number_of_stale(w)
            assert.equal("peer_closed", w.connections[lost].close_reason)
            assert.equal(error and lost or lost + 1, #w.connections)
        end,
    }
    for name, value in pairs(more or {}) do
        case[name] = value
    end
    return case
end

-- The answer to HEAD has no body.
local function answers_head(ending)
    return function(peer, attempt)
        if attempt > 1 then
            return peer:send(reply "Content-Length: 2")
        end
        peer[ending](peer)
        return false
    end
end

local function part_of_file()
    file:seek("set", 100)
    return file
end

local LOST = { kind = "closed", phase = "headers", reused = true, bytes_received = 0,
    safe_to_retry = false }
local KEY = { ["Idempotency-Key"] = "7" }

local function give_chunks()
    local count = 0
    return function()
        count = count + 1
        return count <= 3 and "chunk" or nil
    end
end

local cases = {}
for _, ending in ipairs { "close", "reset" } do
    for _, case in ipairs {
        stale("GET goes once more over a fresh connection", "GET", nil, ending),
        stale("HEAD goes once more", "HEAD", nil, ending, nil, { reply = answers_head(ending) }),
        stale("DELETE goes once more", "DELETE", nil, ending),
        stale("QUERY with a body goes once more", "QUERY", { body = "q" }, ending),
        stale("PUT with a string goes once more", "PUT", { body = "text" }, ending, nil,
            { check = came "text" }),
        stale("PUT with a file goes once more, from its beginning", "PUT",
            { body = bodies.file "README.md" }, ending, nil, { check = came(README) }),
        stale("PUT with an open file goes once more, from where it stood", "PUT", nil, ending, nil,
            { make_body = part_of_file, check = came(README:sub(101)) }),
        stale("POST does not go again, and the error says so", "POST", { body = "text" }, ending,
            LOST),
        stale("PATCH does not go again", "PATCH", { body = "text" }, ending, LOST),
        stale("POST with an Idempotency-Key goes once more", "POST",
            { body = "text", headers = KEY }, ending),
        stale("PUT with a function as body does not go again", "PUT", nil, ending, {
            kind = "closed", reused = true, bytes_received = 0, safe_to_retry = false,
        }, { make_body = give_chunks }),
    } do
        cases[#cases + 1] = case
    end
end
cases[#cases + 1] = {
    "the second attempt is the last one", row = 27, prepare = use_once, reason = "peer_closed",
    reply = fails("close", "close"), attempts = 2,
    error = { kind = "closed", phase = "headers", reused = false, bytes_received = 0 },
}
for _, ending in ipairs { "close", "reset" } do
    cases[#cases + 1] = {
        "a fresh connection without an answer is one attempt (" .. ending .. ")", row = 27,
        reply = fails(ending, ending), reason = "peer_closed",
        error = { kind = "closed", phase = "headers", reused = false, bytes_received = 0,
            match = "connection" },
    }
    cases[#cases + 1] = {
        "one byte of an answer and then " .. ending .. " is not retried", row = 28,
        prepare = use_once, reply = "H", after = ending, reason = "peer_closed",
        error = { kind = "closed", phase = "headers", reused = true, bytes_received = 1 },
    }
    cases[#cases + 1] = {
        "half a head and then " .. ending .. " is not retried", row = 28,
        prepare = use_once, reply = OK:sub(1, 30), after = ending, reason = "peer_closed",
        error = { kind = "closed", phase = "headers", reused = true, bytes_received = 30 },
    }
end
kit.rows(describe, it, "stale connections", cases)

-- A body that is cut short is an error that says how much came, whatever the end looks like.
local short = {}
for _, ending in ipairs { "eof", "close", "reset" } do
    for sentence, bytes in pairs {
        ["a body that is shorter than its length"] = reply("Content-Length: 9", "hello"),
        ["a body of which nothing has come"] = reply "Content-Length: 9",
        ["chunks without a last one"] = chunked "5\r\nhello\r\n",
        ["a chunk that breaks off"] = chunked "5\r\nhel",
        ["a chunk without its line end"] = chunked "5\r\nhello",
        ["a chunk size that breaks off"] = chunked "5\r\nhello\r\n5",
        ["a last chunk without the final line"] = chunked "5\r\nhello\r\n0\r\n",
        ["trailers that break off"] = chunked "5\r\nhello\r\n0\r\nA: b\r\n",
        ["chunked without a chunk"] = chunked "",
    } do
        short[#short + 1] = {
            sentence .. " is incomplete (" .. ending .. ")", row = 32, reply = bytes,
            after = ending, reason = "peer_closed",
            error = { kind = "closed", phase = "body", bytes_received = #bytes, match = "body" },
        }
    end
    short[#short + 1] = {
        "a head that breaks off is incomplete (" .. ending .. ")", row = 32, after = ending,
        reply = "HTTP/1.1 200 OK\r\nContent-Le", reason = "peer_closed",
        error = { kind = "closed", phase = "headers", bytes_received = 27, match = "head" },
    }
end
short[#short + 1] = {
    "a body up to the end of the connection is whole at FIN", row = 32, after = "eof",
    reply = reply("", "hello"), body = "hello", reason = "not_self_delimited",
}
short[#short + 1] = {
    "a body up to the end of the connection is incomplete at RST", row = 32, after = "reset",
    reply = reply("", "hello"), reason = "peer_closed",
    error = { kind = "closed", phase = "body", match = "body", code = "ECONNRESET" },
}
kit.rows(describe, it, "short responses", short)
