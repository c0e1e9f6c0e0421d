-- The specs of connections and clients that were written for the mock, inside an nginx worker.
local compare = require "spec.support.compare"

compare.declare({ describe = describe, it = it, setup = setup, teardown = teardown }, {
    "spec/ngx/originals.lua",
})
