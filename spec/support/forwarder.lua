-- A proxy of the spec's own on whichever backend there is, real sockets or the mock: CONNECT and
-- http, over TLS if it is given a certificate. Whatever it is asked for, it goes to one server.

local moonwire = require "moonwire"
local net = require "moonwire.net"
local tls = require "moonwire.backend.tls"

local M = {}

local function pump(from, to)
    repeat
        local data = from:read()
        local ok = data and to:write(data)
    until not ok
    to:shutdown()
end

local function lead_on(self, stream)
    local other = assert(net.connect("127.0.0.1", self.target))
    stream:write "HTTP/1.1 200 Connection established\r\n\r\n"
    moonwire.scope(function(scope)
        scope:spawn(pump, stream, other)
        scope:spawn(pump, other, stream)
    end)
    other:close()
end

local function serve(self, stream)
    if self.tls then
        local ok, err = stream:accept_tls(self.tls)
        if not ok then
            self.last_error = err
            return
        end
        self.resumed[#self.resumed + 1] = stream.tls.resumed
    end
    local head = stream:read_until "\r\n\r\n"
    while head do
        self.heads[#self.heads + 1] = head
        if head:find "^CONNECT" then
            return lead_on(self, stream)
        end
        stream:write "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nproxied"
        head = stream:read_until "\r\n\r\n"
    end
end

local methods = {}
methods.__index = methods

function methods:close()
    self.listener:close()
    self.task:cancel()
    self.task:join()
end

--- Starts one; it is closed by its close().
---@param target integer the port that it connects to
---@param opts moonwire.TlsServerOptions? what it speaks with its clients
---@return table proxy port, heads (as they came), resumed (whether each TLS went on with a session)
function M.start(target, opts)
    local listener = assert(net.listen("127.0.0.1", 0))
    local self = setmetatable({
        target = target, tls = opts and tls.server_context(opts, 2), listener = listener,
        port = listener:address().port,
        heads = {}, resumed = {},
    }, methods)
    self.task = moonwire.spawn(net.serve, listener, function(stream)
        serve(self, stream)
    end)
    return self
end

return M
