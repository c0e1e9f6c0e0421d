-- bench/link.lua - one of the benchmark's connections, opened anew whenever it is over. It counts
-- bytes, but measures no time and never decides what is sent.
local connections = require "moonwire.connection"
local net = require "moonwire.net"

local CONNECT_TIMEOUT = 10 -- seconds at most, and no more than a request has

--- Where all of them go.
---@class moonwire.bench.Place
---@field url moonwire.Url
---@field tls table? options for start_tls, one table for all: its files are read once
---@field timeout number seconds for connecting, and for the TLS handshake

---@class moonwire.bench.Link
---@field opened integer how many connections it has opened
---@field connection moonwire.Connection|false
---@field private place moonwire.bench.Place
---@field private bytes_in number of connections that are over
---@field private bytes_out number
---@field private problem moonwire.Error|false why it could not be opened ahead
local methods = {}
local Link = { __index = methods, __name = "moonwire.bench.Link" }

local M = {}

local function dial(place)
    local stream, err = net.connect(place.url.peer, place.url.port, { timeout = place.timeout })
    if stream and place.tls then
        local ok
        ok, err = stream:start_tls(place.tls, stream.backend:now() + place.timeout)
        stream = ok and stream
    end
    return stream or nil, err
end

local function open(self)
    local stream, err = dial(self.place)
    if not stream then
        return nil, err
    end
    self.opened = self.opened + 1
    self.connection = connections.new(stream, { origin = self.place.url.origin })
    return self.connection
end

-- Lets go of a connection that is over, or closes it.
local function drop(self)
    local connection = self.connection
    if connection then
        self.bytes_in, self.bytes_out = self:bytes()
        self.connection = false
        connection:close()
    end
end

--- Opens it before it is needed. Its failure is what the first exchange gives.
---@return moonwire.Error? err
function methods:prepare()
    local connection, err = open(self)
    self.problem = not connection and err or false
    return err
end

-- A connection that takes a request.
local function ready(self)
    local connection = self.connection
    if connection then
        if connection.state == "idle" or connection.state == "new" then
            return connection
        end
        drop(self)
    end
    local err = self.problem
    if err then
        self.problem = false
        return nil, err
    end
    return open(self)
end

--- Sends a request and gives the response as soon as its head is there. A request that went out
--- over a kept connection which its server was just closing goes out once more.
---@param data table of moonwire.request
---@param sending table of connection:exchange
---@param now number
---@return moonwire.Response? response
---@return moonwire.Error? err
function methods:exchange(data, sending, now)
    local connection, err = ready(self)
    if not connection then
        return nil, err
    end
    local response
    response, err = connection:exchange(data, sending, now, now)
    if not response and err.safe_to_retry then
        drop(self)
        connection, err = open(self)
        if not connection then
            return nil, err
        end
        response, err = connection:exchange(data, sending, now)
    end
    return response, err
end

--- What has gone over it.
---@return number bytes_in, number bytes_out
function methods:bytes()
    local connection, bytes_in, bytes_out = self.connection, 0, 0
    if connection then
        bytes_in, bytes_out = connection.h1:bytes()
    end
    return self.bytes_in + bytes_in, self.bytes_out + bytes_out
end

--- Closes it; its numbers stay.
function methods:close()
    drop(self)
end

--- Where the requests of an origin go.
---@param url moonwire.Url
---@param insecure boolean any certificate will do
---@param timeout number seconds that a request may take
---@return moonwire.bench.Place
function M.place(url, insecure, timeout)
    return {
        url = url,
        tls = url.scheme == "https" and { server_name = url.peer, verify = not insecure } or nil,
        timeout = math.min(CONNECT_TIMEOUT, timeout),
    }
end

---@param place moonwire.bench.Place
---@return moonwire.bench.Link
function M.new(place)
    return setmetatable({
        place = place, connection = false, opened = 0, bytes_in = 0, bytes_out = 0,
        problem = false,
    }, Link)
end

return M
