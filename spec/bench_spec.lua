-- The command itself, against a server in a process of its own: short runs.
local certs = require "spec.support.certs"
local json = require "moonwire.json"
local serve = require "spec.support.serve"
local support = require "spec.support"

local moonwire = support.moonwire()

local function write(name, text)
    local path = support.temp_dir() .. "/" .. name
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    return path
end

local function read(path)
    local file = assert(io.open(path))
    local text = file:read "*a"
    file:close()
    return text
end

-- code, stdout, stderr of `moonwire bench ...`
local function bench(...)
    return support.run { moonwire, "bench", ... }
end

describe("moonwire bench", function()
    local process, server

    setup(function()
        process, server = serve.start()
    end)

    teardown(function()
        process:kill()
    end)

    it("measures for a time and reports", function()
        local code, out, err = bench(server .. "/get", "-c", "5", "-d", "300ms")
        assert.equal("", err)
        assert.equal(0, code)
        assert.truthy(out:find("^GET " .. server:gsub("%p", "%%%0") .. "/get\n5 connections, "))
        for _, word in ipairs { "requests ", "received ", "statuses      2xx ", "connections   5 ",
            "latency       p50 ", "p99.9 ", "stdev ", "client " } do
            assert.truthy(out:find("  " .. word, 1, true), word)
        end
    end)

    it("writes JSON whose fields are there, and the page", function()
        local folder = support.temp_dir()
        local code, out, err = bench(server .. "/get", "-c", "2", "-n", "50", "-q", "--json",
            folder .. "/x.json", "--html", folder .. "/x.html")
        assert.equal("", out)
        assert.equal("", err)
        assert.equal(0, code)
        local s = json.decode(read(folder .. "/x.json"))
        assert.equal(50, s.requests.answered)
        assert.equal(50, s.requests.succeeded)
        assert.same({ ["200"] = 50 }, s.statuses)
        assert.same({}, s.errors)
        assert.equal(50, s.latency.count)
        assert.is_true(s.latency.min <= s.latency.p50 and s.latency.p50 <= s.latency.p99)
        assert.is_true(s.latency.p99_9 <= s.latency.max)
        assert.equal(9, #s.latency.percentiles)
        assert.is_true(#s.series >= 1)
        assert.is_true(s.client.cpu_seconds > 0)
        assert.is_nil(s.schedule)
        assert.truthy(read(folder .. "/x.html"):find("^<!DOCTYPE html>\n"))
    end)

    it("gives JSON on standard output in place of the report", function()
        local code, out = bench(server .. "/post", "-n", "4", "-c", "1", "--json", "-", "--body",
            "text", "-H", "Content-Type: text/plain", "--rate", "100")
        assert.equal(0, code)
        local s = assert(json.decode(out))
        assert.equal("POST", s.method)
        assert.equal(4, s.requests.answered)
        assert.equal(100, s.schedule.rate)
    end)

    it("exits 1 when no request succeeded, and says what came instead", function()
        local code, out = bench(server .. "/status/503", "-n", "3")
        assert.equal(1, code)
        assert.truthy(out:find("5xx 3  (503 3)", 1, true))
        local port = support.free_port()
        local err
        code, out, err = bench(("http://127.0.0.1:%d/"):format(port))
        assert.equal(1, code)
        assert.equal("", out)
        assert.equal(("moonwire: bench: connecting to 127.0.0.1:%d: connection refused\n")
            :format(port), err)
    end)

    it("tells timeouts", function()
        local code, out = bench(server .. "/delay/5", "-n", "2", "-c", "2", "--timeout", "100ms")
        assert.equal(1, code)
        assert.truthy(out:find("errors        timeout 2\n", 1, true))
        assert.truthy(out:find("the first: ", 1, true))
    end)

    it("exits 2 with the usage when it is used wrongly", function()
        for _, words in ipairs { {}, { "--nope" }, { server, "-c", "x" }, { "nonsense" } } do
            local code, out, err = bench(unpack(words))
            assert.equal(2, code)
            assert.equal("", out)
            assert.truthy(err:find("^moonwire: bench: [^\n]+\nusage: moonwire bench URL"))
        end
        local code, out = bench "--help"
        assert.equal(0, code)
        assert.truthy(out:find("^usage: moonwire bench URL"))
    end)

    it("knows before it runs that a report can't be written", function()
        local code, out, err = bench(server, "--json", "/no/such/folder/x", "-d", "1h")
        assert.equal(2, code)
        assert.equal("", out)
        assert.equal("moonwire: bench: can't write /no/such/folder/x: No such file or directory\n",
            err)
    end)

    it("leaves the name to a script that is called by its path", function()
        local folder = support.temp_dir()
        local file = assert(io.open(folder .. "/bench", "w"))
        file:write("print('script', ...)")
        file:close()
        local _, out = support.run(("cd %s && %s ./bench x"):format(support.quote(folder),
            support.quote(moonwire)))
        assert.equal("script\tx\n", out)
    end)

    it("runs a script's hooks, with its arguments", function()
        local path = write("hooks.lua", [[
            local paths, n, seen = {}, 0, 0
            local first = ...
            function init(args)
                paths = args
                print(arg[0] ~= nil, arg[1], first)
            end
            function request()
                n = n + 1
                return { url = paths[n % 2 + 1] }
            end
            function response(res, req)
                seen = seen + #res:text()
                assert(req.target == "/bytes/10" or req.target == "/bytes/20")
            end
            function done(summary, latency)
                print(n, seen, summary.requests.answered, latency:percentile(50) > 0)
                global = 1
            end
        ]])
        local code, out, err = bench(server, "-q", "-c", "3", "-n", "10", path, "/bytes/10",
            "/bytes/20")
        assert.equal("", err)
        assert.equal("true\t/bytes/10\t/bytes/10\n10\t150\t10\ttrue\n", out)
        assert.equal(0, code)
    end)

    it("takes the hooks of the table that a script returns", function()
        local path = write("table.lua", [[
            local requests = require "moonwire.request"
            local prepared
            return {
                init = function(args)
                    prepared = requests.new { url = args[1] .. "/status/204", method = "PUT" }
                end,
                request = function() return prepared end,
            }
        ]])
        local code, out = bench(server, "-c", "2", "-n", "6", path, server)
        assert.equal(0, code)
        assert.truthy(out:find("answered", 1, true))
    end)

    it("ends with the traceback of a hook that fails, and exits 1", function()
        local path = write("fails.lua", [[
            local function deeper() error "boom" end
            function response(res)
                deeper(res)
                return true
            end
        ]])
        local code, out, err = bench(server .. "/get", "-d", "1h", path)
        assert.equal(1, code)
        assert.equal("", out)
        assert.truthy(err:find("^moonwire: bench: [^\n]*fails.lua:1: boom\nstack traceback:\n"))
        assert.truthy(err:find("fails.lua:3: in function 'response'", 1, true))
        assert.falsy(err:find("moonwire/bench/run.lua", 1, true))
        for _, case in ipairs {
            { "x = = 1", "fails.lua:1: unexpected symbol near '='" },
            { "local x = 1", "it defines none of init, request, response and done" },
            { "done = 7", "its done is a number, not a function" },
        } do
            code, out, err = bench(server, "-n", "1", write("fails.lua", case[1]))
            assert.equal(1, code)
            assert.equal("", out)
            assert.truthy(err:find(case[2], 1, true), err)
        end
        code, out, err = bench(server, "-n", "1", "no-such.lua")
        assert.equal(1, code)
        assert.equal("", out)
        assert.truthy(err:find("cannot open no-such.lua", 1, true))
    end)

    it("reports at once when it is interrupted", function()
        local _, out, err = support.run(([[
            env --default-signal=INT %s bench %s/get -c 2 -d 1h & pid=$!
            sleep 0.5; kill -INT $pid
            wait $pid; echo "exit $?"
        ]]):format(support.quote(moonwire), server))
        assert.equal("", err)
        assert.truthy(out:find("\n  requests      ", 1, true))
        assert.truthy(out:find("\nnote: interrupted\nexit 0\n$"))
    end)

    it("exits 130 when it is interrupted before it began", function()
        local path = write("waits.lua", 'function init() require("moonwire").sleep(30) end')
        local _, out, err = support.run(([[
            env --default-signal=INT %s bench %s/get -d 1h %s & pid=$!
            sleep 0.5; kill -INT $pid
            wait $pid; echo "exit $?"
        ]]):format(support.quote(moonwire), server, path))
        assert.equal("", err)
        assert.equal("exit 130\n", out)
    end)

    it("shows progress on a terminal only", function()
        local code, out = support.run(("script -qec %s /dev/null </dev/null"):format(support.quote(
            ("%s bench %s/get -c 1 -d 1200ms >/dev/null"):format(moonwire, server))))
        assert.equal(0, code)
        assert.truthy(out:find "measuring: 1%.%d%d s of 1%.20 s, ", out)
    end)

    it("measures https, which it verifies", function()
        local made = certs.new()
        made:root "root"
        made:issue("leaf", { by = "root", san = "IP:127.0.0.1" })
        local tls_server, url = serve.program { moonwire, "-e", ([[
            print(require("moonwire.testing.server").start({ tls = {
                cert = %q, key = %q } }).url)
            io.flush()
            require("moonwire").sleep(60)
        ]]):format(made:path "leaf.pem", made:path "leaf.key") }
        local code, out, err = bench(url .. "/get", "-c", "2", "-n", "10")
        assert.equal(1, code)
        assert.equal("", out)
        assert.truthy(err:find("certificate is not accepted", 1, true), err)
        code, out = bench(url .. "/get", "-c", "2", "-n", "10", "-k")
        assert.equal(0, code)
        assert.truthy(out:find("2xx 10", 1, true))
        code, out = support.run({ moonwire, "bench", url .. "/get", "-c", "2", "-n", "10" },
            { env = { SSL_CERT_FILE = made:path "root.pem" } })
        assert.equal(0, code, out)
        tls_server:kill()
    end)
end)
