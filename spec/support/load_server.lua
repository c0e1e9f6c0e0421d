-- The server of spec/load/server.c: built in a temporary folder, started, stopped by its pid.

local support = require "spec.support"

local M = {}

local program

local function build()
    local path = support.temp_dir() .. "/server"
    local cc = os.getenv("MOONWIRE_CC") or "cc -O2"
    local source = support.root .. "/spec/load/server.c"
    local command = "%s -std=c11 -D_GNU_SOURCE -Wall -Wextra -o %s %s"
    local code, _, problem = support.run(command:format(cc, support.quote(path),
        support.quote(source)))
    assert(code == 0, problem)
    return path
end

local function read_port(file)
    local handle = io.open(file)
    local port = handle and handle:read "*n"
    if handle then
        handle:close()
    end
    return port
end

--- Starts it with as many file descriptors as the system allows.
---@param hold integer? how many requests for /hold are answered together
---@return {url: string, port: integer, process: table} server
function M.start(hold)
    program = program or build()
    local output = support.temp_dir() .. "/port"
    local process = support.spawn_process({
        "sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$0" "$1"', program, hold or 1,
    }, { output = output })
    for _ = 1, 1000 do
        local port = read_port(output)
        if port then
            return { url = "http://127.0.0.1:" .. port, port = port, process = process }
        end
        assert(process:is_running(), "the load server did not start")
        support.run "sleep 0.01"
    end
    error "the load server did not start"
end

return M
