-- What a cache forgets, and learns, from other methods and from what comes meanwhile.
local caching = require "spec.support.caching"
local clients = require "moonwire.client"
local moonwire = require "moonwire"
local testing = require "moonwire.testing"
local world = require "spec.support.mock_client"

local reply, with_cache, two, field = caching.reply, caching.with_cache, caching.two, caching.field

describe("a client with a cache", function()
    it("forgets what another method may have changed (4.4)", function()
        local answers = {}
        for _, path in ipairs { "/a", "/b", "/c", "/d" } do
            answers[path] = function(head)
                if head:find "^POST" then
                    return "HTTP/1.1 201 X\r\nLocation: /b\r\nContent-Location: http://h/c\r\n"
                        .. "Content-Length: 0\r\n\r\n"
                elseif head:find "^DELETE" then
                    return "HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n"
                elseif head:find "^PUT" then
                    return "HTTP/1.1 204 X\r\nLocation: http://other/d\r\n"
                        .. "Content-Location: http://h:81/d\r\n\r\n"
                end
                return reply("x", "Cache-Control: max-age=60", "Vary: X-V")
            end
        end
        with_cache(answers, function(get, m, _, client)
            local others = world.serve(m, "127.0.0.2", 80, function()
                return reply("d", "Cache-Control: max-age=60")
            end)
            assert(client:get "http://other/d")
            local function held()
                local list = {}
                for _, path in ipairs { "/a", "/b", "/c", "/d" } do
                    local _, how = get(path, { ["Cache-Control"] = "only-if-cached" })
                    list[#list + 1] = how and path or nil
                end
                return table.concat(list, " ")
            end
            local function fill()
                for _, path in ipairs { "/a", "/b", "/c", "/d" } do
                    get(path)
                    get(path, { ["X-V"] = "1" })
                end
            end
            fill()
            assert.equal("/a /b /c /d", held())
            assert(client:delete "http://h/a") -- refused
            assert(client:options "http://h/a")
            assert(client:put("http://h/x", { body = "x" }))
            assert.equal("/a /b /c /d", held())
            assert(client:put("http://h/d", { body = "x", cache = false }))
            assert.equal("hit", assert(client:get "http://other/d").from_cache) -- whoever says so
            assert.equal(1, #others.heads)
            get "/d"
            get("/d", { ["X-V"] = "1" })
            assert(client:post("http://h/a", { body = "x" }))
            assert.equal("/d", held())
            assert.is_nil(select(2, get("/a", { ["X-V"] = "1" }))) -- all its variants
            fill()
            assert(client:put("http://h/a", { body = "x", cache = false }))
            assert.equal("/b /c /d", held())
            others.peers[1]:close()
        end)
    end)

    it("keeps nothing that was changed while it was on its way", function()
        with_cache({ ["/"] = function(head, _)
            return head:find "^POST" and world.OK or "HTTP/1.1 200 OK\r\nCache-Control: max-age=60"
                .. "\r\nContent-Length: 6\r\n\r\none"
        end }, function(get, m, log, client, cache)
            local res = assert(client:get "http://h/")
            assert.equal("one", res:read())
            assert(client:post("http://h/", { body = "x" }))
            log.peers[1]:send "two"
            assert.is_true(res:discard())
            assert.equal(0, cache:stats().stored)
            res = assert(client:get "http://h/")
            cache:clear()
            log.peers[1]:send "two"
            assert.is_true(res:discard())
            assert.equal(0, cache:stats().count)
            m:advance(0)
            res = assert(client:get "http://h/")
            log.peers[1]:send "two"
            assert.equal("onetwo", res:text())
            assert.equal("hit", select(2, get "/"))
        end)
    end)

    it("learns nothing about what was changed meanwhile from a 304 or HEAD either", function()
        for method, line in pairs { GET = "304 X", HEAD = "200 X\r\nContent-Length: 3" } do
            with_cache({ ["/"] = function(head, _)
                if head:find "^POST" then
                    return world.OK
                end
                return not field(head, "If-None-Match")
                    and reply("one", 'ETag: "a"', "Cache-Control: max-age=1") or nil
            end }, function(get, m, log, client)
                get "/"
                m:advance(1)
                moonwire.scope(function(s)
                    local task = s:spawn(client.request, client, method, "http://h/")
                    m:advance(0)
                    assert(client:post("http://h/", { body = "x" }))
                    log.peers[1]:send("HTTP/1.1 " .. line
                        .. '\r\nETag: "a"\r\nCache-Control: max-age=60\r\n\r\n')
                    assert.equal(200, assert(task:join()).status)
                end)
                assert.is_nil(select(2, get "/"))
                assert.is_nil(field(log.heads[#log.heads], "If-None-Match"))
            end)
        end
    end)

    it("keeps nothing that has another length than it says", function()
        testing.run(function()
            local route = { body = "one", headers = {
                ["Content-Length"] = "4", ["Cache-Control"] = "max-age=60",
            } }
            testing.with(testing.transport():on("GET", "/", route), function()
                local client = clients.new { cache = true }
                for _ = 1, 2 do
                    assert.is_nil(assert(client:get "http://h/").from_cache)
                end
                client:close()
            end)
        end)
    end)

    it("answers HEAD from what GET has brought, and learns from HEAD", function()
        local etag, length = '"a"', 3
        local function answer(head)
            if head:find "^HEAD" then
                if field(head, "If-None-Match") == etag and length == 3 then
                    return "HTTP/1.1 304 X\r\nCache-Control: max-age=60\r\n\r\n"
                end
                return ("HTTP/1.1 200 X\r\nETag: %s\r\nCache-Control: max-age=60\r\n"
                    .. "Content-Length: %d\r\n\r\n"):format(etag, length)
            end
            return reply("one", 'ETag: "a"', "Cache-Control: max-age=60")
        end
        with_cache({ ["/"] = answer }, function(get, m, log, client)
            local function head(...)
                local res = assert(client:head("http://h/", ...))
                assert.equal("", res:text())
                return res.from_cache, res.headers:get "content-length"
            end
            assert.is_nil((head()))
            assert.is_nil((head())) -- it isn't kept itself
            get "/"
            assert.same({ "hit", "3" }, { head() })
            m:advance(60)
            assert.same({ "revalidated", "3" }, { head() })
            assert.same({ "one", "hit" }, two(get "/"))
            m:advance(50)
            assert.equal("revalidated", (head { headers = { ["Cache-Control"] = "no-cache" } }))
            m:advance(50)
            assert.same({ "one", "hit" }, two(get "/"))
            m:advance(50)
            length = 4
            assert.same({ nil, "4" }, { head() })
            assert.is_nil(select(2, get "/")) -- another body
            m:advance(60)
            etag, length = '"b"', 3
            head()
            assert.is_nil(field(log.heads[#log.heads], "X"))
            assert.is_nil(select(2, get "/"))
            assert.is_nil(field(log.heads[#log.heads], "If-None-Match"))
        end)
    end)

    it("forgets by HEAD what isn't to be kept, but not because of a failure", function()
        local answer
        with_cache({ ["/"] = function(head)
            return head:find "^HEAD" and "HTTP/1.1 " .. answer .. "\r\n\r\n"
                or reply("one", 'ETag: "a"')
        end }, function(get, _, log, client)
            for expected, said in pairs {
                [false] = '200 X\r\nETag: "a"\r\nContent-Length: 3\r\nCache-Control: no-store',
                ['"a"'] = "503 X\r\nContent-Length: 3",
            } do
                get "/"
                answer = said
                assert(client:head "http://h/")
                get "/"
                assert.equal(expected, field(log.heads[#log.heads], "If-None-Match") or false)
            end
        end)
    end)
end)
