local support = require "spec.support"

local core = require "moonwire.core"

describe("moonwire.core", function()
    it("explains its codes", function()
        assert.equal("ECLOSED", core.error_name(core.ECLOSED))
        assert.equal("timeout", core.error_kind(core.ETIMEOUT))
        assert.equal("the peer closed the connection", core.error_text(core.EOF))
        assert.equal(0, core.error_errno(core.EAGAIN))
        assert.equal("ESYSTEM", core.error_name(-100000))
        assert.equal("system", core.error_kind(12345))
    end)

    it("has every code by its name", function()
        local seen = {}
        for name, code in pairs(core.codes) do
            assert.equal(name, core.error_name(code))
            assert.is_true(code < 0)
            assert.is_nil(seen[code])
            seen[code] = name
        end
        assert.equal(core.EAGAIN, core.codes.EAGAIN)
        assert.truthy(core.codes.EDEADLOCK)
    end)

    it("keeps its state when it is required again", function()
        core.state.mark_of_core_spec = {}
        local before = core.state.mark_of_core_spec
        package.loaded["moonwire.core"] = nil
        local again = require "moonwire.core"
        package.loaded["moonwire.core"] = core
        assert.not_equal(core, again)
        assert.equal(before, again.state.mark_of_core_spec)
        assert.equal(core.WAIT, again.WAIT)
        core.state.mark_of_core_spec = nil
    end)

    it("serves objects of one opening with those of another", function()
        package.loaded["moonwire.core"] = nil
        local again = require "moonwire.core"
        package.loaded["moonwire.core"] = core
        local loop = core.loop()
        local other = again.loop()
        assert.equal(core.ETIMEOUT, loop:thread():wait(0))
        assert.equal(core.ETIMEOUT, other:thread():wait(0))
        assert.error_matches(function()
            loop:signal(10, other:thread())
        end, "a thread of another loop")
        loop:close()
        other:close()
    end)

    it("names what it expected of an argument", function()
        local loop = core.loop()
        assert.error_matches(function()
            loop.now({})
        end, "moonwire.core.Loop expected, got table")
        assert.error_matches(function()
            loop.now(loop:tcp())
        end, "moonwire.core.Loop expected, got userdata")
        assert.error_matches(function()
            core.loop(5)
        end, "userdata expected, got number")
        loop:close()
    end)

    it("hides its metatables", function()
        local loop = core.loop()
        assert.is_false(getmetatable(loop))
        loop:close()
    end)
end)

-- C programs: a host with its own Lua states, threads and loops.
describe("a C program", function()
    local folder, libraries

    local function build(name, sources)
        local cc = os.getenv("MOONWIRE_CC")
            or "cc $(pkg-config --cflags luajit 2>/dev/null || echo -I/usr/include/luajit-2.1) -g"
        local program = folder .. "/" .. name
        local command = "cd %s && %s -std=c11 -D_GNU_SOURCE -Wall -Wextra -Isrc -pthread -o %s"
            .. " spec/c/%s.c %s %s"
        local code, _, stderr = support.run(command:format(support.quote(support.root), cc,
            support.quote(program), name, sources or "", libraries))
        assert(code == 0, stderr)
        return program
    end

    local function run(program, ...)
        return support.run({ program, ... }, {
            env = {
                LUA_PATH = support.root .. "/lua/?.lua;" .. support.root .. "/lua/?/init.lua;;",
                LUA_CPATH = support.build .. "/?.so;;",
            },
        })
    end

    setup(function()
        folder = support.temp_dir()
        libraries = "$(pkg-config --libs luajit 2>/dev/null || echo -lluajit-5.1) -lev"
    end)

    it("runs two Lua states in two OS threads", function()
        local code, stdout, stderr = run(build("two_states"))
        assert.equal("", stderr)
        assert.equal("two states: 2 ended well\n", stdout)
        assert.equal(0, code)
    end)

    it("runs threads from inside its own ev_run", function()
        local code, stdout, stderr = run(build("host_loop"))
        assert.equal("", stderr)
        assert.equal([[
resumed by the host: 1
slept: ETIMEOUT
echoed: hello
woken by the host: 7
waited in place: ETIMEOUT
the host's loop ended by itself
closed inside a callback
]], stdout)
        assert.equal(0, code)
    end)

    it("wakes a loop from another OS thread", function()
        local sources = "src/io/loop.c src/io/wait.c src/io/signal.c"
            .. " src/core/err.c src/core/alloc.c"
        local code, stdout, stderr = run(build("wake_loop", sources))
        assert.equal("", stderr)
        assert.equal("woken from outside\n", stdout)
        assert.equal(0, code)
    end)
end)
