-- What --resume and a folder behind -o make of `moonwire get`.
local serve = require "spec.support.serve"
local support = require "spec.support"

local moonwire = support.moonwire()

-- Sends the first half and stands still; the second one it sends whole.
local SLOW = [[
    local server = assert(require("moonwire.testing.server").start())
    local moonwire = require "moonwire"
    server:on("/slow", function(request, respond)
        if request.headers:has "range" then
            return respond(206, "second", { ETag = '"1"', ["Content-Type"] = "text/plain",
                ["Content-Range"] = "bytes 5-10/11" })
        end
        respond:begin(200, { ETag = '"1"' }, 11)
        respond:write "first"
        moonwire.sleep(30)
    end)
    print(server.url)
    io.flush()
    moonwire.sleep(120)
]]

describe("moonwire get --resume", function()
    local process, server, folder
    local slow, slow_server

    setup(function()
        process, server = serve.start()
        slow, slow_server = serve.program { moonwire, "-e", SLOW }
    end)

    before_each(function()
        folder = support.temp_dir()
    end)

    teardown(function()
        process:kill()
        slow:kill()
    end)

    local function shell(line)
        return support.run("cd " .. support.quote(folder) .. " || exit; " .. line,
            { env = { M = moonwire, S = server } })
    end

    local function length_of(name)
        local _, out = shell("wc -c <" .. name)
        return tonumber(out)
    end

    it("repeats what breaks off", function()
        local code, out, err = shell "$M get $S/range/300000?cut=120000 --resume -o x; ls -A"
        assert.equal("", err)
        assert.equal("x\n", out)
        assert.equal(0, code)
        assert.equal(300000, length_of "x")
    end)

    it("keeps what has come, says so, and goes on with it", function()
        local command = "$M get " .. slow_server .. "/slow --resume -o x "
        local code, _, err = shell(command .. "--timeout 300ms")
        assert.equal(1, code)
        assert.truthy(err:find("x.part is kept: the same command goes on with it\n$"), err)
        local out
        code, out = shell("test ! -e x && " .. command .. "-i && cat x")
        assert.equal(0, code)
        assert.truthy(out:find("^HTTP/1.1 206 Partial Content\r\n.*\r\n\r\nfirstsecond$"), out)
    end)

    it("keeps it at Ctrl-C as well", function()
        local _, out, err = shell("env --default-signal=INT $M get " .. slow_server .. [[/slow \
            --resume -o x & pid=$!
            for i in 1 2 3 4 5 6 7 8 9 10; do test -s x.part || sleep 0.1; done
            kill -INT $pid; wait $pid; echo "exit $?"; ls]])
        assert.equal("", err)
        assert.equal("exit 130\nx.part\nx.part.info\n", out)
    end)

    it("says nothing of what it can't go on with", function()
        local code, out, err = shell("$M get \"$S/drip?duration=20&numbytes=100\" --resume -o x "
            .. "--timeout 300ms; code=$?; ls -A; exit $code")
        assert.equal(1, code)
        assert.equal("", out)
        assert.falsy(err:find("goes on", 1, true))
    end)

    it("finds the name out, also for a folder behind -o", function()
        local code, _, err = shell "$M get $S/range/7 --resume"
        assert.equal("moonwire: get: saved as ./7\n", err)
        assert.equal(0, code)
        assert.equal(7, length_of "7")
        code, _, err = shell "mkdir d && $M get $S/range/8?x=y -o d"
        assert.equal("moonwire: get: saved as d/8\n", err)
        assert.equal(0, code)
        assert.equal(8, length_of "d/8")
        code, _, err = shell "$M get $S/range/7 -o ."
        assert.equal(1, code)
        assert.truthy(err:find("7", 1, true))
        code, _, err = shell "$M post $S/post -o d"
        assert.equal(2, code)
        assert.equal("moonwire: post: -o d: that is a folder\n", err)
    end)

    it("says what the server has answered", function()
        local code, _, err = shell "$M get $S/status/404 --resume -o x; code=$?; ls; exit $code"
        assert.equal(4, code)
        assert.truthy(err:find("the server answered 404", 1, true))
        code = shell "$M get $S/status/501 --resume -o x"
        assert.equal(5, code)
    end)

    it("exits 2 for what it can't do", function()
        for words, expected in pairs {
            ["get / --resume -o -"] = "%-%-resume needs the name of a file",
            ["post / --resume -o x"] = "%-%-resume is for get, without a body",
            ["get / --resume --body x"] = "%-%-resume is for get, without a body",
            ["get / --resume --raw"] = "%-%-resume asks for the bytes as they are",
            ["get / --resume -H Range:bytes=1-"] = "a download sets it itself",
            ["get / -o no/x/"] = "no/x",
        } do
            local code, out, err = shell("$M " .. words:gsub(" / ", " $S/get "))
            assert.equal("", out)
            assert.truthy(err:find("^moonwire: %l+: [^\n]*" .. expected), err)
            assert.falsy(err:find("traceback", 1, true))
            assert.is_true(code == 2 or words:find "no/x" and code == 1)
        end
    end)
end)
