local clients = require "moonwire.client"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local support = require "spec.support"
local testing = require "moonwire.testing"

local fails = require("spec.support.mock_client").fails

-- Runs f(transport, clock) with all requests answered by the transport, on a clock of its own.
local function with(f)
    local t = testing.transport()
    testing.with(t, testing.run, function(clock)
        f(t, clock)
        http.default():close()
    end)
end

describe("a test's transport", function()
    it("answers every client's requests, and only while it is there", function()
        local t = testing.transport():on("GET", "http://api.test/x", { body = "made" })
        testing.with(t, function()
            assert.equal("made", assert(http.get "http://api.test/x"):text())
            local client = clients.new { base_url = "http://api.test/" }
            assert.equal("made", assert(client:get "x"):text())
            assert.equal(0, client:stats().opened)
        end)
        assert.equal(2, #t.calls)
        local _, err = http.get("http://127.0.0.1:1/x")
        assert.equal("connect", err.kind)
        assert.has_error(function()
            testing.with(t, error, "from inside")
        end)
        assert.equal("connect", select(2, http.get "http://127.0.0.1:1/").kind)
    end)

    it("finds routes by method, URL, names in the path, query, headers and body", function()
        with(function(t)
            t:on("*", "/*", { body = "any" })
            t:on("GET", "http://a.test/users/:id", function(call, params)
                return { json = { id = params.id, q = call.query.q, path = call.path } }
            end)
            t:on("POST", "/json", { body = "json" }, { json = { a = { 1, 2 }, b = "x" } })
            t:on("POST", "/form", { body = "form" }, { body = "a=1&b=2" })
            t:on("GET", "/query?x=1", { body = "query" }, { query = { y = 2 } })
            t:on("GET", "/header", { body = "header" }, { headers = { ["X-A"] = "1" } })
            t:on("GET", "/files/*", function(_, params)
                return { body = params["*"] }
            end)
            t:on("PUT", function(call)
                return call.body:find "^magic" and { what = "found" }
            end, function(_, params)
                return { body = params.what }
            end)
            local function text(method, url, opts)
                return assert(http.request(method, url, opts)):text()
            end
            assert.equal("any", text("GET", "http://b.test/users/7"))
            local user = assert(http.get "http://a.test/users/a%20b?q=c+d"):json()
            assert.same({ id = "a b", q = "c d", path = "/users/a b" }, user)
            assert.equal("json", text("POST", "http://b.test/json",
                { json = { b = "x", a = { 1, 2 } } }))
            assert.equal("any", text("POST", "http://b.test/json",
                { json = { b = "x", a = { 1 } } }))
            assert.equal("form", text("POST", "http://b.test/form", { body = function()
                local part = t.part
                t.part = (part or 0) + 1
                return ({ [0] = "a=1", "&b=2" })[part or 0]
            end }))
            assert.equal("query", text("GET", "http://b.test/query?x=1&y=2"))
            assert.equal("any", text("GET", "http://b.test/query?x=2&y=2"))
            assert.equal("header", text("GET", "http://b.test/header",
                { headers = { ["x-a"] = 1 } }))
            assert.equal("a/b", text("GET", "http://b.test/files/a/b"))
            assert.equal("found", text("PUT", "http://b.test/", { body = "magic word" }))
            assert.equal(10, #t.calls)
            assert.equal("magic word", t.calls[10].body)
            assert.same({ "x", { 1, 2 } }, { t.calls[3]:json().b, t.calls[3]:json().a })
        end)
    end)

    it("answers a list one after the other, and so many times", function()
        with(function(t)
            t:on("GET", "/", { body = "later" })
            t:on("GET", "/", { { status = 500 }, { status = 201 } }, { times = 3 })
            local got = {}
            for i = 1, 5 do
                got[i] = assert(http.get "http://h.test/").status
            end
            assert.same({ 500, 201, 201, 200, 200 }, got)
        end)
    end)

    it("says which request had no route, and which route no request", function()
        local t = testing.transport():on("GET", "/a", {}, { times = 2 })
        testing.with(t, function()
            assert(http.get "http://h.test/a")
            assert.error_matches(function()
                t:assert_done()
            end, "not asked for:\n  GET /a: 1 of 2")
            assert(http.get "http://h.test/a")
            t:assert_done()
            local err = fails("system", "connect", http.post("http://h.test/b", { body = "x" }))
            assert.truthy(err.message:find(
                "answers POST http://h.test/b; its routes:\n  GET /a (has", 1, true), err.message)
            assert.error_matches(function()
                t:assert_done()
            end, "answers:\n  POST http://h.test/b")
        end)
    end)

    it("is below redirects, repetitions and limits on time", function()
        with(function(t, clock)
            t:on("GET", "/old", { status = 301, headers = { Location = "/new" } })
            t:on("GET", "/new", { { status = 503 }, { body = "new", delay = 2 } })
            local started = clock:now()
            local res = assert(http.get("http://h.test/old", { retry = { attempts = 2 } }))
            assert.equal("new", res:text())
            assert.equal("http://h.test/new", res.url)
            assert.equal(1, #res.history)
            assert.is_true(clock:now() - started >= 2)
            local err = fails("timeout", "headers", http.get("http://h.test/new", { timeout = 1 }))
            assert.equal("total", err.timeout)
            assert.equal(1, err.elapsed)
            t:on("GET", "/slow", { delay = 1000 })
            err = fails("timeout", "headers", http.get("http://h.test/slow"))
            assert.equal("headers", err.timeout)
            assert.equal(60, err.elapsed)
            local _, problem = moonwire.timeout(3, http.get, "http://h.test/slow")
            assert.equal("timeout", problem.kind)
        end)
    end)

    it("fails as the test wants, before the head and in the body", function()
        with(function(t)
            t:on("GET", "/tls", { error = { kind = "tls", message = "expired" } })
            t:on("GET", "/cut", { chunks = { "half of ", "i", { kind = "closed" } } })
            t:on("GET", "/whole", { chunks = { "half of ", "it" } })
            assert.equal("expired", fails("tls", "tls", http.get "http://h.test/tls").message)
            local res = assert(http.get "http://h.test/cut")
            assert.equal("half of ", res:read())
            assert.equal("i", res:read())
            fails("closed", "body", res:read())
            assert.equal("half of it", assert(http.get "http://h.test/whole"):text())
            fails("limit", "body", assert(http.get("http://h.test/whole", { max_body = 3 })):text())
        end)
    end)

    it("has no body where there is none", function()
        with(function(t)
            t:on("*", "/", { status = 204, body = "x" })
            t:on("HEAD", "/", { json = { 1 } })
            assert.equal("", assert(http.head "http://h.test/"):text())
            assert.equal("", assert(http.get "http://h.test/"):text())
        end)
    end)

    it("raises for what is no route", function()
        local t = testing.transport()
        for words, make in pairs {
            ["unknown field 'text' of a reply"] = function() t:on("GET", "/", { text = "x" }) end,
            ["bad argument 'reply.status' (number"] = function()
                t:on("GET", "/", { { status = "200" } })
            end,
            ["bad argument 'url' (URL, or a path"] = function() t:on("GET", "x", {}) end,
            ["unknown option 'header'"] = function() t:on("GET", "/", {}, { header = {} }) end,
            ["bad argument 'by' (transport"] = function() testing.intercept {} end,
        } do
            local ok, problem = pcall(make)
            assert.is_false(ok)
            assert.truthy(problem:find(words, 1, true), problem)
            assert.truthy(problem:find("transport_spec.lua:", 1, true), problem)
        end
    end)
end)

describe("the example of a test", function()
    it("is run by busted as it stands there", function()
        local code, out, err = support.run(("cd %s/examples/testing && busted --lua=%s"):format(
            support.quote(support.root), support.quote(support.luajit())),
            { env = { LUA_PATH = "./?.lua;" .. os.getenv "LUA_PATH" } })
        assert.equal(0, code, out .. err)
        assert.truthy(out:find("4 successes / 0 failures / 0 errors", 1, true), out)
    end)
end)
