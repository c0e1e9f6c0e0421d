local body = require "moonwire.body"
local date = require "moonwire.date"
local moonwire = require "moonwire"
local requests = require "moonwire.request"
local world = require "spec.support.mock_client"

local with_client = world.with_client

local function say(status, more)
    return ("HTTP/1.1 %d X\r\n%sContent-Length: 0\r\n\r\n"):format(status, more or "")
end

-- Says 503 so many times, and then OK.
local function failing(times, status, more)
    return function(_, number)
        return number <= times and say(status or 503, more) or world.OK
    end
end

describe("a retry policy", function()
    it("sends a request again until it works", function()
        with_client({ retry = { attempts = 4 } }, function(client, m, log)
            local started = m:now()
            local response = assert(client:get "http://h/")
            assert.equal(200, response.status)
            assert.equal(4, #log.heads)
            assert.is_true(m:now() - started <= 0.5 + 1 + 2)
            assert.equal(1, #log.peers)
        end, failing(3))
    end)

    it("gives the last response when all attempts have failed", function()
        with_client({ retry = {} }, function(client, _, log)
            assert.equal(503, assert(client:get "http://h/").status)
            assert.equal(3, #log.heads)
        end, failing(99))
    end)

    it("is for the statuses of its list, or of the script's", function()
        with_client({ retry = {} }, function(client, _, log)
            for _, status in ipairs { 500, 501, 404, 408 } do
                log.status = status
                assert.equal(status, assert(client:get("http://h/" .. status)).status)
            end
            assert.equal(4, #log.heads)
            client:get("http://h/404", { retry = { attempts = 2, statuses = { 404 } } })
            assert.equal(6, #log.heads)
            client:get("http://h/503", { retry = false })
            assert.equal(7, #log.heads)
        end, function(head)
            return say(tonumber(head:match "/(%d+)"))
        end)
    end)

    it("sends again only what may be sent twice", function()
        with_client({ retry = { attempts = 2 } }, function(client, _, log)
            local function tries(method, opts)
                local before = #log.heads
                opts = opts or {}
                opts.url, opts.method = "http://h/", method
                assert(client:request(opts))
                return #log.heads - before
            end
            assert.equal(2, tries "GET")
            assert.equal(2, tries("PUT", { body = "x" }))
            assert.equal(1, tries("POST", { body = "x" }))
            assert.equal(2, tries("POST", { body = "x", headers = { ["Idempotency-Key"] = "1" } }))
            local left = 1
            assert.equal(1, tries("PUT", { body = body.generator(function()
                left = left - 1
                return left == 0 and "x" or nil
            end, { length = 1 }) }))
            assert.equal(2, tries("POST", { retry = { attempts = 2, methods = { "POST" } } }))
            assert.equal(1, tries("GET", { retry = { attempts = 2, methods = { "POST" } } }))
            local prepared = requests.new { url = "http://h/" }
            local before = #log.heads
            assert(client:request(prepared, { retry = { attempts = 3 } }))
            assert.equal(3, #log.heads - before)
        end, failing(99))
    end)

    it("waits as long as the server asks for, if that isn't too long", function()
        with_client({ retry = { max_retry_after = 100 } }, function(client, m, log)
            local started = m:now()
            assert.equal(200, assert(client:get "http://h/").status)
            assert.equal(100, m:now() - started)
            assert.equal(2, #log.heads)
        end, failing(1, 429, "Retry-After: 100\r\n"))
        with_client({ retry = {} }, function(client, m)
            local started = m:now()
            assert.equal(429, assert(client:get "http://h/").status)
            assert.is_true(m:now() - started < 1)
        end, failing(1, 429, "Retry-After: 61\r\n"))
        with_client({ retry = {} }, function(client, m)
            local started = m:now()
            assert.equal(200, assert(client:get "http://h/").status)
            assert.is_true(m:now() - started > 27 and m:now() - started <= 31)
        end, failing(1, 503, "Retry-After: " .. date.format(os.time() + 30) .. "\r\n"))
    end)

    it("gives the failure at once when there is no time for another attempt", function()
        with_client({ retry = {}, timeout = 5 }, function(client, m)
            local started = m:now()
            assert.equal(503, assert(client:get "http://h/").status)
            assert.is_true(m:now() - started < 1)
        end, failing(1, 503, "Retry-After: 6\r\n"))
    end)

    it("repeats errors of its kinds, and any method that was not sent", function()
        with_client({ retry = { attempts = 3 } }, function(client, m)
            m:refuse_at("127.0.0.1", 80)
            m.backend:start(function()
                m:advance(0.01)
                world.serve(m, "127.0.0.1", 80)
            end)
            local _, err = client:post("http://other/", { retry = { attempts = 2, base = 0 } })
            assert.equal("connect", err.kind)
            local response = assert(client:post("http://h/", { retry = { attempts = 30 } }))
            assert.equal(200, response.status)
        end)
        with_client({ retry = { attempts = 2 } }, function(client, _, log)
            local _, err = client:get("http://h/")
            assert.equal("protocol", err.kind)
            assert.equal(1, #log.heads)
            _, err = client:get("http://h/", { retry = { attempts = 2, kinds = { "protocol" } } })
            assert.equal("protocol", err.kind)
            assert.equal(3, #log.heads)
        end, function()
            return "HTTP/2.0 200 OK\r\n\r\n"
        end)
    end)

    it("has a budget for all requests of a client", function()
        with_client({ retry = { attempts = 2, budget = 0.5, base = 0 } }, function(client, _, log)
            for _ = 1, 30 do
                assert(client:get "http://h/")
            end
            -- ten at once, half of one for each request after that
            assert.is_true(#log.heads >= 30 + 10 + 9 and #log.heads <= 30 + 10 + 15, #log.heads)
        end, failing(1000))
    end)

    it("ends its wait when the task is cancelled", function()
        with_client({ retry = {} }, function(client, m)
            local started = m:now()
            local _, err = moonwire.timeout(2, function()
                return client:get "http://h/"
            end)
            assert.equal("timeout", err.kind)
            assert.equal(2, m:now() - started)
        end, failing(99, 503, "Retry-After: 10\r\n"))
    end)

    it("goes on behind a redirect", function()
        with_client({ retry = {} }, function(client, _, log)
            local response = assert(client:get "http://h/a")
            assert.equal(200, response.status)
            assert.equal(1, #response.history)
            assert.equal(3, #log.heads)
        end, function(head, number)
            return head:find "^GET /a" and say(302, "Location: /b\r\n")
                or number == 2 and say(502) or world.OK
        end)
    end)
end)
