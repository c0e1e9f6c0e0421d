-- The hostile cases by way of the relay, which speaks TLS with the client; client and server are on
-- the backend that this process has: ev or ngx.
local kit = require "spec.hostile.kit"

local place = ... ---@type spec.Place

for _, file in ipairs {
    "broken_spec.lua", "framing_spec.lua", "idle_spec.lua", "no_body_spec.lua", "upload_spec.lua",
} do
    kit.relayed(file, place, true)
end
