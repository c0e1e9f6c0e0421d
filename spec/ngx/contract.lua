-- The contract of the backends, for the one that this process has: ev or ngx. Both listen by way of
-- the relay.
local backends = require "moonwire.backend"
local contract = require "spec.backend_contract"
local listening = require "spec.support.listening"
local moonwire = require "moonwire"

local place = ... ---@type spec.Place

-- What is open may take a turn to go.
local function check_nothing_left(backend, before)
    local after = backend:stats()
    for name, count in pairs(before) do
        assert(after[name] == count, ("%s: %d before, %d after"):format(name, count, after[name]))
    end
end

setfenv(contract, getfenv(1))
contract("relayed", function(f)
    local backend = backends.default()
    local before = backend:stats()
    local result = moonwire.run(f, backend)
    check_nothing_left(backend, before)
    return result
end, function(backend)
    return listening.new(backend, place.relay)
end)
