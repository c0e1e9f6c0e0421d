-- TLS straight on a socket of the core: it asks the socket no more often than needed.

local certs = require "spec.support.certs"
local core = require "moonwire.core"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local support = require "spec.support"

local made = certs.new()
made:root "root"
made:issue("good", { by = "root", san = "DNS:localhost" })

-- Runs f(client, server) with two streams over a real socket.
local function with_pair(f)
    support.in_loop(function()
        local listener = assert(net.listen("127.0.0.1", 0))
        local client = assert(net.connect("127.0.0.1", listener:address().port))
        local server = assert(listener:accept())
        listener:close()
        local task = moonwire.spawn(server.accept_tls, server, {
            cert = made:path "good.pem", key = made:path "good.key",
        })
        assert(client:start_tls { ca_file = made:path "root.pem", server_name = "localhost" })
        assert(task:join())
        f(client, server)
        client:close()
        server:close()
    end)
end

describe("TLS on a socket", function()
    it("does not ask again what was emptied, before an event", function()
        with_pair(function(client, server)
            assert(server:write "first")
            assert.equal("first", client:read())
            assert(server:write "second")
            local data, code = client.core:recv(10)
            assert.is_nil(data)
            assert.equal(core.EAGAIN, code)
            assert.equal("second", client:read()) -- which waits for the event
            assert(server:write "third")
            assert.equal("third", client:read_now()) -- which looks
        end)
    end)

    it("sees what has come to an idle connection", function()
        with_pair(function(client, server)
            assert(server:write "x")
            assert.equal("x", client:read())
            assert.is_true(client:is_quiet())
            assert(server:write "y")
            local ends = moonwire.now() + 5
            while client:is_quiet() and moonwire.now() < ends do
                moonwire.sleep(0.001)
            end
            assert.equal("y", client:read_now())
            server:close()
            while client:is_quiet() and moonwire.now() < ends do
                moonwire.sleep(0.001)
            end
            local rest, err = client:read_now()
            assert.is_nil(rest)
            assert.is_nil(err)
        end)
    end)

    it("gives what has come before nothing could be sent any more", function()
        with_pair(function(client, server)
            assert(server:write "an answer")
            server:close()
            local ok, err
            repeat
                ok, err = client:write "x"
                moonwire.sleep(0.001)
            until not ok
            assert.equal("closed", err.kind)
            assert.equal("an answer", client:read())
            ok, err = client:write "x"
            assert.is_nil(ok)
            assert.equal("closed", err.kind)
        end)
    end)

    it("carries both directions at once", function()
        with_pair(function(client, server)
            local piece, total = ("0123456789abcdef"):rep(8192), 40
            local function send(stream)
                for _ = 1, total do
                    assert(stream:write(piece))
                end
                assert(stream:shutdown())
            end
            local function receive(stream)
                local size = 0
                for data in function() return stream:read() end do
                    size = size + #data
                end
                return size
            end
            local tasks = {}
            for i, stream in ipairs { client, server } do
                moonwire.spawn(send, stream)
                tasks[i] = moonwire.spawn(receive, stream)
            end
            assert.equal(total * #piece, tasks[1]:join())
            assert.equal(total * #piece, tasks[2]:join())
        end)
    end)
end)
