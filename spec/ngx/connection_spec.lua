-- Connections and clients, inside an nginx worker.
local compare = require "spec.support.compare"

compare.declare({ describe = describe, it = it, setup = setup, teardown = teardown }, {
    "spec/ngx/client.lua",
    "spec/ngx/connection.lua",
    "spec/ngx/by_hand.lua",
})
