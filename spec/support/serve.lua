-- A loopback server in a process of its own, run by the real command.
local support = require "spec.support"

local serve = {}

local CODE = [[
    print(require("moonwire.testing.server").start().url)
    io.flush()
    require("moonwire").sleep(300)
]]

local function first_word(path)
    local file = io.open(path)
    if not file then
        return nil -- the process has not come so far
    end
    local text = file:read "*a"
    file:close()
    return text:match "^(%S+)\n"
end

--- Starts a program and waits for the first word that it prints.
---@param command string[]
---@param opts table? of support.spawn_process
---@return {kill: fun(self)} process
---@return string word
function serve.program(command, opts)
    local output = support.temp_dir() .. "/output"
    opts = opts or {}
    opts.output = output
    local process = support.spawn_process(command, opts)
    for _ = 1, 1000 do
        local word = first_word(output)
        if word then
            return process, word
        end
        require("moonwire").sleep(0.02)
    end
    process:kill()
    error(command[1] .. " did not start: see " .. output)
end

--- Starts it and waits until it listens.
---@return {kill: fun(self)} process
---@return string url
function serve.start()
    return serve.program { support.moonwire(), "-e", CODE }
end

return serve
