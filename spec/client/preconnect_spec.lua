-- client:preconnect, the graceful client:close, and idle connections of a machine that has slept.
local kit = require "spec.support.mock_client"
local moonwire = require "moonwire"

local with_client, serve, fails = kit.with_client, kit.serve, kit.fails

local function numbers(client)
    local stats = client:stats()
    return ("%d idle %d opening %d active"):format(stats.idle, stats.opening, stats.active)
end

-- Answers after as many seconds as the path says: GET /3.
local function slowly(head, _, peer)
    peer:after(tonumber(head:match "^%u+ /([%d.]+)"), function()
        peer:send(kit.OK)
    end)
end

describe("client:preconnect", function()
    it("opens connections ahead, which the next requests use", function()
        with_client(nil, function(client, m, log)
            assert.equal(3, client:preconnect("http://h/", 3))
            assert.equal("3 idle 0 opening 0 active", numbers(client))
            assert.equal(3, client:preconnect("http://h/other", 2)) -- they are there already
            assert(client:get("http://h/")):text()
            assert.equal(3, #log.peers)
            assert.equal(0, client:stats().reused)
            assert.equal(1, client:stats().requests)
            log.peers[1]:eof() -- they are watched like any others
            m:advance(0)
            assert.equal(2, client:stats().idle)
            assert.equal(3, client:preconnect("http://h/", 3))
            assert.equal(4, #log.peers)
            m:advance(31)
            assert.equal(0, client:stats().total)
        end)
    end)

    it("keeps them for as long as others, though no request ever comes", function()
        with_client({ pool = { idle_timeout = 5 } }, function(client, m, log)
            assert.equal(2, client:preconnect("http://h/", 2))
            m:advance(4.9)
            assert.equal(2, client:stats().idle)
            m:advance(0.2)
            assert.equal(0, client:stats().total)
            assert.is_true(log.peers[1]:is_closed() and log.peers[2]:is_closed())
        end)
    end)

    it("opens one when no number is given, and none for 0", function()
        with_client(nil, function(client)
            assert.equal(0, client:preconnect("http://h/", 0))
            assert.equal(1, client:preconnect "http://h/")
        end)
    end)

    it("keeps to the limits and closes nothing for it", function()
        for _, case in ipairs {
            { 2, { max_total = 2 } }, { 3, { max_per_origin = 3 } }, { 2, { idle_per_origin = 2 } },
            { 1, { idle_total = 1 } }, { 0, { idle_timeout = 0 } },
        } do
            with_client({ pool = case[2] }, function(client, _, log)
                assert.equal(case[1], client:preconnect("http://h/", 9))
                assert.equal(case[1], #log.peers)
            end)
        end
        with_client({ pool = { max_total = 2 } }, function(client, m, log)
            local other = serve(m, "127.0.0.2", 80)
            assert(client:get("http://other/")):text()
            assert.equal(1, client:preconnect("http://h/", 2))
            assert.equal("1 1", #log.peers .. " " .. #other.peers)
            assert.is_false(other.peers[1]:is_closed())
            client:close()
            other.peers[1]:close()
        end)
    end)

    it("has a request sent again whose connection was stale, as over one that was used", function()
        local dies = true
        with_client(nil, function(client, _, log)
            assert.equal(2, client:preconnect("http://h/", 2))
            local response = assert(client:get("http://h/"))
            assert.equal("ok", response:text())
            assert.equal(3, #log.peers) -- once more, over a fresh one
            assert.equal(1, client:stats().retries_stale)
        end, function(_, _, peer)
            if dies then
                dies = false
                peer:reset()
                return nil
            end
            return kit.OK
        end)
    end)

    it("says why there is none", function()
        with_client({ timeout = { connect = 2 } }, function(client, m)
            fails("connect", "connect", client:preconnect("http://h:81/", 2))
            m:listen_at("127.0.0.1", 82, function() end, { delay = math.huge })
            local err = fails("timeout", "connect", client:preconnect("http://h:82/"))
            assert.equal("http://h:82/", err.url)
            fails("resolve", "resolve", client:preconnect("http://nobody.example/"))
            assert.equal(0, client:stats().total)
        end)
    end)

    it("ends its dials when it is cancelled, but not those that somebody waits for", function()
        with_client(nil, function(client, m)
            local slow = serve(m, "127.0.0.2", 80, nil, { delay = 4 })
            local err, text
            local task = moonwire.spawn(function()
                local _
                _, err = client:preconnect("http://other/", 3)
            end)
            m:advance(1)
            local request = moonwire.spawn(function()
                text = assert(client:get("http://other/")):text()
            end)
            m:advance(1)
            assert.equal("0 idle 3 opening 0 active", numbers(client))
            task:cancel()
            moonwire.sleep(0)
            assert.equal("cancelled", err.kind)
            assert.equal("0 idle 1 opening 0 active", numbers(client))
            request:join()
            assert.equal("ok", text)
            assert.equal(1, #slow.peers)
            client:close()
            slow.peers[1]:close()
        end)
    end)

    it("goes by the options that decide where connections go", function()
        with_client(nil, function(client, m, log)
            local unix = serve(m, "/run/x.sock", nil)
            assert.equal(1, client:preconnect("http://h/", 1, { unix_socket = "/run/x.sock" }))
            assert(client:get("http://h/")):text()
            assert(client:get("http://h/", { unix_socket = "/run/x.sock" })):text()
            assert.equal("1 1", #unix.peers .. " " .. #log.peers)
            client:close()
            unix.peers[1]:close()
        end)
    end)

    it("raises what is raised while dialing", function()
        with_client(nil, function(client)
            local dialer = require "moonwire.dial"
            local connect = dialer.connect
            dialer.connect = function()
                error("a mistake", 0)
            end
            local ok, problem = pcall(client.preconnect, client, "http://h/", 2)
            dialer.connect = connect
            assert.is_false(ok)
            assert.is_truthy(tostring(problem):find("a mistake", 1, true))
            assert.equal(0, client:stats().total)
        end)
    end)

    it("raises for wrong arguments", function()
        with_client(nil, function(client)
            for _, count in ipairs { -1, 1.5, "2" } do
                assert.has_error(function() client:preconnect("http://h/", count) end)
            end
            assert.has_error(function() client:preconnect() end)
            assert.has_error(function() client:preconnect("http://h/", 1, { body = "x" }) end)
        end)
    end)
end)

describe("client:close(seconds)", function()
    it("lets exchanges end, serves who waits, and closes idle connections at once", function()
        with_client({ pool = { max_per_origin = 1 } }, function(client, m, log)
            local other = serve(m, "127.0.0.2", 80)
            assert(client:get("http://other/")):text()
            local texts, start = {}, m:now()
            for i = 1, 2 do
                moonwire.spawn(function()
                    texts[i] = assert(client:get("http://h/2")):text()
                end)
            end
            m:advance(1)
            moonwire.spawn(function()
                m:advance(0.5)
                assert.is_true(other.peers[1]:is_closed())
                assert.is_true(client:is_closed())
                assert.has_error(function() client:get("http://h/") end, "the client is closed")
            end)
            assert.is_true(client:close(60))
            assert.equal(4, m:now() - start)
            assert.same({ "ok", "ok" }, texts)
            assert.equal(1, #log.peers)
            assert.equal(0, client:stats().total)
            other.peers[1]:close()
        end, slowly)
    end)

    it("cuts short what is left after these seconds", function()
        with_client({ pool = { max_per_origin = 1 } }, function(client, m)
            local kinds, start = {}, m:now()
            for i = 1, 2 do
                moonwire.spawn(function()
                    local response, err = client:get("http://h/9")
                    kinds[i] = response or err.kind
                end)
            end
            m:advance(1)
            assert.is_false(client:close(3))
            assert.equal(4, m:now() - start)
            m:advance(0)
            assert.same({ "closed", "closed" }, kinds)
            m:advance(9)
        end, slowly)
    end)

    it("returns at once when nothing is under way, and twice is harmless", function()
        with_client(nil, function(client, m)
            assert(client:get("http://h/0")):text()
            local start = m:now()
            assert.is_true(client:close(60))
            assert.is_true(client:close(60))
            assert.is_true(client:close())
            assert.equal(start, m:now())
        end, slowly)
        assert.is_true(require("moonwire.client").new():close(5))
    end)

    it("ends when it is cancelled, or closed without seconds meanwhile", function()
        for _, how in ipairs { "cancel", "close" } do
            with_client(nil, function(client, m)
                local request = moonwire.spawn(function()
                    fails("closed", "headers", client:get("http://h/9"))
                end)
                m:advance(1)
                local all
                local task = moonwire.spawn(function()
                    all = client:close(60)
                end)
                m:advance(1)
                if how == "cancel" then
                    task:cancel()
                else
                    client:close()
                end
                task:join()
                request:join()
                assert.is_false(all)
                m:advance(9)
            end, slowly)
        end
    end)

    it("lets a response be read to its end", function()
        with_client(nil, function(client, m)
            local response = assert(client:get("http://h/"))
            local text
            moonwire.spawn(function()
                m:advance(2)
                text = response:text()
            end)
            assert.is_true(client:close(10))
            assert.equal("12", text)
        end, function(_, _, peer)
            peer:after(1, function() peer:send "1" end)
            peer:after(3, function() peer:send "2" end)
            return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        end)
    end)

    it("raises for what is no number of seconds", function()
        with_client(nil, function(client)
            for _, seconds in ipairs { -1, "1", 0 / 0 } do
                assert.has_error(function() client:close(seconds) end)
            end
        end)
    end)
end)

describe("a machine that has slept", function()
    it("uses no connection that was idle meanwhile for too long", function()
        with_client({ pool = { idle_timeout = 20 } }, function(client, m, log)
            assert(client:get("http://h/")):text()
            m:advance(2)
            m:suspend(10)
            assert(client:get("http://h/")):text() -- 12 seconds old
            assert.equal(1, #log.peers)
            m:advance(2)
            m:suspend(3600)
            assert(client:get("http://h/")):text()
            assert.equal(2, #log.peers)
            assert.is_true(log.peers[1]:is_closed())
            assert.equal(1, client:stats().total)
            assert.equal(1, client:stats().closed_by.idle_timeout)
        end)
    end)

    it("closes all that was idle meanwhile for too long, at the next look", function()
        with_client({ pool = { idle_timeout = 20 } }, function(client, m)
            assert.equal(3, client:preconnect("http://h/", 3))
            m:advance(2)
            m:suspend(3600)
            assert(client:get("http://h/")):text()
            assert.equal(1, client:stats().total)
            m:advance(10)
            m:suspend(-3600) -- somebody has set the clock: nobody cares
            assert(client:get("http://h/")):text()
            assert.equal(1, client:stats().reused)
        end)
    end)
end)
