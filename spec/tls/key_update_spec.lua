-- What TLS says between the bytes: tickets, KeyUpdate, renegotiation. The peer is openssl's
-- s_server, whose standard input is a pipe: a line goes out as it is, but for K, k and r.

local certs = require "spec.support.certs"
local connections = require "moonwire.connection"
local core = require "moonwire.core"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local requests = require "moonwire.request"
local support = require "spec.support"
local tap = require "spec.support.tap"
local tls = require "moonwire.backend.tls"

local made = certs.new()
made:root "root"
made:issue("good", { by = "root", san = "DNS:localhost" })

local REPLY = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"

-- Runs f(connection, say, get) with a server; say(line) goes to its standard input.
local function with_server(version, f)
    local dir, port = support.temp_dir(), support.free_port()
    local pipe, seen = dir .. "/pipe", dir .. "/output"
    assert(os.execute("mkfifo " .. support.quote(pipe)) == 0)
    local command = "exec openssl s_server -accept 127.0.0.1:%d -cert %s -key %s -%s"
        .. " -alpn http/1.1 <>%s"
    local process = support.spawn_process({ "sh", "-c", command:format(port,
        made:path "good.pem", made:path "good.key", version, pipe) }, { output = seen })
    support.wait_port(port)
    local input = assert(io.open(pipe, "w"))
    input:setvbuf "no"
    local function say(line)
        assert(input:write(line))
    end
    local function output()
        local file = assert(io.open(seen))
        local text = file:read "*a"
        file:close()
        return text
    end
    local function await(what, holds)
        local ends = moonwire.now() + 10
        while not holds() do
            assert(moonwire.now() < ends, what)
            moonwire.sleep(0.01)
        end
    end
    local asked = 0
    local ok, problem = pcall(support.in_loop, function()
        local line = tap.new(port)
        local stream = assert(net.connect("localhost", line.port))
        assert(stream:start_tls {
            ca_file = made:path "root.pem", server_name = "localhost",
        })
        local connection = connections.new(stream)
        local function get()
            asked = asked + 1
            local target = "/number-" .. asked
            local task = moonwire.spawn(connection.request, connection, requests.new {
                url = "https://localhost" .. target,
            })
            await("the server has the request", function()
                return output():find(target, 1, true) ~= nil
            end)
            return task
        end
        -- Says a word of the server's to the client; gives it the time to hear it.
        local function tell(letter)
            local down = line.lines[1].down
            local before = #down
            say(letter .. "\n")
            await("the server has said something", function()
                return #down > before
            end)
            moonwire.sleep(0.02)
        end
        f({ connection = connection, say = say, get = get, await = await, tell = tell,
            output = output })
        connection:close()
        line:close()
    end)
    input:close()
    process:kill()
    assert(ok, problem)
end

local function answer(w, task)
    w.say(REPLY)
    local response = assert(task:join())
    assert.equal("hello\n", response:text())
end

describe("KeyUpdate", function()
    for _, letter in ipairs { "K", "k" } do -- without and with a request for ours
        local name = letter == "K" and "" or ", and asks for one"
        it("leaves an idle connection idle" .. name, function()
            with_server("tls1_3", function(w)
                answer(w, w.get())
                local before = w.connection.stream.core:fd()
                for _ = 1, 3 do
                    w.tell(letter)
                    assert.equal("idle", w.connection.state)
                    assert.is_false(w.connection:has_expired())
                    answer(w, w.get())
                end
                assert.equal(before, w.connection.stream.core:fd())
                assert.equal(4, w.connection:stats().requests)
            end)
        end)

        it("may come in the middle of a body" .. name, function()
            with_server("tls1_3", function(w)
                local task = w.get()
                w.say "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nfirst\n"
                local response = assert(task:join())
                assert.equal("first\n", response:read())
                w.tell(letter)
                w.say "later\n"
                assert.equal("later\n", response:read())
                assert.is_nil((response:read()))
                answer(w, w.get())
            end)
        end)
    end
end)

describe("renegotiation", function()
    it("is refused, and nothing is lost of what came before it", function()
        with_server("tls1_2", function(w)
            answer(w, w.get())
            w.tell "r"
            -- s_server gives up when it is refused; a connection that goes on would be as good
            w.await("the connection is closed", function()
                return w.connection:is_closed()
            end)
            assert.equal("peer_closed_idle", w.connection.close_reason)
            assert.equal(1, select(2, w.output():gsub("ACCEPT", "")))
        end)
    end)

    it("fails a request that waits for its answer, with words", function()
        with_server("tls1_2", function(w)
            local task = w.get()
            w.say "r\n"
            local response, err = task:join()
            assert.is_nil(response)
            assert.is_truthy(err.kind == "closed" or err.kind == "tls", tostring(err))
        end)
    end)
end)

-- Both ends in memory, without a loop.
local function ends()
    local client = assert(core.tls(assert(tls.context({
        ca_file = made:path "root.pem",
    }, 1)).core, nil, "localhost"))
    local server = assert(core.tls(assert(tls.server_context({
        cert = made:path "good.pem", key = made:path "good.key",
    }, 1)).core, nil))
    local function carry(from, to)
        local data = from:output()
        from:output_sent(#data)
        to:feed(data)
        return data
    end
    client:handshake()
    carry(client, server)
    server:handshake()
    carry(server, client)
    assert(client:handshake())
    carry(client, server)
    assert(server:handshake())
    return client, server, carry
end

describe("tickets", function()
    it("leave a quiet connection quiet at each of their bytes", function()
        local client, server = ends()
        local tickets = server:output()
        assert.is_true(#tickets > 300)
        assert.is_true(client:is_quiet())
        assert.is_nil(client:take_session())
        local sessions = 0
        for i = 1, #tickets do
            client:feed(tickets:sub(i, i))
            assert.is_true(client:is_quiet())
            assert.equal(core.EAGAIN, select(2, client:recv(10)))
            if client:take_session() then
                sessions = sessions + 1
            end
        end
        assert.equal(2, sessions)
        server:output_sent(#tickets)
        assert.equal(1, server:send "x")
        client:feed(server:output())
        assert.is_false(client:is_quiet())
        assert.equal("x", client:recv(10))
        assert.is_true(client:is_quiet())
    end)

    it("that go together with bytes hide none of them", function()
        local client, server, carry = ends()
        assert.equal(5, server:send "hello")
        carry(server, client)
        assert.is_false(client:is_quiet())
        assert.equal("hello", client:recv(10))
        assert.is_true(client:is_quiet())
        server:close()
        carry(server, client)
        assert.is_false(client:is_quiet())
        assert.equal(core.EOF, select(2, client:recv(10)))
    end)
end)
