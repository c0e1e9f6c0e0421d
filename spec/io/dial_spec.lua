-- Dialing over real sockets and a DNS server of ours: addresses that refuse, that answer nothing,
-- names of one family, of both, of none.
local dns = require "spec.support.dns"
local ffi = require "ffi"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local server = require "moonwire.testing.server"
local support = require "spec.support"

local has_ipv6 = pcall(function()
    local listener = assert(net.listen("::1", 0))
    listener:close()
end)

-- A port on which 127.0.0.1 answers, and nobody else does.
local function with_listener(f)
    support.in_loop(function()
        local listener = assert(net.listen("127.0.0.1", 0))
        f(listener:address().port, listener)
        listener:close()
    end)
end

-- An address that takes no connection and refuses none: its queue is full. Returns the port and
-- what gives it up again.
local function black_hole(address)
    local backend = require("moonwire.backend").current()
    local listener = assert(backend:listen({ family = "ipv4", address = address, port = 0 }, 0))
    local port, held = listener:address().port, {}
    local function give_up()
        for _, stream in ipairs(held) do
            stream:close()
        end
        listener:close()
    end
    for _ = 1, 8 do
        local stream = backend:connect({ family = "ipv4", address = address, port = port },
            backend:now() + 0.1)
        if not stream then
            return port, give_up
        end
        held[#held + 1] = stream
    end
    give_up()
    error "this system's queue of connections is never full"
end

local function elapsed(f)
    local start = moonwire.now()
    f()
    return moonwire.now() - start
end

describe("dial: real sockets", function()
    it("goes on at once from an address that refuses", function()
        with_listener(function(port)
            local took = elapsed(function()
                local stream = assert(net.connect("h", port, { resolve = {
                    ["h:" .. port] = { "::1", "127.0.0.2", "127.0.0.3", "127.0.0.1" },
                } }))
                assert.equal("127.0.0.1", (stream:peer()))
                stream:close()
            end)
            assert.is_true(took < 0.24, tostring(took))
        end)
    end)

    it("takes localhost for both loopback addresses", function()
        with_listener(function(port)
            local stream = assert(net.connect("localhost", port))
            assert.equal("127.0.0.1", (stream:peer()))
            stream:close()
        end)
        if not has_ipv6 then
            return
        end
        support.in_loop(function()
            local listener = assert(net.listen("::1", 0))
            local stream = assert(net.connect("localhost", listener:address().port))
            assert.equal("::1", (stream:peer()))
            stream:close()
            listener:close()
        end)
    end)

    it("tries the next address beside one that answers nothing", function()
        support.in_loop(function()
            local port, give_up = black_hole "127.0.0.2"
            local listener = assert(net.listen("127.0.0.1", port))
            local fds = process.count_fds()
            local took = elapsed(function()
                local stream = assert(net.connect("h", port, {
                    resolve = { ["h:" .. port] = { "127.0.0.2", "127.0.0.1" } },
                }))
                assert.equal("127.0.0.1", (stream:peer()))
                assert.equal(fds + 1, process.count_fds()) -- the other is closed
                stream:close()
            end)
            assert.is_true(took >= 0.24 and took < 1, tostring(took))
            listener:close()
            give_up()
        end)
    end)

    it("reports what became of each address", function()
        support.in_loop(function()
            local port, give_up = black_hole "127.0.0.2"
            local stream, err = net.connect("h", port, {
                timeout = 0.4, resolve = { ["h:" .. port] = { "127.0.0.2", "127.0.0.3" } },
            })
            assert.is_nil(stream)
            assert.equal("timeout", err.kind)
            assert.equal("127.0.0.2 ETIMEOUT", err.attempts[1].address .. " "
                .. err.attempts[1].code)
            assert.equal("127.0.0.3 ECONNREFUSED", err.attempts[2].address .. " "
                .. err.attempts[2].code)
            assert.is_true(err.attempts[1].elapsed >= 0.39)
            assert.is_truthy(tostring(err):find "127%.0%.0%.2: timed out after 0%.4%d* s",
                tostring(err))
            give_up()
        end)
    end)

    it("works outside any task", function()
        local listener = assert(net.listen("127.0.0.1", 0))
        local port = listener:address().port
        local stream = assert(net.connect("h", port, {
            resolve = { ["h:" .. port] = { "127.0.0.2", "127.0.0.1" } },
        }))
        stream:close()
        listener:close()
    end)

    it("connects from local_address", function()
        with_listener(function(port, listener)
            local stream = assert(net.connect("127.0.0.1", port, { local_address = "127.0.0.5" }))
            local accepted = assert(listener:accept())
            assert.equal("127.0.0.5", (accepted:peer()))
            accepted:close()
            stream:close()
            local none, err = net.connect("127.0.0.1", port, { local_address = "192.0.2.1" })
            assert.is_nil(none)
            assert.equal("connect", err.kind)
            assert.equal("EADDRNOTAVAIL", err.code)
            assert.equal(("connecting to 127.0.0.1:%d from 192.0.2.1: the address is not available")
                :format(port), err.message)
            none, err = net.connect("h", port, { local_address = "192.0.2.1", resolve = {
                ["h:" .. port] = { "127.0.0.1", "127.0.0.2", "::1" },
            } })
            assert.is_nil(none)
            assert.equal(("connecting to h:%d: 127.0.0.1 from 192.0.2.1: the address is not "
                .. "available; 127.0.0.2 from 192.0.2.1: the address is not available"):format(
                port), err.message)
            none, err = net.connect("127.0.0.1", port, { local_address = "::1" })
            assert.is_nil(none)
            assert.equal("connect", err.kind)
            assert.equal("EAFNOSUPPORT", err.code)
            assert.matches("no address of the family of local_address ::1", err.message, 1, true)
            stream = assert(net.connect("::ffff:127.0.0.1", port, { local_address = "127.0.0.5" }))
            stream:close()
            assert(listener:accept()):close()
        end)
    end)
end)

describe("dial: unix sockets", function()
    local function refusal(path)
        local stream, err = net.connect { path = path }
        assert.is_nil(stream)
        assert.equal("connect", err.phase)
        return err.kind .. " " .. err.code .. " " .. err.message:gsub(path, "PATH", 1)
    end

    it("say what is wrong with a path", function()
        support.in_loop(function()
            local folder = support.temp_dir()
            assert.equal("connect ENOENT connecting to PATH: no such file",
                refusal(folder .. "/nothing"))
            io.open(folder .. "/file", "w"):close()
            assert.equal("connect ECONNREFUSED connecting to PATH: connection refused",
                refusal(folder .. "/file"))
            assert.equal("connect ENOTDIR connecting to PATH: not a directory",
                refusal(folder .. "/file/x"))
            local listener = assert(net.listen { path = folder .. "/left" })
            listener:close()
            assert.equal("connect ECONNREFUSED connecting to PATH: connection refused",
                refusal(folder .. "/left"))
        end)
    end)

    it("say so when they may not be used", function()
        local folder = support.temp_dir()
        local path = folder .. "/socket"
        support.in_loop(function()
            local listener = assert(net.listen { path = path })
            assert.equal(0, (support.run { "chmod", "0", path }))
            assert.equal(0, (support.run { "chmod", "755", folder }))
            local stream, err = net.connect { path = path }
            if stream then -- for root nothing is forbidden; somebody else is asked
                stream:close()
                local code, out = support.run({ "setpriv", "--reuid=65534", "--regid=65534",
                    "--clear-groups", support.luajit(), "-e", ([[
                        local _, err = require("moonwire.net").connect { path = %q }
                        print(err and err.kind .. " " .. err.code)
                    ]]):format(path) })
                if code ~= 0 then
                    print "(permissions of unix sockets: skipped, this root can't be another user)"
                else
                    assert.equal("connect EACCES\n", out)
                end
            else
                assert.equal("connect EACCES", err.kind .. " " .. err.code)
            end
            listener:close()
        end)
    end)

    it("raise on a path that can't be one, at the caller's line", function()
        for _, path in ipairs { "", ("x"):rep(108), "\0abstract", "/run/x\0", 5 } do
            for _, call in ipairs { function() net.connect { path = path } end,
                function() net.listen { path = path } end,
                function() http.client { unix_socket = path } end,
                function() http.get("http://h/", { unix_socket = path }) end } do
                local ok, problem = pcall(call)
                assert.is_false(ok)
                assert.matches("dial_spec.lua:%d+: bad argument", problem)
            end
        end
        support.in_loop(function()
            local listener, err = net.listen { path = "/nowhere/" .. ("x"):rep(98) } -- 107 bytes
            assert.is_nil(listener)
            assert.equal("ENOENT", err.code)
        end)
    end)
end)

describe("dial: the client", function()
    local function with_client(opts, f)
        support.in_loop(function()
            local s = assert(server.start())
            local client = http.client(opts(s.port))
            f(client, s)
            client:close()
            s:close()
        end)
    end

    it("resolves as it is told, keeps what was dialed otherwise apart", function()
        with_client(function(port)
            return { resolve = { ["a.test:" .. port] = { "127.0.0.1" } } }
        end, function(client, s)
            local url = ("http://a.test:%d/get"):format(s.port)
            local function connection(opts)
                return assert(client:get(url, opts)):json().connection
            end
            local first = connection()
            assert.equal(first, connection())
            local other = connection { local_address = "127.0.0.6" }
            assert.are_not.equal(first, other)
            assert.equal(other, connection { local_address = "127.0.0.6" })
            local list = { ["a.test:" .. s.port] = { "127.0.0.2", "127.0.0.1" } }
            assert.are_not.equal(first, connection { resolve = list })
            assert.equal(first, connection())
        end)
    end)

    it("asks on_resolve for each way of dialing, and never goes round it", function()
        with_client(function()
            return {}
        end, function(client, s)
            local url = ("http://127.0.0.1:%d/get"):format(s.port)
            assert(client:get(url))
            local response, err = client:get(url, { on_resolve = function()
                return nil, "loopback is not allowed"
            end })
            assert.is_nil(response)
            assert.equal("resolve", err.kind)
            assert.equal(url, err.url)
            assert.is_truthy(tostring(err):find("loopback is not allowed", 1, true))
            assert.equal(0, client:stats().total - client:stats().idle)
        end)
    end)

    it("raises on wrong options when it is made, and at a request", function()
        for _, opts in ipairs { { resolve = 5 }, { on_resolve = {} }, { local_address = "x" } } do
            local ok, problem = pcall(function()
                http.client(opts)
            end)
            assert.is_false(ok)
            assert.is_truthy(problem:find("dial_spec.lua:", 1, true), problem)
            ok, problem = pcall(function()
                http.get("http://127.0.0.1:1/", opts)
            end)
            assert.is_false(ok)
            assert.is_truthy(problem:find("bad argument '" .. next(opts), 1, true), problem)
        end
    end)
end)

describe("dial: a DNS server", function()
    local names

    setup(function()
        names = dns.start()
    end)

    teardown(function()
        names:stop()
    end)

    -- Runs f(port) with the server in use and a listener on 127.0.0.1.
    local function with_names(f, options)
        require("moonwire.backend").default()
        local restore = names:use(options)
        local ok, problem = xpcall(with_listener, debug.traceback, f)
        restore()
        assert(ok, problem)
    end

    it("asks each question once for many who want to know", function()
        with_names(function(port)
            moonwire.scope(function(s)
                for _ = 1, 10 do
                    s:spawn(function()
                        assert(net.connect("local-many.test", port)):close()
                    end)
                end
            end)
            assert(net.connect("Local-Many.test", port)):close()
            assert.equal(2, names:count "local-many.test")
        end)
    end)

    it("keeps an answer for as long as its TTL says", function()
        with_names(function(port)
            for _ = 1, 3 do
                assert(net.connect("ttl-1-a.test", port)):close()
                assert(net.connect("ttl-0-a.test", port)):close()
            end
            moonwire.sleep(1.1)
            assert(net.connect("ttl-1-a.test", port)):close()
            -- IPv4 and IPv6 are two questions; there is no IPv6, which is an answer too
            assert.equal(4, names:count "ttl-1-a.test")
            assert.equal(6, names:count "ttl-0-a.test")
        end)
    end)

    it("doesn't wait for an IPv6 answer that is late, or never comes", function()
        with_names(function(port)
            for _, name in ipairs { "late6-a.test", "no6-a.test" } do
                local took = elapsed(function()
                    assert(net.connect(name, port)):close()
                end)
                assert.is_true(took >= 0.045 and took < 0.29, name .. " " .. took)
                assert(net.connect(name, port)):close()
                assert.equal(2, names:count(name))
            end
        end)
    end)

    it("says what is wrong with a name, and asks again after a second only", function()
        with_names(function(port)
            for name, code in pairs { ["missing.test"] = "ENOTFOUND", ["nodata.test"] = "ENODATA",
                ["fails.test"] = "ERESOLVE" } do
                local stream, err = net.connect(name, port)
                assert.is_nil(stream)
                assert.equal("resolve", err.kind)
                assert.equal(code, err.code)
                local asked = names:count(name)
                assert.is_nil((net.connect(name, port)))
                assert.equal(asked, names:count(name))
                moonwire.sleep(1.05)
                assert.is_nil((net.connect(name, port)))
                assert.is_true(names:count(name) > asked)
            end
        end, { timeout = 0.2, tries = 1 })
    end)

    it("takes an answer that is too long for UDP over TCP", function()
        with_names(function()
            assert.equal(64, #assert(net.resolve "many.test"))
        end)
    end)

    it("leaves nothing behind when it is cancelled in the middle of a lookup", function()
        with_names(function(port)
            for _ = 1, 3 do
                local stream, err = net.connect("silent.test", port, { timeout = 0.05 })
                assert.is_nil(stream)
                assert.equal("timeout", err.kind)
                assert.equal("resolve", err.phase)
            end
        end)
    end)

    it("leaves nothing behind wherever it is cancelled", function()
        math.randomseed(4)
        with_names(function(port, listener)
            local acceptor = moonwire.spawn(net.serve, listener, function() end)
            for round = 1, 150 do
                local kinds = { "local-c%d.test", "late6-c%d.test", "no6-c%d.test", "silent.test",
                    "missing-c%d.test", "localhost" }
                moonwire.scope(function(s)
                    for i = 1, 8 do
                        local name = kinds[math.random(#kinds)]:format(math.random(3) + round)
                        local task = s:spawn(function()
                            local stream = net.connect(name, port)
                            if stream then
                                stream:close()
                            end
                        end)
                        s:spawn(function()
                            moonwire.sleep(i % 2 == 0 and 0 or math.random() * 0.008)
                            task:cancel()
                        end)
                    end
                end)
            end
            local memory = require("moonwire.backend").default().dialing
            assert.is_true(memory.names:size() <= 256)
            assert(net.connect("local-after.test", port)):close()
            acceptor:cancel()
            acceptor:join()
        end)
    end)

    it("shows on_resolve what the server said", function()
        with_names(function(port)
            local stream, err = net.connect("local-guard.test", port, {
                on_resolve = function(host, addresses)
                    return nil, host .. " is at " .. addresses[1].address .. " and "
                        .. addresses[2].address
                end,
            })
            assert.is_nil(stream)
            assert.equal("on_resolve refused local-guard.test: local-guard.test is at ::1 and "
                .. "127.0.0.1", err.message)
        end)
    end)
end)

describe("dial: socket options", function()
    ffi.cdef [[
        int getsockopt(int fd, int level, int name, void *value, unsigned int *length);
    ]]

    local function option(stream, level, name)
        local value, length = ffi.new "int[1]", ffi.new("unsigned int[1]", 4)
        assert.equal(0, ffi.C.getsockopt(stream.core:fd(), level, name, value, length))
        return value[0]
    end

    it("finds out that a peer has vanished", function()
        with_listener(function(port, listener)
            local stream = assert(net.connect("127.0.0.1", port))
            local accepted = assert(listener:accept())
            for _ = 1, 100 do -- it is young yet
                if option(stream, 1, 9) == 1 then
                    break
                end
                moonwire.sleep(0.1)
            end
            assert.equal(1, option(stream, 1, 9)) -- SO_KEEPALIVE
            assert.equal(60, option(stream, 6, 4)) -- TCP_KEEPIDLE
            assert.equal(15, option(stream, 6, 5)) -- TCP_KEEPINTVL
            assert.equal(30000, option(stream, 6, 18)) -- TCP_USER_TIMEOUT
            assert.equal(0, option(accepted, 6, 18)) -- who reads slowly isn't gone
            stream:close()
            accepted:close()
        end)
    end)
end)
