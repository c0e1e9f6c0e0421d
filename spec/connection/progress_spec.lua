-- What the idle time counts: no progress while it is the peer whom we wait for.
local backend = require "moonwire.backend"
local wire = require "spec.support.wire"

local IDLE = 10
local OPTS = { idle_timeout = IDLE }
local BODY = ("x"):rep(400)
local HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"

local function sleep(seconds)
    backend.current():wait(backend.current():now() + seconds)
end

-- A peer that takes 50 bytes now and at each of these times, and all that is left at the last one
-- if `rest` says so.
local function take_at(peer, times, rest)
    local is_free = false
    peer:limit_writes(50)
    peer:on_data(function()
        peer:block_writes(not is_free)
    end)
    for i, seconds in ipairs(times) do
        peer:after(seconds, function()
            is_free = rest and i == #times
            peer:limit_writes(not is_free and 50 or nil)
            peer:block_writes(false)
        end)
    end
end

-- Sends the head of a response in a second, and its body at these times, a byte each.
local function answer_at(peer, times)
    peer:after(1, function()
        peer:send(HEAD)
    end)
    for _, seconds in ipairs(times) do
        peer:after(seconds, function()
            peer:send "y"
        end)
    end
end

local function every(seconds, count)
    local times = {}
    for i = 1, count do
        times[i] = i * seconds
    end
    return times
end

local function idle_error(response, err)
    assert.is_nil(response)
    assert.equal("timeout", err.kind)
    assert.equal("idle", err.timeout)
    return err
end

-- A body whose function sleeps before each of its chunks.
local function slow_body(count, seconds)
    local left = count
    return function()
        left = left - 1
        if left < 0 then
            return nil
        end
        sleep(seconds)
        return "chunk"
    end
end

describe("time is not idle", function()
    it("while the script sleeps between two reads, twice as long", function()
        wire.over({ wire.ASKED, { send = HEAD .. "y" }, { delay = 5 }, { send = "yyyy" },
            { delay = 40 }, { send = "yyyyy" } }, function(connection)
            local response = assert(connection:request(wire.request(), OPTS))
            local data, err = response:read()
            local all = ""
            while data do
                all = all .. data
                sleep(2 * IDLE)
                data, err = response:read()
            end
            assert.is_nil(err)
            assert.equal(("y"):rep(10), all)
        end)
    end)

    it("while the body's function sleeps, three times as long", function()
        wire.over({ { expect = "0\r\n\r\n" }, { send = wire.reply "ok" } },
            function(connection)
                local response = assert(connection:request(
                    wire.request("POST", slow_body(3, 3 * IDLE)), OPTS))
                assert.equal("ok", response:text())
            end)
    end)

    it("while it sleeps and the rest of an early response is waited for", function()
        wire.over({ { expect = "\r\n\r\n" }, { send = HEAD }, { expect = "0\r\n\r\n" },
            { send = ("y"):rep(10) } }, function(connection, _, m)
            local before = m:now()
            local response = assert(connection:request(
                wire.request("POST", slow_body(3, 3 * IDLE)), OPTS))
            assert.equal(before, m:now())
            assert.equal(("y"):rep(10), response:text())
            assert.equal(9 * IDLE, m:now() - before)
            assert.is_true(connection:is_idle())
        end)
    end)

    it("while a reader pauses, and its peer therefore takes nothing", function()
        wire.over(nil, function(connection, peer)
            take_at(peer, { 3.5 * IDLE + 8 }, true)
            answer_at(peer, { 2, 3.5 * IDLE + 9 })
            local response = assert(connection:request(wire.request("POST", BODY), OPTS))
            assert.equal("y", response:read())
            sleep(3.5 * IDLE)
            assert.is_nil(connection.close_reason)
            assert.equal("y", response:read())
            assert.is_true(response.upload_complete)
        end)
    end)

    it("while the peer takes nothing, but a response comes", function()
        wire.over(nil, function(connection, peer, m)
            take_at(peer, { 61 }, true)
            answer_at(peer, every(6, 10))
            local response = assert(connection:request(wire.request("POST", BODY), OPTS))
            assert.is_false(response.upload_complete)
            assert.equal(("y"):rep(10), response:text())
            m:advance(2)
            assert.is_true(response.upload_complete)
            assert.is_true(connection:is_idle())
        end)
    end)

    it("while nothing comes, but the peer takes the request's body", function()
        wire.over(nil, function(connection, peer, m)
            take_at(peer, every(6, 10), true)
            answer_at(peer, {})
            peer:after(60 + IDLE - 1, function()
                peer:send(("y"):rep(10))
            end)
            local before = m:now()
            local response = assert(connection:request(wire.request("POST", BODY), OPTS))
            assert.equal(("y"):rep(10), response:text())
            assert.equal(60 + IDLE - 1, m:now() - before)
            assert.is_true(connection:is_idle())
        end)
    end)
end)

describe("time is idle", function()
    it("from the last byte on that the peer took", function()
        wire.over(nil, function(connection, peer, m)
            take_at(peer, { 4, 9, 17 })
            local before = m:now()
            local err = idle_error(connection:request(wire.request("POST", BODY), OPTS))
            assert.equal("write", err.phase)
            assert.equal(17 + IDLE, m:now() - before)
            assert.equal(200, err.bytes_sent)
            m:advance(0)
        end)
    end)

    it("while the peer takes nothing, whatever it sends before its head is whole", function()
        wire.over(nil, function(connection, peer, m)
            take_at(peer, { 1 })
            for seconds = 2, 20, 3 do
                peer:after(seconds, function()
                    peer:send "HTTP/1.1 102 Processing\r\n\r\n"
                end)
            end
            local before = m:now()
            local err = idle_error(connection:request(wire.request("POST", BODY), OPTS))
            assert.equal("write", err.phase)
            assert.equal(1 + IDLE, m:now() - before)
            m:advance(20)
        end)
    end)

    it("when nothing moves in either direction", function()
        wire.over(nil, function(connection, peer, m)
            take_at(peer, { 1 })
            answer_at(peer, { 5 })
            local before = m:now()
            local response = assert(connection:request(wire.request("POST", BODY), OPTS))
            local _, err = response:text()
            idle_error(nil, err)
            assert.equal("write", err.phase)
            assert.is_true(m:now() - before >= 5 + IDLE, "too early")
            assert.is_true(m:now() - before <= 5 + 2 * IDLE, "too late")
            m:advance(0)
        end)
    end)

    it("in the response's body, from the request's last byte on", function()
        wire.over(nil, function(connection, peer, m)
            take_at(peer, { 8, 15 }, true)
            answer_at(peer, {})
            local before = m:now()
            local response = assert(connection:request(wire.request("POST", BODY), OPTS))
            local _, err = response:text()
            idle_error(nil, err)
            assert.equal("body", err.phase)
            assert.equal(15 + IDLE, m:now() - before)
            m:advance(10)
        end)
    end)
end)

describe("the time to send", function()
    it("is the idle time unless it is given by itself", function()
        for _, case in ipairs { { 3, "send_timeout = 3 s" }, { 20, "send_timeout = 20 s" },
            { nil, "idle_timeout = 10 s" } } do
            wire.over(nil, function(connection, peer, m)
                take_at(peer, {})
                local before = m:now()
                local err = idle_error(connection:request(wire.request("POST", BODY),
                    { idle_timeout = IDLE, send_timeout = case[1] }))
                assert.equal("write", err.phase)
                assert.equal(case[1] or IDLE, m:now() - before)
                assert.truthy(err.message:find(case[2], 1, true), err.message)
            end)
        end
    end)
end)
