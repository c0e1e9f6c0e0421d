-- What goes out and what comes in over moonwire.resty: bodies of every kind, and pipelines of them.

local moonwire = require "moonwire"
local with = require "spec.support.resty"

local place = with.place

describe("moonwire.resty: a request's body", function()
    local function sent(given)
        local res
        with.real(function(httpc, s)
            s:on("/echo", with.echo)
            assert(httpc:connect(place(s)))
            given.path, given.method = "/echo", "POST"
            res = assert(httpc:request(given))
            res.text = res:read_body()
        end)
        return res.text, res.headers["X-Length"], res.headers["X-Coding"]
    end

    local function pieces(...)
        local list, i = { ... }, 0
        return function()
            i = i + 1
            return list[i]
        end
    end

    it("may be a string, a list of strings, a function", function()
        assert.same({ "abc", "3", "none" }, { sent { body = "abc" } })
        assert.same({ "abcd", "4", "none" }, { sent { body = { "ab", "cd" } } })
        assert.same({ "abcd", "none", "chunked" }, { sent { body = pieces("ab", "cd") } })
        assert.same({ "", "0", "none" }, { sent {} })
    end)

    it("of a function has the length that a header says", function()
        assert.same({ "abcd", "4", "none" }, { sent {
            body = pieces("ab", "cd"), headers = { ["Content-Length"] = 4 },
        } })
    end)

    it("that the function gives up makes no whole request", function()
        with.real(function(httpc, s)
            s:on("/echo", with.echo)
            assert(httpc:connect(place(s)))
            local res, err, whole = httpc:request { path = "/echo", method = "POST",
                body = function()
                    return nil, "the disk is gone"
                end }
            assert.is_nil(res)
            assert.truthy(err:find("the disk is gone", 1, true))
            assert.equal("body", whole.kind)
        end)
    end)
end)

describe("moonwire.resty: a pipeline", function()
    it("gives responses in their order, read one after the other", function()
        with.real(function(httpc, s)
            s:on("/echo", with.echo)
            assert(httpc:connect(place(s)))
            local responses = assert(httpc:request_pipeline {
                { path = "/echo?1" }, { path = "/echo?2", method = "POST", body = "two" },
                { path = "/echo?3" },
            })
            assert.is_nil(responses[2].status)
            assert.truthy(responses[2].error:find("read the response before this one", 1, true))
            local seen = {}
            for i, r in ipairs(responses) do
                assert.equal(200, r.status)
                seen[i] = r.headers["X-Target"] .. " " .. r:read_body()
            end
            assert.same({ "/echo?1 ", "/echo?2 two", "/echo?3 " }, seen)
            assert.equal(1, s.connections)
        end)
    end)

    it("says at the response what went wrong, and at all that follow", function()
        with.real(function(httpc, s)
            s:raw("/broken", "HTTP/1.1 200")
            assert(httpc:connect(place(s)))
            local responses = assert(httpc:request_pipeline {
                { path = "/get" }, { path = "/broken" }, { path = "/get" },
            })
            assert.equal(200, responses[1].status)
            responses[1]:read_body()
            assert.is_nil(responses[2].status)
            assert.equal("closed", responses[2].error)
            assert.is_nil(responses[3].status)
            assert.equal("closed", responses[3].error)
        end)
    end)
end)

describe("moonwire.resty: an early answer", function()
    it("to a long upload is the response", function()
        with.mock(function(httpc)
            with.peer(function(stream)
                stream:read_until "\r\n\r\n"
                stream:write "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"
                moonwire.sleep(0.2)
            end, function(port)
                local res = assert(httpc:request_uri("http://127.0.0.1:" .. port .. "/", {
                    method = "POST", body = ("x"):rep(20 * 1024 * 1024),
                }))
                assert.equal(413, res.status)
                assert.equal("big", res.body)
            end)
        end)
    end)

    it("that is only informational is none", function()
        with.mock(function(httpc, s)
            s:on("/hint", function(_, respond)
                respond:inform(103, { Link = "</a.css>" })
                respond(200, "done")
            end)
            local res = assert(httpc:request_uri(s.url .. "/hint"))
            assert.equal(200, res.status)
            assert.is_nil(res.headers.link)
        end)
    end)
end)

describe("moonwire.resty: a response's body", function()
    it("is refused above max_body, and the connection is closed", function()
        with.mock(function(httpc, s)
            assert(httpc:connect(place(s)))
            local res = assert(httpc:request { path = "/bytes/1000", max_body = 1000 })
            assert.equal(1000, #res:read_body())
            local body, problem, err
            res, problem, err = httpc:request { path = "/bytes/1001", max_body = 1000 }
            if res then -- the body wasn't here yet
                body, problem, err = res:read_body()
            end
            assert.is_nil(body)
            assert.equal("limit", err.kind)
            assert.truthy(problem:find("max_body (1000 bytes)", 1, true))
            assert.equal("closed", (select(2, httpc:set_keepalive())))
        end)
    end)

    it("has to be read before the next request", function()
        with.mock(function(httpc, s)
            s:on("/two", with.two_pieces(s))
            assert(httpc:connect(place(s)))
            local res = assert(httpc:request { path = "/two" })
            local other, problem = httpc:request { path = "/two" }
            assert.is_nil(other)
            assert.truthy(problem:find("read its response to the end", 1, true), problem)
            assert.equal("onetwo", (res:read_body()))
            assert.equal("onetwo", assert(httpc:request { path = "/two" }):read_body())
        end)
    end)

    it("is not kept anywhere when its task is cancelled", function()
        with.mock(function(httpc, s)
            s:on("/slow", function(_, respond)
                s:sleep(100)
                respond(200, "late")
            end)
            local words
            local ok, err = moonwire.timeout(1, function()
                words = select(2, httpc:request_uri(s.url .. "/slow"))
            end)
            assert.is_nil(ok)
            assert.equal("timeout", err.kind)
            assert.truthy(words:find("cancelled", 1, true), words)
            assert.equal("closed", (select(2, httpc:close())))
        end)
    end)
end)
