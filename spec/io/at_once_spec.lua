-- Requests to this machine: a connection that needs no wait is there at once, and nothing is
-- started to dial for it; whatever else comes of it is told as ever.
local backends = require "moonwire.backend"
local channel = require "moonwire.channel"
local core = require "moonwire.core"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local request = require "moonwire.request"
local server = require "moonwire.testing.server"
local support = require "spec.support"

-- Runs f(client, url) and gives how many threads were started by it.
local function threads_of(opts, f)
    local started = 0
    support.in_loop(function()
        local s = assert(server.start())
        local client, backend = http.client(opts(s)), backends.current()
        local start = backend.start
        backend.start = function(self, fn, ...)
            if fn == client.supply.dial_aside then
                started = started + 1
            end
            return start(self, fn, ...)
        end
        f(client, s.url, s)
        backend.start = nil
        client:close()
        s:close()
    end)
    return started
end

local function several(client, url)
    local list = moonwire.map({ 1, 2, 3, 4, 5 }, function(i)
        return assert(client:get(url .. "/get?n=" .. i)):json().args.n
    end)
    assert.equal("1 2 3 4 5", table.concat(list, " "))
    assert.equal(5, client:stats().opened)
    assert.equal(0, client:stats().waiting + client:stats().opening)
end

local function plain()
    return {}
end

describe("a request to this machine", function()
    it("starts no thread that dials, however many there are at a time", function()
        assert.equal(0, threads_of(plain, several))
    end)

    it("starts one where on_resolve is to be asked, which may wait", function()
        local asked, all_have = 0, channel.new()
        assert.is_true(threads_of(function()
            return { on_resolve = function()
                asked = asked + 1
                if asked < 5 then
                    all_have:receive()
                else
                    all_have:close()
                end
                return true
            end }
        end, several) > 0)
        assert.equal(5, asked)
    end)

    it("takes the address of this side that is wanted", function()
        assert.equal(0, threads_of(function()
            return { local_address = "127.0.0.9" }
        end, function(client, url)
            local response = assert(client:request(
                request.new { method = "GET", url = url .. "/bytes/300000" }))
            assert.equal("127.0.0.9", (response.connection.stream:name()))
            assert(response:discard())
        end))
    end)

    it("is refused in the same words, with its attempts, and leaves its place", function()
        threads_of(plain, function(client)
            local place = "127.0.0.1:" .. support.free_port()
            for _ = 1, 2 do
                local _, err = client:get("http://" .. place .. "/")
                assert.equal("connect", err.kind)
                assert.equal("connecting to " .. place .. ": connection refused", err.message)
                assert.equal(1, #err.attempts)
                assert.equal(0, client:stats().total)
            end
        end)
    end)

    it("connects to nothing once its time is over or its scope is cancelled", function()
        threads_of(plain, function(client, url)
            local response, err = client:get(url, { timeout = 1e-9 })
            assert.is_nil(response)
            assert.equal("timeout", err.kind)
            moonwire.scope(function(scope)
                scope:cancel()
                response, err = client:get(url)
                assert.is_nil(response)
                assert.equal("cancelled", err.kind)
            end)
            assert.equal(0, client:stats().opened)
        end)
    end)

    it("gives its place back when what is made of the connection raises", function()
        threads_of(plain, function(client, url)
            local h1 = core.h1
            core.h1 = function()
                error("no codec", 0)
            end
            local ok, problem = pcall(client.get, client, url)
            core.h1 = h1
            assert.is_false(ok)
            assert.matches("no codec", tostring(problem))
            assert.equal(0, client:stats().total)
            collectgarbage() -- closes what nobody has
            collectgarbage()
            assert.equal(200, assert(client:get(url .. "/get")).status)
        end)
    end)

    it("tells the transcript that it connects", function()
        local code, _, text = support.run({ support.moonwire(), "-v", "-e", [[
            local http = require "moonwire.http"
            local s = require("moonwire.testing.server").start()
            assert(http.get(s.url .. "/get"))
            http.default():close()
            s:close()
        ]] })
        assert.equal(0, code, text)
        assert.matches("trying 127.0.0.1 port %d+", text)
        assert.matches("connected to 127.0.0.1 port %d+", text)
    end)
end)
