-- Channels: order, capacity, closing, and that a cancelled waiter never swallows a value.
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local support = require "spec.support"

local function on_mock(f)
    local m = mock.new()
    m:run(f, m)
    assert.same({ threads = 0, watchers = 0, tcp = 0, lookups = 0 }, m:stats())
end

local function collect(channel)
    local values = {}
    for value in channel:each() do
        values[#values + 1] = value
    end
    return values
end

describe("a channel", function()
    for _, capacity in ipairs { 0, 1, 3, 100 } do
        it("hands all values on in order with room for " .. capacity, function()
            on_mock(function()
                local channel = moonwire.channel(capacity)
                moonwire.spawn(function()
                    for i = 1, 10 do
                        assert.is_true(channel:send(i))
                    end
                    channel:close()
                end)
                assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, collect(channel))
                assert.is_nil((channel:receive()))
            end)
        end)
    end

    it("without room makes a sender wait for its receiver", function()
        on_mock(function(m)
            local channel, sent_at = moonwire.channel(), nil
            moonwire.spawn(function()
                channel:send("x")
                sent_at = m:now()
            end)
            moonwire.sleep(5)
            assert.is_nil(sent_at)
            assert.equal("x", channel:receive())
            moonwire.sleep(0)
            assert.equal(1005, sent_at)
        end)
    end)

    it("with room lets senders go on until it is full", function()
        on_mock(function()
            local channel, sent = moonwire.channel(2), 0
            moonwire.spawn(function()
                for i = 1, 4 do
                    channel:send(i)
                    sent = i
                end
            end)
            moonwire.sleep(1)
            assert.equal(2, sent)
            assert.equal(2, channel:count())
            assert.equal(1, channel:receive())
            assert.equal(2, channel:count())
            assert.equal(2, channel:receive())
            assert.equal(3, channel:receive())
            assert.equal(4, channel:receive())
            assert.equal(0, channel:count())
        end)
    end)

    it("serves receivers in the order they came", function()
        on_mock(function()
            local channel, got = moonwire.channel(), {}
            for i = 1, 3 do
                moonwire.spawn(function()
                    got[i] = channel:receive()
                end)
            end
            moonwire.sleep(1)
            for i = 1, 3 do
                channel:send(i * 10)
            end
            moonwire.sleep(1)
            assert.same({ 10, 20, 30 }, got)
        end)
    end)

    it("serves waiting senders in the order they came", function()
        on_mock(function()
            local channel = moonwire.channel()
            for i = 1, 3 do
                moonwire.spawn(channel.send, channel, i)
            end
            moonwire.sleep(1)
            assert.same({ 1, 2, 3 }, { channel:receive(), channel:receive(), (channel:receive()) })
        end)
    end)

    it("passes false", function()
        on_mock(function()
            local channel = moonwire.channel(1)
            channel:send(false)
            channel:close()
            assert.is_false(channel:receive())
            assert.is_nil((channel:receive()))
        end)
    end)

    it("gives no value to a receiver that was cancelled", function()
        on_mock(function()
            local channel, got = moonwire.channel(), {}
            local first = moonwire.spawn(function()
                local value, err = channel:receive()
                got[1] = value or err.kind
            end)
            moonwire.spawn(function()
                got[2] = channel:receive()
            end)
            moonwire.sleep(1)
            first:cancel()
            -- the cancelled one has not run yet: the value must go to the second
            assert.is_true(channel:send("x"))
            moonwire.sleep(1)
            assert.same({ "cancelled", "x" }, got)
        end)
    end)

    it("gives a value that was handed over before the cancellation", function()
        on_mock(function()
            local channel, got = moonwire.channel(), nil
            local task = moonwire.spawn(function()
                got = channel:receive()
            end)
            moonwire.sleep(1)
            assert.is_true(channel:send("x"))
            task:cancel()
            moonwire.sleep(1)
            assert.equal("x", got)
        end)
    end)

    it("takes no value from a sender that was cancelled", function()
        on_mock(function()
            local channel, kind = moonwire.channel(), nil
            local task = moonwire.spawn(function()
                local _, err = channel:send("lost")
                kind = err.kind
            end)
            moonwire.spawn(channel.send, channel, "kept")
            moonwire.sleep(1)
            task:cancel()
            assert.equal("kept", channel:receive())
            moonwire.sleep(0)
            assert.equal("cancelled", kind)
            local _, err = moonwire.timeout(1, channel.receive, channel)
            assert.equal("timeout", err.kind)
        end)
    end)

    it("lets a receiver that timed out wait elsewhere without being disturbed", function()
        on_mock(function(m)
            local channel = moonwire.channel(1)
            local task = moonwire.spawn(function()
                moonwire.timeout(1, channel.receive, channel)
                moonwire.sleep(10)
                return m:now()
            end)
            moonwire.sleep(2)
            channel:send("x")
            assert.equal(1011, task:join())
            assert.equal("x", channel:receive())
        end)
    end)

    it("when closed ends receivers, refuses senders and keeps what is in it", function()
        on_mock(function()
            local channel = moonwire.channel(1)
            channel:send(1)
            local waiting = moonwire.spawn(channel.send, channel, 2)
            moonwire.sleep(1)
            channel:close()
            channel:close()
            assert.is_true(channel:is_closed())
            local ok, err = waiting:join()
            assert.is_nil(ok)
            assert.equal("closed", err.kind)
            ok, err = channel:send(3)
            assert.is_nil(ok)
            assert.equal("closed", err.kind)
            assert.equal(1, channel:receive())
            local value, problem = channel:receive()
            assert.is_nil(value)
            assert.is_nil(problem)
            local empty = moonwire.channel()
            local receiver = moonwire.spawn(empty.receive, empty)
            moonwire.sleep(1)
            empty:close()
            assert.equal(0, select("#", receiver:join()) - 1)
        end)
    end)

    it("raises in a loop over it when cancelled", function()
        on_mock(function()
            local channel = moonwire.channel()
            local value, err = moonwire.timeout(1, function()
                collect(channel)
                error("never here")
            end)
            assert.is_nil(value)
            assert.equal("timeout", err.kind)
        end)
    end)

    it("moves many values between many tasks", function()
        support.in_loop(function()
            local channel, sum = moonwire.channel(8), 0
            moonwire.scope(function(s)
                for _ = 1, 10 do
                    s:spawn(function()
                        for value in channel:each() do
                            sum = sum + value
                        end
                    end)
                end
                moonwire.scope(function(senders)
                    for i = 1, 10 do
                        senders:spawn(function()
                            for j = 1, 100 do
                                channel:send(i * j)
                            end
                        end)
                    end
                end)
                channel:close()
            end)
            assert.equal(55 * 5050, sum)
        end)
    end)

    it("names the argument that is wrong", function()
        assert.error_matches(function()
            moonwire.channel(-1)
        end, "bad argument 'capacity' %(a number of 0 or more expected, got %-1%)")
        assert.error_matches(function()
            moonwire.channel(1):send(nil)
        end, "bad argument 'value' %(anything but nil expected, got nil%)")
    end)
end)
