-- Content codings that are too many, too much, cut off or no such thing: row 35.
local codings = require "spec.support.codings"
local kit = require "spec.hostile.kit"

local encode, reply = codings.encode, kit.reply

local TEXT = ("moonwire "):rep(30)
local PACKED = encode("gzip", TEXT)

local function coded(lines, body, more)
    local head = {}
    for _, line in ipairs(type(lines) == "table" and lines or { lines }) do
        head[#head + 1] = "Content-Encoding: " .. line
    end
    head[#head + 1] = more or "Content-Length: " .. #body
    return reply(head, body)
end

local function case(sentence, bytes, more)
    local made = { sentence, row = 35, reply = bytes }
    for name, value in pairs(more or {}) do
        made[name] = value
    end
    return made
end

-- The exchange is complete when its body turns out to be bad, if that had come with the head, and
-- else the connection is closed.
local function refused(sentence, bytes, kind, code, more)
    local made = case(sentence, bytes, more)
    made.accept = function(result)
        assert.equal(200, result.response.status)
        assert.is_nil(result.text)
        assert.equal(kind, result.err.kind)
        assert.equal(code, result.err.code)
        assert.equal("body", result.err.phase)
        assert.matches("/hostile$", result.err.url)
        assert.equal(result.err, select(2, result.response:read()))
    end
    made.reason = function(_, reason)
        return reason == "unread_body" and reason or nil
    end
    return made
end

local TEN = ("gzip, "):rep(9) .. "gzip"
local LINES = {}
for i = 1, 10 do
    LINES[i] = "gzip"
end

kit.rows(describe, it, "content codings", {
    case("gzip is taken off", coded("gzip", PACKED), { body = TEXT }),
    case("gzip in chunks is taken off",
        coded("gzip", ("%x\r\n%s\r\n0\r\n\r\n"):format(#PACKED, PACKED),
            "Transfer-Encoding: chunked"), { body = TEXT }),
    case("two codings on two lines are taken off", coded({ "br", "zstd" },
        encode("zstd", encode("br", TEXT))), { body = TEXT }),
    case("no body at all is none", coded("gzip", ""), { body = "" }),
    case("no body in chunks is none", coded("br", "0\r\n\r\n", "Transfer-Encoding: chunked"),
        { body = "" }),
    case("bytes behind gzip are ignored", coded("gzip", PACKED .. "\0\0garbage"), { body = TEXT }),
    case("a response behind gzip is ignored", coded("gzip", PACKED .. reply("Content-Length: 0")),
        { body = TEXT }),
    case("an unknown coding is left to the script", coded("x-packed", "\1\2\3"),
        { body = "\1\2\3" }),
    refused("ten codings on one line are refused", coded(TEN, PACKED), "limit", "ECODING_LIMIT"),
    refused("ten codings on ten lines are refused", coded(LINES, PACKED), "limit",
        "ECODING_LIMIT"),
    refused("gzip that is cut off is no body", coded("gzip", PACKED:sub(1, -2)), "body",
        "ECODING_TRUNCATED"),
    refused("gzip that is cut off in its head is no body", coded("gzip", PACKED:sub(1, 5)), "body",
        "ECODING_TRUNCATED"),
    refused("gzip with a wrong checksum is no body",
        coded("gzip", PACKED:sub(1, -8) .. "\0\0\0" .. PACKED:sub(-4)), "body", "ECODING"),
    refused("what isn't gzip is no body", coded("gzip", "<html>hello</html>"), "body", "ECODING"),
    refused("zstd with a window of 2 GiB is refused",
        coded("zstd", "\40\181\47\253\0\168\1\0\0"), "limit", "ECODING_LIMIT"),
    refused("empty members of gzip without end are refused",
        coded("gzip", encode("gzip", ""):rep(1100)), "limit", "ECODING_LIMIT", { bulky = true }),
    refused("more than max_body, once it is decoded, is refused", coded("gzip", PACKED), "limit",
        "EBODY_LIMIT", { opts = { max_body = #TEXT - 1 } }),
})

-- The beginning of 10 MB that would be 10 GB.
local BOMB = codings.bomb("gzip", ("\0"):rep(65536), 800)

local function play_bomb(w, read)
    w.script = function(peer)
        peer:send(reply({ "Content-Encoding: gzip", "Content-Length: 10000000" }, BOMB))
        return not peer:send_endless(("\0"):rep(4096))
    end
    w:begin()
    local response = assert(w.client:get(w.url .. "/hostile", { timeout = 30 }))
    local began = os.clock()
    local size, err = read(response)
    assert.is_true(os.clock() - began < 2)
    assert.equal("limit", err.kind)
    assert.is_true(size < 4 * 1024 * 1024)
    w.finish()
end

kit.scenarios(describe, it, "bombs", {
    {
        "a bomb is no text, and is left early", row = 35,
        play = function(w)
            play_bomb(w, function(response)
                local text, err = response:text()
                assert.is_nil(text)
                assert.equal("ECODING_LIMIT", err.code)
                return 0, err
            end)
        end,
    },
    {
        "a bomb is read up to max_body", row = 35, client = { max_body = 3 * 1024 * 1024 },
        play = function(w)
            play_bomb(w, function(response)
                local size = 0
                while true do
                    local chunk, err = response:read()
                    if not chunk then
                        assert.equal("EBODY_LIMIT", err.code)
                        return size, err
                    end
                    size = size + #chunk
                end
            end)
        end,
    },
})
