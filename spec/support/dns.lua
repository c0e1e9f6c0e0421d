-- The DNS server of spec/support/dns_server.py, started and asked from specs.
local core = require "moonwire.core"
local net = require "moonwire.net"
local support = require "spec.support"

local SIGCONT, SIGSTOP = 18, 19

local dns = {}

---@class DnsServer
---@field port integer
---@field private process table
local methods = {}
local Server = { __index = methods }

--- Stops the server.
function methods:stop()
    self.process:signal(SIGCONT)
    self.process:kill()
end

--- Has the server answer nothing from now on.
function methods:pause()
    self.process:signal(SIGSTOP)
end

local function label_bytes(name)
    return (name:gsub("([^.]+)%.?", function(label)
        return string.char(#label) .. label
    end)) .. "\0"
end

--- How many questions about a name there were over UDP. It waits: call it in a task.
---@param name string
---@return integer
function methods:count(name)
    local question = "\0\1\1\0\0\1\0\0\0\0\0\0" .. label_bytes("count." .. name) .. "\0\16\0\1"
    local stream = assert(net.connect("127.0.0.1", self.port))
    assert(stream:write { string.char(0, #question), question })
    local high, low = assert(stream:read_exactly(2)):byte(1, 2)
    local answer = assert(stream:read_exactly(high * 256 + low))
    stream:close()
    return assert(tonumber(answer:match "(%d+)$"))
end

--- Has the default backend ask this server; `restore()` of what it returns undoes that.
---@param options table? of core.Loop:dns; and `before`, a server that is asked first
---@return fun() restore
function methods:use(options)
    local backend = require("moonwire.backend").default()
    local before, kept = backend.dns, backend.dialing
    options = options or {}
    local servers = { "127.0.0.1:" .. self.port }
    if options.before then
        table.insert(servers, 1, "127.0.0.1:" .. options.before.port)
    end
    backend.dns, backend.dialing = backend.loop:dns {
        servers = servers, timeout = options.timeout, tries = options.tries,
    }, nil
    return function()
        backend.dns:close()
        backend.dns, backend.dialing = before, kept
    end
end

--- Starts a server.
---@return DnsServer
function dns.start()
    local path = support.temp_dir() .. "/port"
    local process = support.spawn_process { "python3",
        support.root .. "/spec/support/dns_server.py", path }
    local loop = core.loop()
    local main = loop:thread()
    for _ = 1, 500 do
        local file = io.open(path)
        if file then
            local port = file:read "*n"
            file:close()
            loop:close()
            return setmetatable({ port = port, process = process }, Server)
        end
        main:wait(0.02)
    end
    loop:close()
    process:kill()
    error "the DNS server did not start"
end

return dns
