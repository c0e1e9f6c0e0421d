-- The storm of cancelled requests, inside an nginx worker.
local compare = require "spec.support.compare"

compare.declare({ describe = describe, it = it, setup = setup, teardown = teardown }, {
    "spec/ngx/storm.lua",
})
