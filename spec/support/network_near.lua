-- Our machine of spec/io/network_spec.lua: runs the scenario named by its argument and prints what
-- came of it.
local core = require "moonwire.core"
local ffi = require "ffi"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"

ffi.cdef [[
    int setsockopt(int fd, int level, int name, const void *value, unsigned int length);
]]

local TCP, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT = 6, 4, 5, 6, 18

local function set_option(stream, name, value)
    local room = ffi.new("int[1]", value)
    assert(ffi.C.setsockopt(stream.core:fd(), TCP, name, room, 4) == 0)
end

local function shell(command)
    assert(os.execute(command) == 0, command)
end

-- From now on nothing that one machine sends arrives at the other one; nobody is told.
local function cut()
    local far = "nsenter -t " .. os.getenv "FAR" .. " -n "
    shell "ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:09 dev near nud permanent"
    shell(far .. "ip neigh replace 192.0.2.1 lladdr 02:00:00:00:00:09 dev far nud permanent")
end

local hosts = 0 -- each is dialed once, so that no better family is remembered

local function connect(addresses, timeout)
    hosts = hosts + 1
    local host = "h" .. hosts
    return net.connect(host, 80, {
        timeout = timeout or 20, resolve = { [host .. ":80"] = addresses },
    })
end

-- Prints who was connected to, and whether that took the time it may.
local function tells(addresses, least, most)
    local fds, start = process.count_fds(), moonwire.now()
    local stream = assert(connect(addresses))
    local took = moonwire.now() - start
    local open = process.count_fds() - fds
    local in_time = took >= least and took < most
    print((stream:peer()), in_time and "in time" or took, open .. " open")
    stream:close()
end

local function print_error(err)
    print(err.kind, err.phase, err.code)
end

local scenarios = {}

function scenarios.silent()
    tells({ "192.0.2.9", "192.0.2.2" }, 0.24, 5)
    tells({ "2001:db8::9", "192.0.2.2" }, 0.24, 5)
    tells({ "192.0.2.9", "2001:db8::2" }, 0.24, 5)
    tells({ "192.0.2.9", "192.0.2.8", "2001:db8::9", "2001:db8::2" }, 0.7, 8)
end

function scenarios.unreachable()
    tells({ "198.51.100.1", "192.0.2.2" }, 0, 0.24) -- there is no route to that
    tells({ "2001:db8:1::1", "192.0.2.2" }, 0, 0.24)
    local _, err = connect { "198.51.100.1" }
    print_error(err)
end

function scenarios.lost()
    local _, err = connect({ "192.0.2.9", "2001:db8::9", "192.0.2.8" }, 0.8)
    print_error(err)
    for _, attempt in ipairs(err.attempts) do
        print(attempt.address, attempt.code, attempt.elapsed > 0.2)
    end
    print(process.count_fds())
end

-- Races of several attempts are cancelled while one, two … of them are under way.
function scenarios.cancelled()
    local fds, kinds, most = process.count_fds(), {}, 0
    moonwire.scope(function(s)
        for i = 1, 40 do
            local task = s:spawn(function()
                local _, err = connect { "192.0.2.8", "2001:db8::8", "192.0.2.9", "2001:db8::9" }
                kinds[err.kind .. " " .. err.phase] = (kinds[err.kind .. " " .. err.phase] or 0) + 1
            end)
            s:spawn(function()
                moonwire.sleep(i * 0.02)
                most = math.max(most, process.count_fds() - fds)
                task:cancel()
            end)
        end
    end)
    print(kinds["cancelled connect"], most > 40, process.count_fds() - fds)
    local stats = require("moonwire.backend").current():stats()
    print(stats.tcp, stats.watchers, stats.lookups)
end

-- A download whose link goes dead.
function scenarios.download()
    local client = http.client { timeout = { idle = 0.5 } }
    local response = assert(client:get "http://192.0.2.2/")
    assert(response:read(1))
    cut()
    local data, err
    repeat
        data, err = response:read()
    until not data
    print_error(err)
    print(err.bytes_received > 0, client:stats().total)
    client:close()
end

-- A request that goes out after the link went dead; the system gives up before any timeout of ours.
function scenarios.confirmed()
    local connection = require "moonwire.connection"
    local request = require "moonwire.request"
    local stream = assert(net.connect("192.0.2.2", 80))
    set_option(stream, TCP_USER_TIMEOUT, 700)
    cut()
    local conn = connection.new(stream)
    local response, err = conn:request(request.new { method = "GET", url = "http://192.0.2.2/" },
        { headers_timeout = 50, deadline = moonwire.now() + 50 })
    assert(not response)
    print_error(err)
    print(conn.state, err.message)
end

-- Somebody waits for bytes, and sends none, over a link that is dead.
function scenarios.keepalive()
    local stream = assert(net.connect("192.0.2.2", 80))
    moonwire.sleep(2.1) -- moonwire has set its own by then
    set_option(stream, TCP_USER_TIMEOUT, 0)
    set_option(stream, TCP_KEEPIDLE, 1)
    set_option(stream, TCP_KEEPINTVL, 1)
    set_option(stream, TCP_KEEPCNT, 1)
    cut()
    local data, err = stream:read(1, moonwire.now() + 50)
    assert(not data)
    print_error(err)
    stream:close()
end

-- Both families, and then without an IPv6 address of ours.
function scenarios.order()
    local function order(host)
        local list = {}
        for i, one in ipairs(assert(net.resolve(host))) do
            list[i] = one.address
        end
        require("moonwire.backend").current().dialing.names:forget(host)
        return table.concat(list, " ")
    end
    print(order "two.hosts") -- in the file it is the other way round
    print(order "far.hosts")
    shell "ip addr del 2001:db8::1/64 dev near"
    print(order "far.hosts")
    print((core.source_of "2001:db8::2"), (core.source_of "192.0.2.2"))
    tells({ "2001:db8::2", "192.0.2.2" }, 0, 0.24)
end

-- An address that means something on one interface only.
function scenarios.zone()
    local client = http.client()
    local response = assert(client:get "http://[fe80::2%25near]/")
    print(response.status, (response.connection.stream:peer()))
    response:close()
    print((client:get "http://[fe80::2%25nowhere]/"))
    print((client:get "http://[fe80::2%25lo]/"))
    client:close()
    assert(net.connect("fe80::2%near", 80, { local_address = "fe80::1%near" })):close()
end

moonwire.run(scenarios[arg[1]])
