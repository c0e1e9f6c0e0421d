-- on_resolve as a guard: a script that takes URLs from strangers refuses this machine, and there is
-- no way of writing it, or of getting at it, that goes round the guard.
local http = require "moonwire.http"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local server = require "moonwire.testing.server"
local support = require "spec.support"

-- What a script might write: it knows of two forms only.
local function no_loopback(asked)
    return function(_, addresses)
        for _, one in ipairs(addresses) do
            asked[#asked + 1] = one.address
            if one.address:find "^127%." or one.address == "::1" then
                return nil, "loopback is not allowed"
            end
        end
        return true
    end
end

-- f(client, s, requests): a client with the guard, a server it must not reach, and how often it did
local function guarded(f, opts)
    support.in_loop(function()
        local s, requests = assert(server.start()), 0
        s:on("/secret", function(_, respond)
            requests = requests + 1
            respond(200, "secret")
        end)
        opts = opts or {}
        opts.on_resolve = no_loopback {}
        local client = http.client(opts)
        f(client, s, function()
            return requests
        end)
        client:close()
        s:close()
    end)
end

local HOSTS = { "127.0.0.1", "127.1.2.3", "localhost", "LocalHost", "localhost.", "a.b.localhost",
    "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:0001]", "user@127.0.0.1", "x:y@localhost" }

-- What other programs take for an address of this machine is no URL here.
local NO_URLS = { "127.1", "127.0.1", "0x7f.1", "0x7f.0.0.1", "0x7f000001", "017700000001",
    "2130706433", "0177.0.0.1", "127.0.0.01", "127.0.0.1.", "%31%32%37.0.0.1", "127%2e0.0.1",
    "①②⑦.0.0.1", "127。0。0。1", "[::ffff:127.1]", "[127.0.0.1]", "127.0.0.1 ", "local host" }

describe("on_resolve as a guard", function()
    it("sees each way of writing this machine", function()
        guarded(function(client, s, requests)
            for _, host in ipairs(HOSTS) do
                local response, err = client:get(("http://%s:%d/secret"):format(host, s.port))
                assert.is_nil(response, host)
                assert.equal("resolve", err.kind, host)
                assert.equal("resolve", err.phase, host)
                assert.matches("loopback is not allowed", err.message, 1, true)
            end
            assert.equal(0, requests())
            assert.equal(0, client:stats().total)
        end)
    end)

    it("needn't see what others only guess to be this machine: it is refused", function()
        guarded(function(client, s, requests)
            for _, host in ipairs(NO_URLS) do
                local ok, problem = pcall(function()
                    client:get(("http://%s:%d/secret"):format(host, s.port))
                end)
                assert.is_false(ok, host)
                assert.matches("guard_spec.lua", tostring(problem), 1, true)
            end
            assert.equal(0, requests())
        end)
    end)

    it("can't be gone round below URLs either", function()
        guarded(function(_, s, requests)
            local asked, kinds = {}, {}
            for _, host in ipairs(NO_URLS) do
                local stream, err = net.connect(host, s.port, {
                    on_resolve = no_loopback(asked), timeout = 5,
                })
                assert.is_nil(stream, host)
                kinds[err.kind .. " " .. err.code] = true
            end
            assert.same({}, asked)
            assert.same({ ["resolve EBADNAME"] = true }, kinds)
            assert.equal(0, requests())
        end)
    end)

    it("isn't gone round by a zone", function()
        guarded(function(client, s, requests)
            for _, host in ipairs { "[::1%25lo]", "[::1%251]", "[::ffff:127.0.0.1%25lo]" } do
                local response, err = client:get(("http://%s:%d/secret"):format(host, s.port))
                assert.is_nil(response)
                assert.equal("EBADNAME", err.code)
            end
            assert.equal(0, requests())
        end)
    end)

    it("sees what `resolve` says, in one form", function()
        guarded(function(client, s, requests)
            for _, address in ipairs { "127.0.0.1", "::ffff:127.0.0.1", "0:0::1" } do
                local response, err = client:get(("http://public.test:%d/secret"):format(s.port), {
                    resolve = { ["public.test:" .. s.port] = { address } },
                })
                assert.is_nil(response)
                assert.matches("loopback is not allowed", err.message, 1, true)
            end
            assert.equal(0, requests())
        end)
    end)

    it("isn't gone round by a connection that was made without it", function()
        guarded(function(client, s, requests)
            local url = ("http://127.0.0.1:%d/secret"):format(s.port)
            assert(client:get(url, { on_resolve = function() return true end }))
            assert.equal(1, requests())
            assert.is_nil((client:get(url)))
            assert.equal(1, requests())
        end)
    end)

    it("is asked again when a connection has to be replaced", function()
        support.in_loop(function()
            local s, asked = assert(server.start()), 0
            local client = http.client { on_resolve = function()
                asked = asked + 1
                return asked < 2, "once is enough"
            end }
            local url = s.url .. "/get"
            assert(client:get(url))
            assert(client:get(url)) -- the same connection
            assert.equal(1, asked)
            client:close_idle()
            local response, err = client:get(url)
            assert.is_nil(response)
            assert.matches("once is enough", err.message, 1, true)
            client:close()
            s:close()
        end)
    end)

    it("is asked about unix sockets", function()
        support.in_loop(function()
            local path = support.temp_dir() .. "/socket"
            local listener = assert(net.listen { path = path })
            local seen
            for _, verdict in ipairs { { false, "no sockets" }, { {} , nil }, { { "/other" } },
                { 5 } } do
                local stream, err = net.connect { path = path, on_resolve = function(host, list)
                    seen = host .. " " .. list[1].family .. " " .. list[1].address
                    return unpack(verdict, 1, 2)
                end }
                assert.is_nil(stream)
                assert.equal("resolve", err.kind)
                assert.matches("on_resolve refused " .. path .. ": ", err.message, 1, true)
            end
            assert.equal(path .. " unix " .. path, seen)
            for _, verdict in ipairs { true, { path }, { { family = "unix", address = path } } } do
                local stream = assert(net.connect { path = path, on_resolve = function()
                    return verdict
                end })
                stream:close()
                assert(listener:accept()):close()
            end
            local _, err = net.connect { path = path, on_resolve = function()
                error("oops", 0)
            end }
            assert.matches("it raised oops", err.message, 1, true)
            listener:close()
        end)
    end)

    it("is asked about a client's unix sockets, whose connections are kept apart", function()
        local m = mock.new()
        m:listen_at("/run/x", nil, { { expect = "\r\n\r\n" },
            { send = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" } })
        m:run(function()
            local client = http.client { unix_socket = "/run/x" }
            assert(client:get "http://h/")
            assert.equal(1, client:stats().idle)
            local response, err = client:get("http://h/", { on_resolve = function()
                return nil, "no sockets"
            end })
            assert.is_nil(response)
            assert.equal("on_resolve refused /run/x: no sockets", err.message)
            client:close()
        end)
    end)

    it("has judged the very addresses that are connected to, whatever a name says then", function()
        local m = mock.new()
        m:hosts { h = { "192.0.2.1" } }
        m:listen_at("127.0.0.1", 80, function() end)
        m:listen_at("192.0.2.1", 80, function() end)
        m:run(function()
            local stream = assert(net.connect("h", 80, { on_resolve = function(_, addresses)
                m:hosts { h = { "127.0.0.1" } }
                moonwire.sleep(5)
                assert.equal("192.0.2.1", addresses[1].address)
                return true
            end }))
            assert.equal("192.0.2.1", (stream:peer()))
            stream:close()
        end)
    end)

    it("gets a list of its own: to change it changes nothing", function()
        local m = mock.new()
        m:hosts { h = { "192.0.2.1" } }
        m:listen_at("192.0.2.1", 80, function() end)
        m:run(function()
            for _ = 1, 2 do
                assert(net.connect("h", 80, { on_resolve = function(_, addresses)
                    assert.equal("192.0.2.1", addresses[1].address)
                    addresses[1].address = "127.0.0.1"
                    return true
                end })):close()
            end
        end)
    end)
end)
