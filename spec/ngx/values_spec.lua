-- Values and the codec inside an nginx worker: what neither waits nor opens anything.
local compare = require "spec.support.compare"

compare.declare({ describe = describe, it = it, setup = setup, teardown = teardown }, {
    "spec/url_spec.lua",
    "spec/cookies_spec.lua",
    "spec/headers_spec.lua",
    "spec/request_spec.lua",
    "spec/error_spec.lua",
    "spec/auth/digest_spec.lua",
    "spec/cache/policy_spec.lua",
    "spec/core/h1_use_spec.lua",
    "spec/core/h1_pair_spec.lua",
})
