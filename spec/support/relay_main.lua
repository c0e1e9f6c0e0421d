-- The relay's process: it listens for those that can't, and joins a client's connection with one
-- from whom it is for, byte for byte. spec/support/listening.lua is the other end.
--
-- A connection to it begins with a line:
--   listen          it answers the port on which clients are taken until "close" comes or the end
--   listen CERT KEY [SECONDS]  the same with TLS, whose handshake has to wait that long
--   accept PORT     it answers "joined ID ADDRESS PORT" when there is a client, and whatever
--                   follows is that client's
--   eof ID COUNT    once COUNT bytes have gone to a client our direction to it is ended, or
--   reset ID COUNT  broken off with a RST, or
--   sync ID COUNT   nothing; then, or when the client has gone, it answers "done"
local channel = require "moonwire.channel"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local sockets = require "spec.support.sockets"

local listeners = {} -- by port
local joined = {} -- by number
local below = setmetatable({}, { __mode = "k" }) -- the socket of a stream with TLS
local last = 0
local PATIENCE = 10 -- seconds for a handshake

-- Breaks a connection off with a RST, and no word of TLS's before it.
local function reset(stream)
    if not stream:is_closed() then
        local socket = below[stream] or stream.core
        sockets.linger(socket)
        socket:close()
        stream:close()
    end
end

-- What the client says goes to the server. A client that has gone for good shows when it is written
-- to, as it does without a relay.
local function pump_up(pair)
    local data, err
    repeat
        data, err = pair.client:read()
    until not data or not pair.server:write(data)
    if data or err then
        reset(pair.server)
        reset(pair.client)
    else
        pair.server:shutdown()
    end
end

local ACTS = {
    eof = function(pair)
        pair.client:shutdown()
    end,
    reset = function(pair)
        reset(pair.client)
        reset(pair.server)
    end,
    sync = function() end,
}

-- Does what the server has asked for, once it has said all that was to go before.
local function obey(pair)
    for i = #pair.orders, 1, -1 do
        local order = pair.orders[i]
        if pair.over or pair.count >= order.count then
            table.remove(pair.orders, i)
            if not pair.over then
                ACTS[order.what](pair)
            end
            order.done:close()
        end
    end
end

-- What the server says goes to the client. The server's end is a close: half of it comes as an
-- order.
local function pump_down(pair)
    local data, err
    while true do
        data, err = pair.server:read()
        if not data then
            break
        end
        local ok = pair.client:write(data)
        pair.count = pair.count + #data
        if not ok then
            reset(pair.server)
            break
        end
        obey(pair)
    end
    if err then
        reset(pair.client)
    end
    pair.client:close()
    pair.server:close()
    pair.over = true
    obey(pair)
end

local function join(client, server)
    last = last + 1
    local id = last
    local pair = { client = client, server = server, count = 0, orders = {} }
    joined[id] = pair
    sockets.hold_little(below[client] or client.core)
    sockets.hold_little(server.core)
    local address, port = client:peer()
    server:write(("joined %d %s %d\n"):format(id, address, port))
    moonwire.scope(function(s)
        s:spawn(pump_up, pair)
        pump_down(pair)
    end)
    joined[id] = nil
end

-- Gives the next client to the next server that still waits.
local function accept(server, port)
    local arrivals = listeners[tonumber(port)]
    local client = arrivals and arrivals:receive()
    if not client then
        return
    elseif server:is_quiet() then
        join(client, server)
    elseif not arrivals:send(client) then -- this server has gone: the next one takes it
        client:close()
    end
end

local function order(what, id, count)
    local pair = joined[tonumber(id)]
    if pair then
        local done = channel.new()
        table.insert(pair.orders, 1, { what = what, count = tonumber(count), done = done })
        obey(pair)
        done:receive()
    end
end

-- Hands a client over to those that accept, once it has shaken hands where that is due.
local function take(stream, arrivals, tls, delay)
    if tls then
        below[stream] = stream.core
        moonwire.sleep(delay)
        if not stream:accept_tls(tls, moonwire.now() + PATIENCE) then
            stream:read() -- the client reads the alert, and goes
            stream:close()
            return
        end
    end
    if not arrivals:send(stream) then
        stream:close()
    end
end

local function listen(control, cert, key, delay)
    local listener = assert(net.listen("127.0.0.1", 0))
    local port = listener:address().port
    local arrivals = channel.new(1024)
    local tls = cert and { cert = cert, key = key }
    listeners[port] = arrivals
    control:write(port .. "\n")
    moonwire.scope(function(s)
        s:spawn(function()
            for stream in function() return (listener:accept()) end do
                s:spawn(take, stream, arrivals, tls, tonumber(delay) or 0)
            end
        end)
        control:read_until "\n"
        listener:close()
        arrivals:close()
    end)
    listeners[port] = nil
    for client in arrivals:each() do
        client:close()
    end
    control:write "closed\n"
end

local function serve(stream)
    local line = stream:read_until "\n"
    local words = {}
    for word in (line or ""):gmatch "%S+" do
        words[#words + 1] = word
    end
    local what = words[1]
    if what == "listen" then
        listen(stream, words[2], words[3], words[4])
    elseif what == "accept" then
        accept(stream, words[2])
    elseif ACTS[what] then
        order(unpack(words))
        stream:write "done\n"
    end
end

local listener = assert(net.listen("127.0.0.1", 0))
print(listener:address().port)
io.flush()
assert(net.serve(listener, serve))
