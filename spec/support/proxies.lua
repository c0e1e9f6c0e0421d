-- Proxies on the mock, for specs: what they are asked for is kept, and what is behind them they
-- play themselves.

local clients = require "moonwire.client"
local kit = require "spec.support.mock_client"
local mock = require "moonwire.testing.mock"

local M = {}

M.CONNECTED = "HTTP/1.1 200 Connection established\r\n\r\n"

--- An http proxy: `refusal` is its answer to CONNECT, a string or a function of the head.
function M.http(m, address, port, refusal, opts)
    return kit.serve(m, address, port, function(head)
        if not head:find "^CONNECT " then
            return kit.OK
        elseif type(refusal) == "function" then
            return refusal(head)
        end
        return refusal or M.CONNECTED
    end, opts)
end

local function text_of(kind, bytes)
    if kind == 3 then
        return bytes
    elseif kind == 1 then
        return ("%d.%d.%d.%d"):format(bytes:byte(1, 4))
    end
    local groups = {}
    for i = 1, 15, 2 do
        groups[#groups + 1] = ("%x"):format(bytes:byte(i) * 256 + bytes:byte(i + 1))
    end
    return table.concat(groups, ":")
end

-- The steps of a SOCKS5 server: each takes what it needs of what has come, or nothing.
local steps = {}

function steps.greeting(state, data)
    local count = data:byte(2)
    if not count or #data < 2 + count then
        return
    end
    state.methods = data:sub(3, 2 + count)
    local wanted = state.opts.user and "\2" or "\0"
    if not state.methods:find(wanted, 1, true) then
        state.peer:send "\5\255"
        state.step = "over"
    else
        state.peer:send("\5" .. wanted)
        state.step = state.opts.user and "login" or "request"
    end
    return 2 + count
end

function steps.login(state, data)
    local user = data:byte(2)
    local password = user and data:byte(3 + user)
    if not password or #data < 3 + user + password then
        return
    end
    local given = data:sub(3, 2 + user) .. ":" .. data:sub(4 + user, 3 + user + password)
    local ok = data:byte(1) == 1 and given == state.opts.user
    state.peer:send(ok and "\1\0" or "\1\1")
    state.step = ok and "request" or "over"
    return 3 + user + password
end

function steps.request(state, data)
    local kind = data:byte(4)
    local length = kind == 1 and 4 or kind == 4 and 16 or kind and data:byte(5)
    local from = kind == 3 and 6 or 5
    if not length or #data < from + length + 1 then
        return
    end
    local high, low = data:byte(from + length, from + length + 1)
    local place = text_of(kind, data:sub(from, from + length - 1)) .. " " .. high * 256 + low
    state.log.places[#state.log.places + 1] = place
    local reply = state.opts.reply and state.opts.reply(place) or 0
    state.peer:send(type(reply) == "string" and reply
        or "\5" .. string.char(reply) .. "\0\1\127\0\0\1\0\80")
    state.step = reply == 0 and "http" or "over"
    return from + length + 1
end

function steps.http(state, data)
    local stop = select(2, data:find("\r\n\r\n", 1, true))
    if stop then
        state.log.heads[#state.log.heads + 1] = data:sub(1, stop)
        state.peer:send(kit.OK)
    end
    return stop
end

function steps.over(_, data)
    return #data > 0 and #data or nil
end

--- A SOCKS5 proxy. opts: user ("name:password", which it then asks for); reply(place), the number
--- or bytes that it answers a request with. It keeps the places, "host port", and the heads.
function M.socks5(m, address, port, opts)
    local log = { peers = {}, heads = {}, places = {} }
    m:listen_at(address, port, function(peer)
        log.peers[#log.peers + 1] = peer
        local state = { peer = peer, log = log, opts = opts or {}, step = "greeting" }
        local data = ""
        peer:on_data(function(more)
            data = data .. more
            local taken
            repeat
                taken = steps[state.step](state, data)
                data = data:sub((taken or 0) + 1)
            until not taken or data == ""
        end)
    end, opts and opts.listen)
    return log
end

--- Runs f(client, m) in a mock world with the hosts proxy (10.0.0.1), h and other; nothing may be
--- left behind. TLS is taken for done.
function M.run(opts, f)
    local m = mock.new()
    m:hosts { proxy = { "10.0.0.1" }, second = { "10.0.0.2" }, h = { "127.0.0.1" },
        other = { "127.0.0.2" } }
    m:run(function()
        local before = m:stats()
        local client = clients.new(opts)
        client.supply.tls.secure = function()
            return true
        end
        f(client, m)
        client:close()
        m:advance(0)
        local left, stats = m:stats(), client:stats()
        assert(stats.total == 0 and stats.waiting == 0)
        assert(left.threads == before.threads and left.watchers == before.watchers)
    end)
end

return M
