-- A server that is hostile on one path and healthy on all others, a client, and a count of all that
-- is open: on real sockets of the loopback, or in the memory of the mock. The specs run on both,
-- and by way of the relay on ev and in an nginx worker, which is both client and server then.
local backends = require "moonwire.backend"
local certs = require "spec.support.certs"
local clients = require "moonwire.client"
local connections = require "moonwire.connection"
local errors = require "moonwire.error"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local peers = require "spec.hostile.peer"
local relayed = require "spec.support.relayed"
local support = require "spec.support"

local HEALTHY = "healthy\n"
local HEALTHY_REPLY = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" .. HEALTHY
local WHOLE = { name = "whole" }
local PATIENCE = 5 -- seconds for what has to happen next

---@class hostile.World
---@field name string "mock", "socket" or "relayed", each also "... with TLS"
---@field place spec.Place? where it runs, when relayed
---@field hosted boolean? the host keeps idle connections
---@field streams table<moonwire.Stream, boolean> the server's, that are open
---@field tls {cert: string, key: string}? files of the server's, with TLS
---@field ca_file string? whom the client trusts
---@field url string of the server
---@field client moonwire.Client
---@field delivery hostile.Delivery
---@field script fun(peer: hostile.Peer, attempt: integer, head: string): boolean? of /hostile
---@field attempts integer requests for /hostile so far
---@field running integer scripts under way
---@field open integer connections the server has
---@field sent integer bytes that the last script sent
---@field connections moonwire.Connection[] in the order they were made
---@field peers hostile.Peer[]
local methods = {}
local World = { __index = methods }

local function run_script(self, peer, head)
    self.attempts = self.attempts + 1
    self.running = self.running + 1
    peer.sent, peer.delivery = 0, self.delivery
    local go_on = self.script(peer, self.attempts, head)
    self.running = self.running - 1
    self.sent = peer.sent
    return go_on ~= false
end

-- One connection from the server's side.
local function serve(self, stream)
    local socket = stream.core
    self.open = self.open + 1
    self.streams[stream] = true
    if self.tls and not self.place and not stream:accept_tls(self.tls) then
        self.open = self.open - 1
        return
    end
    local peer = peers.new(stream, WHOLE, socket)
    self.peers[#self.peers + 1] = peer
    repeat
        local head = peer:read_head()
        local go_on = false
        if head and head:find("^%S+ /hostile") then
            go_on = run_script(self, peer, head)
        elseif head then
            go_on = peer:write(HEALTHY_REPLY)
        end
    until not go_on or peer.closed
    stream:close()
    self.streams[stream] = nil
    self.open = self.open - 1
end

--- Waits until a condition holds; raises when it doesn't in time.
---@param what string
---@param holds fun(): boolean
function methods:await(what, holds)
    local ends = moonwire.now() + PATIENCE
    while not holds() do
        if moonwire.now() > ends then
            error("this did not happen: " .. what, 2)
        end
        assert(moonwire.sleep((self.mock or self.place) and 0.001 or 0))
    end
end

--- Waits until the peer has sent all it wants, and the client has had the time to look at it.
function methods:settle()
    self:await("the peer's script ends", function()
        return self.running == 0
    end)
    if self.place then
        for stream in pairs(self.streams) do
            stream:sync()
        end
    end
    for _ = 1, 3 do
        assert(moonwire.sleep(self.place and 0.001 or 0))
    end
end

--- Gets a healthy answer.
---@return boolean reused over a connection that was open already
function methods:get_healthy()
    local response = assert(self.client:get(self.url .. "/healthy", { timeout = 10 }))
    assert(response.status == 200 and assert(response:text()) == HEALTHY,
        "the healthy path did not give its own answer")
    return response.timing.reused
end

--- What is open now: file descriptors, threads, timers, sockets.
---@return table<string, integer>
function methods:count()
    if self.place then
        return backends.current():stats()
    end
    return self.mock and self.mock:stats() or support.counts()
end

--- Ends the connections that are idle: a host that keeps them lets go of those which the server
--- has ended.
function methods:end_idle()
    self.client:close_idle()
    if self.hosted then
        local ended = {}
        for stream in pairs(self.streams) do
            ended[#ended + 1] = stream
            stream:close()
        end
        for _, stream in ipairs(ended) do
            stream:gone()
        end
    end
    self:await("the server's connections end", function()
        return self.open == 0
    end)
    assert(moonwire.sleep(self.place and 0.002 or 0))
end

-- What a connection shows that the host keeps, or has closed while it kept it, or when it should.
local KEPT = { kept_by_host = true, not_kept = true }
local WHILE_IDLE = { unsolicited = true, peer_closed_idle = true }

--- How a connection has to stand that is closed for this reason, or idle without one.
---@param reason string?
---@param got string? what it says
---@return string? reason
---@return string state
function methods:expected(reason, got)
    if self.hosted and (reason == nil or KEPT[got] and WHILE_IDLE[reason]) then
        return reason == nil and "kept_by_host" or got, "closed"
    end
    return reason, reason == nil and "idle" or reason == "upgraded" and "detached" or "closed"
end

--- Waits until nothing but the server is open; raises when something is left.
---@param before table<string, integer> of count()
function methods:check_nothing_left(before)
    self:end_idle()
    for name, number in pairs(self:count()) do
        if number ~= before[name] then
            error(("%s: %d before, %d after"):format(name, before[name], number), 2)
        end
    end
    local pool = self.client:stats()
    assert(pool.total == 0 and pool.waiting == 0, "the pool still counts something")
end

--- Forgets what was before, for the next exchange.
---@param delivery hostile.Delivery?
function methods:begin(delivery)
    self.delivery = delivery or WHOLE
    self.attempts, self.sent = 0, 0
    self.connections, self.peers = {}, {}
end

-- Keeps each connection that is made from now on; gives what takes that back.
local function record_connections(self)
    local make = connections.new
    connections.new = function(...)
        local connection = make(...)
        self.connections[#self.connections + 1] = connection
        return connection
    end
    return function()
        connections.new = make
    end
end

local function with_tls(self, opts)
    local more = { tls = { ca_file = self.ca_file } }
    for name, value in pairs(opts or {}) do
        more[name] = value
    end
    return more
end

local function run(self, opts, f)
    local listener = self.place and relayed.listen(self.place, self.tls)
        or assert(net.listen("127.0.0.1", 0))
    local stop = record_connections(self)
    self.url = ("%s://127.0.0.1:%d"):format(self.tls and "https" or "http",
        listener:address().port)
    self.client = clients.new(self.ca_file and with_tls(self, opts) or opts)
    moonwire.scope(function(s)
        s:spawn(net.serve, listener, function(stream)
            serve(self, stream)
        end)
        local ok, problem = xpcall(f, errors.handler, self)
        self.client:close()
        listener:close()
        stop()
        if not ok then
            error(problem, 0)
        end
    end)
end

local function new(name)
    local self = setmetatable({ name = name, running = 0, open = 0, streams = {} }, World)
    self:begin()
    return self
end

local world = {}

local function run_on_mock(self, opts, f)
    self.mock = mock.new()
    self.mock:run(run, self, opts, f)
    for name, number in pairs(self.mock:stats()) do
        assert(number == 0, number .. " " .. name .. " are left open")
    end
end

local made -- certificates, once

local function new_with_tls(name, folder)
    if not folder then
        made = made or certs.for_loopback()
        folder = made.dir
    end
    local self = new(name)
    self.tls = { cert = folder .. "/server.pem", key = folder .. "/server.key" }
    self.ca_file = folder .. "/root.pem"
    return self
end

-- Each runs f(w) in a world of its own, and fails when it leaves anything open.

function world.mock(opts, f)
    run_on_mock(new "mock", opts, f)
end

function world.socket(opts, f)
    support.in_loop(run, new "socket", opts, f)
end

world["mock with TLS"] = function(opts, f)
    run_on_mock(new_with_tls "mock with TLS", opts, f)
end

world["socket with TLS"] = function(opts, f)
    support.in_loop(run, new_with_tls "socket with TLS", opts, f)
end

local function run_relayed(self, opts, f, place)
    self.place = place
    self.hosted = backends.default().capabilities.pool_owned_by_host
    if self.hosted then
        self.ca_file = nil -- nginx's configuration has it
    end
    relayed.run(run, self, opts, f)
end

---@param place spec.Place
function world.relayed(opts, f, place)
    run_relayed(new "relayed", opts, f, place)
end

---@param place spec.Place
world["relayed with TLS"] = function(opts, f, place)
    run_relayed(new_with_tls("relayed with TLS", place.certs), opts, f, place)
end

return world
