local data = require "moonwire.testing.server.data"
local serve = require "spec.support.serve"
local support = require "spec.support"

local moonwire = support.moonwire()

-- The output of an example, run by the real command; it must end well and say nothing on stderr.
local function run(name, ...)
    local code, out, err = support.run({
        moonwire, support.root .. "/examples/" .. name .. ".lua", ...,
    })
    assert.equal("", err)
    assert.equal(0, code)
    return out
end

local function absolute(path)
    local _, out = support.run { "realpath", path }
    return (out:gsub("\n$", ""))
end

local function has(text, what)
    assert.truthy(text:find(what, 1, true), ("%q is not in:\n%s"):format(what, text))
end

-- Runs f(url) beside a loopback server in a process of its own.
local function beside_server(f)
    local process, url = serve.start()
    f(url)
    process:kill()
end

describe("the examples", function()
    it("demo.lua shows everything once", function()
        local out = run "demo"
        has(out, "200 OK, application/json")
        has(out, "the server saw name=moon size=3474")
        has(out, "the same one")
        has(out, "40 bytes in 5 chunks over 0.5 s; chunked: true")
        has(out, "\r  100 MiB of 100 [####################]")
        has(out, "200 200 200 200 200 200 200 200 200 200\n")
        has(out, "connection refused")
        has(out, 'err.kind = "connect", err.phase = "connect", err.code = "ECONNREFUSED"')
        local together = tonumber(out:match "all ten took ([%d.]+) s")
        assert.is_true(together >= 0.3 and together < 2)
        local peak = tonumber(out:match "peak memory of the process: ([%d.]+) MiB")
        assert.is_true(peak > 1)
        if not os.getenv "MOONWIRE_SAN" then -- the sanitizers keep what was freed
            assert.is_true(peak < 32)
        end
    end)

    it("basic_client.lua prints the states of a connection", function()
        local out = run "basic_client"
        has(out, "made:            new\n")
        has(out, "head has come:   active\t200\n")
        has(out, "body was read:   idle\t")
        has(out, "POST number 2:   idle\thello, moon\n")
        has(out, "closed by us:    closed\n")
        has(out, "one more GET:    the connection is closed")
        has(out, "3 requests, 1 connection\n")
    end)

    it("streaming.lua sends and reads at the same time", function()
        local out = run "streaming"
        has(out, "sending line 1\nback came line 1\nsending line 2\nback came line 2\n")
        has(out, "5000000 bytes")
    end)

    it("get.lua prints a page", function()
        assert.equal(3, select(2, run("get"):gsub('"id":', "")))
        beside_server(function(url)
            assert.is_true(run("get", url .. "/bytes/100000") == data.bytes(100000))
        end)
    end)

    it("parallel.lua keeps the order and tells what failed", function()
        local out = run "parallel"
        assert.equal(12, select(2, out:gsub(": 200, %d+ bytes\n", "")))
        has(out, "12 requests, 4 at a time")
        local gone = ("http://127.0.0.1:%d/"):format(support.free_port())
        beside_server(function(url)
            out = run("parallel", url .. "/bytes/10", gone, url .. "/bytes/20")
            local first, refused, last = out:match "([^\n]*)\n([^\n]*)\n([^\n]*)\n"
            has(first, ": 200, 10 bytes")
            has(refused, "connection refused")
            has(last, ": 200, 20 bytes")
        end)
    end)

    it("pipe.lua sends on what it gets", function()
        local sum = data.checksum()
        sum:add(data.bytes(20000000))
        local out = run "pipe"
        has(out, '"bytes":20000000')
        has(out, sum:hex())
        beside_server(function(url)
            -- more lines than can come along with the head: so their length is not known
            has(run("pipe", url .. "/stream/10000", url .. "/upload"), '"chunked":true')
        end)
    end)

    it("download.lua goes on where each download breaks off", function()
        local dir = support.temp_dir()
        local code, out, err = support.run({
            support.moonwire(), support.root .. "/examples/download.lua",
        }, { env = { TMPDIR = dir } })
        assert.equal(0, code, err)
        has(out, dir .. "/500000: 500000 bytes, 2 requests\n")
        has(out, dir .. "/1500000: 1500000 bytes, 4 requests\n")
        has(err, "1000000: 100%, 976.6/976.6 KiB, done in 0:0")
        beside_server(function(url)
            code, out = support.run(('cd %s && exec "$MOONWIRE" "$EXAMPLE" %s %s'):format(
                support.quote(dir), url .. "/bytes/1000", url .. "/status/404"), {
                env = {
                    MOONWIRE = absolute(moonwire),
                    EXAMPLE = absolute(support.root .. "/examples/download.lua"),
                },
            })
            assert.equal(0, code)
            has(out, "./1000: 1000 bytes, 1 requests\n")
            has(out, "404")
        end)
    end)

    it("tcp_echo.lua speaks plain TCP", function()
        assert.equal("echo: hello\necho: from\necho: the\necho: moon\n", run "tcp_echo")
    end)

    it("run in plain luajit as well", function()
        local code, out, err = support.run({
            support.luajit(), support.root .. "/examples/basic_client.lua",
        })
        assert.equal("", err)
        assert.equal(0, code)
        has(out, "3 requests, 1 connection\n")
    end)

    it("have 40 lines at most, but for the demo", function()
        local _, list = support.run("ls " .. support.quote(support.root) .. "/examples/*.lua")
        local seen = 0
        for path in list:gmatch "[^\n]+" do
            local lines = 0
            for _ in io.lines(path) do
                lines = lines + 1
            end
            seen = seen + 1
            assert.is_true(lines <= 40 or path:find "/demo%.lua$" ~= nil, path)
        end
        assert.equal(8, seen)
    end)
end)
