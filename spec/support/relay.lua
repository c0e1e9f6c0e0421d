-- Starts the relay, a process of its own on ev: for specs of backends that can't listen.
local support = require "spec.support"

local relay = {}

local function port_in(path)
    local file = io.open(path)
    if not file then
        return nil -- the process has not come so far
    end
    local text = file:read "*a"
    file:close()
    return tonumber(text:match "^(%d+)\n")
end

--- Starts it and waits until it listens.
---@return {port: integer, process: table, output: string} relay
function relay.start()
    local output = support.temp_dir() .. "/output"
    local process = support.spawn_process(
        { support.moonwire(), support.root .. "/spec/support/relay_main.lua" },
        { output = output, env = { LUA_PATH = support.root .. "/?.lua;" .. package.path } })
    for _ = 1, 1000 do
        local port = port_in(output)
        if port then
            return { port = port, process = process, output = output }
        end
        require("moonwire").sleep(0.01)
    end
    process:kill()
    error "the relay did not start"
end

return relay
