-- Listeners: accept connections over a listening socket object of a backend, one stream each.
local core = require "moonwire.core"
local errors = require "moonwire.error"
local stream = require "moonwire.backend.stream"
local thread = require "moonwire.backend.thread"

---@class moonwire.Listener
---@field private backend moonwire.Backend
---@field private core moonwire.core.Tcp
---@field private make fun(): moonwire.core.Tcp a closed socket object for the next connection
---@field private accepting boolean
local methods = {}
local Listener = { __index = methods, __name = "moonwire.Listener" }

--- Waits for the next connection.
---@param deadline number? absolute time of backend:now()
---@return moonwire.Stream? stream
---@return moonwire.Error? err kind "closed" once the listener is closed
function methods:accept(deadline)
    if self.accepting then
        error("another task already accepts on this listener", 2)
    end
    local into = self.make()
    while true do
        local ok, code = self.core:accept(into)
        if ok then
            local address, port, family = into:peer()
            local label = "the peer"
            if address and address ~= "" then
                label = stream.label { family = family, address = address, port = port }
            end
            return stream.new(self.backend, into, label)
        elseif code == core.EAGAIN then
            thread.check(self.backend)
            self.accepting = true
            code = thread.park(self.backend, deadline or math.huge, self.core, self.core.wait,
                "read")
            self.accepting = false
        end
        if code < 0 then
            return nil, errors.from_code(code, nil, "accepting a connection")
        end
    end
end

--- Stops listening; whoever waits in accept is given an error of kind "closed". Twice is harmless.
function methods:close()
    self.core:close()
end

--- Whether it was closed.
---@return boolean
function methods:is_closed()
    return self.core:is_closed()
end

--- Where it listens.
---@return {family: string, address: string, port: integer}
function methods:address()
    local address, port, family = self.core:name()
    return { family = family, address = address, port = port }
end

local listener = {}

--- Makes a listener of a listening socket object. It owns the socket from here on.
---@param backend moonwire.Backend
---@param socket moonwire.core.Tcp
---@param make fun(): moonwire.core.Tcp
---@return moonwire.Listener
function listener.new(backend, socket, make)
    return setmetatable({ backend = backend, core = socket, make = make, accepting = false },
        Listener)
end

return listener
