-- Peers that answer before the request's body is out: rows 29 and 30.
local assert = require "luassert"
local bodies = require "moonwire.body"
local kit = require "spec.hostile.kit"

local CHUNK = ("x"):rep(65536)
local CHUNKS = 160
local SIZE = CHUNKS * #CHUNK
local WHOLE = CHUNK:rep(CHUNKS)
local REFUSAL = kit.reply("Content-Length: 3", "big", "HTTP/1.1 413 Content Too Large")
local OK = kit.reply("Content-Length: 2", "ok")

-- A body of 10 MiB from a function that counts how often it is asked.
local function make_chunks(opts)
    return function(w)
        w.pulled = 0
        return bodies.generator(function()
            w.pulled = w.pulled + 1
            return w.pulled <= CHUNKS and CHUNK or nil
        end, opts)
    end
end

-- Takes 64 KiB, refuses the rest, reads no more and ends.
local function refuses(ending, take)
    return function(peer)
        if take > 0 and not peer:read(take) then
            return false
        end
        peer:send(REFUSAL)
        peer:pause(0.002)
        peer[ending](peer)
        peer:pause(0.002)
        return false
    end
end

local function was_stopped(result, w)
    assert.is_false(result.response.upload_complete)
    assert.is_true((w.pulled or 0) < CHUNKS)
end

local function refused(sentence, ending, take, make_body, body)
    return {
        sentence .. " is refused: the answer is delivered, the upload stopped (" .. ending .. ")",
        row = 29, method = "POST", make_body = make_body, opts = { body = body }, status = 413,
        body = "big", reply = refuses(ending, take), reason = "early_response",
        check = was_stopped,
    }
end

local cases = {}
for _, ending in ipairs { "eof", "close" } do
    cases[#cases + 1] = refused("a chunked upload", ending, 65536, make_chunks())
    cases[#cases + 1] = refused("an upload with a length", ending, 65536,
        make_chunks { length = SIZE })
    cases[#cases + 1] = refused("an upload of one string", ending, 65536, nil, WHOLE)
    cases[#cases + 1] = refused("an upload of which nothing was read", ending, 0, make_chunks())
end
local function answered_or_broken(result)
    local response, err = result.response, result.err
    assert.is_true(response ~= nil and response.status == 413 or err ~= nil)
    if err then
        assert.equal("closed", err.kind)
        assert.is_false(err.safe_to_retry)
    else
        assert.equal("big", result.text)
    end
end

local function answered_or_closed(_, reason)
    return reason == "early_response" and reason or "peer_closed"
end

cases[#cases + 1] = {
    "an answer whose bytes come while writing fails already is delivered", row = 29,
    method = "POST", make_body = make_chunks(), once = true, reason = answered_or_closed,
    reply = function(peer)
        peer:read(65536)
        for byte in REFUSAL:gmatch "." do
            peer:write(byte)
        end
        peer:close()
        return false
    end,
    accept = function(result, w) -- a real socket may lose what came before the RST
        assert.is_true(result.response ~= nil or not w.mock)
        answered_or_broken(result)
    end,
}
cases[#cases + 1] = {
    "an upload that ends in RST behind the answer gives the answer, or an error of writing",
    row = 29, method = "POST", make_body = make_chunks(), reply = refuses("reset", 65536),
    reason = answered_or_closed, accept = answered_or_broken,
}
cases[#cases + 1] = {
    "an upload that ends in RST without an answer is an error", row = 29, method = "POST",
    make_body = make_chunks(), reason = "peer_closed", once = true,
    error = { kind = "closed" },
    reply = function(peer)
        peer:read(65536)
        peer:reset()
        return false
    end,
}
cases[#cases + 1] = {
    "an upload that is accepted early goes on, and the connection is used again", row = 29,
    method = "POST", make_body = make_chunks { length = SIZE }, body = "ok", once = true,
    reply = function(peer)
        peer:read(65536)
        peer:send(OK)
        for _ = 2, CHUNKS do
            peer:read(65536)
        end
    end,
    check = function(result, w)
        assert.is_true(result.response.upload_complete)
        assert.equal(CHUNKS, w.pulled - 1)
    end,
}
kit.rows(describe, it, "early responses", cases)

-- Both directions are full at once unless the client reads while it sends.
local LENGTHS = { mock = 2097152, socket = 33554432 }

local function echo(peer)
    local left = tonumber(peer.head:match "Content%-Length: (%d+)")
    peer:write(kit.reply("Content-Length: " .. left))
    while left > 0 do
        local data = peer.stream:read()
        if not data or not peer:write(data) then
            return false
        end
        left = left - #data
    end
end

local function upload(length)
    local left = length
    return bodies.generator(function()
        local chunk = left > 0 and CHUNK:sub(1, math.min(left, #CHUNK)) or nil
        left = left - #CHUNK
        return chunk
    end, { length = length })
end

kit.scenarios(describe, it, "full duplex", {
    {
        "an upload that is echoed while it is sent comes back whole", row = 30,
        play = function(w)
            local length, got = LENGTHS[w.mock and "mock" or "socket"], 0
            w:begin()
            w.script = echo
            local response = assert(w.client:post(w.url .. "/hostile", {
                body = upload(length), timeout = 20,
            }))
            for chunk in response:chunks() do
                got = got + #chunk
                assert.is_true(chunk == CHUNK:sub(1, #chunk) or chunk == ("x"):rep(#chunk))
            end
            assert.equal(length, got)
            assert.is_true(response.upload_complete)
            w:settle()
            assert.is_true(w:get_healthy())
            w:finish()
        end,
    },
})
