local core = require "moonwire.core"
local core_loop = require "spec.support.core_loop"
local names = require "spec.support.dns"
local process = require "spec.support.process"

local codes = core.codes

describe("dns: without a network", function()
    local function looks_up(host)
        local code, found, stats
        core_loop.with(function(on)
            local dns = on.loop:dns { servers = { "127.0.0.1:9" } } -- nobody answers there
            local fds = process.count_fds()
            code = dns:lookup(on.main, host, 1)
            found = dns:take(on.main)
            assert.equal(fds, process.count_fds())
            stats = on.loop:stats()
            assert.same({}, dns:take(on.main)) -- taken once
            dns:close()
        end)
        assert.equal(0, stats.lookups)
        return code, found
    end

    local function gives(host, ...)
        local code, found = looks_up(host)
        assert.equal(0, code, host)
        local texts = {}
        for i, one in ipairs(found) do
            texts[i] = one.address
            assert.equal(one.address:find(":", 1, true) and "ipv6" or "ipv4", one.family)
        end
        assert.same({ ... }, texts)
    end

    it("answers numbers", function()
        gives("127.0.0.1", "127.0.0.1")
        gives("192.0.2.255", "192.0.2.255")
        gives("::1", "::1")
        gives("2001:db8::1", "2001:db8::1")
        gives("::ffff:192.0.2.1", "192.0.2.1")
        gives("2001:DB8:0::1", "2001:db8::1")
    end)

    it("answers localhost and what is below it", function()
        for _, host in ipairs { "localhost", "LocalHost", "localhost.", "a.localhost",
            "a.b.localhost." } do
            gives(host, "::1", "127.0.0.1")
        end
    end)

    it("refuses what is no host name", function()
        for _, host in ipairs { "", ".", "..", "a..b", ".a", "a b", "a\0b", "a/b", "a:80", "[::1]",
            "127.1", "1.2.3.4.5", "256.1.1.1", "0x7f.1", "1", "127.0.0.1.", "127.0.0.1\0",
            "b\195\188cher.test", "a%b", "x@y", "*.test", ("a"):rep(64) .. ".test",
            ("a23456789."):rep(25) .. "abcd", "..localhost", "a..localhost", "\nlocalhost",
            "1::2::3", "::1%lo", "0x7f000001", "a.0x1" } do
            local code = looks_up(host)
            assert.equal("EBADNAME", core.error_name(code), ("%q"):format(host))
        end
        assert.equal("resolve", core.error_kind(codes.EBADNAME))
    end)
end)

describe("dns: with a server", function()
    local server, port

    setup(function()
        server = names.start()
        port = server.port
    end)

    teardown(function()
        server:stop()
    end)

    -- f(dns, thread, on) runs as a thread
    local function with_dns(f, options)
        core_loop.with(function(on)
            options = options or {}
            options.servers = options.servers or { "127.0.0.1:" .. port }
            local dns = on.loop:dns(options)
            on:run(function(thread)
                f(dns, thread, on)
            end)
            dns:close()
            dns:close()
        end)
    end

    local function texts(found)
        local list = {}
        for i, one in ipairs(found) do
            list[i] = one.address
        end
        table.sort(list)
        return list
    end

    it("asks for both families", function()
        with_dns(function(dns, thread, on)
            assert.equal(0, dns:lookup(thread, "both.test", 5))
            assert.equal(0, on.loop:stats().lookups)
            local found = dns:take(thread)
            for _, one in ipairs(found) do
                assert.equal(one.address == "2001:db8::1" and "ipv6" or "ipv4", one.family)
            end
            assert.same({ "192.0.2.1", "192.0.2.2", "2001:db8::1" }, texts(found))
        end)
    end)

    it("is content with one family", function()
        with_dns(function(dns, thread)
            assert.equal(0, dns:lookup(thread, "four.test", 5))
            assert.same({ { family = "ipv4", address = "192.0.2.4", ttl = 60 } },
                dns:take(thread))
            assert.equal(0, dns:lookup(thread, "SIX.test.", 5))
            assert.same({ { family = "ipv6", address = "2001:db8::6", ttl = 60 } },
                dns:take(thread))
        end)
    end)

    it("asks for one family alone", function()
        with_dns(function(dns, thread)
            assert.equal(0, dns:lookup_ipv4(thread, "both.test", 5))
            assert.same({ "192.0.2.1", "192.0.2.2" }, texts(dns:take(thread)))
            assert.equal(0, dns:lookup_ipv6(thread, "both.test", 5))
            assert.same({ "2001:db8::1" }, texts(dns:take(thread)))
            assert.equal(codes.ENODATA, dns:lookup_ipv6(thread, "four.test", 5))
            for host, found in pairs { ["localhost"] = "127.0.0.1", ["192.0.2.7"] = "192.0.2.7" } do
                assert.equal(0, dns:lookup_ipv4(thread, host, 5))
                assert.same({ { family = "ipv4", address = found } }, dns:take(thread))
            end
            assert.equal(codes.ENODATA, dns:lookup_ipv6(thread, "192.0.2.7", 5))
            assert.equal(codes.ENODATA, dns:lookup_ipv4(thread, "::1", 5))
        end)
    end)

    it("tells for how long an answer may be kept", function()
        with_dns(function(dns, thread)
            for _, ttl in ipairs { 0, 1, 86400 } do
                assert.equal(0, dns:lookup(thread, ("ttl-%d-a.test"):format(ttl), 5))
                assert.equal(ttl, dns:take(thread)[1].ttl)
            end
        end)
    end)

    it("tells no such name, no address and no answer apart", function()
        with_dns(function(dns, thread)
            for host, name in pairs { ["missing.test"] = "ENOTFOUND", ["nodata.test"] = "ENODATA",
                ["fails.test"] = "ERESOLVE" } do
                local code = dns:lookup(thread, host, 10)
                assert.equal(name, core.error_name(code), host)
                assert.equal("resolve", core.error_kind(code))
                assert.same({}, dns:take(thread))
            end
        end, { timeout = 0.2, tries = 1 })
    end)

    it("asks over TCP for a long answer, and takes 64 of the addresses", function()
        with_dns(function(dns, thread)
            assert.equal(0, dns:lookup(thread, "many.test", 5))
            assert.equal(64, #dns:take(thread))
        end)
    end)

    it("ends by the deadline when no server answers, and leaves nothing behind", function()
        with_dns(function(dns, thread, on)
            local fds = process.count_fds()
            for _, host in ipairs { "silent.test", "garbage.test" } do
                local before = on.loop:now()
                local code = dns:lookup(thread, host, 0.05)
                -- c-ares from 1.34 on gives up on a server that answers with garbage
                assert.is_true(code == core.ETIMEOUT
                    or host == "garbage.test" and code == codes.ERESOLVE, tostring(code))
                assert.is_true(on.loop:now() - before < 2)
                assert.equal(0, on.loop:stats().lookups)
                assert.equal(fds, process.count_fds()) -- the socket is closed too
            end
        end)
    end)

    it("gives up by itself after its tries", function()
        with_dns(function(dns, thread)
            assert.equal(codes.ERESOLVE, dns:lookup(thread, "silent.test", 10))
        end, { timeout = 0.05, tries = 2 })
    end)

    it("says so when the server refuses", function()
        with_dns(function(dns, thread)
            local code = dns:lookup(thread, "both.test", 10)
            assert.equal("ERESOLVE", core.error_name(code))
        end, { servers = { "127.0.0.1:1" }, timeout = 0.1, tries = 1 })
    end)

    it("runs many lookups side by side on few sockets", function()
        with_dns(function(dns, thread, on)
            local running, good = 0, 0
            local before = on.loop:now()
            for i = 1, 40 do
                running = running + 1
                on:spawn(function(one)
                    local host = i % 2 == 0 and "slow.test" or "four.test"
                    local code = dns:lookup(one, host, 10)
                    if code == 0 and #dns:take(one) == 1 then
                        good = good + 1
                    end
                    running = running - 1
                    if running == 0 then
                        thread:wake(0)
                    end
                end)
            end
            thread:wait(0)
            assert.is_true(on.loop:stats().lookups >= 20)
            thread:wait(20)
            assert.equal(40, good)
            assert.is_true(on.loop:now() - before < 3)
        end)
    end)

    it("is cancelled by a wake, for that thread alone", function()
        with_dns(function(dns, thread, on)
            local cancelled, finished
            local first = on:spawn(function(one)
                cancelled = dns:lookup(one, "slow.test", 10)
                assert.same({}, dns:take(one))
            end)
            on:spawn(function(one)
                finished = dns:lookup(one, "slow.test", 10)
                thread:wake(0)
            end)
            thread:wait(0.02)
            assert.equal(2, on.loop:stats().lookups)
            assert.is_true(first:wake(core.ECANCELLED))
            thread:wait(10)
            assert.equal(core.ECANCELLED, cancelled)
            assert.equal(0, finished)
            assert.equal(0, dns:lookup(thread, "four.test", 5)) -- and it goes on
        end)
    end)

    it("closes with lookups under way: each ends with ECLOSED", function()
        with_dns(function(dns, thread, on)
            local ended = {}
            for i = 1, 3 do
                on:spawn(function(one)
                    local code = dns:lookup(one, "silent.test", 10)
                    ended[i] = code
                end)
            end
            thread:wait(0.02)
            dns:close()
            thread:wait(0)
            assert.same({ core.ECLOSED, core.ECLOSED, core.ECLOSED }, ended)
            assert.equal(core.ECLOSED, dns:lookup(thread, "four.test", 1))
            assert.equal(core.ECLOSED, dns:lookup(thread, "127.0.0.1", 1))
        end)
    end)

    it("survives a loop that is closed, or forgotten, in the middle of a lookup", function()
        for round = 1, 2 do
            local fds = process.count_fds()
            local loop = core.loop()
            local dns = loop:dns { servers = { "127.0.0.1:" .. port } }
            for _ = 1, 3 do
                local thread
                thread = loop:thread(coroutine.create(function()
                    dns:lookup(thread, "silent.test", 10)
                end))
                thread:wake(0)
            end
            assert.equal(core.ETIMEOUT, loop:thread():wait(0.02))
            assert.equal(3, loop:stats().lookups)
            if round == 1 then
                loop:close()
                assert.equal(0, loop:stats().lookups)
            end
            loop, dns = nil, nil -- luacheck: ignore
            collectgarbage()
            collectgarbage()
            collectgarbage()
            assert.equal(fds, process.count_fds())
        end
    end)

    it("waits outside any task as well", function()
        core_loop.with(function(on)
            local dns = on.loop:dns { servers = { "127.0.0.1:" .. port } }
            assert.equal(0, dns:lookup(on.main, "slow.test", 5))
            assert.equal("192.0.2.9", dns:take(on.main)[1].address)
            assert.equal(codes.ENOTFOUND, dns:lookup(on.main, "missing.test", 5))
            dns:close()
        end)
    end)

    it("refuses options that make no sense", function()
        core_loop.with(function(on)
            for _, options in ipairs { { timeout = -1 }, { timeout = "x" }, { servers = "x" },
                { servers = { {} } }, { tries = {} } } do
                assert.has_error(function()
                    on.loop:dns(options)
                end)
            end
            local dns = on.loop:dns { servers = { "not an address" } }
            assert.is_true(dns:lookup(on.main, "both.test", 1) < 0)
            dns:close()
        end)
    end)
end)
