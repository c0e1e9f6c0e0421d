-- What a script must not be able to put on the wire: row 38.
local assert = require "luassert"
local bodies = require "moonwire.body"
local kit = require "spec.hostile.kit"

local BAD = { "\r\n", "\r", "\n", "\0" }
local EVIL = "X-Evil: 1"

-- Calls that have to raise, with the bad bytes put into one place of the request.
local function places(url, bad)
    local tail = bad .. EVIL
    return {
        ["the method"] = { "GET" .. tail, url },
        ["the path"] = { "GET", url .. tail },
        ["the query"] = { "GET", url .. "?a=" .. tail },
        ["the query option"] = { "GET", url, { query = "a=" .. tail } },
        ["the host"] = { "GET", "http://127.0.0.1" .. tail .. ":80/" },
        ["the port"] = { "GET", "http://127.0.0.1:80" .. tail .. "/" },
        ["the scheme"] = { "GET", "ht" .. bad .. "tp://127.0.0.1/" },
        ["the userinfo"] = { "GET", "http://a" .. bad .. "b@127.0.0.1/" },
        ["a header's name"] = { "GET", url, { headers = { ["X" .. tail] = "b" } } },
        ["a header's value"] = { "GET", url, { headers = { X = "b" .. tail } } },
        ["a list of values"] = { "GET", url, { headers = { X = { "a", "b" .. tail } } } },
        ["Host"] = { "GET", url, { headers = { Host = "h" .. tail } } },
        ["Cookie"] = { "GET", url, { headers = { Cookie = "a=b" .. tail } } },
        ["User-Agent"] = { "GET", url, { headers = { ["User-Agent"] = "me" .. tail } } },
        ["the protocols of an upgrade"] = { "GET", url, { upgrade = "foo" .. tail } },
        ["a cookie's name"] = { "GET", url, { cookies = { ["a" .. tail] = "b" } } },
        ["a cookie's value"] = { "GET", url, { cookies = { a = "b" .. tail } } },
        ["a part's type"] = { "POST", url,
            { multipart = { { name = "a", value = "b", content_type = "c/d" .. tail } } } },
        ["a part's header"] = { "POST", url,
            { multipart = { { name = "a", value = "b", headers = { X = "c" .. tail } } } } },
        ["a header for the proxy"] = { "GET", url,
            { proxy = { url = "http://127.0.0.1:1", headers = { X = "b" .. tail } } } },
        ["the trace"] = { "GET", url, { traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-"
            .. "00f067aa0ba902b7-01" .. tail } },
        ["a coding"] = { "POST", url, { body = "x", compress = "gzip" .. tail } },
        ["a body's content type"] = { "POST", url,
            { body = bodies.string("x", { content_type = "text/plain" .. tail }) } },
    }
end

local function check_raises(w, sentence, arguments)
    local ok, problem = pcall(w.client.request, w.client, unpack(arguments, 1, 3))
    assert.is_false(ok, sentence .. " was let through")
    assert.equal("string", type(problem), sentence)
    assert.is_nil(problem:find("[%z\1-\8\11-\31]"), sentence .. ": the message has the bytes")
    assert.equal(0, #w.connections, sentence)
end

local function unsafe(bad, name)
    return {
        name .. " in any part of a request raises before anything is opened", row = 38,
        play = function(w)
            w.client:close_idle()
            w:begin()
            for sentence, arguments in pairs(places(w.url .. "/", bad)) do
                check_raises(w, sentence, arguments)
            end
            assert.equal(0, #w.peers)
        end,
    }
end

local function owned(sentence, headers)
    return {
        sentence .. " raises before anything is opened", row = 38, play = function(w)
            w.client:close_idle()
            w:begin()
            check_raises(w, sentence, { "POST", w.url .. "/", { headers = headers, body = "x" } })
        end,
    }
end

local cases = {
    unsafe(BAD[1], "CR LF"), unsafe(BAD[2], "CR"), unsafe(BAD[3], "LF"), unsafe(BAD[4], "NUL"),
    owned("a Content-Length of one's own", { ["Content-Length"] = "1" }),
    owned("Content-Length in two cases", { { "Content-Length", "1" }, { "content-length", "2" } }),
    owned("a Transfer-Encoding of one's own", { ["transfer-encoding"] = "chunked" }),
    owned("Connection", { Connection = "close" }),
    owned("Upgrade", { Upgrade = "websocket" }),
    owned("Expect", { Expect = "100-continue" }),
    owned("Host twice", { { "Host", "a" }, { "host", "b" } }),
    owned("a header that is a table", { X = { {} } }),
    owned("a header that is a function", { X = print }),
    {
        "a value is made a string once, and that string is checked and sent", row = 38,
        play = function(w)
            local calls = 0
            local value = setmetatable({}, { __tostring = function()
                calls = calls + 1
                return calls == 1 and "good" or "bad\r\n" .. EVIL
            end })
            w:begin()
            local seen
            w.script = function(peer)
                seen = peer.head
                return peer:write(kit.reply "Content-Length: 0")
            end
            pcall(w.client.get, w.client, w.url .. "/hostile", { headers = { X = value } })
            assert.is_nil(seen and seen:find(EVIL, 1, true))
        end,
    },
    {
        "line ends in a part's names are written as browsers do, and end no line", row = 38,
        play = function(w)
            local body
            w:begin()
            w.script = function(peer)
                body = peer:read_body()
                return peer:write(kit.reply "Content-Length: 0")
            end
            assert(w.client:post(w.url .. "/hostile", {
                multipart = { {
                    name = 'a"\r\n' .. EVIL, filename = "b\r\n" .. EVIL, value = "c",
                } },
            }))
            w:finish()
            assert.is_nil(body:find("\n" .. EVIL, 1, true), body)
            assert.truthy(body:find('name="a%22%0D%0A' .. EVIL .. '"', 1, true), body)
            assert.truthy(body:find('filename="b%0D%0A' .. EVIL .. '"', 1, true), body)
        end,
    },
}
kit.scenarios(describe, it, "bytes of the caller", cases)

-- A body that isn't as long as was said: the server never takes it for a whole one.
local function mismatch(sentence, chunks, length, code)
    return {
        sentence .. " is an error and closes the connection", row = 38, method = "PUT",
        once = true, reason = "body_error",
        error = { kind = "body", phase = "write", code = code },
        make_body = function()
            local at = 0
            return bodies.generator(function()
                at = at + 1
                return chunks[at]
            end, { length = length })
        end,
        reply = function(peer)
            assert.is_nil(peer:read_body(), "the server took the body for a whole one")
            return false
        end,
    }
end

kit.rows(describe, it, "bodies of the wrong length", {
    mismatch("a body that is shorter than its length", { "hell" }, 5, "EBODY_SHORT"),
    mismatch("a body that is empty where a length was given", {}, 5, "EBODY_SHORT"),
    mismatch("a body that is longer than its length", { "hel", "lo!" }, 5, "EBODY_LONG"),
    mismatch("a body whose first chunk is longer than its length", { "hello!" }, 5, "EBODY_LONG"),
    mismatch("a body with a chunk that is no string", { "he", 5 }, 5),
    mismatch("a chunked body with a chunk that is no string", { "he", {} }),
})
