local bodies = require "moonwire.body"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local server = require "moonwire.testing.server"
local support = require "spec.support"

-- Runs f(client, s) beside a loopback server s; nothing may be left open.
local function with_server(f, client_opts, server_opts)
    support.in_loop(function()
        local s = assert(server.start(server_opts))
        local opts = { base_url = s.url }
        for name, value in pairs(client_opts or {}) do
            opts[name] = value
        end
        local client = http.client(opts)
        f(client, s)
        client:close()
        s:close()
        assert.equal(0, client:stats().total)
    end)
end

describe("moonwire against its loopback server", function()
    it("reuses one connection for one request after the other", function()
        with_server(function(client, s)
            for i = 1, 10 do
                local seen = assert(client:get("get", { query = { i = i } })):json()
                assert.equal(tostring(i), seen.args.i)
                assert.equal(1, seen.connection)
            end
            assert.equal(10, s.requests)
            assert.equal(1, s.connections)
        end)
    end)

    it("gives a connection back although a small body was never read", function()
        with_server(function(client, s)
            for _ = 1, 3 do
                assert.equal(200, assert(client:get "get").status)
            end
            assert.equal(1, s.connections)
        end)
    end)

    it("sends and receives with every method", function()
        with_server(function(client)
            for _, method in ipairs { "post", "put", "patch", "delete" } do
                local seen = assert(client[method](client, "anything", { body = "of " .. method }))
                    :json()
                assert.equal(method:upper(), seen.method)
                assert.equal("of " .. method, seen.data)
            end
            assert.equal("", assert(client:head "bytes/100"):text())
            assert.equal(405, assert(client:post "get").status)
        end)
    end)

    it("uploads from a generator that sleeps, chunk by chunk", function()
        with_server(function(client)
            local left = 5
            local seen = assert(client:post("upload", { body = function()
                left = left - 1
                moonwire.sleep(0.005)
                return left >= 0 and ("%d"):format(left):rep(1000) or nil
            end })):json()
            assert.equal(5000, seen.bytes)
            assert.is_true(seen.chunked)
        end)
    end)

    it("reads trailers", function()
        with_server(function(client)
            local response = assert(client:get "chunked")
            assert.equal("piece 1\npiece 2\npiece 3\n", response:text())
            assert.equal("3", response.trailers["x-pieces"])
        end)
    end)

    it("echoes a body that is larger than all buffers while it is still being sent", function()
        with_server(function(client)
            local chunk, sent, received = ("0123456789abcdef"):rep(4096), 0, 0
            local response = assert(client:post("echo", { body = function()
                sent = sent + 1
                return sent <= 512 and chunk or nil
            end }))
            for piece in response:chunks() do
                received = received + #piece
            end
            assert.equal(512 * #chunk, received)
            assert.is_true(response.upload_complete)
            assert.equal(1, client:stats().idle)
        end)
    end)

    it("pipes a download into an upload", function()
        with_server(function(client)
            local download = assert(client:get "bytes/3000000")
            local seen = assert(client:post("upload", { body = download })):json()
            assert.equal(3000000, seen.bytes)
            assert.is_false(seen.chunked)
            download = assert(client:get "bytes/200000?chunked=1")
            seen = assert(client:post("upload", { body = bodies.new(download) })):json()
            assert.equal(200000, seen.bytes)
            assert.is_true(seen.chunked)
            assert.equal(2, client:stats().idle)
        end)
    end)

    it("saves a body to a file", function()
        local path = support.temp_dir() .. "/saved"
        with_server(function(client)
            assert(assert(client:get "bytes/1000000"):save(path))
            local file = assert(io.open(path))
            assert.equal(1000000, file:seek "end")
            file:close()
        end)
    end)

    it("fails a request whose body gives up, and the server sees no whole body", function()
        with_server(function(client, s)
            local ended = {}
            s:on("/sink", function(request, respond)
                while request:read() do
                    ended[1] = nil
                end
                ended[1] = true
                respond(200, "whole")
            end)
            local response, err = client:post("sink", { body = coroutine.wrap(function()
                coroutine.yield "first"
                moonwire.sleep(0.01)
                coroutine.yield(nil, "the disk is gone")
            end) })
            assert.is_nil(response)
            assert.equal("body", err.kind)
            assert.is_truthy(tostring(err):find("the disk is gone", 1, true))
            moonwire.sleep(0.02)
            assert.is_nil(ended[1])
            assert.equal(0, client:stats().total)
        end)
    end)

    local broken = {
        { "two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
            "protocol", "headers" },
        { "a length beside chunks",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "protocol", "headers" },
        { "a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "protocol", "headers" },
        { "no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", "protocol", "headers" },
        { "HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", "protocol", "headers" },
        { "nothing", "", "closed", "headers" },
        { "half a head", "HTTP/1.1 200 OK\r\nContent-", "closed", "headers" },
        { "an endless head", "HTTP/1.1 200 OK\r\nX: " .. ("x"):rep(100000) .. "\r\n\r\n",
            "limit", "headers" },
        { "a short body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "closed", "body" },
        { "chunks without an end",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "closed", "body" },
        { "a broken chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX",
            "protocol", "body" },
    }
    for _, case in ipairs(broken) do
        it("takes " .. case[1] .. " for a failure, and goes on", function()
            with_server(function(client, s)
                s:raw("/broken", case[2])
                local response, err = client:get "broken"
                if case[4] == "body" then
                    response, err = assert(response, err):text()
                end
                assert.is_nil(response)
                assert.equal(case[3] .. " " .. case[4], err.kind .. " " .. err.phase)
                assert.equal(s.url .. "/broken", err.url)
                assert.equal(0, client:stats().total)
                assert.equal(200, assert(client:get "get").status)
            end)
        end)
    end

    for how, give_up in pairs {
        returns = function(err)
            return nil, err
        end,
        raises = function(err)
            error(err, 0)
        end,
    } do
        it("calls it a timeout when its function waits until then and " .. how, function()
            with_server(function(client)
                for _ = 1, 5 do -- it matters which of two waits ends first
                    local response, err = client:post("post", { timeout = 0.02, body = function()
                        return give_up(select(2, moonwire.sleep(10)))
                    end })
                    assert.is_nil(response)
                    assert.equal("timeout", err.kind)
                    assert.equal("total", err.timeout)
                end
            end)
        end)
    end

    it("takes no answer for another request's", function()
        with_server(function(client, s)
            local reply = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"
            s:raw("/twice", { { send = reply .. reply:gsub("one", "two") }, { delay = 0.2 } })
            assert.equal("one", assert(client:get "twice"):text())
            assert.equal(0, client:stats().idle)
            assert.equal(200, assert(client:get "get").status)
        end)
    end)

    it("is told by the socket that an idle connection has ended", function()
        with_server(function(client, s)
            assert(client:get "get")
            moonwire.sleep(0.1) -- longer than the server keeps it
            assert(client:post("post", { body = "x" }))
            assert.equal(2, s.connections)
        end, nil, { idle_timeout = 0.05 })
    end)

    it("closes idle connections without traffic", function()
        with_server(function(client)
            assert(client:get "get")
            assert.equal(1, client:stats().idle)
            moonwire.sleep(0.15)
            assert.equal(0, client:stats().total)
        end, { pool = { idle_timeout = 0.1 } })
    end)

    it("closes the connection of a response that was dropped unread", function()
        with_server(function(client)
            assert(client:get "bytes/50000000")
            assert.equal(1, client:stats().active)
            for _ = 1, 3 do
                collectgarbage()
                moonwire.sleep(0.01)
            end
            assert.equal(0, client:stats().total)
        end)
    end)

    it("connects over IPv6", function()
        with_server(function(client)
            assert.equal(200, assert(client:get "get").status)
        end, nil, { host = "::1" })
    end)

    it("answers a hundred at once over four connections", function()
        with_server(function(client, s)
            local paths = {}
            for i = 1, 100 do
                paths[i] = "anything/" .. i
            end
            local answers = moonwire.map(paths, function(path)
                return assert(client:get(path)):json().url
            end, { concurrency = 100 })
            for i = 1, 100 do
                assert.equal(s.url .. "/anything/" .. i, answers[i])
            end
            assert.equal(4, s.connections)
        end, { pool = { max_total = 4 } })
    end)

    it("stays whole when requests are cancelled at random", function()
        math.randomseed(11)
        with_server(function(client)
            local finished, stopped = 0, 0
            moonwire.scope(function(s)
                for _ = 1, 12 do
                    s:spawn(function()
                        for _ = 1, 40 do
                            local _, err = moonwire.timeout(math.random() * 0.01, function()
                                local response, problem = client:get(
                                    math.random(2) == 1 and "bytes/300000" or "delay/0.004")
                                if not response then
                                    return nil, problem
                                end
                                return response:text()
                            end)
                            if err then
                                stopped = stopped + 1
                                assert.is_true(err.kind == "timeout" or err.kind == "cancelled")
                            else
                                finished = finished + 1
                            end
                        end
                    end)
                end
            end)
            local stats = client:stats()
            assert.equal(480, finished + stopped)
            assert.is_true(finished > 0 and stopped > 0)
            assert.equal(0, stats.active + stats.opening + stats.reserved + stats.waiting)
            assert.equal(200, assert(client:get "get").status)
        end, { pool = { max_total = 4 } })
    end)
end)
