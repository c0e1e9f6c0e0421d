-- The timeouts of moonwire.resty, in milliseconds, and the words for a connection that broke.

local moonwire = require "moonwire"
local with = require "spec.support.resty"

local place = with.place

-- What `call` gives while a server is slow: its words, and the seconds of the mock's clock it took.
local function after(call)
    local began = moonwire.now()
    local ok, problem, err = call()
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
    return problem, math.floor((moonwire.now() - began) * 1000 + 0.5)
end

local function slow(s)
    s:on("/slow", function(_, respond)
        s:sleep(100)
        respond(200, "late")
    end)
    s:on("/stuck", function(_, respond)
        respond:begin(200, nil, 10)
        respond:write "12345"
        s:sleep(100)
    end)
    s:on("/steady", function(_, respond)
        respond:begin(200, nil, "chunked")
        for _ = 1, 5 do
            respond:write "."
            s:sleep(0.9)
        end
        respond:finish()
    end)
end

describe("moonwire.resty: the read timeout", function()
    it("ends the wait for the head", function()
        with.mock(function(httpc, s)
            slow(s)
            httpc:set_timeout(250)
            assert(httpc:connect(place(s)))
            assert.same({ "timeout", 250 }, { after(function()
                return httpc:request { path = "/slow" }
            end) })
            httpc:set_timeouts(5000, 5000, 1500)
            assert.same({ "timeout", 1500 }, { after(function()
                return httpc:request_uri(s.url .. "/slow")
            end) })
        end)
    end)

    it("is 60 seconds where nobody says, and again after nil", function()
        with.mock(function(httpc, s)
            slow(s)
            for _ = 1, 2 do
                assert.same({ "timeout", 60000 }, { after(function()
                    return httpc:request_uri(s.url .. "/slow")
                end) })
                httpc:set_timeout(100)
                httpc:set_timeout(nil)
            end
        end)
    end)

    it("ends the wait for more of the body: half a body is never a whole one", function()
        with.mock(function(httpc, s)
            slow(s)
            httpc:set_timeout(1000)
            assert(httpc:connect(place(s)))
            local res = assert(httpc:request { path = "/stuck" })
            local reader = res.body_reader
            assert.equal("12345", (reader(100)))
            for _ = 1, 2 do
                local data, problem = reader(100)
                assert.is_nil(data)
                assert.equal("timeout", problem)
            end
            assert.equal("timeout", (select(2, res:read_body())))
            assert.equal("closed", (select(2, httpc:set_keepalive())))
            local whole, problem = httpc:request_uri(s.url .. "/stuck")
            assert.is_nil(whole)
            assert.equal("timeout", problem)
        end)
    end)

    it("begins anew with each byte", function()
        with.mock(function(httpc, s)
            slow(s)
            httpc:set_timeout(1000)
            assert.equal(".....", assert(httpc:request_uri(s.url .. "/steady")).body)
        end)
    end)

    it("of a body is the one that its request began with", function()
        with.mock(function(httpc, s)
            slow(s)
            httpc:set_timeout(1000)
            assert(httpc:connect(place(s)))
            local res = assert(httpc:request { path = "/steady" })
            httpc:set_timeout(10)
            assert.equal(".....", (res:read_body()))
        end)
    end)
end)

describe("moonwire.resty: the send timeout", function()
    it("ends the wait for a server that takes nothing", function()
        with.mock(function(httpc)
            with.peer(function()
                moonwire.sleep(1000)
            end, function(port)
                httpc:set_timeouts(1000, 3000, 20000)
                assert(httpc:connect { scheme = "http", host = "127.0.0.1", port = port })
                local problem, milliseconds = after(function()
                    return httpc:request { method = "POST", body = ("x"):rep(8 * 1024 * 1024) }
                end)
                assert.equal("timeout", problem)
                assert.equal(3000, milliseconds)
            end)
        end)
    end)
end)

describe("moonwire.resty: the connect timeout", function()
    it("holds for the handshake", function()
        with.mock(function(httpc)
            with.peer(function()
                moonwire.sleep(1000)
            end, function(port)
                httpc:set_timeouts(2000, 50000, 50000)
                assert.same({ "timeout", 2000 }, { after(function()
                    return httpc:connect { scheme = "https", host = "127.0.0.1", port = port }
                end) })
            end)
        end)
    end)

    it("holds for connecting, the lookup included", function()
        with.mock(function(httpc, _, m)
            m:hosts({ ["slow.test"] = { "10.0.0.1" } }, { delay = 1.5 })
            m:listen_at("10.0.0.1", 80, {}, { delay = 1 })
            httpc:set_timeouts(2000, 50000, 50000)
            assert.same({ "timeout", 2000 }, { after(function()
                return httpc:connect { scheme = "http", host = "slow.test" }
            end) })
        end)
    end)
end)

describe("moonwire.resty: a server that ends the connection", function()
    local function answered(bytes)
        local words
        with.mock(function(httpc)
            with.peer(function(stream)
                stream:read_until "\r\n\r\n"
                stream:write(bytes)
            end, function(port)
                local res, problem = httpc:request_uri("http://127.0.0.1:" .. port .. "/")
                assert.is_nil(res)
                words = problem
            end)
        end)
        return words
    end

    it("too early has closed it", function()
        assert.equal("closed", answered "")
        assert.equal("closed", answered "HTTP/1.1 200 OK\r\nContent-Le")
        assert.equal("closed", answered "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc")
        assert.equal("closed",
            answered "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    end)

    it("after nonsense is quoted", function()
        assert.truthy(answered "HTTP/1.1 200 OK\r\nno colon here\r\n\r\nabc":find "^bad response: ")
    end)
end)
