-- The documented usage of the API that moonwire.resty has the shape of, on real sockets.

local moonwire = require "moonwire"
local resty = require "moonwire.resty"
local support = require "spec.support"
local with = require "spec.support.resty"

local place = with.place

local function chunked(pieces, trailers)
    return function(_, respond)
        respond:begin(200, { Trailer = trailers and "X-Sum" }, "chunked")
        for _, piece in ipairs(pieces) do
            respond:write(piece)
        end
        respond:finish(trailers)
    end
end

describe("moonwire.resty: one call", function()
    it("sends, reads all and keeps the connection", function()
        with.real(function(httpc, s)
            s:on("/echo", with.echo)
            local res, err = httpc:request_uri(s.url .. "/echo", {
                method = "POST",
                body = "a=1&b=2",
                headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
                keepalive_timeout = 60000,
                keepalive_pool = 10,
            })
            assert.is_nil(err)
            assert.equal(200, res.status)
            assert.equal("OK", res.reason)
            assert.equal("a=1&b=2", res.body)
            assert.equal("7", res.headers["Content-Length"])
            assert.equal("POST", res.headers["X-Method"])
            assert.equal("application/x-www-form-urlencoded", res.headers["X-Kind"])
            assert.equal(200, resty.new():request_uri(s.url .. "/echo").status)
            assert.equal(1, s.connections)
        end)
    end)

    it("takes the parts of the URI from the parameters where they are there", function()
        with.real(function(httpc, s)
            s:on("/echo", with.echo)
            local res = assert(httpc:request_uri("http://127.0.0.1:1/not?x=0", {
                port = s.port, path = "/echo", query = { b = "2 3", a = 1 },
                headers = { Host = "example.com" },
            }))
            assert.equal("/echo?a=1&b=2+3", res.headers["X-Target"])
            assert.equal("example.com", res.headers["X-Host"])
            res = assert(httpc:request_uri(s.url .. "/echo?x=0"))
            assert.equal("/echo?x=0", res.headers["X-Target"])
            res = assert(httpc:request_uri(s.url .. "/echo?x=0", { query = "y=1" }))
            assert.equal("/echo?y=1", res.headers["X-Target"])
        end)
    end)

    it("closes the connection when keepalive is false", function()
        with.real(function(httpc, s)
            assert(httpc:request_uri(s.url .. "/get", { keepalive = false }))
            assert(httpc:request_uri(s.url .. "/get"))
            assert.equal(2, s.connections)
        end)
    end)

    it("has the trailers among the headers, and the redirect as it came", function()
        with.real(function(httpc, s)
            s:on("/t", chunked({ "one", "two" }, { ["X-Sum"] = "6" }))
            local res = assert(httpc:request_uri(s.url .. "/t"))
            assert.equal("onetwo", res.body)
            assert.equal("6", res.headers["x-sum"])
            res = assert(httpc:request_uri(s.url .. "/redirect/1"))
            assert.equal(302, res.status)
            assert.is_string(res.headers.location)
        end)
    end)

    it("gives nil and words when nobody answers", function()
        with.real(function(httpc)
            local url = "http://127.0.0.1:" .. support.free_port() .. "/"
            local res, err, whole = httpc:request_uri(url)
            assert.is_nil(res)
            assert.equal("connection refused", err)
            assert.equal("connect", whole.kind)
        end)
    end)
end)

describe("moonwire.resty: a connection", function()
    it("is opened, asked, read in pieces and kept", function()
        with.real(function(httpc, s)
            s:on("/t", chunked { ("x"):rep(5000), ("y"):rep(5000), ("z"):rep(5000) })
            for _, size in ipairs { 1000, 8192, 100000 } do
                assert.equal(1, (httpc:connect(place(s))))
                local res = assert(httpc:request { path = "/t", headers = { Host = "a.test" } })
                assert.is_true(res.has_body)
                local reader, pieces = res.body_reader, {}
                repeat
                    local buffer, err = reader(size)
                    assert.is_nil(err)
                    if buffer then
                        assert.is_true(#buffer <= size)
                        pieces[#pieces + 1] = buffer
                    end
                until not buffer
                assert.equal(("x"):rep(5000) .. ("y"):rep(5000) .. ("z"):rep(5000),
                    table.concat(pieces))
                assert.is_nil(reader(size)) -- and stays at the end
                assert.equal(1, (httpc:set_keepalive()))
            end
            assert.equal(1, s.connections)
        end)
    end)

    it("tells how often it was used before", function()
        with.real(function(httpc, s)
            for times = 0, 2 do
                assert(httpc:connect(place(s)))
                assert.equal(times, (httpc:get_reused_times()))
                assert(assert(httpc:request { path = "/get" }):read_body())
                assert.equal(1, (httpc:set_keepalive(10000, 5)))
            end
        end)
    end)

    it("is opened by the old form too, and serves more than one request", function()
        with.real(function(httpc, s)
            s:on("/echo", with.echo)
            assert.equal(1, (httpc:connect("127.0.0.1", s.port)))
            for _ = 1, 2 do
                local res = assert(httpc:request { path = "/echo" })
                assert.equal("127.0.0.1:" .. s.port, res.headers["X-Host"])
                assert(res:read_body())
            end
            assert.equal(1, httpc:close())
            assert.equal(1, s.connections)
        end)
    end)

    it("goes to a unix socket", function()
        support.in_loop(function()
            local path = support.temp_dir() .. "/socket"
            local on = require("moonwire.backend").current()
            local listener = assert(on:listen { family = "unix", address = path })
            moonwire.scope(function(scope)
                scope:spawn(function()
                    local stream = assert(listener:accept())
                    local head = stream:read_until "\r\n\r\n"
                    assert.truthy(head:find("Host: localhost\r\n", 1, true))
                    stream:write "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
                    assert.is_nil((stream:read()))
                    stream:close()
                end)
                local httpc = resty.new()
                assert(httpc:connect("unix:" .. path))
                assert.equal("hi", assert(httpc:request {}):read_body())
                httpc:close()
            end)
            listener:close()
        end)
    end)
end)

describe("moonwire.resty: a response", function()
    it("has headers by any way of writing, and lists of those that came twice", function()
        with.real(function(httpc, s)
            s:on("/h", function(_, respond)
                respond(200, "x", {
                    { "Set-Cookie", "a=1" }, { "X-One", "1" }, { "set-cookie", "b=2" },
                })
            end)
            local headers = assert(httpc:request_uri(s.url .. "/h")).headers
            assert.same({ "a=1", "b=2" }, headers["Set-Cookie"])
            assert.same({ "a=1", "b=2" }, headers["SET-COOKIE"])
            assert.equal("1", headers["x-one"])
            assert.equal("1", headers.x_one)
            assert.is_nil(headers["X-Two"])
            local seen = {}
            for name, value in pairs(headers) do
                seen[name] = value
            end
            assert.same({ "a=1", "b=2" }, seen["Set-Cookie"])
            assert.is_nil(seen["set-cookie"])
            headers["X-ONE"] = "2"
            assert.equal("2", headers["X-One"])
        end)
    end)

    it("without a body says so and reads as empty", function()
        with.real(function(httpc, s)
            assert(httpc:connect(place(s)))
            for _, given in ipairs {
                { path = "/status/204" }, { path = "/get", method = "HEAD" },
                { path = "/status/304" },
            } do
                local res = assert(httpc:request(given))
                assert.is_false(res.has_body)
                assert.is_nil(res.body_reader(100))
                assert.equal("", (res:read_body()))
            end
            assert.equal(1, (httpc:set_keepalive()))
        end)
    end)

    it("gives all of a body of known length to a reader that names no size", function()
        with.real(function(httpc, s)
            local text = ("0123456789"):rep(30000)
            s:on("/known", function(_, respond)
                respond(200, text)
            end)
            assert(httpc:connect(place(s)))
            local reader = assert(httpc:request { path = "/known" }).body_reader
            assert.equal(text, (reader()))
            assert.is_nil(reader())
            assert.equal(1, (httpc:set_keepalive()))
        end)
    end)

    it("gives its trailers behind the body, below the headers", function()
        with.real(function(httpc, s)
            s:on("/t", function(_, respond)
                respond:begin(200, { ["X-Both"] = "head" }, "chunked")
                respond:write "x"
                s:sleep(0.01)
                respond:finish { ["X-Sum"] = "1", ["X-Both"] = "behind" }
            end)
            assert(httpc:connect(place(s)))
            local res = assert(httpc:request { path = "/t" })
            local ok, problem = res:read_trailers()
            assert.is_nil(ok)
            assert.truthy(problem:find("read that to its end first", 1, true))
            assert.equal("x", (res:read_body()))
            assert.is_true(res:read_trailers())
            assert.equal("1", res.headers["X-Sum"])
            assert.equal("head", res.headers["X-Both"])
        end)
    end)
end)

describe("moonwire.resty: success", function()
    it("is one value, with no nil behind it", function()
        with.real(function(httpc, s)
            local function count(...)
                assert.truthy((...))
                return select("#", ...)
            end
            assert.equal(1, count(httpc:connect(place(s))))
            assert.equal(1, count(httpc:get_reused_times()))
            local res = assert(httpc:request { path = "/bytes/10" })
            assert.equal(1, count(res.body_reader(5)))
            assert.equal(1, count(res:read_body()))
            assert.equal(1, count(res:read_trailers()))
            assert.equal(1, count(httpc:request { path = "/get" }))
            assert.equal(1, count(httpc:set_keepalive()))
            assert.equal(1, count(httpc:request_uri(s.url .. "/get")))
            assert.equal(1, count(httpc:parse_uri(s.url)))
        end)
    end)
end)

describe("moonwire.resty: parse_uri", function()
    it("takes a URI apart", function()
        local httpc = resty.new()
        assert.same({ "http", "example.com", 80, "/a?b=1", "" },
            httpc:parse_uri "http://example.com/a?b=1")
        assert.same({ "https", "example.com", 8443, "/", "b=1" },
            httpc:parse_uri("https://example.com:8443?b=1", false))
        local parts, problem = httpc:parse_uri "ftp://example.com/"
        assert.is_nil(parts)
        assert.truthy(problem:find "^bad uri: ")
    end)
end)
