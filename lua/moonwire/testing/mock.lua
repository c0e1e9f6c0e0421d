-- The mock: peers, names and a clock in memory, for tests of whatever uses moonwire. Nothing real
-- is opened, no time passes, and every run is the same.
--
--     local m = mock.new()
--     m:listen_at("127.0.0.1", 80, { { expect = "\r\n\r\n" }, { delay = 2 }, { send = reply } })
--     m:run(function() ... end)
local backend_mock = require "moonwire.backend.mock"
local errors = require "moonwire.error"
local mock_socket = require "moonwire.backend.mock_socket"
local peer = require "moonwire.testing.peer"
local scope = require "moonwire.scope"
local stream = require "moonwire.backend.stream"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

--- A script is a list of steps, taken in order: {expect = "text"} (goes on when that has been sent
--- to the peer), {send = "bytes", pieces = 1?}, {delay = seconds}, {eof = true}, {reset = true},
--- {close = true}, {limit = n} (bytes let through per turn), {block = boolean} (none let through).
---@class moonwire.Mock
---@field backend moonwire.MockBackend
local methods = {}
local Mock = { __index = methods, __name = "moonwire.Mock" }

--- Runs a function as the root task of the mock, until it and all it spawned have ended. When all
--- tasks wait, the clock jumps to the next timer or step of a script; it raises when there is none.
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns; what it raises is raised
function methods:run(fn, ...)
    errors.check(2, "fn", "function", fn)
    return scope.run_on(self.backend, fn, ...)
end

--- The mock's clock.
---@return number seconds
function methods:now()
    return self.backend:now()
end

--- Turns the clock: what is due meanwhile happens, in order, and then it returns.
---@param seconds number
function methods:advance(seconds)
    errors.check(2, "seconds", "number", seconds)
    self.backend:wait(self.backend:now() + seconds)
end

--- Has the machine sleep: only the clock on the wall goes on.
---@param seconds number
function methods:suspend(seconds)
    errors.check(2, "seconds", "number", seconds)
    self.backend.slept = self.backend.slept + seconds
end

--- Makes a connected pair.
---@param script table[]? what the peer does
---@return moonwire.Stream stream the end under test
---@return moonwire.MockPeer peer
function methods:stream(script)
    local on = self.backend
    local ours, theirs = mock_socket.pair(on.loop,
        { family = "ipv4", address = "127.0.0.1", port = 40000 },
        { family = "ipv4", address = "127.0.0.1", port = 80 })
    return stream.new(on, ours, "127.0.0.1:80"), peer.new(on, theirs, ours, script)
end

--- Has somebody answer at an address; where nobody does, connecting is refused.
---@param address string numeric, or the path of a unix socket (port nil then)
---@param port integer?
---@param answer table[]|fun(peer: moonwire.MockPeer) a script, or what is done with each connection
---@param opts {delay: number?}? seconds that connecting takes; math.huge: for ever
function methods:listen_at(address, port, answer, opts)
    errors.check(2, "address", "string", address)
    if type(answer) ~= "table" then
        errors.check(2, "answer", "function", answer)
    end
    local family = not port and "unix" or address:find(":", 1, true) and "ipv6" or "ipv4"
    local label = stream.label { family = family, address = address, port = port }
    local is_script = type(answer) == "table" and getmetatable(answer) == nil
    self.backend.places[label] = {
        delay = opts and opts.delay,
        open = function(theirs, ours)
            local new = peer.new(self.backend, theirs, ours, is_script and answer or nil)
            if not is_script then
                answer(new)
            end
        end,
    }
end

--- Has nobody answer at an address any more.
---@param address string
---@param port integer?
function methods:refuse_at(address, port)
    local family = not port and "unix" or address:find(":", 1, true) and "ipv6" or "ipv4"
    self.backend.places[stream.label { family = family, address = address, port = port }] = nil
end

--- Sets host names; unknown ones don't resolve. "localhost" is there from the start.
---@param names table<string, string[]> name -> numeric addresses
---@param opts? {delay: number|table<string, number>|nil, ttl: integer?}  delay: seconds that
---  a lookup takes, or {ipv4 =, ipv6 =}; ttl: seconds for which answers may be kept, 0 at first
function methods:hosts(names, opts)
    errors.check(2, "names", "table", names)
    for name, addresses in each(names) do
        self.backend.names[name] = addresses
    end
    self.backend.name_delay = opts and opts.delay or self.backend.name_delay
    self.backend.ttl = opts and opts.ttl or self.backend.ttl
end

--- Lets a signal arrive.
---@param number integer
function methods:signal(number)
    self.backend:deliver(number)
end

--- What is open: {threads = tasks that wait, watchers = timers, tcp = open ends, lookups = 0}.
---@return table<string, integer>
function methods:stats()
    return self.backend:stats()
end

local mock = {}

--- Makes a mock with a clock and a world of its own.
---@return moonwire.Mock
function mock.new()
    return setmetatable({ backend = backend_mock.new() }, Mock)
end

return mock
