-- What moonwire.resty does with the client of a host: the host is a fake, shaped like
-- backend.gateway.

local backends = require "moonwire.backend"
local errors = require "moonwire.error"
local moonwire = require "moonwire"
local resty = require "moonwire.resty"
local with = require "spec.support.resty"

-- A host with one request, whose client takes the answer.
local function new_host(request, body)
    local host = { sent = {}, asked = {} }
    function host.request()
        return request
    end
    function host.reader()
        local rest = body
        return body and function(max)
            host.asked[#host.asked + 1] = max
            local piece = rest:sub(1, max)
            rest = rest:sub(max + 1)
            return piece ~= "" and piece or nil
        end
    end
    function host.respond(status, headers)
        host.status, host.headers = status, headers
        return true
    end
    function host.write(bytes)
        host.sent[#host.sent + 1] = bytes
        return true
    end
    return host
end

-- Runs f(httpc, server) where there is such a host.
local function inside(host, f)
    with.mock(function(httpc, s)
        backends.current().gateway = host
        f(httpc, s)
    end)
end

local function echo(request, respond)
    local text = request:text()
    respond(200, text, { ["X-Seen"] = table.concat({
        request.method, request.target, request.headers:get "content-length" or "none",
        request.headers:get "transfer-encoding" or "none", request.headers:get "x-own" or "none",
        request.headers:get "x-hop" or "none", request.headers:get "host",
    }, " ") })
end

local CLIENT = {
    method = "PUT", path = "/echo?a=1",
    headers = {
        Host = "outside.test", ["X-Own"] = "mine", ["X-Hop"] = "theirs", TE = "gzip",
        Connection = { "keep-alive", "X-Hop" }, ["Keep-Alive"] = "timeout=5",
        ["Transfer-Encoding"] = "chunked", Expect = "100-continue", Upgrade = "h2c",
    },
}

describe("moonwire.resty: proxy_request", function()
    it("sends what the client has sent on, without what is for one hop", function()
        local host = new_host(CLIENT, ("x"):rep(2500))
        inside(host, function(httpc, s)
            s:on("/echo", echo)
            assert(httpc:connect(with.place(s)))
            local res = assert(httpc:proxy_request(1000))
            assert.equal("PUT /echo?a=1 none chunked mine none outside.test", res.headers["X-Seen"])
            assert.equal(("x"):rep(2500), (res:read_body()))
            assert.same({ 1000, 1000, 1000, 1000 }, host.asked)
        end)
    end)

    it("sends a length on, or no body", function()
        for _, body in ipairs { "abc", false } do
            local length = body and #body or 0
            inside(new_host({
                method = "POST", path = "/echo", headers = { ["content-length"] = "" .. length },
            }, body or nil), function(httpc, s)
                s:on("/echo", echo)
                assert(httpc:connect(with.place(s)))
                local res = assert(httpc:proxy_request())
                local seen = res.headers["X-Seen"]
                assert.truthy(seen:find("POST /echo " .. length .. " none", 1, true), seen)
            end)
        end
    end)

    it("fails with what the client's body failed with", function()
        local host = new_host(CLIENT)
        function host.reader()
            return function()
                return nil, errors.new { kind = "closed", message = "gone" }
            end
        end
        inside(host, function(httpc, s)
            s:on("/echo", echo)
            assert(httpc:connect(with.place(s)))
            local res, problem = httpc:proxy_request()
            assert.is_nil(res)
            assert.truthy(problem:find("closed", 1, true), problem)
        end)
    end)
end)

describe("moonwire.resty: proxy_response", function()
    local function answer(_, respond)
        respond:begin(201, {
            { "X-Own", "1" }, { "Set-Cookie", "a" }, { "Set-Cookie", "b" },
            { "Proxy-Authenticate", "Basic" },
        }, "chunked")
        respond:write(("y"):rep(2500))
        respond:finish()
    end

    it("answers the client, without what is for one hop", function()
        local host = new_host(CLIENT)
        inside(host, function(httpc, s)
            s:on("/a", answer)
            assert(httpc:connect(with.place(s)))
            assert.is_true(httpc:proxy_response(assert(httpc:request { path = "/a" }), 1000))
            assert.equal(1, (httpc:set_keepalive()))
        end)
        assert.equal(201, host.status)
        assert.same({ ["X-Own"] = "1", ["Set-Cookie"] = { "a", "b" } }, host.headers)
        assert.equal(("y"):rep(2500), table.concat(host.sent))
        for _, piece in ipairs(host.sent) do
            assert.is_true(#piece <= 1000)
        end
    end)

    it("says that the client has gone", function()
        local host = new_host(CLIENT)
        function host.write()
            return nil, errors.new { kind = "closed", message = "gone" }
        end
        inside(host, function(httpc, s)
            s:on("/a", answer)
            assert(httpc:connect(with.place(s)))
            local ok, problem = httpc:proxy_response(assert(httpc:request { path = "/a" }))
            assert.is_nil(ok)
            assert.equal("closed", problem)
        end)
    end)

    it("says that the response broke off", function()
        inside(new_host(CLIENT), function(httpc, s)
            s:on("/stuck", function(_, respond)
                respond:begin(200, nil, 10)
                respond:write "12345"
                s:sleep(100)
            end)
            httpc:set_timeout(100)
            assert(httpc:connect(with.place(s)))
            local ok, problem = httpc:proxy_response(assert(httpc:request { path = "/stuck" }))
            assert.is_nil(ok)
            assert.equal("timeout", problem)
        end)
    end)
end)

describe("moonwire.resty: get_client_body_reader", function()
    it("reads the body in pieces of 65536 bytes, or as it is told", function()
        local host = new_host(CLIENT, ("z"):rep(100000))
        inside(host, function(httpc)
            local reader = assert(httpc:get_client_body_reader())
            assert.equal(65536, #reader())
            assert.equal(10, #reader(10))
            reader = assert(httpc:get_client_body_reader(100))
            assert.equal(100, #reader())
        end)
    end)

    it("gives nil and no words where there is no body", function()
        inside(new_host(CLIENT), function(httpc)
            local reader, problem = httpc:get_client_body_reader()
            assert.is_nil(reader)
            assert.is_nil(problem)
        end)
    end)

    it("is the body of a request", function()
        inside(new_host(CLIENT, "hello"), function(httpc, s)
            s:on("/echo", echo)
            assert(httpc:connect(with.place(s)))
            local res = assert(httpc:request {
                method = "POST", path = "/echo", body = assert(httpc:get_client_body_reader()),
            })
            assert.equal("hello", (res:read_body()))
        end)
    end)
end)

describe("moonwire.resty: outside of a host that has clients", function()
    it("has neither of the three, and says so", function()
        moonwire.run(function()
            local httpc = resty.new()
            for _, method in ipairs { "get_client_body_reader", "proxy_request" } do
                local ok, problem = httpc[method](httpc)
                assert.is_nil(ok)
                assert.truthy(problem:find "^there is no client here")
            end
            local ok, problem = httpc:proxy_response({})
            assert.is_nil(ok)
            assert.truthy(problem:find "^there is no client here")
        end)
    end)
end)
