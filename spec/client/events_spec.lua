local http = require "moonwire.http"
local moonwire = require "moonwire"
local support = require "spec.support"
local testing = require "moonwire.testing"
local world = require "spec.support.mock_client"

local with_client = world.with_client

local function to(location)
    return ("HTTP/1.1 302 X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"):format(location)
end

-- Notes all events; gives what takes the listeners off.
local function listen(on, log)
    local offs = {}
    for _, name in ipairs { "request", "response", "data", "finish", "error", "redirect", "retry",
        "connect", "close" } do
        offs[#offs + 1] = on(name, function(event)
            log[#log + 1] = name
            log[name] = event
        end)
    end
    return function()
        for _, off in ipairs(offs) do
            off()
        end
    end
end

describe("a client's events", function()
    it("tell an exchange from its request to the end of its body", function()
        with_client(nil, function(client, m)
            local log = {}
            local off = listen(function(...) return client:on(...) end, log)
            local response = assert(client:get "http://h/x")
            assert.equal("request connect response data finish", table.concat(log, " "))
            assert.equal("http://h/x", log.request.request.url)
            assert.equal(response, log.response.response)
            assert.equal(log.request.id, log.finish.id)
            assert.equal("ok", log.data.bytes)
            assert.equal(2, log.finish.bytes)
            assert.equal(#world.OK, log.finish.received)
            assert.equal(#log.request.request.head:bytes(), log.finish.sent)
            assert.is_true(log.finish.complete)
            assert.is_nil(log.finish.err)
            assert.equal("127.0.0.1", log.connect.address)
            assert.equal("http://h:80", log.connect.origin)
            assert.equal(response.timing.connection, log.connect.connection)
            assert.equal("ok", response:text())
            assert(client:post("http://h/x", { body = "12345" }))
            assert.equal(#log.request.request.head:bytes() + 5, log.finish.sent)
            assert.equal(#world.OK, log.finish.received)
            client:close_idle()
            assert.equal("close", log[#log])
            assert.equal(2, log.close.requests)
            assert.equal(log.connect.connection, log.close.connection)
            off()
            off()
            local count = #log
            assert(client:get "http://h/x")
            m:advance(0)
            assert.equal(count, #log)
        end)
    end)

    it("tell failures, redirects and repetitions", function()
        with_client({ retry = {} }, function(client)
            local log = {}
            local off = listen(function(...) return client:on(...) end, log)
            assert(client:get "http://h/a"):text()
            assert.equal("request connect response finish redirect request response finish retry "
                .. "request response data finish", table.concat(log, " "))
            assert.equal("http://h/b", log.redirect.request.url)
            assert.equal(302, log.redirect.response.status)
            assert.equal(503, log.retry.response.status)
            assert.equal(2, log.retry.attempt)
            for i = #log, 1, -1 do
                log[i] = nil
            end
            client:get("http://nowhere/", { retry = false })
            assert.equal("request error", table.concat(log, " "))
            assert.equal("resolve", log.error.err.kind)
            off()
        end, function(head, number)
            return head:find "^GET /a" and to "/b" or number == 2
                and "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n" or world.OK
        end)
    end)

    it("of a listener that fails harm nobody", function()
        local code, out, err = support.run({ support.moonwire(), "-e", [[
            local http = require "moonwire.http"
            local testing = require "moonwire.testing"
            local transport = testing.transport():on("GET", "/", { body = "fine" })
            http.on("response", function() error "oh no" end)
            testing.with(transport, function()
                print(assert(http.get "http://h.test/"):text())
            end)]] })
        assert.equal(0, code)
        assert.equal("fine\n", out)
        assert.truthy(err:find('moonwire: a listener for "response" failed: .*oh no'), err)
    end)

    it("of all clients go to http.on", function()
        local transport = testing.transport():on("GET", "/", { body = "fine" })
        local log = {}
        local off = listen(http.on, log)
        testing.with(transport, function()
            assert(http.get "http://h.test/")
            local client = http.client()
            assert(client:get "http://h.test/")
            client:close()
        end)
        off()
        assert.equal("request response data finish request response data finish",
            table.concat(log, " "))
    end)

    it("have names", function()
        assert.error_matches(function()
            http.on("end", print)
        end, "there is no event 'end' %(there are: close")
        assert.error_matches(function()
            http.client():on("request", 1)
        end, "bad argument 'listener'")
    end)
end)

describe("res.timing", function()
    it("tells how long there was no connection, and what was repeated", function()
        with_client({ retry = { base = 0 }, pool = { max_per_origin = 1 } }, function(client, m)
            local first, second
            moonwire.scope(function(s)
                s:spawn(function()
                    first = assert(client:get "http://h/slow")
                end)
                s:spawn(function()
                    second = assert(client:get "http://h/a")
                end)
            end)
            assert.equal(0, first.timing.queued)
            assert.equal(0, second.timing.queued)
            assert.equal(3, second.history[1].timing.queued)
            assert.equal("127.0.0.1:80", second.timing.remote)
            assert.equal(0, second.timing.retries)
            assert.equal(1, second.timing.redirects)
            local third = assert(client:get "http://h/twice")
            assert.equal(1, third.timing.retries)
            assert.equal(first.timing.connection, third.timing.connection)
            local stats = client:stats()
            assert.same({ ["2xx"] = 3 }, stats.responses)
            assert.equal(1, stats.redirects)
            assert.equal(1, stats.retries)
            client:get "http://nowhere/"
            assert.same({ resolve = 1 }, client:stats().errors)
            local text = client:metrics()
            assert.truthy(text:find('moonwire_client_responses_total{class="2xx"} 3', 1, true))
            assert.truthy(text:find('moonwire_client_errors_total{kind="resolve"} 1', 1, true))
            assert.truthy(text:find("moonwire_client_redirects_total 1", 1, true))
            m:advance(0)
        end, function(head, number, peer)
            if head:find "^GET /slow" then
                moonwire.spawn(function()
                    moonwire.sleep(3)
                    peer:send(world.OK)
                end)
                return nil
            end
            return head:find "^GET /a" and to "/b"
                or head:find "^GET /twice" and number == 4
                and "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n" or world.OK
        end)
    end)
end)

describe("the bytes in res.timing", function()
    it("are those of the last exchange of a connection", function()
        with_client(nil, function(client, m)
            local first = assert(client:post("http://h/", { body = "12345" }))
            local size = #first.request.head:bytes()
            local timing = first.timing
            assert.same({ size + 5, 5, #world.OK, 2, 1 }, { timing.bytes_sent, timing.body_sent,
                timing.bytes_received, timing.body_received, timing.requests })
            m:advance(1)
            local second = assert(client:get "http://h/")
            assert.is_nil(first.timing.bytes_sent)
            assert.equal(0, second.timing.body_sent)
            assert.equal(2, second.timing.requests)
        end)
    end)

    it("are not there of a response that came over none", function()
        testing.with(testing.transport():on("GET", "/", { body = "made" }), function()
            assert.is_nil(assert(http.get "http://h.test/").timing.bytes_sent)
        end)
    end)
end)

describe("traceparent", function()
    local PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"

    local function heads(opts, client_opts)
        local seen = {}
        with_client(client_opts, function(client)
            assert(client:get("http://h/a", opts))
        end, function(head)
            seen[#seen + 1] = head:match "\ntraceparent: ([^\r]*)" or "none"
            return head:find "^GET /a" and to "/b" or world.OK
        end)
        return seen
    end

    it("is one trace for a call, with a span for each exchange", function()
        local seen = heads { traceparent = true }
        local trace, one = seen[1]:match "^00%-(%x+)%-(%x+)%-01$"
        assert.equal(32, #trace)
        assert.equal(16, #one)
        assert.equal(trace, seen[2]:sub(4, 35))
        assert.not_equal(seen[1], seen[2])
        assert.not_equal(trace, heads({ traceparent = true })[1]:sub(4, 35))
    end)

    it("goes on with a trace that is given, or that a function gives", function()
        for _, given in ipairs { PARENT, function() return PARENT end } do
            for _, seen in ipairs(heads(nil, { traceparent = given })) do
                assert.truthy(seen:find "^00%-4bf92f3577b34da6a3ce929d0e0e4736%-%x+%-00$")
                assert.not_equal(PARENT, seen)
            end
        end
        assert.truthy(heads({ traceparent = function() end })[1]:find "^00%-%x+%-%x+%-01$")
        assert.same({ "none", "none" }, heads({ traceparent = false }, { traceparent = true }))
        assert.same({ PARENT, PARENT },
            heads { traceparent = true, headers = { traceparent = PARENT } })
    end)

    it("is checked", function()
        for _, text in ipairs { "", "00-0-0-0", PARENT .. "-x", PARENT:upper(),
            "ff" .. PARENT:sub(3),
            (PARENT:gsub("%-0%x+%-00$", "-0000000000000000-00")),
            (PARENT:gsub("4%x+%-", ("0"):rep(32) .. "-", 1)) } do
            assert.error_matches(function()
                http.client { traceparent = text }
            end, "bad argument 'traceparent'")
        end
        assert(http.client { traceparent = "01" .. PARENT:sub(3) .. "-more" })
        local _, problem = pcall(heads, { traceparent = function() return "x" end })
        assert.truthy(problem:find('the function gave "x"', 1, true))
    end)
end)
