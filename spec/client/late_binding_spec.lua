-- Late binding as a client shows it: a request that finds no idle connection takes what is freed or
-- what is new, whichever is there first.
local clients = require "moonwire.client"
local dialer = require "moonwire.dial"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local wire = require "spec.support.wire"

local URL = "http://127.0.0.1/"

-- Has a server answer each request after the seconds in its path: GET /2. Connecting takes `delay`.
local function listen(m, peers, delay, host)
    m:listen_at(host or "127.0.0.1", 80, function(peer)
        peers[#peers + 1] = peer
        local number = #peers
        peer:on_data(function(data)
            peer:after(tonumber(data:match "^%u+ /([%d.]+)") or 0, function()
                peer:send(wire.reply(tostring(number)))
            end)
        end)
    end, { delay = delay })
end

-- Runs f(client, m, peers) with a server; connecting takes no time until f says otherwise.
local function with_client(opts, f)
    local m, peers = mock.new(), {}
    listen(m, peers, 0)
    m:run(function()
        local before = m:stats()
        local client = clients.new(opts)
        f(client, m, peers)
        client:close()
        m:advance(0)
        assert.equal(0, client:stats().total)
        for _, peer in ipairs(peers) do
            assert.is_true(peer:is_closed())
            peer:close()
        end
        m:advance(30) -- for what the server still meant to send
        assert.same(before, m:stats())
    end)
end

-- Spawns a GET; the result is told with the time at which it came.
local function get(client, m, path, opts)
    local started, result = m:now(), {}
    result.task = moonwire.spawn(function()
        local response, err = client:get(URL .. path, opts)
        result.text, result.err = response and response:text(), err
        result.after = math.floor((m:now() - started) * 1000 + 0.5) / 1000
    end)
    return result
end

local function finish(...)
    for _, result in ipairs { ... } do
        result.task:join()
    end
end

describe("late binding:", function()
    it("a connection that is freed serves who is dialed for; the new one is kept", function()
        with_client(nil, function(client, m, peers)
            local first = get(client, m, "2")
            m:advance(0)
            listen(m, peers, 5)
            local second = get(client, m, "1")
            finish(first, second)
            assert.equal(2, first.after)
            assert.equal(3, second.after)
            assert.equal(1, #peers)
            assert.equal("1 1", client:stats().idle .. " " .. client:stats().opening)
            m:advance(2)
            assert.equal(2, #peers)
            assert.equal("2 0", client:stats().idle .. " " .. client:stats().opening)
            m:advance(31) -- it is watched, and given up in time like any other
            assert.equal(0, client:stats().total)
        end)
    end)

    it("a new connection serves who waits, when it is there first", function()
        with_client(nil, function(client, m, peers)
            local first = get(client, m, "9")
            m:advance(0)
            listen(m, peers, 2)
            local second = get(client, m, "1")
            finish(first, second)
            assert.equal(3, second.after)
            assert.equal(2, #peers)
            assert.equal(2, client:stats().idle)
        end)
    end)

    it("the new one is closed when there is no room among the idle ones", function()
        with_client({ pool = { idle_per_origin = 1 } }, function(client, m, peers)
            local first = get(client, m, "2")
            m:advance(0)
            listen(m, peers, 5)
            local second = get(client, m, "1")
            finish(first, second)
            m:advance(3)
            assert.equal(1, client:stats().idle)
            local closed = 0
            for _, peer in ipairs(peers) do
                closed = closed + (peer:is_closed() and 1 or 0)
            end
            assert.equal(#peers - 1, closed)
        end)
    end)

    it("who was alone and dials itself takes what another has freed meanwhile", function()
        with_client(nil, function(client, m, peers)
            listen(m, peers, 8)
            local first = get(client, m, "1")
            m:advance(0)
            listen(m, peers, 1)
            local second = get(client, m, "1")
            finish(first, second)
            assert.equal(2, second.after)
            assert.equal(3, first.after)
            m:advance(0)
            assert.equal("1 0", client:stats().idle .. " " .. client:stats().opening)
            m:advance(10)
            assert.equal(1, #peers)
        end)
    end)

    it("a dial that fails tells who it was for, in the same words as if it were alone", function()
        with_client({ timeout = { connect = 3 } }, function(client, m, peers)
            m:refuse_at("127.0.0.1", 80)
            local _, alone = client:get(URL .. "1")
            listen(m, peers, 0)
            local first = get(client, m, "20")
            m:advance(0.5)
            m:refuse_at("127.0.0.1", 80)
            local second = get(client, m, "1")
            m:advance(1)
            assert.equal(tostring(alone), tostring(second.err))
            assert.equal("ECONNREFUSED", second.err.code)
            for seconds, text in pairs { [4] = "timeout.connect = 3 s",
                [2] = "timeout.total = 2 s" } do
                client:close_idle()
                listen(m, peers, math.huge)
                _, alone = client:get(URL .. "1", { timeout = seconds })
                local third = get(client, m, "1", { timeout = seconds })
                finish(third)
                assert.is_truthy(tostring(alone):find(text, 1, true), tostring(alone))
                assert.equal("timeout connect", third.err.kind .. " " .. third.err.phase)
                assert.equal(tostring(alone), tostring(third.err))
            end
            finish(first)
        end)
    end)

    it("a dial that fails leaves its place to the next one that waits", function()
        with_client({ pool = { max_per_origin = 2 } }, function(client, m, peers)
            local first = get(client, m, "9")
            m:advance(0.5)
            m:refuse_at("127.0.0.1", 80)
            local second, third = get(client, m, "1"), get(client, m, "1")
            moonwire.spawn(function()
                while not second.err do
                    m:advance(0)
                end
                listen(m, peers, 1)
            end)
            finish(first, second, third)
            assert.equal("connect", second.err.kind)
            assert.equal("2", third.text)
        end)
    end)

    it("a dial that was begun for another goes by the limits of who waits now", function()
        with_client({ pool = { max_per_origin = 2 } }, function(client, m, peers)
            local first = get(client, m, "1")
            m:advance(0)
            listen(m, peers, math.huge)
            local second = get(client, m, "9", { timeout = 3 })
            m:advance(0)
            local third = get(client, m, "1", { timeout = { connect = 7 } })
            finish(first) -- the second has it now, and its dial is the third's
            listen(m, peers, 0)
            finish(second, third)
            assert.equal("timeout headers", second.err.kind .. " " .. second.err.phase)
            assert.equal("2", third.text)
            assert.equal(4, third.after)
        end)
    end)

    it("who is cancelled while it is dialed for frees the place in the same tick", function()
        with_client(nil, function(client, m, peers)
            local first = get(client, m, "5")
            m:advance(0)
            listen(m, peers, 9)
            local second = get(client, m, "1")
            m:advance(1)
            assert.equal("1 1", client:stats().active .. " " .. client:stats().opening)
            second.task:cancel()
            moonwire.sleep(0)
            assert.equal("1 0", client:stats().active .. " " .. client:stats().opening)
            finish(first, second)
            assert.equal("cancelled", second.err.kind)
            m:advance(10)
            assert.equal(1, #peers)
        end)
    end)

    it("who is cancelled while it is dialed for leaves the dial to who has no place", function()
        with_client({ pool = { max_per_origin = 2 } }, function(client, m, peers)
            local first = get(client, m, "20")
            m:advance(0)
            listen(m, peers, 4)
            local second, third = get(client, m, "1"), get(client, m, "1")
            m:advance(3)
            second.task:cancel()
            finish(third)
            assert.equal(5, third.after) -- and not 3 + 4 + 1
            finish(first, second)
        end)
    end)

    it("closing the client ends dials, and who waits for them", function()
        with_client(nil, function(client, m, peers)
            local first = get(client, m, "20")
            m:advance(0)
            listen(m, peers, 4)
            local second, third = get(client, m, "1"), get(client, m, "1")
            m:advance(1)
            client:close()
            finish(first, second, third)
            assert.equal("closed pool", second.err.kind .. " " .. second.err.phase)
            assert.equal(1, third.after)
            assert.equal(1, #peers)
        end)
    end)

    it("what is raised while dialing is raised by the request, and the place is free", function()
        with_client(nil, function(client, m)
            local first = get(client, m, "5")
            m:advance(0)
            local connect = dialer.connect
            dialer.connect = function()
                error("a mistake", 0)
            end
            for _ = 1, 2 do
                local ok, problem = pcall(client.get, client, URL .. "1")
                dialer.connect = connect
                assert.is_false(ok)
                assert.is_truthy(tostring(problem):find("a mistake", 1, true))
                assert.equal(0, client:stats().opening)
                finish(first)
                client:close_idle()
                dialer.connect = function()
                    error("a mistake", 0)
                end
            end
            dialer.connect = connect
        end)
    end)

    it("ten requests at once need no more connections than the limit, in order", function()
        with_client({ pool = { max_per_origin = 3 } }, function(client, m, peers)
            listen(m, peers, 1)
            local all = {}
            for i = 1, 10 do
                all[i] = get(client, m, "1")
                m:advance(0)
            end
            finish(unpack(all))
            assert.equal(3, #peers)
            for i = 2, 10 do
                assert.is_true(all[i].after >= all[i - 1].after)
            end
            assert.equal(5, all[10].after)
        end)
    end)
end)
