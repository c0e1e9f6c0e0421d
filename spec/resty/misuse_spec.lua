-- What moonwire.resty can't be asked for: wrong types raise; values that can't be sent, which may
-- have come from elsewhere, are nil and words.

local resty = require "moonwire.resty"
local with = require "spec.support.resty"

describe("moonwire.resty: a value that can't be sent", function()
    for words, given in pairs {
        ["control byte such as CR, LF"] = { headers = { ["X-A"] = "a\r\nX-B: b" } },
        ["bad header \"X A\""] = { headers = { ["X A"] = "1" } },
        ["byte 30 is a space"] = { path = "/a b" },
        ["bad path: it has to begin with \"/\", got \"http://a.test/\""] = {
            path = "http://a.test/",
        },
        ["method"] = { method = "GE T" },
        ["it says 5, and the body has 3 bytes"] = {
            body = "abc", headers = { ["Content-Length"] = "5" },
        },
        ["it says 5, and the body has 0 bytes"] = { headers = { ["content-length"] = 5 } },
        ["bad header \"Content-Length\": \"x\""] = { headers = { ["Content-Length"] = "x" } },
        ["gives the body's bytes without chunk sizes"] = {
            body = function() end, headers = { ["Transfer-Encoding"] = "chunked" },
        },
        ["\"x-hop\" can't be said to the server"] = { headers = { Connection = "X-Hop" } },
        ["upgrade = \"protocol\""] = { headers = { Connection = "Upgrade", Upgrade = "h2c" } },
        ["100-continue expected, got \"200-ok\""] = { headers = { Expect = "200-ok" } },
        ["trailers expected, got \"gzip\""] = { headers = { TE = "gzip" } },
        ["bad query value"] = { query = { a = {  {} } } },
        ["bad argument 'body'"] = { body = { a = 1 } },
    } do
        it("is refused and the connection stays: " .. words, function()
            with.mock(function(httpc, s)
                assert(httpc:connect { scheme = "http", host = "127.0.0.1", port = s.port })
                local res, problem, err = httpc:request(given)
                assert.is_nil(res)
                assert.truthy(problem:gsub("byte %d+ is", "byte 30 is"):find(words, 1, true),
                    problem)
                assert.is_nil(problem:find ".lua:%d")
                assert.equal("system", err.kind)
                assert.equal(0, s.requests)
                assert.equal(200, assert(httpc:request { path = "/get" }).status)
            end)
        end)
    end

    it("is refused before connecting", function()
        local httpc = resty.new()
        for words, options in pairs {
            ["bad host"] = { scheme = "http" },
            ["bad scheme: \"http\" or \"https\" expected, got \"ftp\""] = {
                scheme = "ftp", host = "a.test",
            },
            ["bad scheme: \"http\" or \"https\" expected, got \"nil\""] = { host = "a.test" },
            ["bad port: 65536"] = { scheme = "http", host = "a.test", port = 65536 },
        } do
            local ok, problem = httpc:connect(options)
            assert.is_nil(ok)
            assert.truthy(problem:find(words, 1, true), problem)
        end
        assert.equal("not initialized", (select(2, httpc:request {})))
        for _, uri in ipairs { "", "/a", "ftp://a.test/", "http://a b/" } do
            local res, problem = httpc:request_uri(uri)
            assert.is_nil(res)
            assert.truthy(problem:find "^bad uri: ", problem)
        end
    end)
end)

describe("moonwire.resty: what it understands of headers", function()
    it("is what moonwire has options for", function()
        with.mock(function(httpc, s)
            s:on("/h", function(request, respond)
                local seen = {}
                for name, value in request.headers:each() do
                    seen[#seen + 1] = name .. "=" .. value
                end
                request:text()
                respond(200, table.concat(seen, ";"))
            end)
            local res = assert(httpc:request_uri(s.url .. "/h", {
                method = "POST", body = "abc",
                headers = {
                    Connection = "keep-alive, TE", TE = "trailers", Expect = "100-continue",
                    ["Content-Length"] = "3", ["Keep-Alive"] = "timeout=5", ["X-A"] = { "1", "2" },
                },
            }))
            assert.truthy(res.body:find("X-A=1;X-A=2", 1, true))
            assert.truthy(res.body:find("Expect=100-continue", 1, true))
            assert.truthy(res.body:find("TE=trailers", 1, true))
            assert.is_nil(res.body:find("Keep-Alive", 1, true))
            assert.equal(2, select(2, res.body:gsub("Content%-Length=3", "%0"))
                + select(2, res.body:gsub("Connection=TE", "%0")))
        end)
    end)
end)

describe("moonwire.resty: a wrong argument", function()
    local httpc = resty.new()
    for message, call in pairs {
        ["bad argument 'self' (client (httpc:method()) expected, got string)"] = function()
            httpc.request_uri("http://a.test/")
        end,
        ["bad argument 'timeout' (milliseconds above 0 expected, got string)"] = function()
            httpc:set_timeout "1"
        end,
        ["bad argument 'read_timeout' (milliseconds above 0 expected, got -1)"] = function()
            httpc:set_timeouts(1, 1, -1)
        end,
        ["bad argument 'host' (string expected, got nil)"] = function()
            httpc:connect()
        end,
        ["bad argument 'port' (number expected, got string)"] = function()
            httpc:connect { scheme = "http", host = "a.test", port = "80" }
        end,
        ["bad argument 'ssl_verify' (boolean expected, got string)"] = function()
            httpc:request_uri("https://a.test/", { ssl_verify = "no" })
        end,
        ["bad argument 'ssl_client_cert' (PEM text, or a path expected, got table)"] = function()
            httpc:connect { scheme = "https", host = "a.test", ssl_client_cert = {} }
        end,
        ["bad argument 'ssl_send_status_req' (OCSP stapling isn't checked here: leave it out)"] =
            function()
                httpc:connect { scheme = "https", host = "a.test", ssl_send_status_req = true }
            end,
        ["bad argument 'ssl_reused_session' (sessions can't be handed over: leave it out, and keep "
            .. "connections alive)"] = function()
            httpc:connect { scheme = "https", host = "a.test", ssl_reused_session = {} }
        end,
        ["bad argument 'pool_size' (whole number from 1 expected, got 0)"] = function()
            httpc:connect { scheme = "http", host = "a.test", pool_size = 0 }
        end,
        ["bad argument 'max_idle_timeout' (milliseconds from 0 expected, got -1)"] = function()
            httpc:set_keepalive(-1)
        end,
        ["bad argument 'uri' (string expected, got number)"] = function()
            httpc:request_uri(1)
        end,
        ["bad argument 'keepalive_pool' (whole number from 1 expected, got 1.5)"] = function()
            httpc:request_uri("http://a.test/", { keepalive_pool = 1.5 })
        end,
        ["bad argument 'params' (table expected, got string)"] = function()
            httpc:request_uri("http://a.test/", "GET")
        end,
        ["bad argument 'sock' (the body read is that of the client's request: give none)"] =
            function()
                httpc:get_client_body_reader(100, {})
            end,
        ["bad argument 'chunksize' (whole number from 1 expected, got 0)"] = function()
            httpc:get_client_body_reader(0)
        end,
    } do
        it("raises: " .. message, function()
            local _, raised = pcall(call)
            local place, rest = raised:match "^(.-):%d+: (.*)$"
            assert.equal(message, rest)
            assert.truthy(place:find "misuse_spec.lua$", place) -- whose fault it is
        end)
    end

    it("of a request raises as well, and the old version of HTTP", function()
        with.mock(function(client, s)
            assert(client:connect { scheme = "http", host = "127.0.0.1", port = s.port })
            assert.has_error(function()
                client:request()
            end, "bad argument 'params' (table expected, got nil)")
            assert.has_error(function()
                client:request { headers = "X: 1" }
            end, "bad argument 'headers' (table expected, got string)")
            assert.has_error(function()
                client:request { version = 1.0 }
            end, "bad argument 'version' (requests are HTTP/1.1; got 1: leave it out, and for a "
                .. "connection of one request say headers = { Connection = \"close\" })")
            local reader = assert(client:request { path = "/get", version = 1.1 }).body_reader
            assert.has_error(function()
                reader(0)
            end, "bad argument 'size' (whole number from 1 expected, got 0)")
        end)
    end)
end)
