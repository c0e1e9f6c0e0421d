local http = require "moonwire.http"
local server = require "moonwire.testing.server"
local support = require "spec.support"
local testing = require "moonwire.testing"

-- Runs f(path, server) beside a loopback server; the file is removed behind it.
local function with(f)
    support.in_loop(function()
        local path = os.tmpname()
        os.remove(path)
        local s = assert(server.start())
        f(path, s)
        s:close()
        http.default():close()
        os.remove(path)
    end)
end

local function read(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read "*a"
    file:close()
    return text
end

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

describe("a cassette", function()
    it("replays what it has recorded, without the server", function()
        with(function(path, s)
            local function talk()
                local list = {}
                for i, call in ipairs {
                    { "GET", "/get?x=1" }, { "POST", "/post", { json = { "é", 2 } } },
                    { "GET", "/bytes/1000" }, { "GET", "/redirect/1" }, { "HEAD", "/get" },
                    { "GET", "/chunked" }, { "GET", "/status/404" },
                } do
                    local res = assert(http.request(call[1], s.url .. call[2], call[3]))
                    list[i] = { res.status, res.headers:get "content-type", res.url,
                        #res.history, res:text() }
                end
                return list
            end
            local cassette = testing.cassette(path, { mode = "record" })
            local recorded = testing.with(cassette, talk)
            local came = s.requests
            assert.is_true(came >= 8)
            cassette = testing.cassette(path)
            assert.equal("replay", cassette.mode)
            assert.same(recorded, testing.with(cassette, talk))
            assert.equal(came, s.requests)
        end)
    end)

    it("records once where there is no file, and replays where CI is set", function()
        with(function(path, s)
            local ci = os.getenv "CI" ~= nil
            local cassette = testing.cassette(path, { mode = not ci and "auto" or "record" })
            assert.equal("record", cassette.mode)
            testing.with(cassette, function()
                assert(http.get(s.url .. "/get"))
            end)
            assert.equal("replay", testing.cassette(path).mode)
            local code, out = support.run({ support.moonwire(), "-e", ([[
                local ok, problem = pcall(require("moonwire.testing").cassette, "/nowhere/x.json")
                print(ok, problem)]]) }, { env = { CI = "true" } })
            assert.equal(0, code)
            assert.truthy(out:find("^false.*can't be read"), out)
        end)
    end)

    it("gives the same request's answers in their order", function()
        with(function(path, s)
            local n = 0
            s:on("/n", function(_, respond)
                n = n + 1
                respond(200, tostring(n))
            end)
            local function talk()
                local first = assert(http.get(s.url .. "/n")):text()
                return first .. assert(http.get(s.url .. "/n")):text()
            end
            assert.equal("12", testing.with(testing.cassette(path, { mode = "record" }), talk))
            local cassette = testing.cassette(path)
            assert.equal("12", testing.with(cassette, talk))
            assert.equal("22", testing.with(cassette, talk))
        end)
    end)

    it("leaves secrets out", function()
        with(function(path, s)
            s:on("/login", function(_, respond)
                respond(200, "in", { ["Set-Cookie"] = "session=TOPSECRET1; Path=/; HttpOnly" })
            end)
            local url = s.url:gsub("//", "//me:TOPSECRET2@") .. "/login?token=TOPSECRET3&page=2"
            local opts = { headers = { Cookie = "a=TOPSECRET4", ["X-Api"] = "TOPSECRET5" },
                query = { mine = "TOPSECRET6" } }
            local function talk()
                return assert(http.get(url, opts)):text()
            end
            local cassette_opts = { mode = "record", secrets = { "x-api", "mine" } }
            testing.with(testing.cassette(path, cassette_opts), talk)
            local text = read(path)
            assert.is_nil(text:find "TOPSECRET")
            assert.is_nil(text:find "bWU6") -- of base64
            assert.truthy(text:find('"session=redacted; Path=/; HttpOnly"', 1, true), text)
            assert.truthy(text:find("page=2", 1, true))
            cassette_opts.mode = "replay"
            assert.equal("in", testing.with(testing.cassette(path, cassette_opts), talk))
        end)
    end)

    it("records what a filter makes of it", function()
        with(function(path, s)
            local cassette = testing.cassette(path, { mode = "record", filter = function(exchange)
                exchange.response.body = exchange.response.body:gsub("moon", "sun")
                return not exchange.request.url:find "skip" and exchange or nil
            end })
            testing.with(cassette, function()
                assert(http.get(s.url .. "/get?name=moon"))
                assert(http.get(s.url .. "/get?skip=1"))
            end)
            assert.truthy(read(path):find("sun", 1, true))
            assert.is_nil(read(path):find("skip", 1, true))
        end)
    end)

    it("says what differs from the nearest recording", function()
        with(function(path, s)
            testing.with(testing.cassette(path, { mode = "record" }), function()
                assert(http.post(s.url .. "/post", { body = "one" }))
            end)
            testing.with(testing.cassette(path, { match = { "method", "url", "body" } }), function()
                assert(http.post(s.url .. "/post", { body = "one" }))
                local _, err = http.post(s.url .. "/post", { body = "two" })
                assert.equal("system", err.kind)
                assert.truthy(err.message:find('body: "two", recorded was "one"', 1, true),
                    err.message)
            end)
            testing.with(testing.cassette(path), function()
                assert(http.post(s.url .. "/post", { body = "two" })) -- the body doesn't count
                local _, err = http.get(s.url .. "/post")
                assert.truthy(err.message:find('method: "GET", recorded was "POST"', 1, true))
            end)
            testing.with(testing.cassette(path, { match = { "headers" } }), function()
                local _, err = http.get(s.url .. "/post", { headers = { ["X-A"] = "1" } })
                assert.truthy(err.message:find("x%-a: 1"), err.message)
            end)
        end)
    end)

    it("writes nothing when the function fails, and tells a file that it can't use", function()
        with(function(path, s)
            assert.has_error(function()
                testing.with(testing.cassette(path, { mode = "record" }), function()
                    assert(http.get(s.url .. "/get"))
                    error "no"
                end)
            end)
            assert.is_nil(io.open(path))
            for text, words in pairs {
                ["{"] = "is broken: not JSON", ["[]"] = "is no cassette",
                ['{"moonwire_cassette": 1, "exchanges": [{}]}'] = "exchange 1 has no request",
                ['{"moonwire_cassette": 1, "exchanges": [7]}'] = "exchange 1 is no table",
                ['{"moonwire_cassette": 1, "exchanges": [{"request": {"method": "GET", "url": "x",'
                    .. '"headers": [], "body": ""}, "response": {"status": 200, "headers": [],'
                    .. '"body_base64": "!"}}]}'] = "isn't base64",
                ['{"moonwire_cassette": 2, "exchanges": []}'] = "is no cassette",
            } do
                write(path, text)
                local ok, problem = pcall(testing.cassette, path)
                assert.is_false(ok)
                assert.truthy(problem:find(words, 1, true), problem)
                assert.equal(text, read(path))
            end
            assert.error_matches(function()
                testing.with(testing.cassette("/nowhere/x", { mode = "record" }), function() end)
            end, "can't be written")
            assert.error_matches(function()
                testing.cassette(path, { match = { "path" } })
            end, 'bad argument \'match\' %("path"')
        end)
    end)

    it("refuses to record a body that it can't read twice", function()
        with(function(path, s)
            testing.with(testing.cassette(path, { mode = "record" }), function()
                local _, err = http.post(s.url .. "/post", { body = function() end })
                assert.equal("body", err.kind)
            end)
        end)
    end)
end)
