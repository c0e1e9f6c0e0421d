-- Responses that lead on: in circles, to nowhere, away from http, and to others with what is not
-- for them. Row 36; what goes along with which status stands in spec/client/redirect_spec.lua.
local assert = require "luassert"
local certs = require "spec.support.certs"
local clients = require "moonwire.client"
local kit = require "spec.hostile.kit"
local server = require "moonwire.testing.server"
local support = require "spec.support"

local function to(location, status)
    return kit.reply({ "Location: " .. location, "Content-Length: 0" }, "",
        ("HTTP/1.1 %d X"):format(status or 302))
end

-- Answers by path, else with 200.
local function by_path(answers)
    return function(peer, _, head)
        local path = head:match "^%S+ (%S+)"
        peer:read_body()
        return peer:send(answers[path] or kit.reply("Content-Length: 2", "ok"))
    end
end

-- An error of kind "redirect", after so many requests; the connection is kept.
local function refused(sentence, words, answers, attempts, more)
    local case = {
        sentence, row = 36, reply = by_path(answers), attempts = attempts or 1,
        error = { kind = "redirect", match = words }, length = 60,
    }
    for name, value in pairs(more or {}) do
        case[name] = value
    end
    return case
end

local endless = {}
for i = 0, 20 do
    endless[i == 0 and "/hostile" or "/hostile/" .. i] = to("/hostile/" .. i + 1)
end

kit.rows(describe, it, "redirects", {
    refused("a circle of one ends", "circle", { ["/hostile"] = to "/hostile" }),
    refused("a circle of two ends", "circle",
        { ["/hostile"] = to "b/../hostile/b", ["/hostile/b"] = to "/hostile" }, 2, {
            once = true,
            accept = function(result)
                assert.equal("redirect", result.err.kind)
                assert.truthy(result.err.message:find("circle", 1, true))
            end,
        }),
    refused("more than ten of them end", "more than 10", endless, 11, {
        once = true,
        accept = function(result)
            assert.equal("redirect", result.err.kind)
            assert.truthy(result.err.message:find("more than 10 redirects", 1, true))
        end,
    }),
    refused("ftp: is not followed", "http", { ["/hostile"] = to "ftp://127.0.0.1/hostile" }),
    refused("file: is not followed", "http", { ["/hostile"] = to "file:///hostile" }),
    refused("javascript: is not followed", "leads to", { ["/hostile"] = to "javascript:hostile" }),
    refused("two places are none", "two different places",
        { ["/hostile"] = to "/a\r\nLocation: /b" }),
    refused("a port that is none is not followed", "leads to",
        { ["/hostile"] = to "http://127.0.0.1:65536/hostile" }),
    refused("two users are none", "leads to", { ["/hostile"] = to "http://a@b@127.0.0.1/hostile" }),
    refused("a backslash is no slash", "leads to",
        { ["/hostile"] = to "http://127.0.0.1\\@x/hostile" }),
    {
        "//host is another host", row = 36, reply = to "//127.0.0.1:1/hostile",
        error = { kind = "connect", safe_to_retry = nil },
        accept = function(result)
            assert.equal("connect", result.err.kind)
            assert.equal("http://127.0.0.1:1/hostile", result.err.url)
        end,
        only = "socket",
    },
    {
        "303 makes a GET of a PUT", row = 36, method = "PUT", opts = { body = "text" },
        reply = function(peer, attempt, head)
            assert.equal(attempt % 2 == 1 and "PUT" or "GET", head:match "^%S+")
            assert.equal(attempt % 2 == 1 and "text" or "", peer:read_body() or "")
            return peer:send(attempt % 2 == 1 and to("/hostile/there", 303)
                or kit.reply("Content-Length: 2", "ok"))
        end,
        body = "ok", attempts = 2, length = 60,
    },
    refused("307 doesn't send the rest of a function again, nor nothing", "can't be sent a second",
        { ["/hostile"] = to("/hostile/b", 307) }, 1, {
            method = "PUT",
            make_body = function()
                local pieces = { "one", "two" }
                return function()
                    return table.remove(pieces, 1)
                end
            end,
        }),
})

describe("redirects, row 36: to another origin", function()
    local SECRETS = {
        { "Authorization", "Basic one" }, { "authorization", "Bearer two" }, { "Cookie", "a=1" },
        { "Proxy-Authorization", "three" },
    }
    local folder

    setup(function()
        folder = certs.for_loopback()
    end)

    -- The secrets that arrive at a server over there, and back here after that.
    local function arrivals(f)
        support.in_loop(function()
            local here = assert(server.start())
            local there = assert(server.start())
            local seen = {}
            local function note(request)
                local count = 0
                for _, secret in ipairs(SECRETS) do
                    count = count + #request.headers:get_all(secret[1])
                end
                seen[#seen + 1] = count
            end
            there:on("/there", function(request, respond)
                note(request)
                respond(302, "", { Location = here.url .. "/back" })
            end)
            here:on("/here", function(request, respond)
                note(request)
                respond(302, "", { Location = there.url .. "/there" })
            end)
            here:on("/back", function(request, respond)
                note(request)
                respond(200, "")
            end)
            local client = clients.new()
            f(client, here, seen)
            client:close()
            here:close()
            there:close()
        end)
    end

    it("another port sees no line of any of them, nor does the first one again", function()
        arrivals(function(client, here, seen)
            assert(client:get(here.url .. "/here", { headers = SECRETS }))
            assert.same({ 6, 0, 0 }, seen)
        end)
    end)

    it("another origin is shown no certificate of ours, nor is the first one again", function()
        support.in_loop(function()
            folder:issue("me", { by = "root" })
            local served = {
                cert = folder:path "server.pem", key = folder:path "server.key",
                ca_file = folder:path "root.pem", -- it wants one
            }
            local here = assert(server.start { tls = served })
            local there = assert(server.start { tls = served })
            local open = assert(server.start {
                tls = { cert = served.cert, key = served.key },
            })
            here:on("/there", function(_, respond)
                respond(302, "", { Location = there.url .. "/get" })
            end)
            here:on("/round", function(_, respond)
                respond(302, "", { Location = open.url .. "/back" })
            end)
            open:on("/back", function(_, respond)
                respond(302, "", { Location = here.url .. "/get" })
            end)
            local client = clients.new { pool = { idle_per_origin = 0 }, tls = {
                ca_file = served.ca_file, cert = folder:path "me.pem", key = folder:path "me.key",
            } }
            assert.equal(200, assert(client:get(here.url .. "/get")).status)
            assert.equal(200, assert(client:get(there.url .. "/get")).status)
            for _, path in ipairs { "/there", "/round" } do
                local response, err = client:get(here.url .. path)
                assert.is_nil(response, path)
                assert.truthy(err.kind == "tls" or err.kind == "closed", tostring(err))
            end
            client:close()
            for _, one in ipairs { here, there, open } do
                one:close()
            end
        end)
    end)

    it("another scheme sees none, and https is not left", function()
        support.in_loop(function()
            local plain = assert(server.start())
            local safe = assert(server.start {
                tls = { cert = folder:path "server.pem", key = folder:path "server.key" },
            })
            local seen
            safe:on("/", function(request, respond)
                seen = #request.headers:get_all "Authorization" + #request.headers:get_all "Cookie"
                respond(200, "safe")
            end)
            local client = clients.new { tls = { ca_file = folder:path "root.pem" } }
            for url, from in pairs { [safe.url .. "/"] = plain, [plain.url .. "/get"] = safe } do
                from:on("/leads", function(_, respond)
                    respond(302, "", { Location = url })
                end)
            end
            assert.equal("safe", assert(client:get(plain.url .. "/leads",
                { headers = SECRETS })):text())
            assert.equal(0, seen)
            local _, err = client:get(safe.url .. "/leads")
            assert.equal("redirect", err.kind)
            assert.truthy(err.message:find("to_http = true", 1, true), err.message)
            assert.equal(200, assert(client:get(safe.url .. "/leads",
                { redirect = { to_http = true } })).status)
            client:close()
            plain:close()
            safe:close()
        end)
    end)
end)
