-- The steps of an exchange over socket objects that are written in Lua: the same as those that
-- moonwire.core.Tcp takes in one call. It never waits.
local core = require "moonwire.core"

local EOF, STIRRED, LATE, STUCK = core.EOF, core.STIRRED, core.LATE, core.STUCK

---@class moonwire.Steps
---@field private stream moonwire.Stream
local methods = {}
local Steps = { __index = methods, __name = "moonwire.Steps" }

function methods:ask(h1, head, text, co, limit, now)
    local stream = self.stream
    now = now or stream.backend:now()
    if co and not core.can_wait(co) then
        return STUCK, now
    elseif limit <= now then
        return LATE, now
    elseif not stream.core:is_quiet() then
        return STIRRED, now
    end
    local ok, code = h1:send_whole(head, text)
    if ok then
        ok, code = stream.core:send_from(h1)
    end
    return ok and 0 or code, now
end

function methods:answer(h1)
    local n, code = self.stream.core:recv_into(h1)
    if code == EOF then
        h1:feed_eof()
    elseif not n then
        return nil, code, "socket"
    end
    return h1:next_answer()
end

function methods:finish(h1)
    local stream = self.stream
    local reusable, timeout, max = h1:finish()
    if reusable and stream.watcher then
        stream.backend:guard(stream, stream.core)
    end
    return reusable, timeout, max
end

local PIECE = 65536 -- bytes that are read at once

local steps = {}

--- The recv_into of a socket object that reads strings.
---@param socket table
---@param h1 moonwire.core.H1
---@return integer? n, integer? code
function steps.recv_into(socket, h1)
    local data, code = socket:recv(PIECE)
    if not data then
        return nil, code
    end
    h1:feed(data)
    return #data
end

--- What takes the steps of a stream's exchanges: its socket object, if that can.
---@param stream moonwire.Stream
---@return moonwire.core.Tcp|moonwire.Steps
function steps.of(stream)
    local socket = stream.core
    return socket.ask and socket or setmetatable({ stream = stream }, Steps)
end

return steps
