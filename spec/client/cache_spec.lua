-- A client with a cache, on the mock, whose clock the specs turn. The rules one by one stand in
-- spec/cache/policy_spec.lua.
local caches = require "moonwire.cache"
local caching = require "spec.support.caching"
local clients = require "moonwire.client"
local cookies = require "moonwire.cookies"
local moonwire = require "moonwire"
local trace = require "moonwire.trace"
local world = require "spec.support.mock_client"

local reply, with_cache, two, field = caching.reply, caching.with_cache, caching.two, caching.field

describe("a client with a cache", function()
    it("asks once as long as the response is fresh", function()
        with_cache({ ["/"] = reply("one", "Cache-Control: max-age=60", "X-A: b", "Age: 5") },
            function(get, m, log, client, cache)
                assert.same({ "one", nil }, two(get "/"))
                m:advance(10)
                local text, how, res = get "/"
                assert.same({ "one", "hit" }, { text, how })
                assert.equal(200, res.status)
                assert.equal("OK", res.reason)
                assert.equal("1.1", res.http_version)
                assert.equal("http://h/", res.url)
                assert.equal("GET", res.request.method)
                assert.equal("15", res.headers:get "age")
                assert.equal("b", res.headers:get "x-a")
                assert.equal(3, res:remaining() + #text)
                assert.equal(1, #log.heads)
                m:advance(44) -- 59
                assert.equal("hit", select(2, get "/#part"))
                m:advance(1)
                assert.is_nil(select(2, get "/"))
                assert.equal(2, #log.heads)
                assert.equal(2, client:stats().requests)
                local stats = cache:stats()
                assert.same({ 2, 2, 0, 2, 0 }, { stats.hits, stats.misses, stats.revalidated,
                    stats.stored, stats.stale })
            end)
    end)

    it("is nobody's who hasn't asked for one, and can be passed by", function()
        world.with_client(nil, function(client, _, log)
            for _ = 1, 2 do
                assert.is_nil(assert(client:get "http://h/").from_cache)
            end
            assert.equal(2, #log.heads)
        end, function()
            return reply("one", "Cache-Control: max-age=60")
        end)
        with_cache({ ["/"] = reply("one", "Cache-Control: max-age=60") }, function(get, _, log)
            get "/"
            assert.is_nil(select(2, get("/", nil, { cache = false })))
            assert.is_nil(select(2, get("/", { ["Cache-Control"] = "no-store" })))
            assert.is_nil(select(2, get("/", nil, { resolve = { ["h:80"] = { "127.0.0.1" } } })))
            assert.is_nil(select(2, get("/", nil, { body = "x" })))
            assert.is_nil(select(2, get("/", nil, { upgrade = "foo" })))
            assert.equal(6, #log.heads)
            assert.equal("hit", select(2, get "/"))
        end)
        for name, opts in pairs { none = {}, off = { cache = false } } do
            world.with_client(opts, function(client)
                client:get "http://h/"
                assert.is_nil(assert(client:get "http://h/").from_cache, name)
            end, function()
                return reply("one", "Cache-Control: max-age=60")
            end)
        end
    end)

    it("keeps what has been read to its end, and nothing else", function()
        local cut = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
        local pieces = cut .. "Transfer-Encoding: chunked\r\n"
        local function in_two(first, second, ending)
            return function(_, _, peer)
                moonwire.spawn(function()
                    peer:send(first)
                    moonwire.sleep(1)
                    peer:send(second)
                    if ending then
                        peer[ending](peer)
                    end
                end)
            end
        end
        local answers = {
            ["/chunked"] = in_two(pieces .. "\r\n3\r\none\r\n", "3\r\ntwo\r\n0\r\nX-T: 1\r\n\r\n"),
            ["/long"] = in_two(cut .. "Content-Length: 6\r\n\r\none", "two"),
            ["/short"] = in_two(cut .. "Content-Length: 7\r\n\r\none", "two", "close"),
            ["/close"] = in_two(cut .. "\r\none", "two", "close"),
        }
        world.with_client({ cache = true }, function(client, m, log)
            local function get(path)
                return assert(client:get("http://h" .. path))
            end
            assert.equal("onetwo", get("/chunked"):text())
            local res = get "/chunked"
            assert.equal("hit", res.from_cache)
            assert.equal("one", res:read(3))
            assert.equal("two", res:text())
            assert.is_nil(res.headers:get "transfer-encoding")
            res = get "/chunked"
            res:close()
            assert.is_nil((res:text()))
            -- given up, then read
            get("/long"):close()
            m:advance(2)
            res = get "/long"
            assert.is_nil(res.from_cache)
            assert.equal("one", res:read())
            assert.is_true(res:discard())
            assert.equal("hit", get("/long").from_cache)
            assert.equal("onetwo", get("/long"):text())
            assert.is_nil((get("/short"):text()))
            res = get "/short"
            assert.is_nil(res.from_cache)
            res:close()
            -- its end is the connection's: nobody knows whether that is all
            assert.equal("onetwo", get("/close"):text())
            res = get "/close"
            assert.is_nil(res.from_cache)
            res:close()
            m:advance(2)
            assert.equal(7, #log.heads)
        end, function(head, number, peer)
            return answers[head:match "^%S+ (%S+)"](head, number, peer)
        end)
    end)

    it("asks whether what is too old is still right", function()
        local changed = false
        local function answer(head)
            if not changed and field(head, "If-None-Match") == '"a"' then
                return 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nX-A: new\r\n'
                    .. "Set-Cookie: s=1\r\nCache-Control: max-age=30\r\n\r\n"
            end
            return reply(changed and "two" or "one", 'ETag: "a"', "X-A: old",
                "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "Cache-Control: max-age=10",
                "Set-Cookie: s=0")
        end
        with_cache({ ["/"] = answer }, function(get, m, log, _, cache)
            assert.equal("s=0", select(3, get "/").headers:get "set-cookie")
            assert.is_nil(select(3, get "/").headers:get "set-cookie")
            m:advance(10)
            local text, how, res = get "/"
            assert.same({ "one", "revalidated" }, { text, how })
            assert.equal(200, res.status)
            assert.equal("new", res.headers:get "x-a")
            assert.equal("s=1", res.headers:get "set-cookie")
            assert.equal("3", res.headers:get "content-length")
            assert.equal("0", res.headers:get "age")
            assert.is_nil(res.request.headers:get "if-none-match")
            assert.equal("Sun, 06 Nov 1994 08:49:37 GMT", field(log.heads[2], "If-Modified-Since"))
            m:advance(29)
            assert.equal("hit", select(2, get "/"))
            assert.is_nil(select(3, get "/").headers:get "set-cookie")
            m:advance(1)
            changed = true
            assert.same({ "two", nil }, two(get "/"))
            assert.equal("hit", select(2, get "/"))
            assert.equal(3, #log.heads)
            assert.equal(1, cache:stats().revalidated)
        end)
    end)

    it("believes no 304 that is about something else, and asks again", function()
        local function answer(head)
            if field(head, "If-None-Match") then
                return 'HTTP/1.1 304 Not Modified\r\nETag: "b"\r\n\r\n'
            end
            return reply("one", 'ETag: "a"', "Cache-Control: no-cache")
        end
        with_cache({ ["/"] = answer }, function(get, _, log)
            get "/"
            assert.same({ "one", nil }, two(get "/"))
            assert.equal(3, #log.heads)
            assert.is_nil(field(log.heads[3], "If-None-Match"))
        end)
        -- and one that nobody has asked for is the script's
        with_cache({ ["/"] = "HTTP/1.1 304 Not Modified\r\n\r\n" }, function(get, _, log)
            local _, how, res = get "/"
            assert.equal(304, res.status)
            assert.is_nil(how)
            assert.equal(1, #log.heads)
        end)
    end)

    it("doesn't come back to what a 304 has put in doubt", function()
        local second
        local function answer(head)
            if field(head, "If-None-Match") then
                return 'HTTP/1.1 304 Not Modified\r\nETag: "b"\r\n\r\n'
            end
            return second
                or reply("one", 'ETag: "a"', "Cache-Control: max-age=1, stale-if-error=60")
        end
        with_cache({ ["/"] = answer }, function(get, m, log)
            for _, case in ipairs { { 503, "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n" },
                { 200, reply("two", "Cache-Control: no-store") } } do
                second = nil
                get("/", { ["Cache-Control"] = "no-cache" })
                m:advance(2)
                second = case[2]
                local _, how, res = get "/"
                assert.same({ case[1] }, { res.status, how })
                get "/"
                assert.is_nil(field(log.heads[#log.heads], "If-None-Match"))
                assert.is_truthy(log.heads[#log.heads - 2]:find "If%-None%-Match")
            end
        end)
    end)

    it("forgets what its server has replaced by what isn't kept, unless it failed", function()
        local status, lines = 200, { 'ETag: "a"' }
        local function answer(head)
            if status == 200 and field(head, "If-None-Match") and lines[1]:find "ETag" then
                return "HTTP/1.1 304 X\r\n\r\n"
            end
            return (reply("x", unpack(lines)):gsub("200", status))
        end
        with_cache({ ["/"] = answer }, function(get, _, log)
            get "/"
            for _, failing in ipairs { 500, 503 } do
                status = failing
                assert.equal(failing, select(3, get "/").status)
                status = 200
                assert.equal("revalidated", select(2, get "/"))
            end
            lines = { "Cache-Control: no-store" }
            assert.is_nil(select(2, get "/"))
            get "/"
            assert.is_nil(field(log.heads[#log.heads], "If-None-Match"))
        end)
    end)

    it("forgets what a 304 says is to be stored no longer, but uses it once more", function()
        local function answer(head)
            return field(head, "If-None-Match")
                and "HTTP/1.1 304 Not Modified\r\nCache-Control: no-store\r\n\r\n"
                or reply("one", 'ETag: "a"')
        end
        with_cache({ ["/"] = answer }, function(get, _, log)
            get "/"
            assert.same({ "one", "revalidated" }, two(get "/"))
            assert.same({ "one", nil }, two(get "/"))
            assert.is_nil(field(log.heads[3], "If-None-Match"))
        end)
    end)

    it("leaves a request with conditions or a range of its own alone", function()
        local function answer(head)
            return field(head, "Range") and "HTTP/1.1 206 Part\r\nCache-Control: max-age=60\r\n"
                .. "Content-Range: bytes 0-0/3\r\nContent-Length: 1\r\n\r\no"
                or field(head, "If-None-Match") and "HTTP/1.1 304 Not Modified\r\n\r\n"
                or reply("one", 'ETag: "a"', "Cache-Control: max-age=60")
        end
        with_cache({ ["/"] = answer }, function(get, _, log, _, cache)
            assert.equal("o", (get("/", { Range = "bytes=0-0" })))
            assert.equal(0, cache:stats().count)
            get "/"
            assert.equal("o", (get("/", { Range = "bytes=0-0" })))
            assert.equal(304, select(3, get("/", { ["If-None-Match"] = '"a"' })).status)
            assert.equal(200, select(3, get("/", { ["If-Match"] = '"a"' })).status)
            assert.equal(5, #log.heads)
            assert.same({ "one", "hit" }, two(get "/"))
            -- a Host of its own is another URL
            assert.is_nil(select(2, get("/", { Host = "other" })))
            assert.same({ "one", "hit" }, two(get("/", { Host = "h" })))
        end)
    end)

    it("keeps variants apart by what Vary names", function()
        local function answer(head)
            return reply((field(head, "Accept-Language") or "none"):gsub(" ", ""),
                "Cache-Control: max-age=60", "Vary: Accept-Language, X-None", "Vary: X-Two")
        end
        with_cache({ ["/"] = answer }, function(get, _, log)
            local function language(value)
                local text, how = get("/", { ["Accept-Language"] = value })
                return text .. " " .. tostring(how)
            end
            assert.equal("de nil", language "de")
            assert.equal("en nil", language "en")
            assert.equal("none nil", language(nil))
            assert.equal("de hit", language "de")
            assert.equal("en hit", language "en")
            assert.equal("none hit", language(nil))
            assert.equal(" nil", language "") -- said nothing isn't not said
            assert.equal("de,en nil", language "de, en")
            assert.equal("de,en hit", language { "de ", " en" })
            assert.equal("de,en hit", language " de ,en")
            assert.equal("en,de nil", language "en,de")
            assert.equal(6, #log.heads)
            assert.is_nil(select(2, get("/", { ["Accept-Language"] = "de", ["x-two"] = "x" })))
        end)
        with_cache({ ["/"] = reply("x", "Cache-Control: max-age=60", "Vary: *") }, function(get)
            get "/"
            assert.is_nil(select(2, get "/"))
        end)
    end)

    it("gives nobody what was for another user, or in a coding that he can't read", function()
        local function answer(head, number)
            return reply(tostring(number), "Cache-Control: max-age=60",
                field(head, "Accept-Encoding") and "Content-Encoding: x-foo" or "X-None: 1")
        end
        with_cache({ ["/"] = answer }, function(get)
            assert.equal("1", (get "/"))
            assert.equal("2", (get("/", { Authorization = "Bearer a" })))
            assert.equal("3", (get("/", { Authorization = "Bearer b" })))
            assert.equal("4", (get("/", { Cookie = "a=b" })))
            assert.equal("1", (get "/"))
            assert.equal("2", (get("/", { Authorization = "Bearer a" })))
            assert.equal("3", (get("/", { Authorization = "Bearer b" })))
            assert.equal("4", (get("/", { Cookie = "a=b" })))
            for number = 5, 6 do -- it says something else each time
                assert.equal(tostring(number), (get("/", { Authorization = "Digest a=b" })))
            end
        end)
        with_cache({ ["/"] = answer }, function(get)
            assert.equal("1", (get("/", { ["Accept-Encoding"] = "x-foo" })))
            assert.equal("2", (get "/"))
            assert.equal("2", (get "/"))
        end)
    end)

    it("sets no cookie twice, and knows who has another one", function()
        with_cache({ ["/"] = reply("one", "Cache-Control: max-age=60", "Set-Cookie: a=b") },
            function(get, _, log, _, _, jar)
                get "/"
                assert.is_nil(select(2, get "/")) -- now he has one
                assert.equal("a=b", field(log.heads[2], "Cookie"))
                assert.equal("hit", select(2, get "/"))
                jar:clear()
                assert.equal("hit", select(2, get "/"))
                assert.equal(0, #jar:all())
            end, { cookies = cookies.jar() })
    end)

    it("tells in the transcript what came from it, and no secrets", function()
        local lines = {}
        with_cache({ ["/?token=abc"] = reply("one", "Cache-Control: max-age=60") }, function(get)
            get "/?token=abc"
            trace.enable(function(text)
                lines[#lines + 1] = text
            end)
            get "/?token=abc"
            trace.disable()
        end)
        local text = table.concat(lines)
        assert.is_truthy(text:find("from the cache (hit, 0 s old)", 1, true), text)
        assert.is_nil(text:find("abc", 1, true), text)
    end)

    it("does without the server where the request says so", function()
        with_cache({ ["/"] = reply("one", "Cache-Control: max-age=10") }, function(get, m, log)
            local only = { ["Cache-Control"] = "only-if-cached" }
            local _, how, res = get("/", only)
            assert.equal(504, res.status)
            assert.equal("Gateway Timeout", res.reason)
            assert.is_nil(how)
            assert.equal(0, #log.heads)
            get "/"
            assert.equal("hit", select(2, get("/", only)))
            m:advance(15)
            assert.equal(504, select(3, get("/", only)).status)
            assert.equal("stale", select(2,
                get("/", { ["Cache-Control"] = "only-if-cached, max-stale=5" })))
            assert.equal(1, #log.heads)
            assert.is_nil(select(2, get("/", { ["Cache-Control"] = "max-stale=4" })))
        end)
    end)

    it("gives what is too old where the server fails and allows that", function()
        local failing = false
        local function answer(cache_control)
            return function()
                return failing and "HTTP/1.1 503 X\r\nContent-Length: 3\r\n\r\nbad"
                    or reply("one", cache_control, 'ETag: "a"')
            end
        end
        with_cache({
            ["/"] = answer "Cache-Control: max-age=1, stale-if-error=60",
            ["/strict"] = answer "Cache-Control: max-age=1, stale-if-error=60, must-revalidate",
            ["/silent"] = answer "Cache-Control: max-age=1",
        }, function(get, m, log, client, cache)
            for _, path in ipairs { "/", "/strict", "/silent" } do
                get(path)
            end
            failing = true
            m:advance(2)
            assert.same({ "one", "stale" }, two(get "/"))
            assert.same({ "bad", nil }, two(get "/strict"))
            assert.same({ "bad", nil }, two(get "/silent"))
            assert.equal("stale",
                select(2, get("/silent", { ["Cache-Control"] = "stale-if-error=9" })))
            log.peers[1]:close()
            m:refuse_at("127.0.0.1", 80)
            assert.same({ "one", "stale" }, two(get "/"))
            local _, err = client:get "http://h/silent"
            assert.equal("connect", err.kind)
            assert.equal(3, cache:stats().stale)
            m:listen_at("127.0.0.1", 80, {}, { delay = math.huge })
            local inner
            moonwire.timeout(1, function()
                inner = select(2, client:get "http://h/")
            end)
            assert.equal("cancelled", inner.kind) -- whoever gives up wants nothing
            m:refuse_at("127.0.0.1", 80)
            m:advance(60)
            assert.is_nil((client:get "http://h/"))
        end)
    end)

    it("keeps redirects, and follows them from there", function()
        with_cache({
            ["/a"] = "HTTP/1.1 301 X\r\nLocation: /b\r\nCache-Control: max-age=60\r\n"
                .. "Content-Length: 0\r\n\r\n",
            ["/b"] = reply("b", "Cache-Control: max-age=60"),
        }, function(get, _, log)
            get "/a"
            -- the body of a redirect has been read with its head
            local text, how, res = get "/a"
            assert.same({ "b", "hit" }, { text, how })
            assert.equal("hit", res.history[1].from_cache)
            assert.equal("http://h/b", res.url)
            assert.equal(2, #log.heads)
        end)
    end)

    it("holds limits: of one body, of all, and max_body", function()
        local answers = {}
        for i = 1, 9 do
            answers["/" .. i] = reply(("x"):rep(1000), "Cache-Control: max-age=60")
        end
        answers["/large"] = reply(("x"):rep(1001), "Cache-Control: max-age=60")
        answers["/chunks"] = "HTTP/1.1 200 X\r\nCache-Control: max-age=60\r\nTransfer-Encoding: "
            .. "chunked\r\n\r\n3e9\r\n" .. ("x"):rep(1001) .. "\r\n0\r\n\r\n"
        with_cache(answers, function(get, _, _, client, cache)
            for _, path in ipairs { "/large", "/chunks" } do
                get(path)
                assert.is_nil(select(2, get(path)), path)
            end
            assert.equal(0, cache:stats().count)
            for i = 1, 9 do
                get("/" .. i)
                assert.equal("hit", select(2, get "/1")) -- whoever is used stays
            end
            local stats = cache:stats()
            assert.is_true(stats.bytes <= 9000, stats.bytes)
            assert.is_true(stats.evicted > 3)
            assert.is_nil(select(2, get "/3"))
            local res = assert(client:get("http://h/1", { max_body = 999 }))
            local text, err = res:text()
            assert.is_nil(text)
            assert.equal("limit", err.kind)
            res = assert(client:get("http://h/1", { max_body = 999 }))
            assert.equal("hit", res.from_cache)
            text, err = res:read()
            assert.is_nil(text)
            assert.equal("limit", err.kind)
            assert.equal(1000, #assert(client:get("http://h/1", { max_body = 1000 })):text())
        end, { cache = caches.memory { max_bytes = 9000, max_entry = 1000 } })
    end)

    it("is flooded by variants without growing", function()
        local function answer(_, number)
            return reply(("x"):rep(100), "Cache-Control: max-age=60", "Vary: x-" .. number % 7)
        end
        with_cache({ ["/"] = answer }, function(get, _, _, _, cache)
            for i = 1, 200 do
                get("/", { ["x-" .. i % 7] = tostring(i) })
            end
            assert.is_true(cache:stats().bytes <= 20000)
        end, { cache = caches.memory { max_bytes = 20000 } })
    end)

    it("is shared by whoever is given it, and cleared", function()
        local cache = caches.memory()
        with_cache({ ["/"] = reply("one", "Cache-Control: max-age=60") }, function(get)
            get "/"
        end, { cache = cache })
        with_cache({}, function(get, _, log)
            assert.same({ "one", "hit" }, two(get "/"))
            assert.equal(0, #log.heads)
            cache:clear()
            assert.same({ "ok", nil }, two(get "/"))
        end, { cache = cache })
    end)

    it("goes by the clock on the wall", function()
        with_cache({ ["/"] = reply("one", "Cache-Control: max-age=60") }, function(get, m)
            get "/"
            m:suspend(59)
            assert.equal("hit", select(2, get "/"))
            m:suspend(1)
            assert.is_nil(select(2, get "/"))
            m:suspend(-30) -- it was set back: nobody knows how old that is
            assert.is_nil(select(2, get "/"))
        end)
    end)

    it("raises on wrong options, at the caller's line", function()
        local function fails(words, f)
            local ok, problem = pcall(f)
            assert.is_false(ok)
            assert.is_truthy(tostring(problem):find(words, 1, true), problem)
            assert.is_truthy(tostring(problem):find("cache_spec.lua:", 1, true), problem)
        end
        fails("bad argument 'cache' (boolean or cache of moonwire.cache expected, got table)",
            function()
                clients.new { cache = {} }
            end)
        fails("unknown option 'size'", function()
            caches.memory { size = 1 }
        end)
        for _, value in ipairs { 0, 1.5, "1", -1, 0 / 0 } do
            fails("bad argument 'max_bytes'", function()
                caches.memory { max_bytes = value }
            end)
            fails("bad argument 'max_entry'", function()
                caches.folder("/nowhere", { max_entry = value })
            end)
        end
        for _, value in ipairs { "", "a\0b", 1 } do
            fails("bad argument 'path'", function()
                caches.folder(value)
            end)
        end
        with_cache({}, function(_, _, _, client)
            for _, value in ipairs { true, caches.memory(), "x" } do
                fails("bad argument 'cache' (false", function()
                    client:get("http://h/", { cache = value })
                end)
            end
        end)
    end)
end)
