local requests = require "moonwire.request"
local version = require "moonwire.version"

local function bytes(opts)
    return requests.new(opts).head:bytes()
end

local function problem(opts)
    local ok, message = pcall(requests.new, opts)
    assert.is_false(ok)
    return message
end

describe("request.new", function()
    it("serialises a GET once", function()
        local request = requests.new { url = "http://Example.org/a?b=1#c" }
        assert.equal("GET /a?b=1 HTTP/1.1\r\nHost: example.org\r\nUser-Agent: moonwire/" .. version
            .. "\r\nAccept: */*\r\n\r\n", request.head:bytes())
        assert.equal("GET", request.method)
        assert.equal("http://example.org/a?b=1", request.url)
        assert.equal("http://example.org:80", request.origin)
        assert.equal("/a?b=1", request.target)
        assert.is_nil(request.body)
        assert.equal("GET http://example.org/a?b=1", tostring(request))
    end)

    it("says the port in Host unless it is the scheme's own", function()
        assert.matches("Host: a:81\r\n", bytes { url = "http://a:81/" })
        assert.matches("Host: a\r\n", bytes { url = "http://a:80/" })
        assert.matches("Host: %[::1%]:81\r\n", bytes { url = "http://[::1]:81/" })
    end)

    it("says the whole URL to a proxy, without credentials", function()
        local request = requests.new {
            url = "http://u:p@Example.org/a#c", query = { b = 1 }, absolute = true,
        }
        assert.matches("^GET http://example%.org/a%?b=1 HTTP/1%.1\r\nHost: example%.org\r\n",
            request.head:bytes())
        assert.equal("http://example.org/a?b=1", request.target)
        assert.matches("^GET http://example%.org/c HTTP",
            request:with { url = "http://example.org/c", query = "" }.head:bytes())
        assert.matches("^GET /a%?b=1 HTTP", request:with { absolute = false }.head:bytes())
    end)

    it("leaves given headers as they are, in their order", function()
        local text = bytes {
            url = "http://a/",
            headers = { { "X-One", "1" }, { "accept", "text/html" }, { "HOST", "other" },
                { "user-agent", "me" } },
        }
        assert.equal("GET / HTTP/1.1\r\nHost: other\r\nX-One: 1\r\naccept: text/html\r\n"
            .. "user-agent: me\r\n\r\n", text)
    end)

    it("frames a body by its length, or chunked", function()
        assert.matches("Content%-Length: 3\r\n", bytes { method = "PUT", url = "http://a/",
            body = "abc" })
        assert.matches("Transfer%-Encoding: chunked\r\n", bytes { method = "PUT",
            url = "http://a/", body = function() end })
        assert.matches("Content%-Length: 0\r\n", bytes { method = "POST", url = "http://a/" })
        assert.not_matches("Content%-Length", bytes { method = "DELETE", url = "http://a/" })
    end)

    it("adds a query to the url's own", function()
        local function target(url, query)
            return requests.new({ url = url, query = query }).target
        end
        assert.equal("/?a=1&b=x+y&b=%26", target("http://a/", { b = { "x y", "&" }, a = 1 }))
        assert.equal("/?z=0&a=1", target("http://a/?z=0", { a = 1 }))
        assert.equal("/?b=2&a=1", target("http://a", { { "b", 2 }, { "a", 1 } }))
        assert.equal("/?raw", target("http://a/", "raw"))
        assert.equal("/", target("http://a/", {}))
    end)

    it("takes json and form bodies with their types", function()
        local request = requests.new { method = "POST", url = "http://a/", json = { 1, 2 } }
        assert.equal("[1,2]", request.body:string())
        assert.equal("application/json", request.headers:get "content-type")
        request = requests.new { method = "POST", url = "http://a/", form = { a = "x y", b = "&" } }
        assert.equal("a=x+y&b=%26", request.body:string())
        assert.equal("application/x-www-form-urlencoded", request.headers:get "content-type")
        request = requests.new { method = "POST", url = "http://a/", json = false,
            headers = { ["content-type"] = "text/plain" } }
        assert.equal("false", request.body:string())
        assert.same({ "text/plain" }, request.headers:get_all "content-type")
    end)

    it("turns credentials of the url into Authorization and forgets them", function()
        local request = requests.new { url = "http://us%40er:pa%3Ass@a/x" }
        assert.equal("Basic dXNAZXI6cGE6c3M=", request.headers:get "authorization")
        assert.equal("http://a/x", request.url)
        assert.not_matches("er:pa", request.url .. request.origin .. tostring(request))
        request = requests.new { url = "http://user@a/", headers = { Authorization = "mine" } }
        assert.same({ "mine" }, request.headers:get_all "authorization")
        assert.equal("Basic dXNlcjo=", requests.new({ url = "http://user@a/" }).headers
            :get "authorization")
    end)

    it("encodes credentials as RFC 4648 says, whatever their length", function()
        local expected = { [""] = "Og==", f = "Zjo=", fo = "Zm86", foo = "Zm9vOg==" }
        for user, text in pairs(expected) do
            if user ~= "" then
                local request = requests.new { url = "http://" .. user .. "@a/" }
                assert.equal("Basic " .. text, request.headers:get "authorization")
            end
        end
    end)

    it("sends a path with its dot segments when told to", function()
        local request = requests.new { url = "http://a/b/../c/./d?x", raw_target = true }
        assert.equal("/b/../c/./d?x", request.target)
        assert.equal("/b/../c/./d?x", request:with { method = "HEAD" }.target)
        assert.equal("/c/d?x", request:with { raw_target = false }.target)
        assert.equal("/c/d?x", requests.new { url = "http://a/b/../c/./d?x" }.target)
        assert.has_error(function()
            requests.new { url = "http://a/", raw_target = "yes" }
        end, "bad argument 'raw_target' (boolean expected, got string)")
    end)

    it("asks for trailers when told to, and names that in Connection", function()
        local request = requests.new { url = "http://a/", trailers = true }
        for _, asking in ipairs { request, request:with { method = "POST" } } do
            assert.matches("Connection: TE\r\nTE: trailers\r\n", asking.head:bytes(), 1, true)
        end
        assert.is_nil(request:with { trailers = false }.head:bytes():find "TE")
    end)

    it("closes after the exchange when asked", function()
        assert.matches("Connection: close\r\n", bytes { url = "http://a/", close = true })
    end)

    it("names what has the wrong type", function()
        assert.matches("'request' %(table expected, got nil", problem(nil))
        assert.matches("'url' %(string expected, got nil", problem {})
        assert.matches("'url' %(string expected, got number", problem { url = 1 })
        assert.matches("'method' %(string expected, got number",
            problem { url = "http://a/", method = 1 })
        assert.matches("'headers' %(", problem { url = "http://a/", headers = 1 })
        assert.matches("'body' %(", problem { url = "http://a/", body = 1 })
        assert.matches("'query' %(", problem { url = "http://a/", query = 1 })
        assert.matches("'form' %(", problem { url = "http://a/", form = 1 })
        assert.matches("'json' %(", problem { url = "http://a/", json = print })
        assert.matches("one of body, json, form and multipart",
            problem { url = "http://a/", json = 1, body = "x" })
    end)

    it("refuses what could not be sent", function()
        for _, url in ipairs { "", "a", "ftp://a/", "http://", "http://a b/",
            "http://a/\r\nX: y" } do
            assert.matches("'url' %(", problem { url = url })
        end
        for _, method in ipairs { "", "G T", "GET\r\n", "G\0T" } do
            assert.matches("method", problem { url = "http://a/", method = method })
        end
        assert.matches("bad argument 'url' %(CONNECT has target",
            problem { url = "http://a/", method = "CONNECT" })
        assert.matches("target", problem { url = "http://a/", query = "a b" })
        assert.matches("bad header \"X\"",
            problem { url = "http://a/", headers = { X = "1\r\n2" } })
        assert.matches("given twice",
            problem { url = "http://a/", headers = { { "Host", "a" }, { "host", "b" } } })
    end)

    it("says what to use instead of the headers it sets itself", function()
        local owned = { ["Content-Length"] = "body", ["Transfer-Encoding"] = "chunked",
            Connection = "close = true", ["keep-alive"] = "keeps", UPGRADE = "protocol",
            Te = "trailers = true" }
        for name, word in pairs(owned) do
            local message = problem { url = "http://a/", headers = { [name] = "1" } }
            assert.matches("moonwire sets it itself", message)
            assert.matches(word, message, 1, true)
        end
    end)

    it("blames the line that called it", function()
        local line = debug.getinfo(1, "l").currentline + 1
        local _, message = pcall(function() requests.new { url = 1 } end)
        assert.matches("request_spec.lua:" .. line .. ":", message, 1, true)
        _, message = pcall(function() requests.new { url = "http://a/", method = "G T" } end)
        assert.matches("request_spec.lua:" .. line + 2 .. ":", message, 1, true)
    end)
end)

describe("a request", function()
    local request = requests.new { method = "POST", url = "http://u:p@a/b?c=1", query = { d = 2 },
        headers = { A = "1", B = "2" }, body = "text" }

    it("can't be changed", function()
        for _, name in ipairs { "method", "url", "new", 1 } do
            if name ~= 1 then
                assert.error_matches(function()
                    request[name] = "x"
                end, "can't be changed")
            end
        end
        request.headers:set("A", "9")
        assert.equal("1", request.headers:get "a")
        assert.not_matches("A: 9", request.head:bytes())
    end)

    it("isn't changed by what it was made of", function()
        local headers = { A = "1" }
        local old = requests.new { url = "http://a/", headers = headers }
        headers.A = "2"
        assert.equal("1", old:with({}).headers:get "a")
    end)

    it("is copied by with, whole or with changes", function()
        local copy = request:with {}
        assert.equal(request.head:bytes(), copy.head:bytes())
        assert.equal("text", copy.body:string())
        copy = request:with { method = "PUT", headers = { b = "3", C = "4" } }
        assert.equal("PUT", copy.method)
        assert.equal("/b?c=1&d=2", copy.target)
        assert.equal("1", copy.headers:get "a")
        assert.same({ "3" }, copy.headers:get_all "b")
        assert.equal("4", copy.headers:get "c")
        assert.equal("Basic dTpw", copy.headers:get "authorization")
        assert.equal("2", request.headers:get "b")
        copy = request:with { headers = { B = {}, C = "5" } }
        assert.is_false(copy.headers:has "b")
        assert.equal("1 5", copy.headers:get "a" .. " " .. copy.headers:get "c")
        assert.is_false(copy:with({}).headers:has "b")
    end)

    it("loses its body, gets another, or another place", function()
        assert.is_nil(request:with({ body = false }).body)
        assert.equal("x", request:with({ body = "x" }).body:string())
        assert.equal("[1]", request:with({ json = { 1 } }).body:string())
        local moved = request:with { url = "http://c/" }
        assert.equal("http://c/", moved.url)
        assert.is_nil(moved.headers:get "authorization")
        assert.equal("c", moved.headers:get "host")
        assert.error_matches(function()
            request:with(1)
        end, "'changes'")
    end)

    it("knows whether a server may be asked twice", function()
        local repeatable = { GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true,
            TRACE = true, POST = false, PATCH = false, get = false }
        for method, expected in pairs(repeatable) do
            local one = requests.new { url = "http://a/", method = method }
            assert.equal(expected, one.idempotent)
        end
    end)
end)
