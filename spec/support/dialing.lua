-- Dialing on the mock, for specs: who was dialed when.

local assert = require "luassert"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local net = require "moonwire.net"

local M = {}

--- A world in which it is noted who was dialed when; `delays` says how long connecting takes there.
function M.world(names, delays, opts)
    local m, dialed = mock.new(), {}
    m:hosts(names, opts)
    local connect = m.backend.connect
    function m.backend:connect(address, deadline)
        dialed[#dialed + 1] = ("%s@%.3f"):format(address.address, m:now() - m.start)
        return connect(self, address, deadline)
    end
    for address, delay in pairs(delays) do
        m:listen_at(address, 80, function() end, { delay = delay })
    end
    m.dialed = dialed
    return m
end

--- Runs f in it; nothing may be left open.
function M.run(m, f)
    m:run(function()
        m.start = m:now()
        f()
        moonwire.sleep(0)
        local stats = m:stats()
        assert.equal(0, stats.tcp)
        assert.equal(1, stats.threads) -- the one outside that runs this
        assert.equal(0, stats.watchers)
    end)
end

--- Seconds of its clock since run(), to the millisecond.
function M.elapsed(m)
    return tonumber(("%.3f"):format(m:now() - m.start))
end

--- Connects to "h" and holds that this address was taken.
function M.connects(expected, opts)
    local stream = assert(net.connect("h", 80, opts))
    local address = stream:peer()
    assert.equal(expected, type(address) == "table" and address.address or address)
    stream:close()
end

return M
