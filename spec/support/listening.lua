-- Listeners for backends that can't listen, by way of the relay: what they accept are streams of
-- the backend that are joined with the client's own connection, byte for byte.
local errors = require "moonwire.error"

local NEVER = 2 ^ 50 -- more bytes than will be sent

---@class spec.Listening
---@field private backend moonwire.Backend
---@field private relay table its address
---@field private control moonwire.Stream
---@field private port integer
---@field private pending moonwire.Stream? waits for a client
---@field private closed boolean
local methods = {}
local Listening = { __index = methods }

-- Says a line to the relay and gives its answer.
local function ask(self, line, deadline)
    local stream, err = self.backend:connect(self.relay, deadline)
    if not stream then
        return nil, err
    end
    local answer
    answer, err = stream:write(line .. "\n", deadline)
    if answer then
        answer, err = stream:read_until("\n", nil, deadline)
    end
    if not answer then
        stream:close()
        return nil, err or errors.new { kind = "closed", message = "the relay has nothing to say" }
    end
    return answer, stream
end

-- An accepted stream: to end our direction, or to break off, is asked of the relay.
local function dress(self, stream, id, address, port)
    local sent, write = 0, stream.write
    local function order(what, deadline, count)
        local ok, on = ask(self, ("%s %s %d"):format(what, id, count or sent), deadline)
        if not ok then
            return nil, on
        end
        on:close()
        return true
    end
    function stream.write(of, data, deadline)
        local ok, err = write(of, data, deadline)
        if ok then
            sent = sent + (type(data) == "table" and #table.concat(data) or #data)
        end
        return ok, err
    end
    function stream.shutdown(_, deadline)
        return order("eof", deadline)
    end
    function stream.reset()
        return order "reset"
    end
    function stream.sync()
        return order "sync"
    end
    function stream.gone()
        return order("sync", nil, NEVER)
    end
    function stream.peer()
        return address, tonumber(port), "ipv4"
    end
    function stream.name()
        return "127.0.0.1", self.port, "ipv4"
    end
    return stream
end

--- As a listener of moonwire's.
---@param deadline number?
---@return moonwire.Stream? stream with `reset()`, which breaks it off with a RST; `sync()`, which
---  returns once the client's side has all that was written, and `gone()`, once that is closed
---@return moonwire.Error? err
function methods:accept(deadline)
    if self.pending then
        error("another task already accepts on this listener", 2)
    elseif self.closed then
        return nil, errors.new { kind = "closed", message = "accepting a connection: closed" }
    end
    local stream, err = self.backend:connect(self.relay, deadline)
    if not stream then
        return nil, err
    end
    self.pending = stream
    local line
    if stream:write(("accept %d\n"):format(self.port)) then
        line, err = stream:read_until("\n", nil, deadline)
    end
    self.pending = nil
    if not line then
        stream:close()
        return nil, err or errors.new { kind = "closed", message = "the relay has gone" }
    end
    return dress(self, stream, line:match "^joined (%d+) (%S+) (%d+)")
end

--- Stops listening; it returns when nobody listens there any more.
function methods:close()
    if self.closed then
        return
    end
    self.closed = true
    if self.pending then
        self.pending:close()
    end
    self.control:write "close\n"
    self.control:read_until "\n"
    self.control:close()
end

---@return boolean
function methods:is_closed()
    return self.closed
end

---@return {family: string, address: string, port: integer}
function methods:address()
    return { family = "ipv4", address = "127.0.0.1", port = self.port }
end

local listening = {}

--- Listens on a free port of the relay's.
---@param backend moonwire.Backend
---@param port integer the relay's
---@param tls {cert: string, key: string, delay: number?}? the relay speaks TLS with the clients:
---  files, and seconds that each handshake has to wait
---@return spec.Listening
function listening.new(backend, port, tls)
    local self = setmetatable({
        backend = backend, closed = false,
        relay = { family = "ipv4", address = "127.0.0.1", port = port },
    }, Listening)
    local answer, control = ask(self, tls
        and ("listen %s %s %g"):format(tls.cert, tls.key, tls.delay or 0) or "listen")
    assert(answer, control)
    self.port, self.control = tonumber(answer), control
    return self
end

return listening
