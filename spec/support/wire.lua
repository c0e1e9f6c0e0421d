-- A connection over the mock, for specs: makes it, runs the spec as its root task, and counts what
-- is left open afterwards.

local assert = require "luassert"
local connections = require "moonwire.connection"
local errors = require "moonwire.error"
local mock = require "moonwire.testing.mock"
local requests = require "moonwire.request"

local M = {}

--- The bytes of a reply with a length.
function M.reply(body, head)
    return ("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s"):format(head or "", #body, body)
end

--- A request to the mock's peer.
function M.request(method, body, more)
    local fields = { method = method or "GET", url = "http://test.example/path", body = body }
    for name, value in pairs(more or {}) do
        fields[name] = value
    end
    return requests.new(fields)
end

--- The step of a peer's script that waits for the end of a request's head.
M.ASKED = { expect = "\r\n\r\n" }

--- A script that answers each request with the next of `replies`, as soon as its head is complete.
function M.answering(replies)
    local script = {}
    for _, reply in ipairs(replies) do
        script[#script + 1] = M.ASKED
        script[#script + 1] = { send = reply }
    end
    return script
end

--- Holds that a call failed with an error of this kind, and returns the error.
function M.failed(kind, response, err)
    assert.is_nil(response)
    assert.is_true(errors.is(err), tostring(err))
    assert.equal(kind, err.kind, tostring(err))
    return err
end

--- The numbers from `first` to `last` at which something is cut: all of them, and some on real
--- sockets, where each takes its time.
---@return fun(): integer?
function M.places(first, last)
    local step = mock.sparse and math.max(1, math.floor((last - first) / mock.sparse)) or 1
    local at = first - step
    return function()
        at = at + step
        return at <= last and at or nil
    end
end

local function exchange(m, script, body, opts)
    local log = { idle = 0, closed = 0 }
    local stream, peer = m:stream(script)
    local own = { on_idle = function()
        log.idle = log.idle + 1
    end, on_close = function(_, reason)
        log.closed, log.reason = log.closed + 1, reason
    end }
    for name, value in pairs(opts or {}) do
        own[name] = value
    end
    local connection = connections.new(stream, own)
    body(connection, peer, m)
    connection:close()
    peer:close()
    m:advance(0) -- whoever was woken by that goes
    assert.equal(1, log.closed)
    return log
end

local running

--- Runs `body(connection, peer, m)` over a connection whose peer follows `script`; nothing may
--- be left over after it. Inside another one's body it is a second connection of the same mock.
---@param script table[]? of moonwire.testing.mock
---@param body fun(connection: moonwire.Connection, peer: moonwire.MockPeer, m: moonwire.Mock)
---@param opts moonwire.connection.Options?
---@return table log idle and closed: how often that was told; reason
function M.over(script, body, opts)
    if running then
        return exchange(running, script, body, opts)
    end
    local m = mock.new()
    running = m
    local ok, log = pcall(m.run, m, exchange, m, script, body, opts)
    running = nil
    if not ok then
        error(log, 0)
    end
    local stats = m:stats()
    assert.equal(0, stats.threads, "threads are left over")
    assert.equal(0, stats.tcp, "sockets are left over")
    return log
end

-- A response whose head comes alone and whose body follows in the given pieces, then EOF if more
-- was promised.
function M.responding(pieces, body, opts, request_opts)
    local length = #table.concat(pieces)
    local script = { M.ASKED,
        { send = ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(opts.length or length) } }
    for _, piece in ipairs(pieces) do
        script[#script + 1] = { delay = 0.001 }
        script[#script + 1] = { send = piece }
    end
    if opts.length and not opts.open then
        script[#script + 1] = { eof = true }
    end
    return M.over(script, function(connection, peer, m)
        local response = assert(connection:request(M.request(), request_opts))
        body(response, connection, peer, m)
    end)
end

function M.is_failure(kind, value, err)
    assert.is_nil(value)
    assert.is_true(errors.is(err), tostring(err))
    assert.equal(kind, err.kind, tostring(err))
    return err
end

return M
