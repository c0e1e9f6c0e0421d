-- What has gone wrong in the pool of another client, and must not here: one spec for each row of
-- that ledger, all through the client. (The rows about HTTP/2 come with HTTP/2.)
local kit = require "spec.support.mock_client"
local moonwire = require "moonwire"

local OK, with_client, serve, fails = kit.OK, kit.with_client, kit.serve, kit.fails

-- Answers after as many seconds as the path says: GET /3.
local function slowly(head, _, peer)
    peer:after(tonumber(head:match "^%u+ /([%d.]+)") or 0, function()
        peer:send(OK)
    end)
end

local function in_use(client)
    local stats = client:stats()
    return stats.opening + stats.reserved + stats.active + stats.waiting
end

-- A task that sends a request; the result is told.
local function get(client, path, opts)
    local result = {}
    result.task = moonwire.spawn(function()
        local response, err = client:get("http://" .. path, opts)
        if response then
            result.text, err = response:text()
        end
        result.err = err
    end)
    return result
end

describe("the pool of a client", function()
    it("loses no place to a request that is cancelled or late at any moment", function()
        with_client({ pool = { max_total = 1 } }, function(client, m)
            m:hosts({}, { delay = 0.4 })
            local slow = serve(m, "127.0.0.2", 80, slowly, { delay = 0.5 })
            for tenth = 1, 28 do
                for _, how in ipairs { "cancel", "total", "scope" } do
                    local opts = how == "total" and { timeout = tenth / 10 } or nil
                    local holder = get(client, "h/0.3")
                    local target = get(client, "other/1", opts)
                    if how == "scope" then
                        moonwire.timeout(tenth / 10, client.get, client, "http://other/1")
                    else
                        m:advance(tenth / 10)
                    end
                    target.task:cancel()
                    target.task:join()
                    holder.task:join()
                    assert.equal(0, in_use(client), ("%s after %g s"):format(how, tenth / 10))
                end
            end
            m:hosts({}, { delay = 0 })
            assert.equal(OK:match "\r\n\r\n(.*)", assert(client:get("http://h/0")):text())
            client:close()
            for _, peer in ipairs(slow.peers) do
                assert.is_true(peer:is_closed())
                peer:close()
            end
            m:advance(3)
        end, slowly)
    end)

    it("closes no connection that has been given to a waiter already", function()
        with_client({ pool = { max_total = 1 } }, function(client, m, log)
            local other = serve(m, "127.0.0.2", 80)
            local seen, late, evicting
            moonwire.spawn(function()
                assert(client:get("http://h/1")):text()
                -- the waiter has the connection now, but has not run yet
                seen = client:stats().reserved
                client:close_idle()
                evicting = get(client, "other/")
            end)
            m:advance(0.5)
            late = get(client, "h/0")
            m:advance(2)
            assert.equal(1, seen)
            assert.equal("ok ok", late.text .. " " .. evicting.text)
            assert.equal("1 1", #log.peers .. " " .. #other.peers)
            assert.equal(2, #log.heads)
            client:close()
            other.peers[1]:close()
        end, slowly)
    end)

    it("gives one idle connection to one waiter only", function()
        local busy, most = {}, 0
        for _, limit in ipairs { 1, 3, 10 } do
            with_client({ pool = { max_per_origin = limit } }, function(client, _, log)
                assert(client:get("http://h/0")):text()
                local all = {}
                for i = 1, 10 do
                    all[i] = get(client, "h/1")
                end
                for _, one in ipairs(all) do
                    one.task:join()
                    assert.equal("ok", one.text)
                end
                assert.equal(11, #log.heads)
                assert.is_true(#log.peers <= limit)
            end, function(_, _, peer)
                busy[peer] = (busy[peer] or 0) + 1
                most = math.max(most, busy[peer])
                peer:after(1, function()
                    busy[peer] = busy[peer] - 1
                    peer:send(OK)
                end)
            end)
        end
        assert.equal(1, most)
    end)

    it("counts idle connections alone for the limits on idle ones", function()
        with_client({ pool = { idle_total = 2, idle_per_origin = 2 } }, function(client, m, log)
            local all = {}
            for i = 1, 5 do
                all[i] = get(client, "h/" .. i)
            end
            for second, idle in ipairs { 1, 2, 2, 2, 2 } do
                m:advance(second == 1 and 1.5 or 1)
                local stats = client:stats()
                assert.equal(idle, stats.idle)
                assert.equal(5 - second, stats.active)
                assert.equal(math.max(0, second - 2), stats.evicted)
            end
            for i, one in ipairs(all) do
                assert.equal("ok", one.text)
                assert.equal(i < 4, log.peers[i]:is_closed())
            end
        end, slowly)
    end)

    it("looks at no idle connection but the one that it takes", function()
        with_client({ pool = { idle_per_origin = 32, max_per_origin = 32 } }, function(client, m)
            local other = serve(m, "127.0.0.2", 80)
            assert.equal(32, client:preconnect("http://h/", 32))
            assert(client:get("http://other/")):text()
            local socket = client.supply.open.first.held.stream.core
            local class, looks, sockets_seen = getmetatable(socket), 0, {}
            local is_quiet = class.__index.is_quiet
            class.__index.is_quiet = function(self)
                looks, sockets_seen[self] = looks + 1, true
                return is_quiet(self)
            end
            assert(client:get("http://h/0")):text()
            assert(client:get("http://h/0")):text()
            class.__index.is_quiet = is_quiet
            local count = 0
            for _ in pairs(sockets_seen) do
                count = count + 1
            end
            assert.equal(1, count)
            assert.is_true(looks >= 2 and looks <= 6, looks)
            client:close()
            other.peers[1]:close()
        end, slowly)
    end)

    it("leaves no late waiter in the queue, and lets no waiter wait anew", function()
        with_client({ pool = { max_per_origin = 1 }, timeout = { pool = 3 } }, function(client, m)
            local start = m:now()
            local first = get(client, "h/2")
            m:advance(0)
            local second = get(client, "h/dies") -- is sent again, and waits again
            m:advance(0)
            local third = get(client, "h/20", { timeout = { pool = 30 } })
            m:advance(0.5)
            local _, err = client:get("http://h/0", { timeout = { pool = 1 } })
            fails("timeout", "pool", nil, err)
            assert.equal(start + 1.5, m:now())
            assert.equal(2, client:stats().waiting)
            second.task:join()
            fails("timeout", "pool", nil, second.err)
            assert.is_true(math.abs(m:now() - start - 3) < 0.01, m:now() - start)
            third.task:join()
            assert.equal("ok ok", first.text .. " " .. third.text)
            assert.equal(0, in_use(client))
        end, function(head, number, peer)
            if head:find "^GET /dies" then
                peer:close()
                return nil
            end
            return slowly(head, number, peer)
        end)
    end)

    it("keeps no connection over which something went wrong", function()
        local answers = {
            reset = function(peer) peer:reset() end,
            ["end before the head"] = function(peer) peer:close() end,
            ["no HTTP"] = function(peer) peer:send "what?\r\n\r\n" end,
            ["a body that is cut"] = function(peer)
                peer:send "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
                peer:close()
            end,
            ["a broken chunk"] = function(peer)
                peer:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
            end,
            ["no answer in time"] = function() end,
            ["more than was said"] = function(peer) peer:send(OK .. "and more") end,
        }
        for name, answer in pairs(answers) do
            local wrong = true
            with_client({ timeout = 2 }, function(client, m, log)
                local result = get(client, "h/0")
                result.task:join()
                m:advance(0)
                local stats = client:stats()
                assert.equal(0, stats.total, name)
                wrong = false
                assert(client:get("http://h/0")):text()
                assert.equal(2, #log.peers, name)
            end, function(_, _, peer)
                if wrong then
                    answer(peer)
                    return nil
                end
                return OK
            end)
        end
    end)

    it("takes the answer to an upload whose server has closed its side", function()
        with_client(nil, function(client, m)
            local sent = 0
            local response = assert(client:post("http://h/", { body = function()
                sent = sent + 1
                moonwire.sleep(0.5)
                return sent <= 5 and "x" or nil
            end }))
            assert.equal("ok", response:text())
            m:advance(5)
            assert.equal(0, client:stats().total)
        end, function(_, _, peer)
            peer:send(OK)
            peer:eof()
        end)
    end)

    it("takes no 100 for the response, and loses no byte behind a 101", function()
        with_client(nil, function(client, _, log)
            local response = assert(client:get("http://h/"))
            assert.equal("200 ok", response.status .. " " .. response:text())
            response = assert(client:get("http://h/change", { upgrade = "chat" }))
            local stream = response:upgrade()
            assert.equal("first words", stream:read_exactly(11))
            stream:close()
            assert.equal(0, client:stats().total)
            assert.equal(1, #log.peers)
        end, function(head)
            if head:find "^GET /change" then
                return "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                    .. "Upgrade: chat\r\n\r\nfirst words"
            end
            return "HTTP/1.1 100 Continue\r\n\r\n" .. OK
        end)
    end)

    it("closes what is idle when its time is over, though nobody asks for anything", function()
        with_client({ pool = { idle_timeout = 5 } }, function(client, m, log)
            local one, two = get(client, "h/0"), get(client, "h/2")
            one.task:join()
            two.task:join()
            assert.equal(2, client:stats().idle)
            m:advance(3.1)
            assert.equal(1, client:stats().idle)
            assert.is_true(log.peers[1]:is_closed())
            m:advance(2)
            assert.equal(0, client:stats().total)
            assert.is_true(log.peers[2]:is_closed())
        end, slowly)
    end)
end)
