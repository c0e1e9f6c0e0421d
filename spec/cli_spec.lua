local support = require "spec.support"

local moonwire = support.moonwire()

-- code, stdout, stderr of the command
local function run(...)
    return support.run({ moonwire, ... })
end

local function script(text)
    local path = support.temp_dir() .. "/script.lua"
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    return path
end

describe("the moonwire command", function()
    it("runs a script with its arguments in arg and in ...", function()
        local path = script "print(arg[0]) print(arg[1], arg[2], #arg) print(...)"
        local code, out, err = run(path, "one", "-v")
        assert.equal("", err)
        assert.equal(path .. "\none\t-v\t2\none\t-v\n", out)
        assert.equal(0, code)
    end)

    it("puts what stands before the script below arg[0]", function()
        local _, out = run("-e", "x = 1", script "print(arg[-2], arg[-1], arg[-3] ~= nil)")
        assert.equal("-e\tx = 1\ttrue\n", out)
    end)

    it("runs -e, more than once, before the script", function()
        local _, out = run("-e", "a = 1", "-e", "b = a + 1", script "print(a, b)")
        assert.equal("1\t2\n", out)
        assert.equal("7\n", select(2, run("-eprint(7)")))
    end)

    it("runs standard input as - and when there is nothing else to do", function()
        local _, out = support.run({ moonwire, "-", "x" }, { stdin = "print('in', ...)" })
        assert.equal("in\tx\n", out)
        _, out = support.run({ moonwire }, { stdin = "#!/usr/bin/env moonwire\nprint(6 * 7)" })
        assert.equal("42\n", out)
    end)

    it("skips a first line that begins with #!", function()
        local _, out = run(script "#!/usr/bin/env moonwire\nprint 'ran'")
        assert.equal("ran\n", out)
    end)

    it("ends the options at --", function()
        local folder = support.temp_dir()
        local file = assert(io.open(folder .. "/-odd.lua", "w"))
        file:write("print('odd', ...)")
        file:close()
        local _, out = support.run(("cd %s && %s -- -odd.lua 1"):format(
            support.quote(folder), support.quote(moonwire)))
        assert.equal("odd\t1\n", out)
    end)

    it("says its version and how it is used", function()
        local version = require "moonwire.version"
        local code, out = run("--version")
        assert.equal(0, code)
        assert.equal(("moonwire %s (%s)\n"):format(version, jit.version), out)
        code, out = run("--help")
        assert.equal(0, code)
        assert.truthy(out:find("usage: moonwire [-v] [--har FILE] [-e CODE] [-i] [script", 1, true))
    end)

    it("exits 2 with the usage when it is used wrongly", function()
        for _, words in ipairs { { "--nope" }, { "-x" }, { "-e" } } do
            local code, out, err = run(unpack(words))
            assert.equal(2, code)
            assert.equal("", out)
            assert.truthy(err:find("^moonwire: .*\nusage: moonwire "))
        end
    end)

    it("runs the script as the root task, and ends when its tasks have ended", function()
        local code, out, err = run("-e", [[
            local moonwire = require "moonwire"
            moonwire.spawn(function() moonwire.sleep(0.05) print "task" end)
            print "script"
        ]])
        assert.equal("", err)
        assert.equal("script\ntask\n", out)
        assert.equal(0, code)
    end)

    it("ends well when a script leaves a response unread and a server open", function()
        for _, command in ipairs { moonwire, support.luajit() } do
            local code, out, err = support.run { command, script [[
                local server = assert(require("moonwire.testing.server").start())
                print(require("moonwire.http").get(server.url .. "/bytes/5000000").status)
            ]] }
            assert.equal("", err)
            assert.equal("200\n", out)
            assert.equal(0, code)
        end
    end)

    it("finds its modules from any folder", function()
        local code, out, err = support.run(("cd / && %s -e 'print(require(\"moonwire\").version)'")
            :format(support.quote(moonwire)), { env = { LUA_PATH = ";;", LUA_CPATH = ";;" } })
        assert.equal("", err)
        assert.equal(require "moonwire.version" .. "\n", out)
        assert.equal(0, code)
    end)

    it("leaves room for LUA_PATH", function()
        local folder = support.temp_dir()
        local file = assert(io.open(folder .. "/mine.lua", "w"))
        file:write("return 'mine'")
        file:close()
        local _, out = support.run({ moonwire, "-e", "print(require 'mine')" },
            { env = { LUA_PATH = folder .. "/?.lua" } })
        assert.equal("mine\n", out)
    end)
end)

describe("what goes wrong in a script", function()
    it("is printed with its traceback, and the exit code is 1", function()
        local path = script "local function f()\n    error 'boom'\nend\nf()\n"
        local code, out, err = run(path)
        assert.equal(1, code)
        assert.equal("", out)
        assert.truthy(err:find("^moonwire: [^\n]*script.lua:2: boom\nstack traceback:\n"))
        assert.truthy(err:find("script.lua:4:", 1, true))
        assert.falsy(err:find("moonwire/scope.lua", 1, true))
    end)

    it("is printed as well when it happens in a task", function()
        local code, _, err = run("-e", [[
            local moonwire = require "moonwire"
            moonwire.spawn(function() error "in the task" end)
            moonwire.sleep(5)
        ]])
        assert.equal(1, code)
        assert.truthy(err:find("in the task\nstack traceback:\n"))
    end)

    it("is a sentence when it is an error of moonwire", function()
        local port = support.free_port()
        local code, _, err = run("-e", ([[
            assert(require("moonwire.http").get("http://127.0.0.1:%d/"))
        ]]):format(port))
        assert.equal(1, code)
        assert.truthy(err:lower():find("connection refused", 1, true))
        assert.truthy(err:find("127.0.0.1:" .. port, 1, true))
    end)

    it("may be a value of any type", function()
        local code, _, err = run("-e", "error({})")
        assert.equal(1, code)
        assert.equal("moonwire: (the error is a table value)\n", err)
        code, _, err = run("-e", [[
            error(setmetatable({}, { __tostring = function() return "T" end }))
        ]])
        assert.equal(1, code)
        assert.equal("moonwire: T\n", err)
        code, _, err = run("-e", "error()")
        assert.equal(1, code)
        assert.equal("moonwire: (the error is a nil value)\n", err)
    end)

    it("is a missing script", function()
        local code, _, err = run("no-such-script.lua")
        assert.equal(1, code)
        assert.equal("moonwire: cannot open no-such-script.lua: No such file or directory\n", err)
    end)

    it("is a syntax error", function()
        local code, _, err = run(script "x = = 1")
        assert.equal(1, code)
        assert.truthy(err:find("^moonwire: [^\n]*script.lua:1: unexpected symbol near '='\n$"))
        code, _, err = run("-e", "x = = 1")
        assert.equal(1, code)
        assert.equal("moonwire: (command line):1: unexpected symbol near '='\n", err)
    end)
end)

describe("the transcript", function()
    local fetch = [[
        local server = require("moonwire.testing.server").start()
        require("moonwire.http").get(server.url .. "/get", {
            headers = { Authorization = "Bearer xyzzy" },
        })
        server:close()
    ]]

    it("goes to stderr with -v, without secrets", function()
        local code, out, err = run("-v", "-e", fetch)
        assert.equal(0, code)
        assert.equal("", out)
        assert.matches("^%* trying 127%.0%.0%.1 port %d+\n"
            .. "%* connected to 127%.0%.0%.1 port %d+\n> ", err)
        assert.truthy(err:find("\n> GET /get HTTP/1.1\n", 1, true))
        assert.truthy(err:find("\n< HTTP/1.1 200 OK\n", 1, true))
        assert.falsy(err:find("xyzzy", 1, true))
    end)

    it("goes there with MOONWIRE_TRACE=1 too, and nowhere without", function()
        local _, _, err = support.run({ moonwire, "-e", fetch }, { env = { MOONWIRE_TRACE = "1" } })
        assert.truthy(err:find("\n> GET /get HTTP/1.1\n", 1, true))
        _, _, err = run("-e", fetch)
        assert.equal("", err)
    end)
end)

describe("SIGINT", function()
    -- Runs code, sends SIGINT after each of the given seconds, and gives the exit code and output.
    local function interrupt(code, ...)
        local kills = {}
        for _, seconds in ipairs { ... } do
            kills[#kills + 1] = ("sleep %s; kill -INT $pid"):format(seconds)
        end
        local path = script(code)
        local _, out, err = support.run(([[
            env --default-signal=INT %s %s & pid=$!
            %s
            wait $pid; echo "exit $?"
        ]]):format(support.quote(moonwire), support.quote(path), table.concat(kills, "\n")))
        return out:match "exit (%d+)\n$", (out:gsub("exit %d+\n$", "")), err
    end

    it("cancels the script's waits and exits 130", function()
        local code, out, err = interrupt([[
            local moonwire = require "moonwire"
            moonwire.spawn(function()
                print("task", select(2, moonwire.sleep(30)).kind)
            end)
            print("script", select(2, moonwire.sleep(30)).kind)
        ]], 0.5)
        assert.equal("130", code)
        assert.truthy(out:find("script\tcancelled\n", 1, true))
        assert.truthy(out:find("task\tcancelled\n", 1, true))
        assert.equal("", err)
    end)

    it("is quiet when the script lets the cancellation through", function()
        local code, _, err = interrupt([[
            local moonwire = require "moonwire"
            assert(moonwire.sleep(30))
        ]], 0.5)
        assert.equal("130", code)
        assert.equal("", err)
    end)

    it("belongs to the script that asks for it", function()
        local code, out = interrupt([[
            local moonwire = require "moonwire"
            local done = moonwire.channel(1)
            moonwire.on_signal("INT", function() done:send "asked to stop" end)
            print((done:receive()), moonwire.sleep(0.01))
        ]], 0.5)
        assert.equal("asked to stop\ttrue\n", out)
        assert.equal("0", code)
    end)

    it("kills at once when it comes twice, even in a loop that waits for nothing", function()
        local code = interrupt("while true do end", 0.5, 0.2)
        assert.equal("130", code)
    end)

    it("stays ignored where it was ignored before", function()
        local path = script "require('moonwire').sleep(0.6) print 'done'"
        local _, out = support.run(([[
            %s %s & pid=$!
            sleep 0.2; kill -INT $pid
            wait $pid; echo "exit $?"
        ]]):format(support.quote(moonwire), support.quote(path)))
        assert.equal("done\nexit 0\n", out)
    end)
end)
