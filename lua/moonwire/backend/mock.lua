-- The backend in memory: a clock of its own, names and peers that a spec sets up. It never opens a
-- socket and never sleeps. Its public face is moonwire.testing.mock.
local core = require "moonwire.core"
local errors = require "moonwire.error"
local forward = require "moonwire.backend.forward"
local listener = require "moonwire.backend.listener"
local mock_loop = require "moonwire.backend.mock_loop"
local mock_socket = require "moonwire.backend.mock_socket"
local stream = require "moonwire.backend.stream"
local thread = require "moonwire.backend.thread"

---@class moonwire.MockBackend: moonwire.Backend
---@field loop moonwire.MockLoop
---@field names table<string, string[]> host name -> addresses
---@field name_delay number|table<string, number>|nil seconds a lookup takes, or by family
---@field ttl integer how long an answer may be kept
---@field lookups integer how many there were
---@field slept number seconds that the wall clock went on while the machine slept
---@field places table<string, moonwire.MockPlace> label of an address -> who answers there
---@field private next_port integer
---@field private watched table<integer, moonwire.Thread[]> by signal

--- Who answers at an address.
---@class moonwire.MockPlace
---@field delay number? seconds a connection takes
---@field open fun(theirs: moonwire.MockSocket, ours: moonwire.MockSocket) is given each connection
local methods = {}
local Mock = { __index = methods, __name = "moonwire.MockBackend" }

local function new_handle(self, co, ...)
    return self.loop:thread(co, ...)
end

local function free_port(self)
    self.next_port = self.next_port + 1
    return self.next_port
end

function methods:now()
    return self.loop.time
end

function methods:wall()
    return self.loop.time + self.slept
end

function methods:start(fn, ...)
    return thread.start(self, new_handle, fn, ...)
end

function methods:wait(deadline)
    return thread.park(self, deadline)
end

function methods:wake(target, code)
    return target.handle:wake(code)
end

function methods:run(fn, ...)
    return thread.run(self, fn, ...)
end

-- Takes one turn of the loop, or `delay` seconds; ETIMEOUT when the deadline comes first.
local function pass(self, delay, deadline)
    local ends = self:now() + (delay or 0)
    local code = self:wait(math.min(ends, deadline or math.huge))
    if code == core.ETIMEOUT and self:now() >= ends then
        return 0
    end
    return code
end

function methods:resolve(host, deadline, family)
    errors.check(2, "host", "string", host)
    local delay = self.name_delay
    self.lookups = self.lookups + 1
    local code = pass(self, type(delay) == "table" and delay[family] or tonumber(delay), deadline)
    local list, ttl = self.names[host], self.ttl
    if code >= 0 and not list then
        if host:match("^%d+%.%d+%.%d+%.%d+$") or host:find(":", 1, true) then
            list, ttl = { host }, nil
        else
            code = core.codes.ENOTFOUND
        end
    end
    if code < 0 then
        return nil, errors.from_code(code, "resolve", "looking up " .. host)
    end
    local addresses = {}
    for _, address in ipairs(list) do
        local own = address:find(":", 1, true) and "ipv6" or "ipv4"
        if not family or family == own then
            addresses[#addresses + 1] = { family = own, address = address, ttl = ttl }
        end
    end
    if #addresses == 0 then
        return nil, errors.from_code(core.codes.ENODATA, "resolve", "looking up " .. host)
    end
    return addresses
end

function methods:source_of(address) -- luacheck: ignore 212 (all of its addresses are near)
    return address
end

function methods:connect(address, deadline)
    errors.check(2, "address", "table", address)
    local label = stream.label(address)
    local place = self.places[label]
    local code = pass(self, place and place.delay, deadline)
    place = self.places[label]
    if code >= 0 and not place then
        code = self.loop.ECONNREFUSED
    end
    if code < 0 then
        return nil, errors.from_code(code, "connect", "connecting to " .. label)
    end
    local ours, theirs = mock_socket.pair(self.loop,
        { family = address.family, address = address.from or "127.0.0.1", port = free_port(self) },
        address)
    place.open(theirs, ours)
    return stream.new(self, ours, label)
end

function methods:listen(address, backlog) -- luacheck: ignore 212 (its backlog has no end)
    errors.check(2, "address", "table", address)
    local place = { family = address.family, address = address.address, port = address.port }
    if place.port == 0 then
        place.port = free_port(self)
    end
    local label = stream.label(place)
    if self.places[label] then
        return nil, errors.from_code(self.loop.EADDRINUSE, nil, "listening on " .. label)
    end
    local listening = mock_socket.new(self.loop)
    listening:listen(place)
    listening.on_close = function()
        self.places[label] = nil
    end
    self.places[label] = {
        open = function(theirs)
            table.insert(listening.backlog, theirs)
            listening:stir()
        end,
    }
    return listener.new(self, listening, function()
        return mock_socket.new(self.loop)
    end)
end

function methods:signal(number, target)
    local list = self.watched[number] or {}
    self.watched[number] = list
    list[#list + 1] = target
    return {
        close = function()
            for i, watcher in ipairs(list) do
                if watcher == target then
                    table.remove(list, i)
                    return
                end
            end
        end,
    }
end

--- Lets a signal arrive.
---@param number integer
function methods:deliver(number)
    for _, target in ipairs(self.watched[number] or {}) do
        self:wake(target, number)
    end
end

function methods:guard(target, socket) -- luacheck: ignore 212 (the socket does it by itself)
    socket:guard(target)
end

function methods:stats()
    local loop = self.loop
    return { threads = loop.waiting, watchers = loop.timers, tcp = loop.open, lookups = 0 }
end

local mock = {}

--- Makes a backend with a clock and a world of its own.
---@return moonwire.MockBackend
function mock.new()
    forward.install()
    local self = setmetatable({
        name = "mock",
        capabilities = {
            unix = true, half_close = true, signals = true, listen = true, alpn = true,
            peeks = true,
        },
        loop = mock_loop.new(),
        names = { localhost = { "127.0.0.1" } },
        places = {},
        watched = {},
        next_port = 40000,
        slept = 0,
        ttl = 0,
        lookups = 0,
        on_error = thread.report,
    }, Mock)
    self.main = thread.main(self, self.loop:thread())
    return self
end

return mock
