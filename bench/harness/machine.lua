-- What the numbers were measured on and with.

local measure = require "bench.harness.measure"
local support = require "spec.support"
local version = require "moonwire.version"

local machine = {}

local function first_line(command)
    local code, out, err = support.run(command)
    local text = code == 0 and (out .. err):match "[^\n]+" or nil
    return text and text:match "^%s*(.-)%s*$"
end

local function cpu_model()
    return measure.read_file "/proc/cpuinfo":match "model name%s*:%s*([^\n]+)" or "unknown CPU"
end

-- What else ran: the load of the last minute, before anything was measured.
local function load_average()
    return measure.read_file "/proc/loadavg":match "^[%d.]+" or "?"
end

local PEERS = {
    { "nginx", "nginx -v 2>&1 | sed 's,.*/,,'" },
    { "wrk", "wrk -v 2>&1 | sed -n 's/^wrk \\([^ ]*\\).*/\\1/p'" },
    { "curl", "curl --version | sed -n '1s/^curl \\([^ ]*\\).*/\\1/p'" },
    { "LuaJIT", "luajit -v | sed 's/^LuaJIT \\([^ ]*\\).*/\\1/'" },
    { "OpenSSL", "openssl version | sed 's/^OpenSSL \\([^ ]*\\).*/\\1/'" },
    { "node", "node --version" },
    { "undici", "sed -n 's/.*\"version\": \"\\(.*\\)\".*/\\1/p' "
        .. "\"$MOONWIRE_ROOT/.deps/node/node_modules/undici/package.json\"" },
    { "lua-http", "dpkg-query -W -f '${Version}' lua-http" },
    { "LuaSocket", "dpkg-query -W -f '${Version}' lua-socket" },
    { "lua-curl", "dpkg-query -W -f '${Version}' lua-curl" },
    { "luv", "dpkg-query -W -f '${Version}' lua-luv" },
    { "copas", "dpkg-query -W -f '${Version}' lua-copas" },
}

--- Lines that tell it.
---@return string[]
function machine.lines()
    local peers = {}
    for _, peer in ipairs(PEERS) do
        peers[#peers + 1] = peer[1] .. " " .. (first_line(peer[2]) or "(not here)")
    end
    return {
        ("%s, %s CPUs, Linux %s, load %s before"):format(cpu_model(), first_line "nproc --all",
            first_line "uname -r", load_average()),
        "moonwire " .. version .. (first_line("git -C " .. support.quote(support.root)
            .. " describe --always --dirty 2>/dev/null | sed 's/^/, commit /'") or ""),
        table.concat(peers, ", "),
        measure.one_cpu and "one CPU: server and client share it, so that every number is disturbed"
            or ("server on CPU %d, client on CPU %d"):format(measure.server_cpu,
                measure.client_cpu),
    }
end

return machine
