local clients = require "moonwire.client"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local raw = require "spec.support.raw"
local wire = require "spec.support.wire"

local OK = wire.reply "hello"

-- Runs f(client, log) where each connection answers its first request; `second(peer)` is what
-- becomes of a further one on the first connection.
local function with_stale(second, f, opts)
    local m = mock.new()
    m:hosts { h = { "127.0.0.1" } }
    local log = { accepted = 0, requests = 0, peers = {} }
    m:listen_at("127.0.0.1", 80, function(peer)
        log.accepted = log.accepted + 1
        local first, seen = log.accepted == 1, 0
        log.peers[log.accepted] = peer
        peer:on_data(function(data)
            if not data:find("HTTP/1.1\r\n", 1, true) then
                return
            end
            log.requests, seen = log.requests + 1, seen + 1
            if first and seen > 1 then
                second(peer)
            else
                peer:send(OK)
            end
        end)
    end)
    m:run(function()
        local client = clients.new(opts)
        assert(client:get("http://h/"))
        f(client, log, m)
        client:close()
        m:advance(0)
        assert.equal(0, client:stats().total)
    end)
end

local function reset(peer)
    peer:reset()
end

describe("a request over a stale connection", function()
    it("goes once more, over a fresh one", function()
        with_stale(reset, function(client, log)
            assert.equal("hello", assert(client:get("http://h/")):text())
            assert.equal(2, log.accepted)
            assert.equal(3, log.requests)
        end)
    end)

    it("does not go to another idle one, which may be as stale", function()
        local m = mock.new()
        m:hosts { h = { "127.0.0.1" } }
        local accepted = 0
        m:listen_at("127.0.0.1", 80, function(peer)
            accepted = accepted + 1
            local seen, stale = 0, accepted <= 2
            peer:on_data(function()
                seen = seen + 1
                if stale and seen > 1 then
                    peer:reset()
                else
                    peer:send(OK)
                end
            end)
        end)
        m:run(function()
            local client = clients.new()
            local function get()
                assert(client:get("http://h/"))
            end
            moonwire.gather(get, get)
            assert.equal(2, client:stats().idle)
            get()
            assert.equal(3, accepted)
            client:close()
        end)
    end)

    it("is told instead where retry = false, as an option or as the client's default", function()
        for _, where in ipairs { "request", "client" } do
            local off = { retry = false }
            with_stale(reset, function(client, log)
                local response, err = client:get("http://h/", where == "request" and off or nil)
                assert.is_nil(response)
                assert.equal("closed", err.kind)
                assert.is_true(err.safe_to_retry)
                assert.is_true(err.reused)
                assert.is_true(err.bytes_sent > 0)
                assert.equal(0, err.bytes_received)
                assert.equal(1, log.accepted)
            end, where == "client" and off or nil)
        end
        with_stale(reset, function(client)
            assert(client:get("http://h/", { retry = true }))
        end, { retry = false })
    end)

    it("finds another connection even so when nothing of it was sent", function()
        for _, bytes in ipairs { "", "x" } do
            with_stale(reset, function(client, log)
                if bytes == "" then
                    log.peers[1]:eof()
                else
                    log.peers[1]:send(bytes)
                end
                assert.equal("hello", assert(client:post("http://h/", { body = "x" })):text())
                assert.equal(2, log.requests)
            end, { retry = false })
        end
    end)

    it("does not go again after its time", function()
        with_stale(function(peer)
            peer:after(2, function()
                peer:reset()
            end)
        end, function(client, log)
            local _, err = client:get("http://h/", { timeout = 1 })
            assert.equal("timeout", err.kind)
            assert.is_false(err.safe_to_retry)
            assert.equal(1, log.accepted)
        end)
    end)

    it("does not go again when it was closed or cancelled on this side", function()
        with_stale(function() end, function(client, log, m)
            local task = moonwire.spawn(function()
                return client:get("http://h/")
            end)
            m:advance(1)
            local slot = client.supply.open.first.held
            slot:close "mine"
            local _, err = task:join()
            assert.equal("closed", err.kind)
            assert.is_true(err.reused)
            assert.is_false(err.safe_to_retry)
            assert.equal(1, log.accepted)
        end)
        with_stale(function() end, function(client, log)
            moonwire.timeout(1, function()
                local _, err = client:get("http://h/")
                assert.equal("cancelled", err.kind)
                assert.is_false(err.safe_to_retry)
            end)
            assert.equal(1, log.accepted)
        end)
    end)

    it("takes retry as true, false or a policy only", function()
        for _, make in ipairs { function()
            clients.new { retry = 3 }
        end, function()
            clients.new():get("http://h/", { retry = "yes" })
        end } do
            assert.error_matches(make, "bad argument 'retry' %(boolean or table")
        end
    end)

    it("goes again on a real socket, and a POST does not", function()
        for _, method in ipairs { "get", "post" } do
            raw.client(function(stream, number)
                raw.head(stream)
                stream:write(OK)
                raw.head(stream)
                if number > 1 then
                    stream:write(OK)
                end
            end, function(client, log)
                assert(client:get "x")
                local response, err = client[method](client, "x", method == "post"
                    and { body = "once" } or nil)
                if method == "get" then
                    assert.equal("hello", assert(response, err):text())
                    assert.equal(2, log.accepted)
                else
                    assert.is_nil(response)
                    assert.is_false(err.safe_to_retry)
                    assert.is_true(err.reused)
                    assert.equal(1, log.accepted)
                end
            end)
        end
    end)
end)
