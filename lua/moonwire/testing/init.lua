-- The module `moonwire.testing`: what tests of code that makes requests need. It names the parts,
-- and says what answers in place of the network.

local cassette = require "moonwire.testing.cassette"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local mock = require "moonwire.testing.mock"
local server = require "moonwire.testing.server"
local transport = require "moonwire.testing.transport"

local state = core.state

local testing = { cassette = cassette.new, mock = mock, server = server, transport = transport.new }

--- Has all requests of this Lua state, of every client, answered by a transport until restore().
---@param by moonwire.client.Transport of testing.transport or testing.cassette
function testing.intercept(by)
    if type(by) ~= "table" or type(by.send) ~= "function" then
        errors.argument(2, "by", "transport (testing.transport or testing.cassette)", by)
    end
    state.transport = by
end

--- Has requests go over the network again.
function testing.restore()
    state.transport = nil
end

local function finish(before, by, ok, ...)
    state.transport = before
    if not ok then
        error((...), 0)
    end
    if by.finish then
        by:finish()
    end
    return ...
end

--- Runs a function while a transport answers its requests. A cassette is written when it is over,
--- unless the function has raised.
---@param by moonwire.client.Transport
---@param fn function
---@param ... any its arguments
---@return any ... what it returns; what it raises is raised again
function testing.with(by, fn, ...)
    errors.check(2, "fn", "function", fn)
    local before = state.transport
    testing.intercept(by)
    return finish(before, by, xpcall(fn, errors.handler, ...))
end

--- Runs a function on a clock of its own: sleeping, timeouts and repetitions take no time. There is
--- no network on it but what a transport, or the mock itself, answers.
---@param fn fun(clock: moonwire.Mock): any  `clock:now()`, and `clock:advance(seconds)` turns it
---@return any ... what it returns; what it raises is raised again
function testing.run(fn)
    errors.check(2, "fn", "function", fn)
    local clock = mock.new()
    return clock:run(fn, clock)
end

return testing
