-- Host names over a DNS server of ours that is slow, broken or lies, and out of the hosts file.
local dns = require "spec.support.dns"
local ffi = require "ffi"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local support = require "spec.support"

ffi.cdef [[
    int setenv(const char *name, const char *value, int overwrite);
    int unsetenv(const char *name);
]]

local names

-- Runs f with the server in use; nothing may be left over.
local function with_names(f, options)
    require("moonwire.backend").default()
    local restore = names:use(options)
    local ok, problem = xpcall(support.in_loop, debug.traceback, f)
    restore()
    assert(ok, problem)
end

local function found(host)
    local list = {}
    for i, one in ipairs(assert(net.resolve(host))) do
        list[i] = one.address
    end
    return table.concat(list, " ")
end

local function refused(host, opts)
    local addresses, err = net.resolve(host, opts)
    assert.is_nil(addresses, host)
    return err.kind .. " " .. err.code
end

describe("names", function()
    setup(function()
        names = dns.start()
    end)

    teardown(function()
        names:stop()
    end)

    it("are followed through CNAMEs", function()
        with_names(function()
            for _, count in ipairs { 1, 2, 8, 30 } do
                assert.equal("127.0.0.1", found(("cname-%d-a.test"):format(count)))
            end
            assert.equal("resolve ENODATA", refused "ring-a.test")
        end)
    end)

    it("have one family when the other one fails, however it does", function()
        with_names(function()
            for _, word in ipairs { "fail6", "nx6", "refuse6" } do
                assert.equal("127.0.0.1", found(word .. "-a.test"))
            end
        end, { timeout = 0.2, tries = 1 })
    end)

    it("are shown as IPv4 when AAAA has IPv4 in it", function()
        with_names(function()
            local addresses = assert(net.resolve "mapped-a.test")
            assert.same({ { family = "ipv4", address = "127.0.0.1" } }, addresses)
            local stream, err = net.connect("mapped-b.test", 1, { on_resolve = function(_, list)
                return nil, list[1].family .. " " .. list[1].address
            end })
            assert.is_nil(stream)
            assert.matches(": ipv4 127.0.0.1", err.message, 1, true)
        end)
    end)

    it("don't take another's word for the server's", function()
        with_names(function()
            for _, word in ipairs { "wrongid", "wrongname", "wrongport" } do
                assert.equal("127.0.0.1", found(word .. "-a.test"))
            end
            -- later versions of c-ares take all addresses of an answer for the name's
            assert.matches("^127.0.0.1", (found "liar-a.test"))
            assert.equal("resolve ENOTFOUND", refused "other.test") -- it was told nothing of that
        end, { timeout = 5, tries = 1 })
    end)

    it("fail when the answer is broken", function()
        with_names(function()
            for _, name in ipairs { "loop-a.test", "cut-a.test", "half-a.test" } do
                local before = moonwire.now()
                assert.equal("resolve ERESOLVE", refused(name), name)
                assert.is_true(moonwire.now() - before < 5)
            end
        end, { timeout = 0.3, tries = 1 })
    end)

    it("have 64 addresses at most, of however many", function()
        with_names(function()
            local addresses = assert(net.resolve "huge-a.test")
            assert.equal(64, #addresses)
            assert.equal("10.1.0.0", addresses[1].address) -- the server's first ones
        end)
    end)

    it("end by their deadline while an answer over TCP is waited for", function()
        with_names(function()
            local fds = process.count_fds()
            assert.equal("timeout ETIMEOUT", refused("hang-a.test", { timeout = 0.2 }))
            moonwire.sleep(0)
            assert.equal(fds, process.count_fds())
        end, { timeout = 10, tries = 1 })
        with_names(function()
            assert.equal("resolve ERESOLVE", refused "hang-b.test") -- and by the server's
        end, { timeout = 0.2, tries = 1 })
    end)

    it("are asked of the next server when one is silent", function()
        local silent = dns.start()
        silent:pause()
        with_names(function()
            assert.equal("127.0.0.1", found "ttl-9-next.test")
            assert.equal(2, names:count "ttl-9-next.test")
        end, { before = silent, timeout = 0.1, tries = 2 })
        silent:stop()
    end)

    it("are asked of the next server when there is none", function()
        local gone = dns.start()
        gone:stop()
        with_names(function()
            local listener = assert(net.listen("127.0.0.1", 0))
            local port = listener:address().port
            assert(net.connect("ttl-9-gone.test", port, { timeout = 10 })):close()
            listener:close()
        end, { before = gone, timeout = 30, tries = 1 })
    end)

    it("say so when all servers are silent, and are asked for again after a second", function()
        local silent = dns.start()
        silent:pause()
        local restore = silent:use { timeout = 0.1, tries = 2 }
        local ok, problem = pcall(support.in_loop, function()
            assert.equal("resolve ERESOLVE", refused "a.test")
            local before = moonwire.now()
            assert.equal("resolve ERESOLVE", refused "a.test") -- kept
            assert.is_true(moonwire.now() - before < 0.09)
        end)
        restore()
        silent:stop()
        assert(ok, problem)
    end)
end)

describe("names of the hosts file", function()
    setup(function()
        names = dns.start()
        local path = support.temp_dir() .. "/hosts"
        local file = assert(io.open(path, "w"))
        file:write("# a comment\n127.0.0.1 four.hosts local-a.test alias.hosts # and another\n",
            "::1\tsix.hosts\n127.0.0.8 both.hosts\nfd00::8 both.hosts\n", -- nobody's: not reached
            "::ffff:127.0.0.7 mapped.hosts\n",
            "not-an-address broken.hosts\n")
        file:close()
        ffi.C.setenv("CARES_HOSTS", path, 1)
    end)

    teardown(function()
        ffi.C.unsetenv "CARES_HOSTS"
        names:stop()
    end)

    it("are what stands there, of one family or both", function()
        with_names(function()
            assert.equal("127.0.0.1", found "four.hosts")
            assert.equal("127.0.0.1", found "ALIAS.hosts")
            assert.equal("::1", found "six.hosts")
            assert.equal("127.0.0.8 fd00::8", found "both.hosts")
            assert.equal("127.0.0.7", found "mapped.hosts")
            assert.equal("resolve ENOTFOUND", refused "broken.hosts")
        end)
    end)

    it("are final: no name server is asked, not for the other family either", function()
        with_names(function()
            assert.equal("127.0.0.1", found "local-a.test") -- the server has ::1 too
            assert.equal(0, names:count "local-a.test")
            for _, name in ipairs { "four.hosts", "six.hosts", "both.hosts" } do
                found(name)
                assert.equal(0, names:count(name))
            end
        end)
    end)

    it("don't wait for a name server that is dead", function()
        local silent = dns.start()
        silent:pause()
        local restore = silent:use { timeout = 30, tries = 1 }
        local ok, problem = pcall(support.in_loop, function()
            local listener = assert(net.listen("127.0.0.1", 0))
            local port = listener:address().port
            assert(net.connect("four.hosts", port, { timeout = 10 })):close()
            local stream, err = net.connect("six.hosts", port, { timeout = 10 })
            assert.is_nil(stream)
            assert.equal("connect", err.phase) -- and not "resolve"
            listener:close()
        end)
        restore()
        silent:stop()
        assert(ok, problem)
    end)
end)
