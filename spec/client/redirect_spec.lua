local body = require "moonwire.body"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local clients = require "moonwire.client"
local world = require "spec.support.mock_client"

local with_client = world.with_client

-- A response that leads on.
local function to(location, status, more)
    return ("HTTP/1.1 %d X\r\nLocation: %s\r\n%sContent-Length: 0\r\n\r\n"):format(status or 302,
        location, more or "")
end

-- Answers by path: a string, or a function of the request's head and body.
local function by_path(answers)
    return function(head, _, _, text)
        local answer = answers[head:match "^%S+ (%S+)"]
        if type(answer) == "function" then
            return answer(head, text)
        end
        return answer or world.OK
    end
end

describe("a redirect", function()
    it("is followed, and the response tells the way", function()
        with_client(nil, function(client, _, log)
            local response = assert(client:get "http://h/a")
            assert.equal(200, response.status)
            assert.equal("http://h/dir/c?x=1", response.url)
            assert.equal("ok", response:text())
            assert.equal(2, #response.history)
            assert.equal(301, response.history[1].status)
            assert.equal("http://h/a", response.history[1].url)
            assert.equal("/dir/b", response.history[1].headers:get "location")
            assert.equal("http://h/dir/b", response.history[2].url)
            assert.equal(1, #log.peers) -- one connection
            assert.same({}, assert(client:get "http://h/").history)
        end, by_path { ["/a"] = to("/dir/b", 301), ["/dir/b"] = to("c?x=1#top", 308) })
    end)

    it("is a response like any other where the script says so, or where no Location is", function()
        with_client({ redirect = false }, function(client)
            assert.equal(302, assert(client:get "http://h/a").status)
            assert.equal(200, assert(client:get("http://h/a", { redirect = true })).status)
            assert.equal(200, assert(client:get("http://h/a", { redirect = 1 })).status)
            assert.equal(302, assert(client:get("http://h/a", { redirect = 0 })).status)
            assert.equal(302, assert(client:get("http://h/bare", { redirect = true })).status)
            assert.equal(304, assert(client:get("http://h/304", { redirect = true })).status)
        end, by_path {
            ["/a"] = to "/b", ["/bare"] = "HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n",
            ["/304"] = "HTTP/1.1 304 X\r\nLocation: /b\r\n\r\n",
        })
    end)

    it("turns POST into GET, and drops the body and all that is said about it", function()
        local seen = {}
        local function look(head, text)
            seen[#seen + 1] = head:match "^%S+" .. (head:find "ontent%-" and " content" or "")
                .. " " .. text
            return world.OK
        end
        with_client(nil, function(client)
            for _, case in ipairs { { "POST", 301 }, { "POST", 302 }, { "POST", 303 },
                { "PUT", 303 }, { "HEAD", 303 }, { "DELETE", 301 }, { "POST", 307 },
                { "PUT", 308 }, { "PUT", 302 } } do
                seen[#seen + 1] = case[1] .. " " .. case[2] .. ":"
                assert(client:request(case[1], "http://h/" .. case[2], {
                    body = case[1] ~= "HEAD" and case[1] ~= "DELETE" and "text" or nil,
                    headers = { ["Content-Language"] = case[1] ~= "HEAD" and "en" or {},
                        ["Content-Type"] = case[1] ~= "HEAD" and "text/plain" or {} },
                }))
            end
            assert.same({
                "POST 301:", "GET ", "POST 302:", "GET ", "POST 303:", "GET ", "PUT 303:", "GET ",
                "HEAD 303:", "HEAD ", "DELETE 301:", "DELETE ", "POST 307:", "POST content text",
                "PUT 308:", "PUT content text", "PUT 302:", "PUT content text",
            }, seen)
        end, by_path {
            ["/301"] = to("/to", 301), ["/302"] = to("/to", 302), ["/303"] = to("/to", 303),
            ["/307"] = to("/to", 307), ["/308"] = to("/to", 308), ["/to"] = look,
        })
    end)

    it("says what to do when the body can't be sent twice", function()
        with_client(nil, function(client)
            local sent = false
            local _, err = client:put("http://h/307", { body = function()
                if not sent then
                    sent = true
                    return "text"
                end
            end })
            assert.equal("redirect", err.kind)
            assert.is_truthy(err.message:find("body.file(path)", 1, true), err.message)
            assert.equal("http://h/307", err.url)
            local path = os.tmpname()
            local file = assert(io.open(path, "w"))
            file:write "from a file"
            file:close()
            local got = assert(client:put("http://h/307", { body = body.file(path) })):text()
            os.remove(path)
            assert.equal("ok", got)
        end, function(head)
            return head:find "^PUT /307" and to("/to", 307) or world.OK
        end)
    end)

    it("goes so far and no further", function()
        with_client(nil, function(client, _, log)
            local _, err = client:get "http://h/0"
            assert.equal("redirect", err.kind)
            assert.is_truthy(err.message:find("more than 10 redirects", 1, true))
            assert.equal("http://h/10", err.url)
            assert.equal(11, #log.heads)
            assert.equal("http://h/3", select(2, client:get("http://h/0", { redirect = 3 })).url)
            assert.equal("http://h/12",
                select(2, client:get("http://h/0", { redirect = { max = 12 } })).url)
        end, function(head)
            return to("/" .. head:match "/(%d+)" + 1)
        end)
    end)

    it("stops in a circle", function()
        with_client(nil, function(client, _, log)
            local _, err = client:get "http://h/a"
            assert.equal("redirect", err.kind)
            assert.is_truthy(err.message:find("in a circle", 1, true))
            assert.equal(2, #log.heads)
            _, err = client:get "http://h/self"
            assert.is_truthy(err.message:find("in a circle", 1, true))
            assert.equal(200, assert(client:post "http://h/form").status) -- now by GET
        end, by_path {
            ["/a"] = to "/b", ["/b"] = to "/a", ["/self"] = to "/self",
            ["/form"] = function(head)
                return head:find "^POST" and to("/form", 303) or world.OK
            end,
        })
    end)

    it("leads to http and https only, to one place, and to a URL", function()
        with_client(nil, function(client)
            for location, words in pairs {
                ["ftp://h/x"] = "http", ["file:///etc/passwd"] = "http",
                ["http://h:99999/"] = "port",
                ["http://a@b@h/"] = "leads to", ["/a b"] = "leads to",
                ["/a\r\nLocation: /b"] = "two different places",
            } do
                local _, err = client:get("http://h/" .. location:gsub("[^%w]", "_"),
                    { headers = { ["X-To"] = "y" } })
                assert.equal("redirect", err.kind, location)
                assert.is_truthy(err.message:find(words, 1, true), err.message)
            end
            assert.equal(200, assert(client:get "http://h/twice").status)
        end, function(head)
            local path = head:match "/(%S+)"
            for _, location in ipairs { "ftp://h/x", "file:///etc/passwd", "http://h:99999/",
                "http://a@b@h/", "/a b", "/a\r\nLocation: /b" } do
                if path == location:gsub("[^%w]", "_") then
                    return to(location)
                end
            end
            return path == "twice" and to "/to\r\nLocation: /to" or world.OK
        end)
    end)

    it("is under the one time limit of the call", function()
        with_client({ timeout = 5 }, function(client, m)
            local started = m:now()
            local _, err = client:get "http://h/0"
            assert.equal("timeout", err.kind)
            assert.equal("total", err.timeout)
            assert.equal(5, m:now() - started)
            assert.equal(5, err.elapsed)
            m:advance(2) -- the server's answer
        end, function(head, _, peer)
            moonwire.spawn(function()
                moonwire.sleep(2)
                if not peer:is_closed() then
                    peer:send(to("/" .. head:match "/(%d+)" + 1))
                end
            end)
        end)
    end)
end)

describe("credentials", function()
    local SECRETS = {
        ["Authorization"] = { "Basic one", "Basic two" }, ["Cookie"] = "a=1", ["Cookie2"] = "b",
        ["Proxy-Authorization"] = "x", ["WWW-Authenticate"] = "y", ["X-Kept"] = "z",
    }

    -- The heads that arrive at h, port 80 and 81, and at other.
    local function heads_of(client_opts, opts, first, second)
        local m, heads = mock.new(), {}
        m:hosts { h = { "127.0.0.1" }, other = { "127.0.0.2" } }
        local function answer(head)
            heads[#heads + 1] = head
            return head:find "^GET /0" and to(first)
                or head:find "^GET /1" and to(second or "/2") or world.OK
        end
        local logs = {
            world.serve(m, "127.0.0.1", 80, answer), world.serve(m, "127.0.0.1", 81, answer),
            world.serve(m, "127.0.0.2", 80, answer),
        }
        m:run(function()
            local client = clients.new(client_opts)
            assert(client:get("http://h/0", opts))
            client:close()
            for _, log in ipairs(logs) do
                for _, peer in ipairs(log.peers) do
                    peer:close()
                end
            end
        end)
        return heads
    end

    local function count(head)
        local n = 0
        for name in pairs(SECRETS) do
            local _, times = head:lower():gsub("\n" .. name:lower():gsub("%-", "%%-") .. ":", "")
            n = n + times
        end
        return n
    end

    it("go along within an origin", function()
        local heads = heads_of(nil, { headers = SECRETS }, "/1")
        assert.same({ 7, 7, 7 }, { count(heads[1]), count(heads[2]), count(heads[3]) })
    end)

    it("stay behind when host or port change, and stay there for the whole chain", function()
        for _, first in ipairs { "http://other/1", "http://h:81/1", "//other/1" } do
            local heads = heads_of(nil, { headers = SECRETS }, first, "http://h/2")
            assert.same({ 7, 1, 1 }, { count(heads[1]), count(heads[2]), count(heads[3]) }, first)
            assert.is_truthy(heads[3]:find("Host: h\r\n", 1, true))
        end
    end)

    it("of the client, and of the URL, do as well", function()
        local heads = heads_of({ headers = SECRETS }, nil, "http://other/1", "http://h/2")
        assert.same({ 7, 1, 1 }, { count(heads[1]), count(heads[2]), count(heads[3]) })
        with_client(nil, function(client, m)
            local other = world.serve(m, "127.0.0.2", 80)
            assert(client:get "http://me:secret@h/same")
            assert(client:get "http://me:secret@h/other")
            assert.is_nil(other.heads[1]:find "Authorization")
            client:close()
            other.peers[1]:close()
        end, function(head)
            assert.is_truthy(head:find("Authorization: Basic bWU6c2VjcmV0\r\n", 1, true), head)
            return head:find "/same" and to "/to" or head:find "/other" and to "http://other/"
                or world.OK
        end)
    end)

    it("go along where the script names them", function()
        local heads = heads_of(nil, {
            headers = SECRETS, redirect = { keep_headers = { "cookie" } },
        }, "http://other/1")
        assert.same({ 7, 2, 2 }, { count(heads[1]), count(heads[2]), count(heads[3]) })
    end)

    it("of a Location are for its origin only when that is the old one", function()
        local heads = heads_of(nil, nil, "http://u:p@h/1", "http://u:p@other/2")
        assert.is_truthy(heads[2]:find("Authorization: Basic dTpw\r\n", 1, true))
        assert.is_nil(heads[3]:find "Authorization")
    end)
end)
