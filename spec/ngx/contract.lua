-- The contract of the backends, for the one that this process has: ev or ngx. Both listen by way of
-- the relay.
local backends = require "moonwire.backend"
local contract = require "spec.backend_contract"
local relayed = require "spec.support.relayed"

local place = ... ---@type spec.Place

setfenv(contract, getfenv(1))
contract("relayed", function(f)
    return (relayed.run(f, backends.default()))
end, function()
    return relayed.listen(place)
end)
