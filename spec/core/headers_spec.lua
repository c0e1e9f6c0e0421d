-- Header lists: order, names without case, checks, lifetimes.

local core = require "moonwire.core"

local function list(...)
    local headers = core.headers()
    for i = 1, select("#", ...), 2 do
        headers:add((select(i, ...)), (select(i + 1, ...)))
    end
    return headers
end

local function text(headers)
    local lines = {}
    for name, value in headers:each() do
        lines[#lines + 1] = name .. "=" .. value
    end
    return table.concat(lines, ";")
end

describe("a header list", function()
    it("keeps order and names as given", function()
        local headers = list("X-B", "1", "x-a", "2", "X-b", "3")
        assert.equal("X-B=1;x-a=2;X-b=3", text(headers))
        assert.equal(3, headers:count())
    end)

    it("compares names without case", function()
        local headers = list("Content-Type", "text/plain")
        assert.equal("text/plain", headers:get "content-TYPE")
        assert.equal("text/plain", headers["content-type"])
        assert.is_true(headers:has "CONTENT-TYPE")
        assert.is_nil(headers:get "content-typ")
        assert.is_nil(headers["content-type-x"])
        assert.is_false(headers:has "content")
    end)

    it("gives the first value, or all", function()
        local headers = list("A", "1", "B", "2", "a", "3")
        assert.equal("1", headers:get "a")
        assert.same({ "1", "3" }, headers:get_all "A")
        assert.same({}, headers:get_all "C")
    end)

    it("replaces all fields of a name by one, in the place of the first", function()
        local headers = list("A", "1", "B", "2", "a", "3", "A", "4")
        headers:set("a", "new")
        assert.equal("a=new;B=2", text(headers))
        headers:set("C", "5")
        assert.equal("a=new;B=2;C=5", text(headers))
    end)

    it("removes all fields of a name", function()
        local headers = list("A", "1", "B", "2", "a", "3")
        assert.equal(2, headers:remove "a")
        assert.equal(0, headers:remove "a")
        assert.equal("B=2", text(headers))
    end)

    it("trims values and takes numbers", function()
        local headers = list("A", " \t b  c\t ", "B", 5, "C", "")
        assert.equal("A=b  c;B=5;C=", text(headers))
        assert.equal("5", headers.B)
    end)

    it("lets names of methods win over fields", function()
        local headers = list("get", "x", "Count", "y")
        assert.is_function(headers.get)
        assert.equal("x", headers:get "get")
        assert.equal("y", headers.Count)
        assert.is_nil(headers[1])
        assert.is_nil(headers[true])
    end)

    it("refuses names and values that could break a head", function()
        local headers = core.headers()
        for _, name in ipairs { "", "a b", "a:", "a\r", "\233", "a\0", "(", "a\n b" } do
            local ok, message = pcall(headers.add, headers, name, "x")
            assert.is_false(ok)
            assert.is_truthy(message:find("'name'", 1, true), message)
            assert.is_false((pcall(headers.set, headers, name, "x")))
        end
        for _, value in ipairs { "a\r\nb: c", "a\nb", "a\rb", "a\0b", "\1", "a\127" } do
            local ok, message = pcall(headers.add, headers, "a", value)
            assert.is_false(ok)
            assert.is_truthy(message:find("'value'", 1, true), message)
            assert.is_false((pcall(headers.set, headers, "a", value)))
        end
        assert.equal(0, headers:count())
        headers:add("a!#$%&'*+-.^_`|~9", "\128\255 \t~")
        assert.equal("\128\255 \t~", headers:get "A!#$%&'*+-.^_`|~9")
    end)

    it("refuses other types and names the argument", function()
        local headers = core.headers()
        for _, case in ipairs {
            { "'name'", headers.add, headers, nil, "x" },
            { "'name'", headers.add, headers, 5, "x" },
            { "'name'", headers.get, headers },
            { "'name'", headers.remove, headers, {} },
            { "'value'", headers.add, headers, "a" },
            { "'value'", headers.add, headers, "a", true },
            { "'value'", headers.set, headers, "a", {} },
            { "moonwire.core.Headers", headers.get, {}, "a" },
            { "moonwire.core.Headers", headers.get, core.h1 "client", "a" },
        } do
            local ok, message = pcall(unpack(case, 2, 5))
            assert.is_false(ok)
            assert.is_truthy(message:find(case[1], 1, true), message)
        end
        assert.has_error(function()
            headers.x = "y"
        end)
    end)

    it("is copied, not shared", function()
        local headers = list("A", "1")
        local copy = headers:copy()
        copy:add("B", "2")
        headers:set("A", "3")
        assert.equal("A=1;B=2", text(copy))
        assert.equal("A=3", text(headers))
        assert.equal("A=1;B=2", text(copy:copy():copy()))
        assert.equal("", text(core.headers():copy()))
    end)

    it("may change while it is walked through", function()
        local headers, seen = list("A", "1", "B", "2", "C", "3"), {}
        for name in headers:each() do
            seen[#seen + 1] = name
            headers:remove "C"
            headers:remove "B"
        end
        assert.same({ "A" }, seen)
    end)

    it("outlives its iterators and the other way round", function()
        local walk = list("A", "1", "B", "2"):each()
        collectgarbage()
        collectgarbage()
        assert.equal("A", (walk()))
        assert.equal("B", (walk()))
        assert.is_nil(walk())
    end)

    it("holds its memory down when a field is set again and again", function()
        local headers = list("A", "1")
        for i = 1, 20000 do
            headers:set("B", ("x"):rep(i % 500))
        end
        assert.equal("1", headers.A)
        assert.equal(20000 % 500, #headers.B)
        assert.equal(2, headers:count())
    end)

    it("grows", function()
        local headers = core.headers()
        for i = 1, 5000 do
            headers:add("X-" .. i, ("v"):rep(i % 100))
        end
        assert.equal(5000, headers:count())
        assert.equal(("v"):rep(99), headers["x-4999"])
        assert.equal(4, #headers:get "X-1004")
    end)

    it("shows itself without its secrets", function()
        local headers = list("Host", "h", "Authorization", "Basic abc", "cookie", "a=b",
            "Set-Cookie", "c=d", "proxy-authorization", "Bearer x", "X-A", "1")
        local shown = tostring(headers)
        for _, secret in ipairs { "abc", "a=b", "c=d", "Bearer" } do
            assert.is_nil(shown:find(secret, 1, true))
        end
        assert.is_truthy(shown:find("^Host: h\n"))
        assert.is_truthy(shown:find("X%-A: 1$"))
        assert.equal("Basic abc", headers.authorization)
    end)

    it("that was received changes like any other", function()
        local h1 = core.h1 "server"
        h1:feed "GET / HTTP/1.1\r\nHost: h\r\nX-A:  1 \r\nx-a: 2\r\n\r\n"
        h1:next()
        local headers = h1:head().headers
        assert.same({ "1", "2" }, headers:get_all "X-A")
        headers:set("X-A", "3")
        headers:add("X-B", "4")
        headers:remove "host"
        assert.equal("X-A=3;X-B=4", text(headers))
        assert.equal("h", h1:head().headers.host)
    end)
end)
