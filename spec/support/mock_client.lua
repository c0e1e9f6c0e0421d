-- A client and its servers on the mock, for specs: each server answers whole requests, and nothing
-- may be left behind.

local assert = require "luassert"
local clients = require "moonwire.client"
local mock = require "moonwire.testing.mock"

local M = {}

--- What a server says where nothing else is wanted.
M.OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

--- Answers every request on every connection to an address with `answer(head, number, peer)`, or
--- with OK; keeps the peers and the request heads.
function M.serve(m, address, port, answer, opts)
    local log = { peers = {}, heads = {} }
    m:listen_at(address, port, function(peer)
        log.peers[#log.peers + 1] = peer
        local buffer = ""
        peer:on_data(function(data)
            buffer = buffer .. data
            while true do
                local stop = select(2, buffer:find("\r\n\r\n", 1, true))
                if not stop then
                    break
                end
                local head = buffer:sub(1, stop)
                local length = tonumber(head:match "\r\nContent%-Length: (%d+)") or 0
                if #buffer < stop + length then
                    break
                end
                local body = buffer:sub(stop + 1, stop + length)
                buffer = buffer:sub(stop + length + 1)
                log.heads[#log.heads + 1] = head
                local reply = M.OK
                if answer then
                    reply = answer(head, #log.heads, peer, body)
                end
                if reply then
                    peer:send(reply)
                end
            end
        end)
    end, opts)
    return log
end

--- Runs f(client, m, log) in a mock world with a server on http://h/; nothing may be left behind.
function M.with_client(opts, f, answer)
    local m = mock.new()
    m:hosts { h = { "127.0.0.1" }, other = { "127.0.0.2" } }
    local log = M.serve(m, "127.0.0.1", 80, answer)
    m:run(function()
        local before = m:stats()
        local client = clients.new(opts)
        f(client, m, log)
        client:close()
        m:advance(0)
        local stats = client:stats()
        assert.equal(0, stats.total)
        assert.equal(0, stats.waiting)
        for _, peer in ipairs(log.peers) do
            assert.is_true(m.hosted or peer:is_closed()) -- a host keeps what is idle
            peer:close()
        end
        m:advance(0)
        local left = m:stats()
        assert.same(before, left)
    end)
end

--- Holds that a call failed in this way, and returns the error.
function M.fails(kind, phase, response, err)
    assert.is_nil(response)
    assert.equal(kind, err.kind)
    assert.equal(phase, err.phase)
    return err
end

return M
