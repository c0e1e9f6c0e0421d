local core = require "moonwire.core"
local core_loop = require "spec.support.core_loop"
local ffi = require "ffi"
local support = require "spec.support"

local EAGAIN, EOF, ECLOSED = core.EAGAIN, core.EOF, core.ECLOSED
local ESTATE = core.codes.ESTATE

ffi.cdef [[
    struct spec_rlimit { unsigned long soft, hard; };
    int getrlimit(int resource, struct spec_rlimit *limit);
    int setrlimit(int resource, const struct spec_rlimit *limit);
    int getsockopt(int fd, int level, int name, void *value, unsigned *length);
]]

local IPPROTO_TCP, TCP_NODELAY, TCP_USER_TIMEOUT = 6, 1, 18
local SOL_SOCKET, SO_KEEPALIVE, RLIMIT_NOFILE = 1, 9, 7

local function name_of(code)
    return core.error_name(code)
end

local function read_all(tcp, thread)
    local parts = {}
    while true do
        local data, code = tcp:recv()
        if data then
            parts[#parts + 1] = data
        elseif code == EAGAIN then
            assert(tcp:wait(thread, "read", 10) == 0)
        else
            return table.concat(parts), code
        end
    end
end

local function write_all(tcp, thread, data)
    local from = 1
    while from <= #data do
        local n, code = tcp:send(data, from)
        if n then
            from = from + n
        else
            assert(code == EAGAIN, name_of(code))
            assert(tcp:wait(thread, "write", 10) == 0)
        end
    end
end

local function option(tcp, level, name)
    local value, length = ffi.new("int[1]"), ffi.new("unsigned[1]", 4)
    assert(ffi.C.getsockopt(tcp:fd(), level, name, value, length) == 0)
    return value[0]
end

local function connect(on, ...)
    local tcp = on.loop:tcp()
    local ok, code = tcp:connect(...)
    if not ok and code == EAGAIN then
        assert(tcp:wait(on.main, "write", 5) == 0)
        ok, code = tcp:connect_result()
    end
    if not ok then
        tcp:close()
        return nil, code
    end
    return tcp
end

describe("tcp: connect and listen", function()
    it("connects from an address of this side, of the same family only", function()
        core_loop.with(function(on)
            local listener = on.loop:tcp()
            assert(listener:listen("ipv4", "127.0.0.1", 0))
            local _, port = listener:name()
            local client = assert(connect(on, "ipv4", "127.0.0.1", port, "127.0.0.7"))
            assert.equal("127.0.0.7", (client:name()))
            client:close()
            for _, case in ipairs { { "ipv4", "127.0.0.1", port, "::1" },
                { "ipv4", "127.0.0.1", port, "localhost" }, { "unix", "/x", 0, "127.0.0.1" } } do
                local ok, problem = pcall(client.connect, client, unpack(case))
                assert.is_false(ok)
                assert.is_truthy(problem:find("not a numeric address of the same family", 1, true))
            end
            local none, code = connect(on, "ipv4", "127.0.0.1", port, "192.0.2.1")
            assert.is_nil(none)
            assert.equal("EADDRNOTAVAIL", name_of(code))
            listener:close()
        end)
    end)

    it("makes connections over IPv4", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            local address, port, family = client:peer()
            assert.same({ "127.0.0.1", "ipv4" }, { address, family })
            assert.same({ address, port, family }, { server:name() })
            assert.equal(select(2, client:name()), select(2, server:peer()))
            assert.equal(2, on.loop:stats().tcp)
            client:close()
            server:close()
        end)
    end)

    it("makes connections over IPv6, where there is any", function()
        core_loop.with(function(on)
            local listener = on.loop:tcp()
            local ok, code = listener:listen("ipv6", "::1", 0)
            if not ok then
                assert.matches("^EA", name_of(code)) -- EAFNOSUPPORT, EADDRNOTAVAIL
                return
            end
            local address, port, family = listener:name()
            assert.same({ "::1", "ipv6" }, { address, family })
            local client = assert(connect(on, "ipv6", "::1", port))
            assert.equal("::1", (client:peer()))
            client:close()
            listener:close()
        end)
    end)

    it("makes connections over unix sockets", function()
        local path = support.temp_dir() .. "/socket"
        core_loop.with(function(on)
            local client, server = on:pair("unix", path)
            local address, port, family = client:peer()
            assert.same({ path, 0, "unix" }, { address, port, family })
            assert.equal("", (client:name()))
            client:send("over a path")
            assert.equal("over a path", (server:recv()))
            client:close()
            server:close()
            local none, code = connect(on, "unix", path)
            assert.is_nil(none)
            assert.equal("ECONNREFUSED", name_of(code))
            none, code = connect(on, "unix", path .. "-missing")
            assert.is_nil(none)
            assert.equal("ENOENT", name_of(code))
        end)
    end)

    it("refuses a unix socket whose queue is full, and does not wait for it", function()
        local path = support.temp_dir() .. "/full"
        core_loop.with(function(on)
            local listener, clients = on.loop:tcp(), {}
            assert(listener:listen("unix", path, nil, 1))
            local code
            for i = 1, 10 do
                local tcp = on.loop:tcp()
                local ok
                ok, code = tcp:connect("unix", path)
                if not ok then
                    break
                end
                clients[i] = tcp
            end
            assert.equal("ECONNREFUSED", name_of(code))
            for _, tcp in ipairs(clients) do
                tcp:close()
            end
            listener:close()
        end)
    end)

    it("says that a port refuses", function()
        core_loop.with(function(on)
            local listener = on.loop:tcp()
            listener:listen("ipv4", "127.0.0.1", 0)
            local _, port = listener:name()
            listener:close()
            local none, code = connect(on, "ipv4", "127.0.0.1", port)
            assert.is_nil(none)
            assert.equal("ECONNREFUSED", name_of(code))
            assert.equal(111, core.error_errno(code))
        end)
    end)

    it("says that an address is taken, and leaves the socket closed", function()
        core_loop.with(function(on)
            local first, second = on.loop:tcp(), on.loop:tcp()
            assert(first:listen("ipv4", "127.0.0.1", 0))
            local _, port = first:name()
            local ok, code = second:listen("ipv4", "127.0.0.1", port)
            assert.is_nil(ok)
            assert.equal("EADDRINUSE", name_of(code))
            assert.is_true(second:is_closed())
            assert(second:listen("ipv4", "127.0.0.1", 0)) -- it may try again
            first:close()
            second:close()
        end)
    end)

    it("raises for addresses that are none", function()
        core_loop.with(function(on)
            local tcp = on.loop:tcp()
            local function refuses(text, ...)
                local ok, message = pcall(tcp.connect, tcp, ...)
                assert.is_false(ok)
                assert.matches(text, message, 1, true)
            end
            refuses("not a numeric address", "ipv4", "localhost", 80)
            refuses("not a numeric address", "ipv4", "::1", 80)
            refuses("not a numeric address", "ipv4", "127.1", 80)
            refuses("not a numeric address", "ipv6", "127.0.0.1", 80)
            refuses("not a numeric address", "ipv4", "127.0.0.1\0x", 80)
            refuses("not a numeric address", "ipv4", "", 80)
            refuses("not a port", "ipv4", "127.0.0.1", 65536)
            refuses("not a port", "ipv4", "127.0.0.1", -1)
            refuses("not a port", "ipv4", "127.0.0.1", 80.5)
            refuses("number expected", "ipv4", "127.0.0.1")
            refuses("a socket's path", "unix", "")
            refuses("a socket's path", "unix", ("p"):rep(108))
            refuses("a socket's path", "unix", "\0abstract")
            refuses("invalid option 'ipx'", "ipx", "1", 1)
            assert.is_true(tcp:is_closed())
        end)
    end)

    it("keeps an open socket from being opened again", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            assert.same({ nil, ESTATE }, { client:connect("ipv4", "127.0.0.1", 1) })
            assert.same({ nil, ESTATE }, { client:listen("ipv4", "127.0.0.1", 0) })
            local listener = on.loop:tcp()
            listener:listen("ipv4", "127.0.0.1", 0)
            assert.same({ nil, ESTATE }, { listener:accept(client) })
            client:close()
            assert.same({ nil, EAGAIN }, { listener:accept(client) })
            listener:close()
            server:close()
        end)
    end)

    it("sends without delay and keeps alive what is accepted", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            assert.equal(1, option(server, IPPROTO_TCP, TCP_NODELAY))
            assert.equal(1, option(server, SOL_SOCKET, SO_KEEPALIVE))
            client:close()
            server:close()
        end)
    end)

    it("sends without delay from the second time on: the first is never delayed", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            local delays = { option(client, IPPROTO_TCP, TCP_NODELAY) }
            for i = 1, 3 do
                assert.equal(1, client:send "x")
                delays[i + 1] = option(client, IPPROTO_TCP, TCP_NODELAY)
            end
            assert.same({ 0, 0, 1, 1 }, delays)
            client:close()
            server:close()
        end)
    end)

    it("keeps alive a connection that has lived for a second or two, and no shorter one", function()
        core_loop.with(function(on)
            local before = on.loop:stats().watchers
            local client, server = on:pair()
            local short, other = on:pair()
            assert.equal(0, option(client, SOL_SOCKET, SO_KEEPALIVE))
            assert.equal(before, on.loop:stats().watchers) -- that is waited for by nobody
            short:close()
            other:close()
            for _ = 1, 100 do
                if option(client, SOL_SOCKET, SO_KEEPALIVE) == 1 then
                    break
                end
                on.main:wait(0.1)
            end
            assert.equal(1, option(client, SOL_SOCKET, SO_KEEPALIVE))
            assert.equal(30000, option(client, IPPROTO_TCP, TCP_USER_TIMEOUT))
            client:close()
            server:close()
        end)
    end)

    it("a loop that is closed while a connection is young lets go of it", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            on.loop:close()
            assert.is_true(client:is_closed())
            assert.is_true(server:is_closed())
        end)
    end)

    it("gives an error, not a hang, when file descriptors run out", function()
        core_loop.with(function(on)
            local listener, client, server = on.loop:tcp(), on.loop:tcp(), on.loop:tcp()
            listener:listen("ipv4", "127.0.0.1", 0)
            local _, port = listener:name()
            client:connect("ipv4", "127.0.0.1", port)
            listener:wait(on.main, "read", 5)
            local limit = ffi.new("struct spec_rlimit")
            ffi.C.getrlimit(RLIMIT_NOFILE, limit)
            local soft = limit.soft
            limit.soft = 3
            ffi.C.setrlimit(RLIMIT_NOFILE, limit)
            local accepted, code = listener:accept(server)
            local opened, open_code = on.loop:tcp():connect("ipv4", "127.0.0.1", port)
            limit.soft = soft
            ffi.C.setrlimit(RLIMIT_NOFILE, limit)
            assert.is_nil(accepted)
            assert.equal("EMFILE", name_of(code))
            assert.is_nil(opened)
            assert.equal("EMFILE", name_of(open_code))
            assert(listener:accept(server))
            listener:close()
            client:close()
            server:close()
        end)
    end)
end)

describe("tcp: bytes", function()
    it("go both ways, in pieces as they come", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            assert.same({ nil, EAGAIN }, { server:recv() })
            assert.equal(5, client:send("hello"))
            assert.equal(3, client:send("hello", 3))
            on.main:wait(0.01)
            assert.equal("hel", (server:recv(3)))
            assert.equal("lollo", (server:recv()))
            assert.has_error(function()
                server:recv(0)
            end)
            assert.has_error(function()
                client:send("")
            end)
            assert.has_error(function()
                client:send("x", 2)
            end)
            client:close()
            server:close()
        end)
    end)

    it("go in bulk with waits in between, and none is lost", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            local data = ("0123456789abcdef"):rep(256 * 1024) -- 4 MiB
            local got, ending
            on:spawn(function(thread)
                write_all(client, thread, data)
                client:shutdown()
            end)
            on:run(function(thread)
                got, ending = read_all(server, thread)
            end)
            assert.equal(EOF, ending)
            assert.is_true(got == data)
            client:close()
            server:close()
        end)
    end)

    it("come in strings of up to a MiB where that is asked for", function()
        core_loop.with(function(on)
            local path = support.temp_dir() .. "/s"
            local client, server = on:pair("unix", path)
            local sent = client:send(("x"):rep(100000))
            assert.is_true(sent > 65536)
            assert.equal(65536, #server:recv()) -- what it takes when nobody says
            assert.equal(sent - 65536, #server:recv(10 * 1024 * 1024))
            sent = client:send(("x"):rep(100000))
            assert.equal(0, server:wait(on.main, "read", 1))
            assert.equal(sent, #server:recv(10 * 1024 * 1024))
            client:close()
            server:close()
        end)
    end)

    it("still come after a half close, until the end", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            assert(client:shutdown())
            on.main:wait(0.01)
            assert.same({ nil, EOF }, { server:recv() })
            assert.same({ nil, EOF }, { server:recv() })
            server:send("a late answer")
            assert.equal(0, client:wait(on.main, "read", 1))
            assert.equal("a late answer", (client:recv()))
            local none, code = client:send("x")
            assert.is_nil(none)
            assert.equal("EPIPE", name_of(code))
            assert.equal("closed", core.error_kind(core.EOF))
            client:close()
            server:close()
        end)
    end)

    it("end with a reset when the peer closes on unread bytes, and no SIGPIPE comes", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            client:send("never read")
            on.main:wait(0.01)
            server:close()
            assert.equal(0, client:wait(on.main, "read", 1))
            local none, code = client:recv()
            assert.is_nil(none)
            assert.equal("ECONNRESET", name_of(code))
            for _ = 1, 3 do
                none, code = client:send("x")
            end
            assert.is_nil(none)
            assert.equal("EPIPE", name_of(code))
            client:close()
        end)
    end)

    it("are refused by a closed socket, every time", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            server:close()
            client:close()
            client:close()
            assert.is_true(client:is_closed())
            assert.equal(-1, client:fd())
            assert.same({ nil, ECLOSED }, { client:recv() })
            assert.same({ nil, ECLOSED }, { client:send("x") })
            assert.same({ nil, ECLOSED }, { client:shutdown() })
            assert.same({ nil, ECLOSED }, { client:connect_result() })
            assert.same({ nil, ECLOSED }, { client:peer() })
            assert.same({ nil, ECLOSED }, { client:name() })
            assert.is_false(client:is_quiet())
            assert.equal(ECLOSED, client:wait(on.main, "read", 1))
            on.loop:close()
            assert.same({ nil, ECLOSED }, { client:connect("ipv4", "127.0.0.1", 1) })
        end)
    end)

    it("are not asked for again before the loop has told of any", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            server:send("once")
            assert.equal(0, client:wait(on.main, "read", 1))
            assert.equal("once", (client:recv()))
            server:send("twice")
            assert.same({ nil, EAGAIN }, { client:recv() })
            assert.equal("tw", (client:recv_now(2)))
            assert.equal(0, client:wait(on.main, "read", 1))
            assert.equal("ice", (client:recv()))
            server:close()
            assert.equal(0, client:wait(on.main, "read", 1))
            assert.same({ nil, EOF }, { client:recv() })
            client:close()
        end)
    end)

    it("are looked for without being taken", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            assert.is_true(client:is_quiet())
            server:send("surprise")
            on.main:wait(0.01)
            assert.is_false(client:is_quiet())
            assert.equal("surprise", (client:recv_now()))
            assert.is_true(client:is_quiet())
            server:close()
            on.main:wait(0.01)
            assert.is_false(client:is_quiet())
            client:close()
        end)
    end)

    it("go straight between socket and codec", function()
        core_loop.with(function(on)
            local client, server = on:pair()
            local headers = core.headers()
            headers:add("Host", "spec.test")
            local asks, answers = core.h1("client"), core.h1("server")
            assert(asks:send_request(core.request_head("GET", "/", headers)))
            assert(asks:send_end())
            assert.same({ nil, EAGAIN }, { server:recv_into(answers) })
            assert.is_true(client:send_from(asks))
            assert.is_true(client:send_from(asks)) -- nothing left: nothing sent
            on.main:wait(0.01)
            assert.is_true(server:recv_into(answers) > 20)
            assert.equal("head", answers:next())
            assert.equal("end", answers:next())
            answers:send_response(200, "OK", core.headers(), 5)
            answers:send_body("hello")
            answers:send_end()
            assert.is_true(server:send_from(answers))
            assert.equal(0, client:wait(on.main, "read", 1))
            assert.equal("need_data", asks:next())
            assert(client:recv_into(asks))
            assert.equal("head", asks:next())
            assert.same({ "body", "hello" }, { asks:next() })
            assert.equal("end", asks:next())
            server:close()
            assert.is_true(asks:reusable())
            assert(asks:restart())
            assert.equal(0, client:wait(on.main, "read", 1))
            assert.equal("need_data", asks:next())
            assert.same({ nil, EOF }, { client:recv_into(asks) })
            client:close()
            assert.same({ nil, ECLOSED }, { client:recv_into(asks) })
            assert.error_matches(function()
                client:recv_into({})
            end, "moonwire.core.H1 expected")
        end)
    end)
end)
