-- What a client says about itself: client:stats, client:metrics and connection:stats.
local clients = require "moonwire.client"
local kit = require "spec.support.mock_client"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"

local with_client, serve = kit.with_client, kit.serve

-- One line for each sample: name and labels -> value; and the types by name.
local function parse(text)
    local samples, types, helped = {}, {}, {}
    assert.equal("\n", text:sub(-1))
    for line in text:gmatch "(.-)\n" do
        local word, name, rest = line:match "^# (%u+) (%S+) (.+)$"
        if word == "HELP" then
            assert.is_nil(helped[name], name .. " is explained twice")
            helped[name] = rest
        elseif word == "TYPE" then
            assert.is_truthy(helped[name], name)
            types[name] = rest
        else
            local key, value = line:match "^(.*) (%S+)$"
            local base = key:match "^[%a_][%w_]*"
            local family = types[base] and base or base:gsub("_%l+$", "")
            assert.is_truthy(types[family], line)
            assert.is_nil(samples[key], line .. " stands there twice")
            samples[key] = assert(tonumber(value), line)
        end
    end
    return samples, types
end

-- A client that has opened, reused, waited, found stale and closed connections.
local function busy(f)
    with_client({ pool = { max_per_origin = 2, idle_timeout = 5 } }, function(client, m, log)
        local other = serve(m, "127.0.0.2", 80)
        for _ = 1, 3 do
            moonwire.spawn(function()
                assert(client:get("http://h/slow")):text()
            end)
        end
        m:advance(0.2)
        local now = client:stats()
        m:advance(5)
        assert(client:get("http://other/")):text()
        f(client, m, log, now)
        client:close()
        for _, peer in ipairs(other.peers) do
            peer:close()
        end
    end, function(_, _, peer)
        peer:after(2, function()
            peer:send(kit.OK)
        end)
    end)
end

describe("client:stats", function()
    it("counts by state, for all origins and for each", function()
        busy(function(client, _, _, now)
            assert.equal("2 0 1 2", ("%d %d %d %d"):format(now.active, now.idle, now.waiting,
                now.total))
            assert.same({ ["http://h:80"] = {
                total = 2, active = 2, idle = 0, opening = 0, reserved = 0, waiting = 1,
            } }, now.origins)
            local stats = client:stats()
            assert.equal(3, stats.idle)
            assert.equal(2, stats.origins["http://h:80"].idle)
            assert.equal(1, stats.origins["http://other:80"].idle)
            assert.equal("4 3 1 1", ("%d %d %d %d"):format(stats.requests, stats.opened,
                stats.reused, stats.waited))
        end)
    end)

    it("tells how long requests waited for a connection", function()
        busy(function(client)
            local waits = client:stats().waits
            assert.equal(4, waits.count)
            assert.is_true(waits.sum >= 2 and waits.sum < 2.1, waits.sum)
            local buckets = {}
            for i, count in ipairs(waits.buckets) do
                if count > 0 then
                    buckets[#buckets + 1] = ("%s: %d"):format(waits.bounds[i] or "more", count)
                end
            end
            assert.same({ "0.001: 3", "5: 1" }, buckets)
        end)
    end)

    it("tells why connections were closed, and how many were found stale", function()
        busy(function(client, m, log)
            log.peers[1]:eof()
            m:advance(0)
            log.peers[2]:send "what nobody asked for"
            m:advance(0)
            m:advance(6)
            local stats = client:stats()
            assert.same({ peer_closed_idle = 1, unsolicited = 1, idle_timeout = 1 },
                stats.closed_by)
            assert.equal("1 1 1 0", ("%d %d %d %d"):format(stats.idle_closed_by_peer,
                stats.unsolicited, stats.expired, stats.evicted))
            assert.same({}, stats.origins)
        end)
    end)

    it("counts evictions: what was idle longest makes room for another origin", function()
        with_client({ pool = { max_total = 2 } }, function(client, m, log)
            local other, third = serve(m, "127.0.0.2", 80), serve(m, "127.0.0.3", 80)
            assert(client:get("http://h/")):text()
            assert(client:get("http://other/")):text()
            m:advance(1)
            assert(client:get("http://h/")):text() -- so the other one is the oldest now
            assert(client:get("http://127.0.0.3/")):text()
            assert.is_true(other.peers[1]:is_closed())
            assert.is_false(log.peers[1]:is_closed())
            local stats = client:stats()
            assert.equal("1 1", stats.evicted .. " " .. stats.closed_by.pool_evict)
            client:close()
            other.peers[1]:close()
            third.peers[1]:close()
        end)
    end)

    it("counts stale connections that were found by a request", function()
        local dies = false
        with_client(nil, function(client, _, log)
            assert(client:get("http://h/")):text()
            log.peers[1]:eof()
            assert(client:get("http://h/")):text() -- seen before it was sent
            assert.equal("1 0", client:stats().replaced_stale .. " "
                .. client:stats().retries_stale)
            dies = true
            assert(client:get("http://h/")):text()
            assert.equal("1 1", client:stats().replaced_stale .. " "
                .. client:stats().retries_stale)
        end, function(_, _, peer)
            if dies then
                dies = false
                peer:reset()
                return nil
            end
            return kit.OK
        end)
    end)
end)

describe("connection:stats", function()
    it("tells number, origin, state, times, requests, bytes and the reason of the end", function()
        with_client(nil, function(client, m, log)
            local start = m:now()
            assert(client:get("http://h/")):text()
            local connection = client.supply.open.first.held
            m:advance(2)
            assert(client:get("http://h/")):text()
            local stats = connection:stats()
            assert.equal("http://h:80", stats.origin)
            assert.equal("idle", stats.state)
            assert.equal(2, stats.requests)
            assert.equal(#log.heads[1] * 2, stats.bytes_out)
            assert.equal(#kit.OK * 2, stats.bytes_in)
            assert.equal(start, stats.created)
            assert.equal(start + 2, stats.last_used)
            assert.is_nil(stats.close_reason)
            client:close_idle()
            stats = connection:stats()
            assert.equal("closed client_closed", stats.state .. " " .. stats.close_reason)
            assert(client:get("http://h/")):text()
            assert.is_true(client.supply.open.first.held:stats().id > stats.id)
        end)
    end)
end)

describe("client:metrics", function()
    it("gives the numbers in the text format of Prometheus", function()
        busy(function(client)
            local samples, types = parse(client:metrics())
            local stats = client:stats()
            local function is(value, name)
                assert.equal(value, samples["moonwire_client_" .. name], name)
            end
            is(4, "requests_total")
            is(3, 'connections{state="idle"}')
            is(0, 'connections{state="active"}')
            is(2, 'origin_connections{origin="http://h:80",state="idle"}')
            is(0, 'origin_waiting_requests{origin="http://other:80"}')
            is(3, "connections_opened_total")
            is(1, "connections_reused_total")
            is(0, "waiting_requests")
            is(0, 'stale_connections_total{found="sending"}')
            is(3, 'connection_wait_seconds_bucket{le="0.001"}')
            is(3, 'connection_wait_seconds_bucket{le="1"}')
            is(4, 'connection_wait_seconds_bucket{le="5"}')
            is(4, 'connection_wait_seconds_bucket{le="+Inf"}')
            is(4, "connection_wait_seconds_count")
            is(stats.dns_misses, 'dns_lookups_total{result="misses"}')
            assert.equal("histogram", types.moonwire_client_connection_wait_seconds)
            for name, kind in pairs(types) do
                assert.is_truthy(name:find "^moonwire_client_%l")
                assert.equal(kind == "counter", name:find "_total$" ~= nil, name)
            end
            client:close_idle()
            is(nil, 'connections_closed_total{reason="client_closed"}')
            samples = parse(client:metrics())
            is(3, 'connections_closed_total{reason="client_closed"}')
        end)
    end)

    it("puts labels on every sample, and escapes their values", function()
        with_client(nil, function(client, m)
            local unix = serve(m, '/run/a"\\\n\255.sock', nil)
            assert(client:get("http://h/", { unix_socket = '/run/a"\\\n\255.sock' })):text()
            local samples = parse(client:metrics { client = 'my "own"\\\n' })
            local count = 0
            for key in pairs(samples) do
                count = count + 1
                assert.is_truthy(key:find('{client="my \\"own\\"\\\\\\n"', 1, true), key)
            end
            assert.is_true(count > 20)
            assert.equal(1, samples['moonwire_client_origin_connections{client="my \\"own\\"'
                .. '\\\\\\n",origin="http://h:80 /run/a\\"\\\\  .sock",state="idle"}'])
            client:close()
            unix.peers[1]:close()
        end)
    end)

    it("names fifty origins at most", function()
        local m = mock.new()
        m:run(function()
            local client = clients.new { pool = { idle_total = 200, max_total = 200 } }
            for i = 1, 60 do
                m:listen_at("127.0.0." .. i, 80, function() end)
                assert(client:preconnect("http://127.0.0." .. i .. "/", i > 10 and 2 or 1))
            end
            local samples = parse(client:metrics())
            local origins, sum = 0, 0
            for key, value in pairs(samples) do
                if key:find '^moonwire_client_origin_connections.*state="idle"' then
                    origins, sum = origins + 1, sum + value
                end
            end
            assert.equal(51, origins)
            assert.equal(110, sum)
            local others = 'moonwire_client_origin_connections{origin="other",state="idle"}'
            assert.equal(10, samples[others])
            client:close()
        end)
    end)

    it("works before the first request", function()
        assert.equal(0, parse(clients.new():metrics()).moonwire_client_requests_total)
    end)

    it("raises for what are no labels", function()
        local client = clients.new()
        assert.has_error(function() client:metrics { ["a-b"] = "c" } end)
        assert.has_error(function() client:metrics("x") end)
    end)
end)
