-- A line between a client and a server that a spec taps: it keeps what goes over it, cuts it in
-- pieces, holds it, ends it or changes it. It runs on the mock and on real sockets alike.

local moonwire = require "moonwire"
local net = require "moonwire.net"

--- What is done with the bytes of one direction; without any of it they are passed on.
---@class spec.tap.Plan
---@field size integer? they are passed on in pieces of so many bytes
---@field cut integer? two pieces meet behind this byte
---@field stop integer? not a byte behind this one is passed on
---@field then_do "hold"|"eof"|"reset"|nil with those behind `stop`: they are held
---@field flip integer? this byte is changed
---@field passed integer? how many bytes were passed on so far, of the last connection

---@class spec.tap.Line
---@field up string[] what the client has sent
---@field down string[] what the server has sent

---@class spec.Tap
---@field port integer
---@field up spec.tap.Plan? of what the client sends; looked at when a connection comes
---@field down spec.tap.Plan? of what the server sends
---@field lines spec.tap.Line[] one for each connection
local methods = {}
local Tap = { __index = methods }

-- Breaks the connection off, as far as the backend can.
local function reset(stream)
    local socket = stream.core
    if socket.other then
        socket.other:fail(socket.loop.ECONNRESET)
    end
    stream:close()
end

local function flipped(data, at)
    return data:sub(1, at - 1) .. string.char((data:byte(at) + 128) % 256) .. data:sub(at + 1)
end

local function write_pieces(to, data, plan, before)
    local size = plan.size
    if plan.cut and plan.cut > before and plan.cut < before + #data then
        size = nil
        if not to:write(data:sub(1, plan.cut - before)) then
            return false
        end
        data = data:sub(plan.cut - before + 1)
    end
    for from = 1, #data, size or #data do
        if not to:write(data:sub(from, from + (size or #data) - 1)) then
            return false
        end
    end
    return true
end

-- Passes on what is sent in one direction, until its end.
local function pump(from, to, plan, kept)
    local passed = 0
    while true do
        local data, err = from:read()
        if not data then
            if err and err.kind ~= "cancelled" then
                reset(to)
            else
                to:shutdown()
            end
            return
        end
        kept[#kept + 1] = data
        local is_last = plan.stop and passed + #data >= plan.stop
        if plan.flip and plan.flip > passed and plan.flip <= passed + #data then
            data = flipped(data, plan.flip - passed)
        end
        if is_last then
            data = data:sub(1, plan.stop - passed)
        end
        if not write_pieces(to, data, plan, passed) then
            return
        end
        passed = passed + #data
        plan.passed = passed
        if is_last then
            if plan.then_do == "eof" then
                to:shutdown()
            elseif plan.then_do == "reset" then
                reset(to)
            else
                repeat
                    data = from:read()
                until not data
                to:shutdown()
            end
            return
        end
    end
end

local function serve(self, stream, host, port)
    local other = net.connect(host, port)
    if not other then
        return
    end
    local line = { up = {}, down = {} }
    self.lines[#self.lines + 1] = line
    moonwire.scope(function(s)
        s:spawn(pump, stream, other, self.up or {}, line.up)
        s:spawn(pump, other, stream, self.down or {}, line.down)
    end)
    other:close()
end

--- Closes it, and all its connections.
function methods:close()
    self.listener:close()
    self.task:cancel()
    self.task:join()
end

local tap = {}

--- Makes a line to a server on 127.0.0.1.
---@param port integer
---@return spec.Tap
function tap.new(port)
    local listener = assert(net.listen("127.0.0.1", 0))
    local self = setmetatable({
        listener = listener, port = listener:address().port, lines = {},
    }, Tap)
    self.task = moonwire.spawn(net.serve, listener, function(stream)
        serve(self, stream, "127.0.0.1", port)
    end)
    return self
end

--- Two streams over a line, before TLS.
---@return spec.Tap tap, moonwire.Stream client, moonwire.Stream server
function tap.pair(plans)
    local listener = assert(net.listen("127.0.0.1", 0))
    local self = tap.new(listener:address().port)
    self.up, self.down = plans and plans.up, plans and plans.down
    local client = assert(net.connect("127.0.0.1", self.port))
    local server = assert(listener:accept())
    listener:close()
    return self, client, server
end

return tap
