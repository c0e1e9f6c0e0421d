local mock = require "moonwire.testing.mock"
local options = require "moonwire.proxy.options"
local socks5 = require "moonwire.proxy.socks5"

local HELLO, HELLO_USER = "\5\1\0", "\5\2\0\2"
local REQUEST = "\5\1\0\3\1h\1\187" -- h:443
local BOUND = "\5\0\0\1\127\0\0\1\31\144"

-- Opens h:443 through a proxy that plays a script; gives what comes of it, what the proxy got, and
-- what the stream has left to read.
local function open(script, url, host, deadline)
    local m, result = mock.new(), {}
    m:run(function()
        local stream, peer = m:stream(script)
        local began = m:now()
        result.ok, result.err, result.again = socks5.open(stream, assert(options.parse(url or
            "socks5h://proxy")), host or "h", 443, began + (deadline or 10))
        result.elapsed, result.got = m:now() - began, peer:received()
        result.closed = stream:is_closed()
        if result.ok then
            peer:eof()
            local rest = {}
            for piece in function() return stream:read() end do
                rest[#rest + 1] = piece
            end
            result.rest = table.concat(rest)
        end
        stream:close()
        m:advance(0)
        assert.equal(0, m:stats().watchers)
    end)
    return result
end

-- A proxy that says all of its part as soon as it is greeted, whole or in pieces.
local function says(bytes, size)
    return { { expect = "\5" }, { send = bytes, pieces = size }, { eof = true } }
end

describe("SOCKS5", function()
    local GOOD = {
        ["an IPv4 address"] = BOUND,
        ["an IPv6 address"] = "\5\0\0\4" .. ("\1"):rep(18),
        ["a name"] = "\5\0\0\3\5proxy\0\80",
        ["a name of no bytes"] = "\5\0\0\3\0\0\80",
        ["the longest name"] = "\5\0\0\3\255" .. ("n"):rep(255) .. "\0\80",
    }
    for kind, reply in pairs(GOOD) do
        it("takes a reply with " .. kind .. ", in whatever pieces, and not a byte more", function()
            for size = 0, 3 do
                local whole = "\5\0" .. reply .. "then the host"
                local result = open(says(whole, size > 0 and size or nil))
                assert.is_nil(result.err)
                assert.is_true(result.ok)
                assert.equal("then the host", result.rest)
                assert.equal(HELLO .. REQUEST, result.got)
            end
        end)

        it("says so when a reply with " .. kind .. " ends at any byte", function()
            local whole = "\5\0" .. reply
            for cut = 0, #whole - 1 do
                local result = open(says(whole:sub(1, cut)))
                assert.is_nil(result.ok)
                assert.equal("connect", result.err.kind)
                assert.truthy(result.err.message:find("^the proxy socks5h://proxy:1080 has not"
                    .. " connected to h:443: reading from"), result.err.message)
                assert.is_true(result.closed)
            end
        end)
    end

    it("asks step by step, and for addresses as such", function()
        local function asks(host, bytes)
            local result = open({
                { expect = HELLO }, { send = "\5\0" },
                { expect = "\5\1\0" .. bytes .. "\1\187" }, { send = BOUND },
            }, nil, host)
            assert.is_true(result.ok)
            assert.equal(HELLO .. "\5\1\0" .. bytes .. "\1\187", result.got)
        end
        asks("h", "\3\1h")
        asks("1.2.3.4", "\1\1\2\3\4")
        asks("::1", "\4" .. ("\0"):rep(15) .. "\1")
        asks(("n"):rep(255), "\3\255" .. ("n"):rep(255))
    end)

    it("tells who asks only if the proxy wants it", function()
        local url = "socks5://us%20er:p%3Aw@proxy"
        local result = open({ { expect = HELLO_USER }, { send = "\5\2" },
            { expect = "\1\5us er\3p:w" }, { send = "\1\0" }, { expect = REQUEST },
            { send = BOUND } }, url)
        assert.is_true(result.ok)
        result = open({ { expect = HELLO_USER }, { send = "\5\0" }, { expect = REQUEST },
            { send = BOUND } }, url)
        assert.is_true(result.ok)
        assert.is_nil(result.got:find("us er", 1, true))
        result = open({ { expect = HELLO_USER }, { send = "\5\2" }, { expect = "\1\1u\0" },
            { send = "\1\0" }, { expect = REQUEST }, { send = BOUND } }, "socks5://u@proxy")
        assert.is_true(result.ok)
    end)

    local function refused(answer, words, url)
        it("is refused: " .. words, function()
            for size = 0, 1 do
                local result = open(says(answer, size > 0 and size or nil), url)
                assert.is_nil(result.ok)
                assert.equal("connect", result.err.kind)
                assert.equal("connect", result.err.phase)
                assert.equal("the proxy " .. (url and "socks5" or "socks5h")
                    .. "://proxy:1080 has not connected to h:443: " .. words, result.err.message)
                assert.is_true(result.closed)
                if size == 1 then
                    break
                end
            end
        end)
    end
    local ME = "socks5://me:secret@proxy"
    refused("\5\255", "it wants to know who asks; socks5h://user:password@... says that")
    refused("\5\255", "it takes neither a user and a password nor nobody", ME)
    refused("\4\0", "what it answered is not of SOCKS5 (its first byte is 4)")
    refused("HTTP/1.1 400 Bad Request\r\n",
        "what it answered is not of SOCKS5 (its first byte is 72)")
    refused("\5\2", "it wants a way to log in that it wasn't offered (2)")
    refused("\5\1", "it wants a way to log in that it wasn't offered (1)", ME)
    refused("\5\2\1\1", "it doesn't take this user and password", ME)
    refused("\5\2\1\255", "it doesn't take this user and password", ME)
    refused("\5\2\5\0", "what it answered to user and password is not of SOCKS5", ME)
    refused("\5\0\4\0\0\1\0\0\0\0\0\0", "its reply is not of SOCKS5")
    refused("\5\0\5\0\1\1\0\0\0\0\0\0", "its reply is not of SOCKS5")
    refused("\5\0\5\0\0\2\0\0\0\0\0\0", "its reply has an address of an unknown kind, 2")
    refused("\5\0\5\0\0\0", "its reply has an address of an unknown kind, 0")
    for reply, words in pairs {
        "general failure", "its rules don't allow that", "network unreachable", "host unreachable",
        "connection refused", "the time to live was over", "it doesn't know CONNECT",
        "it doesn't know this kind of address", [9] = "for a reason unknown, 9",
        [255] = "for a reason unknown, 255",
    } do
        refused("\5\0\5" .. string.char(reply) .. "\0\1", words) -- some end it right there
    end

    it("may go on with another address where it is the address's fault", function()
        local again = {}
        for reply = 1, 9 do
            again[reply] = open(says("\5\0\5" .. string.char(reply) .. "\0\1")).again or false
        end
        assert.same({ true, false, true, true, true, true, false, true, false }, again)
        assert.is_nil(open(says "\5\255").again)
    end)

    it("has no room for a longer name", function()
        local result = open({}, nil, ("n"):rep(256))
        assert.truthy(result.err.message:find("the name is too long for SOCKS5", 1, true))
        assert.equal("", result.got)
        assert.is_true(result.closed)
    end)

    it("ends in time, wherever the proxy stops", function()
        local whole = "\5\2\1\0" .. BOUND
        for cut = 0, #whole - 1 do
            local result = open({ { expect = "\5" }, { send = whole:sub(1, cut), pieces = 1 } },
                ME, nil, 3)
            assert.is_nil(result.ok)
            assert.equal("timeout", result.err.kind)
            assert.equal("connect", result.err.phase)
            assert.equal(3, result.elapsed)
            assert.is_true(result.closed)
        end
    end)

    it("never says the password", function()
        for _, answer in ipairs { "\5\255", "\5\2\1\1", "\5\2\1", "\5\2\1\0\5\5\0\1" } do
            assert.is_nil(tostring(open(says(answer), ME).err):find "secret")
        end
    end)
end)
