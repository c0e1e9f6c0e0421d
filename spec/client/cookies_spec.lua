local cookies = require "moonwire.cookies"
local requests = require "moonwire.request"
local world = require "spec.support.mock_client"

local with_client = world.with_client

local function cookies_of(log)
    local list = {}
    for i, head in ipairs(log.heads) do
        local all = {}
        for field in head:gmatch "\r\n[Cc]ookie: ([^\r]*)" do
            all[#all + 1] = field
        end
        list[i] = table.concat(all, " | ")
    end
    return list
end

-- An answer that sets cookies, and leads on if wanted.
local function setting(fields, status, location)
    return ("HTTP/1.1 %d X\r\nContent-Length: 0\r\nSet-Cookie: %s\r\n%s\r\n"):format(status or 200,
        table.concat(fields, "\r\nSet-Cookie: "),
        location and "Location: " .. location .. "\r\n" or "")
end

local function by_path(answers)
    return function(head)
        return answers[head:match "^%S+ (%S+)"] or world.OK
    end
end

describe("a client's cookies", function()
    it("are none where nobody asks for them", function()
        with_client(nil, function(client, _, log)
            assert(client:get "http://h/set")
            assert(client:get "http://h/")
            assert.same({ "", "" }, cookies_of(log))
        end, by_path { ["/set"] = setting { "a=1" } })
        with_client({ cookies = false }, function(client, _, log)
            assert(client:get "http://h/set")
            assert(client:get "http://h/")
            assert.same({ "", "" }, cookies_of(log))
        end, by_path { ["/set"] = setting { "a=1" } })
    end)

    it("go back to where they came from, whatever the call", function()
        with_client({ cookies = true }, function(client, _, log)
            assert(client:get "http://h/set")
            assert(client:get "http://h/")
            assert(client:post("http://h/x/y", { body = "hi" }))
            assert(client:request(requests.new { url = "http://h/" }))
            assert(client:request { url = "http://h/", method = "PUT", json = { 1 } })
            assert.same({ "", "a=1; b=2", "a=1; b=2", "a=1; b=2", "a=1; b=2" }, cookies_of(log))
            assert.matches("\r\nContent%-Length: 2\r\n", log.heads[3])
        end, by_path { ["/set"] = setting { "a=1", "b=2; HttpOnly" } })
    end)

    it("are a client's own, or those of a jar", function()
        local jar = cookies.jar()
        assert(jar:set("http://h/", "a=1"))
        with_client({ cookies = jar }, function(client, _, log)
            assert(client:get "http://h/set")
            assert.equal("2", jar:get("http://h/", "b"))
            assert.same({ "a=1" }, cookies_of(log))
        end, by_path { ["/set"] = setting { "b=2" } })
        with_client({ cookies = jar }, function(client, _, log)
            assert(client:get "http://h/")
            assert.same({ "a=1; b=2" }, cookies_of(log))
        end)
        with_client({ cookies = true }, function(client, _, log)
            assert(client:get "http://h/")
            assert.same({ "" }, cookies_of(log))
        end)
    end)

    it("are taken from each step of a redirect, and chosen anew for each", function()
        local jar = cookies.jar()
        assert(jar:set("http://other/", "theirs=1"))
        with_client({ cookies = jar, redirect = true }, function(client, m, log)
            local others = world.serve(m, "127.0.0.2", 80, by_path {
                ["/in"] = setting({ "o=1" }, 302, "http://h/back"),
            })
            local response = assert(client:get "http://h/login")
            assert.equal("http://h/back", response.url)
            assert.same({ "", "deep=1; sid=1", "sid=2" }, cookies_of(log))
            assert.same({ "theirs=1" }, cookies_of(others))
            for _, peer in ipairs(others.peers) do
                peer:close()
            end
        end, by_path {
            ["/login"] = setting({ "sid=1", "deep=1; Path=/x" }, 303, "/x/y"),
            ["/x/y"] = setting({ "sid=2; Path=/", "deep=; Max-Age=0; Path=/x" }, 307,
                "http://other/in"),
        })
    end)

    it("let somebody in at the place that has refused him", function()
        with_client({ cookies = true }, function(client, _, log)
            assert.equal("ok", assert(client:get "http://h/a"):text())
            assert.same({ "", "seen=1" }, cookies_of(log))
        end, function(head)
            return head:find "seen=1" and world.OK or setting({ "seen=1" }, 302, "/a")
        end)
    end)

    it("are kept from responses of every status", function()
        with_client({ cookies = true }, function(client, _, log)
            for _, status in ipairs { 401, 404, 503 } do
                assert.equal(status, assert(client:get("http://h/" .. status)).status)
            end
            assert(client:get "http://h/")
            assert.equal("c401=1; c404=1; c503=1", cookies_of(log)[4])
        end, function(head)
            local status = head:match "^GET /(%d+)"
            return status and setting({ "c" .. status .. "=1" }, tonumber(status)) or world.OK
        end)
    end)

    it("go by the URL's host, whatever the Host field says", function()
        with_client({ cookies = true }, function(client, _, log)
            assert(client:get("http://h/set", { headers = { Host = "other" } }))
            assert(client:get("http://h/", { headers = { Host = "other" } }))
            assert.equal("a=1", cookies_of(log)[2])
        end, by_path { ["/set"] = setting { "a=1", "b=1; Domain=other" } })
    end)

    it("stand behind those of the script, whose names come first", function()
        local jar = cookies.jar()
        for _, name in ipairs { "a", "b", "c", "d" } do
            assert(jar:set("http://h/", name .. "=jar"))
        end
        with_client({ cookies = jar }, function(client, _, log)
            assert(client:get("http://h/", { headers = { Cookie = "a=mine; x" } }))
            assert(client:get("http://h/", { cookies = { b = "mine", n = 1 } }))
            assert(client:get("http://h/", { headers = { { "cookie", "a=1" }, { "cookie", "z=2" } },
                cookies = { c = "" } }))
            assert(client:get "http://h/")
            assert.same({
                "a=mine; x; b=jar; c=jar; d=jar",
                "b=mine; n=1; a=jar; c=jar; d=jar",
                "a=1; z=2; c=; b=jar; d=jar",
                "a=jar; b=jar; c=jar; d=jar",
            }, cookies_of(log))
        end)
    end)
end)

describe("a request's cookies", function()
    it("are sent without a jar too, with that request only", function()
        with_client(nil, function(client, _, log)
            assert(client:get("http://h/", { cookies = { b = "2", a = "x y=\"z\"" } }))
            assert(client:get "http://h/")
            assert(client:get("http://h/", { cookies = {} }))
            assert(client:request(requests.new { url = "http://h/" }, { cookies = { c = 3 } }))
            assert.same({ "a=x y=\"z\"; b=2", "", "", "c=3" }, cookies_of(log))
        end)
    end)

    it("stay on the first origin, also when the way leads back", function()
        with_client({ cookies = true }, function(client, m, log)
            local others = world.serve(m, "127.0.0.2", 80, by_path {
                ["/"] = "HTTP/1.1 302 X\r\nLocation: http://h/c\r\nContent-Length: 0\r\n\r\n",
            })
            assert(client:get("http://h/a", { cookies = { own = "1" } }))
            assert.same({ "own=1", "own=1; j=1", "j=1" }, cookies_of(log))
            assert.same({ "" }, cookies_of(others))
            for _, peer in ipairs(others.peers) do
                peer:close()
            end
        end, by_path {
            ["/a"] = setting({ "j=1" }, 302, "/b"),
            ["/b"] = setting({ "j=1" }, 302, "http://other/"),
        })
    end)
end)

describe("the cookies option", function()
    -- Row 38 of the adversarial tests.
    it("is checked before anything is sent", function()
        local cases = {
            { { a = "1\r\nX: y" }, "cookies[\"a\"]' (a ';' or a control character is in it)" },
            { { a = "1\0" }, "a control character" },
            { { a = "1; b=2" }, "a ';'" },
            { { a = {} }, "cookies[\"a\"]' (string or number expected, got table)" },
            { { ["a\r\n"] = "1" }, "is no name of a cookie" },
            { { ["a=b"] = "1" }, "is no name of a cookie" },
            { { [""] = "1" }, "is no name of a cookie" },
            { { "a=1" }, "is no name of a cookie" },
            { "a=1", "'cookies' (table of names and values expected, got string)" },
            { cookies.jar(), "table of names and values expected, got moonwire.CookieJar" },
            { true, "table of names and values expected, got true" },
        }
        with_client(nil, function(client, _, log)
            for _, case in ipairs(cases) do
                local ok, problem = pcall(client.get, client, "http://h/", { cookies = case[1] })
                assert.is_false(ok)
                assert.matches(case[2], problem, 1, true)
                assert.matches("^spec/client/cookies_spec.lua", (select(2, pcall(function()
                    client:get("http://h/", { cookies = case[1] })
                end))))
            end
            assert.same({}, log.heads)
        end)
        local clients = require "moonwire.client"
        for _, value in ipairs { "x", 1, { a = "1" } } do
            local ok, problem = pcall(clients.new, { cookies = value })
            assert.is_false(ok)
            assert.matches("'cookies' (boolean or jar of moonwire.cookies expected", problem,
                1, true)
        end
    end)
end)
