-- What a person sees: the command on a terminal.
local serve = require "spec.support.serve"
local support = require "spec.support"
local console = require "spec.support.console"

local moonwire = support.moonwire()
local _ -- what a spec doesn't look at

describe("moonwire get on a terminal", function()
    local process, server

    setup(function()
        process, server = serve.program { moonwire,
            support.root .. "/spec/support/verb_server.lua" }
    end)

    teardown(function()
        process:kill()
    end)

    local function run(path, words, opts)
        return console.run({ moonwire, "get", server .. path, unpack(words or {}) }, opts)
    end

    local plain_error = "HTTP/1.1 500 Internal Server Error\nContent-Type: application/json\n"
        .. 'Content-Length: 17\n\n{\n  "why": "because"\n}\n'

    it("shows the head and JSON in lines and colours", function()
        local code, screen = run "/error"
        assert.equal("\27[31;1mHTTP/1.1 500 Internal Server Error\27[0m\n"
            .. "\27[36mContent-Type\27[0m: application/json\n\27[36mContent-Length\27[0m: 17\n\n"
            .. '{\n  \27[34;1m"why"\27[0m: \27[32m"because"\27[0m\n}\n', screen)
        assert.equal(0, code)
    end)

    it("does so without colours where they aren't wanted", function()
        for _, case in ipairs {
            { words = { "--color", "never" } },
            { env = { NO_COLOR = "1" } },
            { env = { TERM = "dumb" } },
        } do
            local _, screen = run("/error", case.words, { env = case.env })
            assert.equal(plain_error, screen)
        end
    end)

    it("does so in a pipe where that is wanted", function()
        local _, screen = run "/error"
        local _, out = support.run({ moonwire, "get", server .. "/error", "--color", "always" },
            { env = { NO_COLOR = "1" } })
        assert.equal(screen, out)
    end)

    it("shows no byte that the terminal would act on", function()
        local _, screen = run("/evil", { "--color", "never" })
        assert.equal("HTTP/1.1 200 OK\nContent-Type: text/plain\nX-Odd: \239\191\189x\n"
            .. "Content-Length: 21\n\na\239\191\189]0;title\239\191\189b\nc\239\191\189d é\n",
            screen)
    end)

    it("doesn't show what is binary, and says what to do", function()
        local code, screen = run("/binary", { "--color", "never" })
        assert.equal(0, code)
        assert.equal("HTTP/1.1 200 OK\nContent-Type: image/png\nContent-Length: 17\n\nmoonwire: "
            .. "get: the body is binary (image/png, 17 bytes): -o FILE saves it\n", screen)
        _, screen = run("/unnamed", { "--color", "never" })
        assert.truthy(screen:find "\n\njust text\n$")
        _, screen = run("/binary", { "-o", "-" })
        assert.truthy(screen:find("\137PNG", 1, true))
        assert.falsy(screen:find("HTTP/1.1", 1, true))
    end)

    it("shows how far a file is, once it is one", function()
        local folder = support.temp_dir()
        for _, more in ipairs { "-v", "--resume" } do
            local code, screen = run("/range/3000000", { "-o", folder .. "/x", more })
            assert.equal(0, code)
            assert.truthy(screen:find("x %[=+%] 100%% 2%.9/2%.9 MiB +done in 0:00"), screen)
        end
        local code, screen = run("/error", { "-o", folder .. "/x" })
        assert.equal(5, code)
        assert.equal("moonwire: get: the server answered 500 Internal Server Error ("
            .. server .. "/error)\n", screen)
        code, screen = run("/broken", { "-o", folder .. "/x" })
        assert.equal(1, code)
        assert.truthy(screen:find("failed", 1, true))
    end)

    it("shows a head once with -v", function()
        local _, screen = run("/unnamed", { "-v" })
        local _, count = screen:gsub("HTTP/1.1 200 OK", "")
        assert.equal(1, count)
        assert.truthy(screen:find "\njust text\n")
    end)

    it("ends the line before it says what broke off", function()
        local code, screen = run("/broken", { "--color", "never" })
        assert.equal(1, code)
        assert.truthy(screen:find("\n\nthe first part\nmoonwire: get: the peer closed", 1, true))
    end)

    it("shows what comes as it comes, and ends at Ctrl-C", function()
        local code, screen = run("/ticks", {}, { after = "tick 1", keys = "\\x03" })
        assert.equal(130, code)
        assert.truthy(screen:find "tick 1\n%^C$")
    end)
end)
