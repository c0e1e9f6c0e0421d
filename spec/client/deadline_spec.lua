local certs = require "spec.support.certs"
local clients = require "moonwire.client"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local requests = require "moonwire.request"
local wire = require "spec.support.wire"

local OK = wire.reply "ok"
local ADDRESS = "192.0.2.1"

-- Runs f(client, m) in a mock world where a lookup takes 0.7 s and a connection 0.5 s; `answer` is
-- the peer's script, or is given each peer.
local function with_client(answer, f, opts)
    local m = mock.new()
    m:hosts({ h = { ADDRESS } }, { delay = 0.7, ttl = 0 })
    for _, port in ipairs { 80, 443 } do
        m:listen_at(ADDRESS, port, answer or {}, { delay = 0.5 })
    end
    m:run(function()
        local client = clients.new(opts)
        f(client, m)
        client:close()
        m:advance(2000)
        local stats = client:stats()
        assert.equal(0, stats.total + stats.waiting)
        assert.equal(0, m:stats().tcp)
        assert.equal(1, m:stats().threads) -- the spec's own, in its wait for the clock
    end)
end

-- The error of a request that is read to its end, as a whole sentence and as fields.
local function error_of(client, opts, url)
    local response, err = client:request("POST", url or "http://h/path", opts)
    if response then
        local text
        text, err = response:text()
        assert.is_nil(text)
    else
        assert.is_nil(response)
    end
    return err
end

local function about(value, expected)
    assert.is_true(math.abs(value - expected) < 0.001, ("%s, not %s"):format(value, expected))
end

local HALF = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
local HALFWAY = { { expect = "\r\n\r\n" }, { send = HALF } }
local BEGUN = { { expect = "\r\n\r\n" }, { send = "HTT" } }
local ASKED = { { expect = "\r\n\r\n" } } -- a peer that never answers

-- phase, the timeouts, which of them it was, after how long, the message, the peer, more.
local PHASES = {
    { "resolve", { connect = 0.4 }, "connect", 0.4,
        "looking up h: timed out (timeout.connect = 0.4 s; 0.4 s in all)" },
    { "resolve", 0.4, "total", 0.4,
        "looking up h: timed out (timeout.total = 0.4 s; 0.4 s in all)" },
    { "connect", { connect = 1 }, "connect", 1,
        "connecting to h:80: 192.0.2.1: timed out after 0.3 s (timeout.connect = 1 s;"
        .. " 1 s in all)" },
    { "connect", { connect = 9, total = 1 }, "total", 1,
        "connecting to h:80: 192.0.2.1: timed out after 0.3 s (timeout.total = 1 s; 1 s in all)" },
    { "tls", { tls = 4 }, "tls", 5.2,
        "TLS handshake with h (192.0.2.1:443): timed out (timeout.tls = 4 s; 5.2 s in all)",
        url = "https://h/path" },
    { "tls", { tls = 4, total = 2.5 }, "total", 2.5,
        "TLS handshake with h (192.0.2.1:443): timed out (timeout.total = 2.5 s; 2.5 s in all)",
        url = "https://h/path" },
    { "write", { idle = 8 }, "idle", 9.2,
        "the peer took no more bytes of the request (timeout.idle = 8 s; 9.2 s in all,"
        .. " 0 bytes sent, 0 received)", { { block = true } }, sent = 0, received = 0 },
    { "write", { total = 8 }, "total", 8,
        "the request was not sent whole (timeout.total = 8 s; 8 s in all, 0 bytes sent,"
        .. " 0 received)", { { block = true } }, sent = 0, received = 0 },
    { "headers", { headers = 60 }, "headers", 61.2,
        "no complete response head after the request (timeout.headers = 60 s; 61.2 s in all,"
        .. " 134 bytes sent, 3 received)", BEGUN, sent = 134, received = 3 },
    { "headers", { headers = 60, total = 5 }, "total", 5,
        "no complete response head (timeout.total = 5 s; 5 s in all, 134 bytes sent, 0 received)",
        ASKED, sent = 134, received = 0 },
    { "body", { idle = 30 }, "idle", 31.2,
        "no more bytes of the response's body (timeout.idle = 30 s; 31.2 s in all, 134 bytes sent,"
        .. " 43 received)", HALFWAY, sent = 134, received = 43 },
    { "body", { idle = 30, total = 6 }, "total", 6,
        "the response's body was not complete (timeout.total = 6 s; 6 s in all, 134 bytes sent,"
        .. " 43 received)", HALFWAY, sent = 134, received = 43 },
}

describe("a timeout", function()
    for _, case in ipairs(PHASES) do
        local phase, timeout, limit, seconds, message, script = unpack(case)
        it(("in the phase %s, of %s, says which limit, how long and how far"):format(phase,
            limit), function()
            with_client(script, function(client, m)
                local before = m:now()
                local err = error_of(client, { timeout = timeout }, case.url)
                assert.equal(message, err.message)
                assert.equal("timeout", err.kind)
                assert.equal(phase, err.phase)
                assert.equal(limit, err.timeout)
                assert.equal(case.url or "http://h/path", err.url)
                about(m:now() - before, seconds)
                about(err.elapsed, seconds)
                assert.equal(case.sent, err.bytes_sent)
                assert.equal(case.received, err.bytes_received)
            end)
        end)
    end

    for limit, timeout in pairs { pool = { pool = 3 }, total = 3 } do
        it("in the queue of the pool, of " .. limit .. ", says so as well", function()
            with_client(ASKED, function(client, m)
                local first = moonwire.spawn(client.get, client, "http://h/", { timeout = 20 })
                m:advance(2)
                local err = error_of(client, { timeout = timeout })
                assert.equal(("waiting for a free connection: timed out (timeout.%s = 3 s;"
                    .. " 3 s in all)"):format(limit), err.message)
                assert.equal("pool", err.phase)
                assert.equal(limit, err.timeout)
                about(err.elapsed, 3)
                first:join()
            end, { pool = { max_total = 1 } })
        end)
    end

    it("of the attempt at an address keeps the attempt's own time", function()
        with_client(nil, function(client, m)
            m:listen_at("192.0.2.2", 80, {}, { delay = math.huge })
            local err = error_of(client, { timeout = { connect = 2 } }, "http://192.0.2.2/")
            assert.equal("connecting to 192.0.2.2:80: timed out (timeout.connect = 2 s;"
                .. " 2 s in all)", err.message)
            assert.equal(1, #err.attempts)
            about(err.attempts[1].elapsed, 2)
            assert.equal("connecting to 192.0.2.2:80: timed out", err.attempts[1].message)
        end)
    end)

    it("of a scope around a request says where that was, and how far", function()
        with_client(HALFWAY, function(client)
            local response, err = moonwire.timeout(5, function()
                return assert(client:get "http://h/path"):text()
            end)
            assert.is_nil(response)
            assert.equal("timed out after 5 s: cancelled before the response's body was complete"
                .. " (5 s in all, 114 bytes sent, 43 received)", err.message)
            assert.equal("body", err.phase)
            assert.equal("http://h/path", err.url)
            assert.equal(43, err.bytes_received)
            assert.equal("cancelled", err.cause.kind)
            about(err.elapsed, 5)
        end)
        with_client(nil, function(client)
            local _, err = moonwire.timeout(1, client.get, client, "http://h/path")
            assert.equal("timed out after 1 s: connecting to 192.0.2.1:80: cancelled"
                .. " (1 s in all)", err.message)
            assert.equal("connect", err.phase)
        end)
    end)
end)

describe("the time of a request", function()
    -- Each connection answers its first request and is gone at the second.
    local function unreliable(seconds, then_script)
        local count = 0
        return function(peer)
            local asked = 0
            count = count + 1
            local own = count
            peer:on_data(function()
                asked = asked + 1
                if own > 1 then
                    return then_script(peer)
                elseif asked == 1 then
                    return peer:send(OK)
                end
                peer:after(seconds, function()
                    peer:reset()
                end)
            end)
        end
    end

    it("goes on over a retry", function()
        with_client(unreliable(3, function() end), function(client, m)
            assert.equal("ok", assert(client:get "http://h/"):text())
            local before = m:now()
            local response, err = client:get("http://h/path", { timeout = 10 })
            assert.is_nil(response)
            about(m:now() - before, 10)
            assert.equal(2, client:stats().opened)
            assert.equal("no complete response head (timeout.total = 10 s; 10 s in all,"
                .. " 114 bytes sent, 0 received)", err.message)
        end)
    end)

    it("in the queue is one for a request and its retry, and what is between is not in it",
        function()
            with_client(unreliable(3, function(peer)
                peer:after(10, function()
                    peer:send(OK)
                end)
            end), function(client, m)
                assert.equal("ok", assert(client:get "http://h/"):text())
                -- its connection is reset after 3 s; the other request has its place by then
                local second
                local first = moonwire.spawn(function()
                    return client:get("http://h/a", { timeout = { pool = 2 } })
                end)
                m:advance(1)
                second = moonwire.spawn(client.get, client, "http://h/b")
                local response, err = first:join()
                assert.is_nil(response)
                assert.equal("pool", err.phase)
                assert.equal("pool", err.timeout)
                about(err.elapsed, 3 + 2)
                assert.equal("ok", assert(second:join()):text())
            end, { pool = { max_total = 1 } })
        end)

    it("goes on over the repetition without Expect", function()
        local heads = 0
        with_client(function(peer)
            peer:on_data(function(data)
                if not data:find "\r\n\r\n" then
                    return
                end
                heads = heads + 1
                if data:find "Expect" then
                    peer:after(4, function()
                        peer:send "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"
                    end)
                end
            end)
        end, function(client, m)
            local before = m:now()
            local err = error_of(client, {
                body = "x", expect = true, timeout = { total = 9, expect = 5 },
            })
            about(m:now() - before, 9)
            about(err.elapsed, 9)
            assert.equal("total", err.timeout)
            assert.equal("headers", err.phase)
            assert.equal(2, heads)
        end)
    end)

    it("covers the body, and a reader's own pauses", function()
        with_client({ { expect = "\r\n\r\n" }, { send = HALF }, { delay = 50 }, { send = "half" } },
            function(client, m)
                local before = m:now()
                local response = assert(client:get("http://h/", { timeout = 10 }))
                assert.equal("half", response:read())
                m:advance(5)
                local data, err = response:read()
                assert.is_nil(data)
                about(m:now() - before, 10)
                assert.equal("total", err.timeout)
                about(err.elapsed, 10)
            end)
    end)

    it("that is over when a reader comes back is over at once", function()
        with_client(HALFWAY, function(client, m)
            local response = assert(client:get("http://h/", { timeout = 10 }))
            assert.equal("half", response:read())
            m:advance(50)
            local now = m:now()
            local _, err = response:read()
            assert.equal(now, m:now())
            assert.equal("total", err.timeout)
        end)
    end)

    it("clips the lookup, the connection and the handshake, each at what is left", function()
        for _, seconds in ipairs { 0.35, 1, 3 } do
            with_client(nil, function(client, m)
                local before = m:now()
                local err = error_of(client, { timeout = seconds }, "https://h/")
                about(m:now() - before, seconds)
                assert.equal("total", err.timeout)
            end)
        end
    end)

    it("may be without end", function()
        local endless = {}
        for _, limit in ipairs { "total", "pool", "connect", "tls", "headers", "idle", "expect" } do
            endless[limit] = math.huge
        end
        with_client({ { expect = "\r\n\r\n" }, { delay = 1e6 },
            { send = "HTTP/1.1 100 Continue\r\n\r\n" }, { expect = "body" }, { delay = 1e6 },
            { send = HALF }, { delay = 1e6 }, { send = "behind" } }, function(client, m)
            local before = m:now()
            local response = assert(client:put("http://h/", {
                body = "body", expect = true, timeout = endless,
            }))
            assert.equal("halfbehind", response:text())
            about(m:now() - before, 3e6 + 1.2)
        end)
    end)

    it("over a connection used by hand is told with that one's options", function()
        wire.over({ { expect = "\r\n\r\n" } }, function(connection, _, m)
            local request = requests.new { method = "GET", url = "http://h/path" }
            local _, err = connection:request(request, { headers_timeout = 4 })
            assert.equal("no complete response head after the request (headers_timeout = 4 s;"
                .. " 4 s in all, 72 bytes sent, 0 received)", err.message)
            m:advance(0)
        end)
        wire.over({ { expect = "\r\n\r\n" } }, function(connection, _, m)
            local request = requests.new { method = "GET", url = "http://h/path" }
            local _, err = connection:request(request, { deadline = m:now() + 4 })
            assert.equal("no complete response head (deadline = 4 s; 4 s in all, 72 bytes sent,"
                .. " 0 received)", err.message)
            assert.equal("total", err.timeout)
        end)
    end)
end)

-- Where a request over TLS waits at each moment: [from, to), and its phase.
local STEPS = {
    { 0, 0.7, "resolve" }, { 0.7, 1.2, "connect" }, { 1.2, 3.2, "tls" }, { 3.2, 5.2, "headers" },
    { 5.2, 7.2, "body" },
}

describe("a request over TLS that is cancelled", function()
    local made

    setup(function()
        made = certs.new()
        made:root "root"
        made:issue("server", { by = "root", san = "DNS:h" })
    end)

    -- Shakes hands after two seconds, answers after two more, and has the body two later.
    local function serve(tls)
        return function(stream)
            moonwire.sleep(2)
            if stream:accept_tls(tls) and stream:read() then
                moonwire.sleep(2)
                stream:write(HALF)
                moonwire.sleep(2)
                stream:write "behind"
            end
            stream:close()
        end
    end

    local function with_server(f)
        local m = mock.new()
        m:hosts({ h = { "127.0.0.1" } }, { delay = 0.7 })
        m:run(function()
            local listener = assert(net.listen("127.0.0.1", 0))
            local port = listener:address().port
            m.backend.places["127.0.0.1:" .. port].delay = 0.5
            moonwire.scope(function(s)
                s:spawn(net.serve, listener, serve {
                    cert = made:path "server.pem", key = made:path "server.key",
                })
                local client = clients.new { tls = { ca_file = made:path "root.pem" } }
                f(client, "https://h:" .. port .. "/path", m)
                client:close()
                listener:close()
            end)
        end)
        assert.equal(0, m:stats().tcp)
    end

    it("says in which phase that was, at every quarter of a second, and leaves nothing", function()
        with_server(function(client, url, m)
            for quarter = 0, 28 do
                local seconds, seen = 0.1 + quarter / 4, nil
                local text = moonwire.timeout(seconds, function()
                    local response, err = client:get(url)
                    if response then
                        response, err = response:text()
                    end
                    seen = err
                    return response
                end)
                local phase
                for _, step in ipairs(STEPS) do
                    phase = seconds >= step[1] and seconds < step[2] and step[3] or phase
                end
                if phase then
                    assert.is_nil(text)
                    assert.equal("cancelled", seen.kind)
                    assert.equal(phase, seen.phase, seconds)
                    about(seen.elapsed, seconds)
                end
                client:close_idle()
                m:advance(10)
                local stats = client:stats()
                assert.equal(0, stats.total + stats.waiting)
            end
            assert.equal("halfbehind", assert(client:get(url)):text())
        end)
    end)
end)
