-- The hostile cases over TLS, inside an nginx worker.
local compare = require "spec.support.compare"

compare.declare({ describe = describe, it = it, setup = setup, teardown = teardown }, {
    "spec/ngx/hostile_tls.lua",
})
