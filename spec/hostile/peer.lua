-- The other side of a connection for the hostile specs: a raw socket of the same process (or its
-- likeness in memory) that sends what a case says, whole, in pieces or cut in two.
local moonwire = require "moonwire"
local sockets = require "spec.support.sockets"

local HEAD_MAX = 1048576

--- How the bytes of a case are sent.
---@class hostile.Delivery
---@field name string for messages
---@field size integer? bytes in one piece
---@field cut integer? the place where the bytes are cut in two

---@class hostile.Peer
---@field stream moonwire.Stream
---@field socket table the stream's own, below TLS
---@field delivery hostile.Delivery
---@field sent integer bytes of this case
---@field head string? of the last request
local methods = {}
local Peer = { __index = methods }

--- Reads a request's head.
---@return string? head nil: the client has gone
function methods:read_head()
    self.head = self.stream:read_until("\r\n\r\n", HEAD_MAX)
    return self.head
end

--- Reads the request's body, which has a length or is chunked.
---@return string? body nil: the client has gone
function methods:read_body()
    local length = self.head:lower():match "\r\ncontent%-length: (%d+)"
    if length then
        return (self.stream:read_exactly(tonumber(length)))
    elseif not self.head:lower():find("\r\ntransfer-encoding: chunked", 1, true) then
        return ""
    end
    local pieces = {}
    while true do
        local line = self.stream:read_until "\r\n"
        local size = line and tonumber(line:match "^%x+", 16)
        local data = size and self.stream:read_exactly(size + 2)
        if not data then
            return nil
        elseif size == 0 then
            return table.concat(pieces)
        end
        pieces[#pieces + 1] = data:sub(1, -3)
    end
end

--- Reads n bytes of whatever comes, or what comes up to the end.
---@return string? bytes
function methods:read(n)
    return (self.stream:read_exactly(n))
end

--- Lets the client have its turn, or so many seconds.
---@return boolean? ok not when the case is over
function methods:pause(seconds)
    return (moonwire.sleep(seconds or 0))
end

--- Waits until what was sent is with the client, which the relay takes its time for.
---@return boolean? ok not when the client has gone
function methods:arrive()
    local stream = self.stream
    return not stream.sync or stream:sync() and self:pause(0.001)
end

-- Sends one piece, and lets the client read it.
local function send_piece(self, bytes)
    local ok = self.stream:write(bytes)
    self.sent = self.sent + #bytes
    return ok and self:arrive() and self:pause()
end

--- Sends bytes as they are.
---@return boolean? ok not when the client has gone
function methods:write(bytes)
    self.sent = self.sent + #bytes
    return (self.stream:write(bytes))
end

--- Sends bytes as the delivery says.
---@return boolean? ok not when the client has gone
function methods:send(bytes)
    local size, cut = self.delivery.size, self.delivery.cut
    if size then
        for from = 1, #bytes, size do
            if not send_piece(self, bytes:sub(from, from + size - 1)) then
                return false
            end
        end
        return true
    end
    cut = cut and cut - self.sent
    if cut and cut > 0 and cut < #bytes then
        return send_piece(self, bytes:sub(1, cut)) and self:write(bytes:sub(cut + 1))
    end
    return self:write(bytes)
end

--- Sends the same bytes again and again, until the client goes or there were so many.
---@param unit string
---@param most integer? 4 MiB
---@return boolean gone
function methods:send_endless(unit, most)
    local batch = unit:rep(math.max(1, math.ceil(8192 / #unit)))
    local ends = self.sent + (most or 4194304)
    while self.sent < ends do
        if not self:send(batch) or not self:pause() then
            return true
        end
    end
    return false
end

--- Ends the peer's direction only.
function methods:eof()
    self.stream:shutdown()
end

--- Closes.
function methods:close()
    self.closed = true
    self.stream:close()
end

--- Breaks the connection off with a RST, and no word of TLS's before it.
function methods:reset()
    local socket = self.socket
    if self.stream.reset then -- through the relay
        self.stream:reset()
    elseif socket:fd() ~= -1 then
        sockets.linger(socket)
    elseif socket.other then
        socket.other:fail(socket.loop.ECONNRESET)
    end
    socket:close()
    self:close()
end

local peer = {}

---@param stream moonwire.Stream
---@param delivery hostile.Delivery
---@param socket table the stream's, before TLS
---@return hostile.Peer
function peer.new(stream, delivery, socket)
    return setmetatable({
        stream = stream, socket = socket, delivery = delivery, sent = 0, closed = false,
    }, Peer)
end

return peer
