-- Starts the relay, a process of its own on ev: for specs of backends that can't listen.
local serve = require "spec.support.serve"
local support = require "spec.support"

local relay = {}

--- Starts it and waits until it listens.
---@return {port: integer, process: table} relay
function relay.start()
    local process, port = serve.program(
        { support.moonwire(), support.root .. "/spec/support/relay_main.lua" },
        { env = { LUA_PATH = support.root .. "/?.lua;" .. package.path } })
    return { port = tonumber(port), process = process }
end

return relay
