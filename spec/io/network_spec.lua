-- Dialing and transfers over a network that loses what is sent: two network namespaces, for whoever
-- may make such. Elsewhere these specs are skipped, and say so.
local support = require "spec.support"

local function namespace_command()
    for _, command in ipairs { { "unshare", "-n" }, { "unshare", "-rn" } } do
        local words = table.concat(command, " ")
        local code = support.run(words .. " sh -c 'PATH=$PATH:/usr/sbin:/sbin; "
            .. "ip link set lo up && ip link add near type veth peer name far && unshare -n true'")
        if code == 0 then
            return command
        end
    end
    print "(spec/io/network_spec.lua: skipped, no network namespaces can be made here)"
end

local namespace

-- Runs a scenario of network_near.lua; gives its lines.
local function scenario(name)
    local folder = support.temp_dir()
    local hosts = assert(io.open(folder .. "/hosts", "w"))
    hosts:write("192.0.2.2 far.hosts\n2001:db8::2 far.hosts\n",
        "2001:db8:1::1 two.hosts\n2001:db8::3 two.hosts\n")
    hosts:close()
    local here = support.root .. "/spec/support/"
    local command = {}
    for _, word in ipairs(namespace) do
        command[#command + 1] = word
    end
    for _, word in ipairs { "sh", here .. "network.sh", support.luajit(), here .. "network_far.lua",
        "--", support.luajit(), here .. "network_near.lua", name } do
        command[#command + 1] = word
    end
    local code, out, problem = support.run(command, {
        env = {
            SCRATCH = folder, CARES_HOSTS = folder .. "/hosts",
            LUA_PATH = support.root .. "/?.lua;" .. package.path, LUA_CPATH = package.cpath,
        },
    })
    assert.equal("0 ", code .. " " .. problem)
    local lines = {}
    for line in out:gmatch "[^\n]+" do
        lines[#lines + 1] = line:gsub("\t", " ")
    end
    return lines
end

describe("a network", function()
    setup(function()
        namespace = namespace_command()
    end)

    local function it_there(text, f)
        it(text, function()
            if namespace then
                f()
            end
        end)
    end

    it_there("that loses packets costs 250 ms an address, and no descriptor", function()
        assert.same({ "192.0.2.2 in time 1 open", "192.0.2.2 in time 1 open",
            "2001:db8::2 in time 1 open", "2001:db8::2 in time 1 open" }, scenario "silent")
    end)

    it_there("without a route costs nothing", function()
        assert.same({ "192.0.2.2 in time 1 open", "192.0.2.2 in time 1 open",
            "connect connect ENETUNREACH" }, scenario "unreachable")
    end)

    it_there("that loses all leaves a timeout that names each attempt", function()
        local lines = scenario "lost"
        assert.equal("timeout connect ETIMEOUT", lines[1])
        assert.equal("192.0.2.9 ETIMEOUT true", lines[2])
        assert.equal("2001:db8::9 ETIMEOUT true", lines[3])
        assert.equal("192.0.2.8 ETIMEOUT true", lines[4])
    end)

    it_there("that loses all is left at once by who is cancelled, by each attempt", function()
        assert.same({ "40 true 0", "0 0 0" }, scenario "cancelled")
    end)

    it_there("that dies in a download ends it after the idle time", function()
        assert.same({ "timeout body ETIMEOUT", "true 0" }, scenario "download")
    end)

    it_there("that dies before a request ends it when nothing is confirmed", function()
        local lines = scenario "confirmed"
        assert.equal("closed headers ETIMEDOUT", lines[1])
        assert.matches("^closed .*the peer did not answer", lines[2])
    end)

    it_there("that dies while somebody waits to read is found out by keepalive", function()
        assert.same({ "closed body ETIMEDOUT" }, scenario "keepalive")
    end)

    it_there("has addresses of one interface", function()
        assert.same({ "200 fe80::2%near", "nil", "nil" }, scenario "zone")
    end)

    it_there("has what can be reached first, and without IPv6 IPv4 (RFC 6724)", function()
        assert.same({ "2001:db8::3 2001:db8:1::1", "2001:db8::2 192.0.2.2",
            "192.0.2.2 2001:db8::2", "nil 192.0.2.1",
            "192.0.2.2 in time 1 open" }, scenario "order")
    end)
end)
