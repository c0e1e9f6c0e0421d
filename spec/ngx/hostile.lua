-- The hostile cases by way of the relay, with client and server on the backend that this process
-- has: ev or ngx.
local kit = require "spec.hostile.kit"

local place = ... ---@type spec.Place

for _, file in ipairs {
    "broken_spec.lua", "caller_spec.lua", "cancel_spec.lua", "coding_spec.lua",
    "fields_spec.lua", "framing_spec.lua", "idle_spec.lua", "informational_spec.lua",
    "limits_spec.lua", "no_body_spec.lua", "slow_spec.lua", "upgrade_spec.lua",
    "upload_spec.lua",
} do
    kit.relayed(file, place)
end
