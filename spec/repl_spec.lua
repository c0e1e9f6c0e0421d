local support = require "spec.support"

local moonwire = support.moonwire()

-- Types lines into the prompt through a pipe: its output, its errors, its exit code.
local function type_in(lines, ...)
    local code, out, err = support.run({ moonwire, "-i", ... },
        { stdin = lines, env = { MOONWIRE_HISTORY = "" } })
    return out, err, code
end

describe("the prompt", function()
    it("prints the values of expressions", function()
        local out, err, code = type_in "1 + 1\n'a', nil, true\n= 'old style'\nx = 5\nx * 2\n"
        assert.equal("2\na\tnil\ttrue\nold style\n10\n", out)
        assert.equal("", err)
        assert.equal(0, code)
    end)

    it("shows tables with their fields", function()
        local out = type_in "{ 1, 'two', { three = 3 } }\n"
        assert.equal('{ 1, "two", { three = 3 } }\n', out)
    end)

    it("survives a table that contains itself", function()
        local out, err = type_in "t = { 1 }\nt.t = t\nt\n"
        assert.equal("{ 1, t = {...} }\n", out)
        assert.equal("", err)
    end)

    it("reads on until a chunk is complete", function()
        local out, err = type_in "function f(n)\n  return n + 1\nend\nf(\n41\n)\n"
        assert.equal("42\n", out)
        assert.equal("", err)
    end)

    it("goes on after an error", function()
        local out, err, code = type_in "x = = 1\nerror 'boom'\n'still here'\n"
        assert.equal("still here\n", out)
        assert.truthy(err:find("unexpected symbol near '='", 1, true))
        assert.truthy(err:find("prompt:1: boom\nstack traceback:", 1, true))
        assert.equal(0, code)
    end)

    it("says so when the input ends inside a chunk", function()
        local _, err, code = type_in "function f(\n"
        assert.truthy(err:find("<eof>", 1, true))
        assert.equal(0, code)
    end)

    it("has http and moonwire, and runs each chunk as a task", function()
        local out, err = type_in [[
server = require("moonwire.testing.server").start()
res = http.get(server.url .. "/get?a=1")
res.status, res:json().args.a
moonwire.sleep(0.01)
res
http.get "http://127.0.0.1:1/"
server:close()
]]
        assert.equal("", err)
        local lines = {}
        for line in out:gmatch "[^\n]*" do
            lines[#lines + 1] = line ~= "" and line or nil
        end
        assert.equal("200\t1", lines[1])
        assert.equal("true", lines[2])
        assert.truthy(lines[3]:find("200 OK", 1, true))
        assert.truthy(out:find("nil\terror (connect, connect): ", 1, true))
    end)

    it("comes after the script", function()
        local path = support.temp_dir() .. "/x.lua"
        local file = assert(io.open(path, "w"))
        file:write("answer = 42")
        file:close()
        assert.equal("42\n", (type_in("answer\n", path)))
    end)
end)

describe("the prompt on a terminal", function()
    -- python3's pty plays the terminal: gives each step's text once the prompt is there.
    local player = [[
import os, pty, sys, time, select
env = dict(os.environ, MOONWIRE_HISTORY=sys.argv[2], TERM="dumb", LC_ALL="C.UTF-8")
pid, fd = pty.fork()
if pid == 0:
    os.execvpe(sys.argv[1], [sys.argv[1], "-i"], env)
seen = b""
def wait_for(what):
    global seen
    end = time.time() + 10
    while not seen.rstrip(b" ").endswith(what) and time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                seen += os.read(fd, 4096)
            except OSError:
                return
for step in sys.argv[3:]:
    prompt, _, keys = step.partition("|")
    wait_for(prompt.encode())
    time.sleep(0.05)
    os.write(fd, keys.encode().decode("unicode_escape").encode("latin-1"))
    seen += b"~"
end = time.time() + 5
while time.time() < end:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    seen += data
print(seen.decode("utf-8", "replace").replace("\r", ""))
print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
]]

    local function play(history, ...)
        local path = support.temp_dir() .. "/player.py"
        local file = assert(io.open(path, "w"))
        file:write(player)
        file:close()
        local _, out, err = support.run({ "python3", path, moonwire, history, ... })
        assert.equal("", err)
        return out
    end

    it("keeps a history, clears the line at Ctrl-C, and leaves at Ctrl-D", function()
        local history = support.temp_dir() .. "/history"
        local out = play(history, ">|1 + 40\\r", ">|garbage\\x03", ">|for i = 1, 2 do\\r",
            ">>|print('i' .. i) end\\r", ">|\\x04")
        assert.truthy(out:find("\n41\n", 1, true), out)
        assert.truthy(out:find("\ni1\ni2\n", 1, true), out)
        assert.truthy(out:find("status 0\n", 1, true), out)
        assert.falsy(out:find("error", 1, true), out)
        -- the arrow key finds the line of the run before
        out = play(history, ">|\\x1b[A\\x1b[A\\r", ">|\\x04")
        assert.truthy(out:find("\n41\n", 1, true), out)
    end)

    it("interrupts what runs and stays there", function()
        local out = play("", ">|require('moonwire').sleep(60)\\r", "\n|\\x03", ">|'alive'\\r",
            ">|\\x04")
        assert.truthy(out:find("\nalive\n", 1, true), out)
        assert.truthy(out:find("status 0\n", 1, true), out)
    end)
end)
