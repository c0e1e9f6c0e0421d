-- A loopback server in a process of its own, run by the real command.
local support = require "spec.support"

local serve = {}

local CODE = [[
    print(require("moonwire.testing.server").start().url)
    io.flush()
    require("moonwire").sleep(300)
]]

local function first_line(path)
    local file = io.open(path)
    if not file then
        return nil -- the process has not come so far
    end
    local text = file:read "*a"
    file:close()
    return text:match "^(%S+)\n"
end

--- Starts it and waits until it listens.
---@return {kill: fun(self)} process
---@return string url
function serve.start()
    local output = support.temp_dir() .. "/url"
    local process = support.spawn_process({ support.moonwire(), "-e", CODE }, { output = output })
    for _ = 1, 1000 do
        local url = first_line(output)
        if url then
            return process, url
        end
        require("moonwire").sleep(0.02)
    end
    process:kill()
    error "the loopback server did not start"
end

return serve
