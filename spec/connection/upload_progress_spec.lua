-- upload_progress: what the script is told while the body of its request goes out.
local backend = require "moonwire.backend"
local bodies = require "moonwire.body"
local wire = require "spec.support.wire"

local OK = wire.reply "ok"

local function sleep(seconds)
    backend.current():wait(backend.current():now() + seconds)
end

local function recorder()
    local calls = {}
    return calls, function(sent, total)
        calls[#calls + 1] = { sent, total or "unknown" }
    end
end

-- Holds that each call says more than the one before, and the last one all of it.
local function rising(calls, all, total)
    local before = 0
    for _, call in ipairs(calls) do
        assert.is_true(call[1] > before)
        assert.equal(total, call[2])
        before = call[1]
    end
    assert.equal(all, before)
end

-- A peer that takes 50 bytes a second; answers once it has `last`.
local function slowly(connection, peer, m)
    peer:limit_writes(50)
    peer:on_data(function()
        peer:block_writes(true)
        peer:after(1, function()
            peer:block_writes(false)
        end)
    end)
    return connection, m
end

describe("upload_progress", function()
    it("tells of a string once it has gone, without its head", function()
        wire.over({ { expect = "abc" }, { send = OK } }, function(connection)
            local calls, tell = recorder()
            local response = assert(connection:request(wire.request("POST", "abc"),
                { upload_progress = tell }))
            assert.same({ { 3, 3 } }, calls)
            assert.is_true(response.upload_complete)
            assert.is_true(connection:is_idle())
        end)
    end)

    it("tells of a long string as the peer takes it", function()
        wire.over({ { expect = ("x"):rep(1000) }, { send = OK } }, function(connection, peer, m)
            local calls, tell = recorder()
            slowly(connection, peer)
            local before = m:now()
            assert(connection:request(wire.request("POST", ("x"):rep(1000)),
                { upload_progress = tell }))
            assert.is_true(m:now() - before >= 20)
            assert.is_true(#calls >= 20 and #calls < 30)
            rising(calls, 1000, 1000)
        end)
    end)

    it("tells of chunks, whose frame doesn't count and whose sum nobody knows", function()
        wire.over({ { expect = "0\r\n\r\n" }, { send = OK } }, function(connection)
            local calls, tell = recorder()
            local left = 3
            assert(connection:request(wire.request("POST", function()
                left = left - 1
                return left >= 0 and "chunk" or nil
            end), { upload_progress = tell }))
            assert.same({ { 5, "unknown" }, { 10, "unknown" }, { 15, "unknown" } }, calls)
        end)
    end)

    it("tells the sum that is known", function()
        wire.over({ { expect = "abcdef" }, { send = OK } }, function(connection)
            local calls, tell = recorder()
            local list = { "abc", "def" }
            assert(connection:request(wire.request("POST", bodies.generator(function()
                return table.remove(list, 1)
            end, { length = 6 })), { upload_progress = tell }))
            assert.same({ { 3, 6 }, { 6, 6 } }, calls)
        end)
    end)

    it("tells of a body that the server was asked about first", function()
        wire.over({ wire.ASKED, { send = "HTTP/1.1 100 Continue\r\n\r\n" }, { expect = "abc" },
            { send = OK } }, function(connection)
            local calls, tell = recorder()
            assert(connection:request(wire.request("POST", "abc", { expect = true }),
                { upload_progress = tell }))
            assert.same({ { 3, 3 } }, calls)
        end)
    end)

    it("tells nothing where there is no body, or it is refused", function()
        wire.over({ wire.ASKED, { send = OK }, wire.ASKED, { send = OK }, wire.ASKED,
            { send = "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n" } }, function(connection)
            local calls, tell = recorder()
            assert(connection:request(wire.request("GET"), { upload_progress = tell }))
            assert(connection:request(wire.request("POST", ""), { upload_progress = tell }))
            local response = assert(connection:request(
                wire.request("POST", "abc", { expect = true }), { upload_progress = tell }))
            assert.equal(413, response.status)
            assert.same({}, calls)
        end)
    end)

    it("is for one request only", function()
        wire.over({ { expect = "abc" }, { send = OK }, { expect = "def" }, { send = OK },
            { expect = "ghi" }, { send = OK } }, function(connection)
            local calls, tell = recorder()
            local opts = { upload_progress = tell }
            assert(connection:request(wire.request("POST", "abc"), opts))
            assert(connection:request(wire.request("POST", "def")))
            assert.equal(1, #calls)
            assert(connection:request(wire.request("POST", "ghi"), opts))
            assert.same({ { 3, 3 }, { 3, 3 } }, calls)
        end)
    end)

    it("may wait, and the body waits with it", function()
        wire.over({ { expect = "0\r\n\r\n" }, { send = OK } }, function(connection, _, m)
            local left, before = 3, m:now()
            assert(connection:request(wire.request("POST", function()
                left = left - 1
                return left >= 0 and "chunk" or nil
            end), { upload_progress = function()
                sleep(5)
            end }))
            assert.equal(15, m:now() - before)
            assert.is_true(connection:is_idle())
        end)
    end)

    it("ends the exchange when it raises, and the script has the error", function()
        for _, problem in ipairs { "mine", { "a table" }, false } do
            local log = wire.over(nil, function(connection)
                local ok, err = pcall(connection.request, connection, wire.request("POST", "abc"),
                    { upload_progress = function()
                        error(problem, 0)
                    end })
                assert.is_false(ok)
                if type(problem) == "string" then
                    assert.matches("^mine\nstack traceback:", err)
                else
                    assert.equal(problem, err)
                end
                assert.equal("error", connection.close_reason)
            end)
            assert.equal(0, log.idle)
        end
    end)

    it("ends a body in the middle when it raises", function()
        wire.over(nil, function(connection, peer)
            slowly(connection, peer)
            local closed = 0
            local body = bodies.new { ("x"):rep(50000), ("y"):rep(50000) }
            local open = body.opener
            body.opener = function(self)
                local reader = open(self)
                local close = reader.close
                reader.close = function(...)
                    closed = closed + 1
                    return close(...)
                end
                return reader
            end
            local ok, err = pcall(connection.request, connection, wire.request("POST", body),
                { upload_progress = function(sent)
                    if sent > 200 then
                        error "enough"
                    end
                end })
            assert.is_false(ok)
            assert.matches("enough", err)
            sleep(5)
            assert.equal(1, closed)
            assert.is_true(#peer:received() < 1000)
        end)
    end)

    it("raises where the response is read when that has begun", function()
        wire.over({ wire.ASKED, { send = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx" } },
            function(connection)
                local left = 3
                local response = assert(connection:request(wire.request("POST", function()
                    sleep(1)
                    left = left - 1
                    return left >= 0 and "chunk" or nil
                end), { upload_progress = function(sent)
                    if sent > 5 then
                        error("late", 0)
                    end
                end }))
                assert.equal("x", response:read())
                for _ = 1, 2 do
                    local ok, err = pcall(response.read, response)
                    assert.is_false(ok)
                    assert.matches("^late", err)
                end
            end)
    end)

    it("has to be a function", function()
        wire.over(nil, function(connection)
            assert.error_matches(function()
                connection:request(wire.request("POST", "x"), { upload_progress = 1 })
            end, "'upload_progress' %(function expected")
        end)
    end)
end)
