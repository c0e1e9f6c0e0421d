-- What every spec needs: the paths of the tree under test, a loop that is checked for what it
-- leaves behind, processes, ports and folders. busted loads it first; specs require "spec.support".
local ROOT = os.getenv("MOONWIRE_ROOT") or "."
local BUILD = os.getenv("MOONWIRE_BUILD") or ROOT .. "/build"

package.path = ("%s/lua/?.lua;%s/lua/?/init.lua;%s/?.lua;%s"):format(ROOT, ROOT, ROOT, package.path)
package.cpath = ("%s/?.so;%s"):format(BUILD, package.cpath)

local process = require "spec.support.process"

local support = {
    root = ROOT,
    build = BUILD,
    run = process.run,
    quote = process.quote,
    spawn_process = process.spawn,
    temp_dir = process.temp_dir,
    pid = process.pid,
}

--- The path of the `moonwire` command under test.
---@return string
function support.moonwire()
    return os.getenv("MOONWIRE") or BUILD .. "/bin/moonwire"
end

--- The interpreter that goes with the build under test.
---@return string
function support.luajit()
    return os.getenv("MOONWIRE_LUAJIT") or "luajit"
end

--- What is open in this process.
---@return table<string, integer> counts fds, threads, watchers, tcp, lookups
function support.counts()
    local counts = require("moonwire.backend").default():stats()
    counts.fds = process.count_fds()
    return counts
end

local function differences(before, after)
    local list = {}
    for name, count in pairs(before) do
        if after[name] ~= count then
            list[#list + 1] = ("%s: %d before, %d after"):format(name, count, after[name])
        end
    end
    table.sort(list)
    return list
end

--- Runs f as moonwire.run does, on the real backend, and fails when it leaves anything open.
---@param f function
---@return any ... what f returns
function support.in_loop(f, ...)
    local moonwire = require "moonwire"
    require("moonwire.backend").default() -- its own fds are there before we count
    collectgarbage()
    collectgarbage()
    local before, before_fds = support.counts(), process.fds()
    local count, results = 0, nil
    local function keep(...)
        count, results = select("#", ...), { ... }
    end
    keep(moonwire.run(f, ...))
    local list = differences(before, support.counts())
    if #list > 0 then
        for fd, target in pairs(process.fds()) do
            if before_fds[fd] ~= target then
                list[#list + 1] = ("fd %d is %s"):format(fd, target)
            end
        end
        error("the spec left something open: " .. table.concat(list, "; "), 2)
    end
    return unpack(results, 1, count)
end

-- Below the ports that the system gives to connections and to whoever listens on any: what is free
-- stays so until it is used. Spec files that run at once begin at places of their own.
local FIRST_PORT, PORTS, APART = 10000, 22000, 97
local last_port

--- A TCP port of 127.0.0.1 that nobody listens on now, and that nobody else will be given.
---@return integer
function support.free_port()
    local on = require("moonwire.backend").default()
    last_port = last_port or process.pid() * APART % PORTS
    while true do
        last_port = (last_port + 1) % PORTS
        local port = FIRST_PORT + last_port
        local listener, err = on:listen { family = "ipv4", address = "127.0.0.1", port = port }
        if listener then
            listener:close()
            return port
        end
        assert(err.code == "EADDRINUSE", err)
    end
end

--- Waits until somebody listens on a port of 127.0.0.1; raises when nobody does in time.
---@param port integer
---@param seconds number? 10 when not given
function support.wait_port(port, seconds)
    local moonwire = require "moonwire"
    local on = require("moonwire.backend").current()
    local ends = moonwire.now() + (seconds or 10)
    while true do
        local stream = on:connect { family = "ipv4", address = "127.0.0.1", port = port }
        if stream then
            stream:close()
            return
        elseif moonwire.now() > ends then
            error(("nobody listens on port %d"):format(port), 2)
        end
        moonwire.sleep(0.02)
    end
end

return support
