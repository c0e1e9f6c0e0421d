-- Request heads: what they look like, and what is refused before a byte is sent.

local core = require "moonwire.core"

local function headers_with(...)
    local headers = core.headers()
    headers:add("Host", "example.com")
    for i = 1, select("#", ...), 2 do
        headers:add((select(i, ...)), (select(i + 1, ...)))
    end
    return headers
end

local function bytes(method, target, headers, framing, opts)
    return core.request_head(method, target, headers or headers_with(), framing, opts):bytes()
end

local function refused(argument, ...)
    local ok, message = pcall(core.request_head, ...)
    assert.is_false(ok)
    assert.is_truthy(message:find("bad argument '" .. argument .. "'", 1, true), message)
    return message
end

describe("a request head", function()
    it("is a request line and fields", function()
        assert.equal("GET /a?b HTTP/1.1\r\nHost: example.com\r\nX-A: 1\r\n\r\n",
            bytes("GET", "/a?b", headers_with("X-A", "1")))
    end)

    it("has its Host first", function()
        local headers = core.headers()
        headers:add("X-A", "1")
        headers:add("host", "h")
        assert.equal("GET / HTTP/1.1\r\nhost: h\r\nX-A: 1\r\n\r\n", bytes("GET", "/", headers))
    end)

    it("says how its body is framed", function()
        local start = "POST / HTTP/1.1\r\nHost: example.com\r\n"
        assert.equal(start .. "Content-Length: 5\r\n\r\n", bytes("POST", "/", nil, 5))
        assert.equal(start .. "Content-Length: 9007199254740991\r\n\r\n",
            bytes("POST", "/", nil, 2 ^ 53 - 1))
        assert.equal(start .. "Transfer-Encoding: chunked\r\n\r\n",
            bytes("POST", "/", nil, "chunked"))
    end)

    it("says Content-Length: 0 where a body is expected", function()
        for _, method in ipairs { "POST", "PUT", "PATCH" } do
            assert.is_truthy(bytes(method, "/"):find("\r\nContent-Length: 0\r\n", 1, true))
        end
        for _, method in ipairs { "GET", "HEAD", "DELETE", "OPTIONS", "QUERY" } do
            assert.is_nil(bytes(method, "/"):find("Content-Length", 1, true))
        end
        assert.is_truthy(bytes("GET", "/", nil, 0):find("\r\nContent-Length: 0\r\n", 1, true))
    end)

    it("speaks of the connection", function()
        assert.is_truthy(bytes("GET", "/", nil, nil, { close = true })
            :find("\r\nConnection: close\r\n", 1, true))
        assert.is_truthy(bytes("GET", "/", nil, nil, { trailers = true })
            :find("\r\nConnection: TE\r\nTE: trailers\r\n", 1, true))
        assert.is_truthy(bytes("GET", "/", nil, nil, { close = true, trailers = true })
            :find("\r\nConnection: close, TE\r\nTE: trailers\r\n", 1, true))
    end)

    it("offers other protocols", function()
        assert.is_truthy(bytes("GET", "/", nil, nil, { upgrade = "websocket" })
            :find("\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 1, true))
        assert.is_truthy(bytes("GET", "/", nil, nil, { upgrade = "h2c, foo/2", close = true,
            trailers = true }):find("\r\nConnection: close, TE, upgrade\r\nTE: trailers\r\n"
            .. "Upgrade: h2c, foo/2\r\n\r\n", 1, true))
    end)

    it("may ask before it sends a body", function()
        for _, framing in ipairs { 5, "chunked" } do
            assert.is_truthy(bytes("POST", "/", nil, framing, { expect = true })
                :find("\r\nExpect: 100-continue\r\n", 1, true))
        end
        assert.is_nil(bytes("POST", "/", nil, 5, { expect = false }):find("Expect", 1, true))
    end)

    it("takes any token as method and any visible bytes as target", function()
        assert.is_truthy(bytes("M-SEARCH!", "*"):find("^M%-SEARCH! %* HTTP/1.1\r\n"))
        assert.is_truthy(bytes("CONNECT", "h:443"):find("^CONNECT h:443 HTTP/1.1\r\n"))
        assert.is_truthy(bytes("GET", "/<>\"|^~"):find("GET /<>\"|^~ HTTP", 1, true))
    end)

    it("doesn't change with the headers it was made of", function()
        local headers = headers_with("X-A", "1")
        local head = core.request_head("GET", "/", headers)
        headers:set("X-A", "2")
        assert.is_truthy(head:bytes():find("X-A: 1", 1, true))
    end)
end)

describe("a request head is refused", function()
    it("for its method", function()
        for _, method in ipairs {
            "", "GE T", "GET\r\n", "GET /x HTTP/1.1\r\nX:", "G\0T", "G\233T",
        } do
            refused("method", method, "/", headers_with())
        end
        refused("method", nil, "/", headers_with())
        refused("method", 5, "/", headers_with())
    end)

    it("for its target", function()
        for _, target in ipairs { "", "/a b", "/a\r\nX: y", "/\0", "/\233", "/\127", "/\t" } do
            refused("target", "GET", target, headers_with())
        end
        refused("target", "GET", {}, headers_with())
    end)

    it("for its framing", function()
        for _, framing in ipairs { -1, 1.5, 2 ^ 53, 0 / 0, math.huge, "gzip", "close", true } do
            refused("framing", "POST", "/", headers_with(), framing)
        end
        refused("framing", "CONNECT", "h:443", headers_with(), 5)
        refused("framing", "TRACE", "/", headers_with(), "chunked")
    end)

    it("for asking about a body that it doesn't have", function()
        refused("framing", "POST", "/", headers_with(), nil, { expect = true })
        refused("framing", "GET", "/", headers_with(), 0, { expect = true })
    end)

    it("for the protocols that it offers", function()
        for _, upgrade in ipairs {
            "", " ", ",", "a b", "a/", "/1", "a/1/2", "a\r\nX: y", "a,\0", "h\233", "a;b", 5, {},
        } do
            refused("upgrade", "GET", "/", headers_with(), nil, { upgrade = upgrade })
        end
    end)

    it("for headers that moonwire sets itself", function()
        for _, name in ipairs {
            "content-LENGTH", "Transfer-Encoding", "connection", "Keep-Alive", "upgrade",
            "Expect", "te",
        } do
            local message = refused("headers", "GET", "/", headers_with(name, "5"))
            assert.is_truthy(message:find(name, 1, true), message)
        end
    end)

    it("without a Host, and with two", function()
        refused("headers", "GET", "/", core.headers())
        refused("headers", "GET", "/", nil)
        local message = refused("headers", "GET", "/", headers_with("HOST", "evil"))
        assert.is_truthy(message:find("HOST", 1, true), message)
    end)

    it("for headers of another type", function()
        assert.has_error(function()
            core.request_head("GET", "/", { Host = "h" })
        end)
        assert.has_error(function()
            core.request_head("GET", "/", headers_with(), nil, "close")
        end)
    end)
end)
