-- TLS over any socket object, such as another TLS or a mock: carries bytes between a session in
-- memory and the socket below. It never waits by itself and knows nothing of certificates.
local core = require "moonwire.core"
local lua_steps = require "moonwire.backend.steps"

local EAGAIN, EOF = core.EAGAIN, core.EOF
local PIECE = 16384

---@class moonwire.TlsLayer
---@field private tls moonwire.core.Tls in memory
---@field private below table a socket object
---@field private owed integer? bytes that are on their way, but of which the caller wasn't told
---@field private has_to_send boolean the socket below took no more
---@field private writer moonwire.core.Thread? whoever waits to write
---@field private both moonwire.core.Thread? whoever waits to read, in both directions
local methods = {}
local Layer = { __index = methods, __name = "moonwire.TlsLayer" }

-- Sends what TLS has to say: true, or nil and a code.
local function flush(self)
    local tls, below = self.tls, self.below
    local data = tls:output()
    while data ~= "" do
        local n, code = below:send(data, 1)
        if not n then
            self.has_to_send = code == EAGAIN
            return nil, code
        end
        tls:output_sent(n)
        data = tls:output()
    end
    self.has_to_send = false
    return true
end

-- Gets bytes for TLS, by the step `name` of the socket below: true, or nil, a code, and why nothing
-- can be sent, if so. Whoever can't send may still read what has come.
local function fill(self, name)
    local below = self.below
    local _, problem = flush(self)
    local data, code = below[name](below, PIECE)
    if data then
        return self.tls:feed(data)
    elseif code == EOF then
        self.tls:feed_eof()
        return true
    end
    return nil, code, problem ~= EAGAIN and problem or nil
end

function methods:handshake()
    while true do
        local ok, code = self.tls:handshake()
        if code ~= EAGAIN then
            local sent, problem = flush(self) -- the last message, or an alert
            if ok and not sent and problem ~= EAGAIN then
                return nil, problem
            end
            return ok, code
        end
        local problem
        ok, code, problem = fill(self, "recv")
        if not ok then
            return nil, code == EAGAIN and problem or code, self.has_to_send and "write" or "read"
        end
    end
end

local function receive(self, max, name)
    while true do
        local data, code = self.tls:recv(max)
        if code ~= EAGAIN then
            return data, code
        end
        local ok, problem = fill(self, name)
        if not ok then
            return nil, problem
        end
    end
end

function methods:recv(max)
    return receive(self, max, "recv")
end

function methods:recv_now(max)
    return receive(self, max, "recv_now")
end

methods.recv_into = lua_steps.recv_into

--- What is cut off by the socket below counts once all of it is out.
function methods:send(data, from)
    local ok, code = flush(self)
    if not ok then
        return nil, code
    end
    local n = self.owed
    if not n then
        n, code = self.tls:send(data, from)
        if not n then
            return nil, code
        end
        ok, code = flush(self)
        if not ok then
            self.owed = n
            return nil, code
        end
    end
    self.owed = nil
    return n
end

function methods:send_from(h1)
    while h1:has_output() do
        local n, code = self:send(h1:output(PIECE), 1)
        if not n then
            return nil, code
        end
        h1:output_sent(n)
    end
    return true
end

--- Who wants to read waits in the other direction as well while TLS has something to send, unless
--- somebody waits to write, who then sends it.
function methods:wait(handle, direction, seconds)
    local below = self.below
    if direction ~= "read" then
        if self.both then
            self.both:wake(0) -- it looks again, and leaves that direction to us
            self.both = nil
        end
        self.writer = handle
    elseif self.has_to_send and not self.writer then
        self.both, direction = handle, "both"
    end
    local code = below.wait(below, handle, direction, seconds)
    if self.writer == handle then
        self.writer = nil
    elseif self.both == handle then
        self.both = nil
    end
    return code
end

function methods:is_quiet()
    while self.tls:is_quiet() do
        if self.below:is_quiet() then
            return true
        end
        local ok, code = fill(self, "recv_now")
        if not ok then
            return code == EAGAIN
        end
    end
    return false
end

function methods:guard(token)
    self.below:guard(token)
end

function methods:shutdown()
    local ok, code = self.tls:shutdown()
    if not ok then
        return nil, code
    end
    return flush(self)
end

function methods:close()
    if not self.below:is_closed() then
        self.tls:close()
        flush(self)
        self.below:close()
    end
end

function methods:is_closed()
    return self.below:is_closed()
end

function methods:peer()
    return self.below:peer()
end

function methods:name()
    return self.below:name()
end

function methods:fd()
    return self.below:fd()
end

function methods:error_detail()
    return self.tls:error_detail()
end

function methods:info()
    return self.tls:info()
end

function methods:take_session()
    return self.tls:take_session()
end

local layer = {}

--- Makes a socket object out of a session in memory and the socket object below it.
---@param tls moonwire.core.Tls
---@param below table
---@return moonwire.TlsLayer
function layer.new(tls, below)
    return setmetatable({
        tls = tls, below = below, has_to_send = false, owed = nil, writer = nil,
        both = nil,
    }, Layer)
end

return layer
