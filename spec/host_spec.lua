-- moonwire.h as C programs see it: installed below a folder, found through pkg-config, linked with
-- the shared and the static library.
local c_program = require "spec.support.c_program"
local serve = require "spec.support.serve"
local support = require "spec.support"

local KINDS = { "shared", "static" }

local function write(path, text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    return path
end

describe("libmoonwire", function()
    local prefix, programs

    setup(function()
        prefix, programs = support.temp_dir(), {}
        c_program.make("install PREFIX=" .. support.quote(prefix))
        for _, kind in ipairs(KINDS) do
            programs[kind] = {}
            for _, source in ipairs { "spec/c/host_api.c", "spec/c/host_ev.c",
                "spec/c/host_alloc.c", "examples/c/host.c", "examples/c/codec.c" } do
                programs[kind][source:match "([%w_]+)%.c$"] =
                    c_program.build(prefix, source, kind)
            end
        end
    end)

    -- The lines a program prints; what differs from run to run is cut out.
    local function lines_of(kind, program, argument)
        local command = { programs[kind][program], argument }
        local code, out, err = c_program.run(prefix, command)
        assert.equal("", err)
        assert.equal(0, code)
        local lines = {}
        for line in out:gmatch "[^\n]+" do
            lines[#lines + 1] = line:gsub("table: 0x%x+", "table: 0x")
                :gsub("%d%d%d%d%d?", "PORT", 1)
        end
        return lines
    end

    local function sorted(list)
        table.sort(list)
        return list
    end

    for _, kind in ipairs(KINDS) do
        describe(kind, function()
            it("gives the results of tasks when they and what they spawned have ended", function()
                assert.same({
                    "values: 1 nil three", "waits: true", "child", "children: first", "run: fine",
                    "spawn: fine", "spawn: EINVAL", "max: 9", "run: fine", "stack: as before",
                    "close: fine",
                }, lines_of(kind, "host_api", "results"))
            end)

            it("tells what a task has failed of, or the log where nobody asks", function()
                assert.same(sorted {
                    "raises: error: script:1: it broke (traceback)",
                    "table: error: (error object is a table value: table: 0x)",
                    "syntax: error: script:1: unexpected symbol near '+' (traceback)",
                    "connect: connect: connecting to 127.0.0.1:1: connection refused "
                        .. "(http://127.0.0.1:1/, phase connect) (traceback)",
                    "file: error: cannot open /no/such/file.lua: No such file or directory "
                        .. "(traceback)",
                    "child: error: of a child (traceback)",
                    "timeout: timeout: timed out after 0.01 s (traceback)",
                    "run: fine", "log 0: unheard", "run: fine", "close: fine",
                }, sorted(lines_of(kind, "host_api", "failures")))
            end)

            it("cancels tasks: before they began, twice, ended ones, from a callback", function()
                assert.same({
                    "before it began: cancelled: running a task of the host: cancelled (traceback)",
                    "under way: 3", "cancel: fine", "twice: fine", "raised: fine",
                    "value: nil sleeping: cancelled",
                    "raised: cancelled: sleeping: cancelled (traceback)",
                    "under way: 1", "ended: fine", "unknown: fine",
                    "cancelled in a callback: fine", "started in a callback: fine",
                    "other: nil sleeping: cancelled", "late: 7", "run: fine", "close: fine",
                }, lines_of(kind, "host_api", "cancelling"))
            end)

            it("tells each task once when it is closed, and can be opened again", function()
                assert.same({
                    "under way: 4", "child ended",
                    "never began: cancelled: running a task of the host: cancelled (traceback)",
                    "first error", "close: ESTATE", "step: ESTATE", "run: ESTATE",
                    "start: ECLOSED", "log 0: a callback that raises",
                    "sleeps: nil sleeping: cancelled", "nested:",
                    "log 0: moonwire: uncaught error in a background task: a task yielded, "
                        .. "but not to wait: coroutine.yield belongs into a generator",
                    "yields: cancelled: running a task of the host: cancelled",
                    "close: fine", "nothing: fine", "again: true", "run: fine", "close: fine",
                }, lines_of(kind, "host_api", "closing"))
            end)

            it("refuses a second context, a state without libraries, another state", function()
                assert.same({
                    "log 0: this Lua state has a context already: close that one first",
                    "open: ESTATE",
                    "log 0: moonwire needs LuaJIT's standard libraries in its Lua state: call "
                        .. "luaL_openlibs(L) before mw_open()",
                    "open: ESTATE",
                    "without the library: false", "another state: EINVAL", "close: fine",
                    "log 0: moonwire already has a loop in this Lua state: open the context "
                        .. "before any of its functions is called",
                    "open: ESTATE",
                }, lines_of(kind, "host_api", "opening"))
            end)

            it("says when nothing can happen any more", function()
                assert.same({
                    "run: EDEADLOCK", "under way: 1", "stuck: nil receiving from a channel: "
                        .. "cancelled", "run: fine", "close: fine",
                }, lines_of(kind, "host_api", "deadlock"))
            end)

            it("logs lost failures and the transcript, and prints nothing", function()
                local lines = table.concat(lines_of(kind, "host_api", "logging"), "\n")
                for _, line in ipairs {
                    "log 0: moonwire: uncaught error in a background task: script:1: alone",
                    "log 1: > GET /get HTTP/1.1",
                    "log 1: > authorization: <redacted>", "log 1: < HTTP/1.1 200 OK",
                    "request:", "close: fine" } do
                    assert.truthy(("\n" .. lines .. "\n"):find("\n" .. line .. "\n", 1, true), line)
                end
                assert.falsy(lines:find("secret", 1, true))
            end)

            it("survives a Lua state that is closed first", function()
                assert.same({ "under way: 1" }, lines_of(kind, "host_api", "forgotten"))
            end)

            it("works in four threads at once", function()
                assert.same({ "ended well: 4" }, lines_of(kind, "host_api", "threads"))
            end)

            it("runs on the host's loop and never turns it itself", function()
                assert.same({
                    "open: fine", "step: ESTATE", "run: ESTATE", "short: returned",
                    "cancel: fine", "long: returned", "the loop has ended", "close: fine",
                }, lines_of(kind, "host_ev", "running"))
                assert.same({
                    "open: fine", "long: returned", "nested: returned", "close: fine",
                    "the loop has ended",
                }, lines_of(kind, "host_ev", "closing"))
                assert.same({ "open: fine", "long: returned", "close: fine" },
                    lines_of(kind, "host_ev", "not_run"))
            end)

            it("survives a host that destroys its loop first", function()
                assert.same({
                    "open: fine", "too late: ECLOSED", "cancel: fine", "sleeps: cancelled",
                    "connected: cancelled", "never began: cancelled", "close: fine",
                }, lines_of(kind, "host_ev", "loop_first"))
            end)

            it("takes what grows with the traffic from the state's lua_Alloc", function()
                assert.same({ "fine: PORT0", "blocks left: 0", "rooms: some" },
                    lines_of(kind, "host_alloc", "count"))
            end)

            it("survives a lua_Alloc that fails from any moment on, and tells each task", function()
                assert.same({ "PORT0, many lives" }, lines_of(kind, "host_alloc", "fail"))
            end)

            it("has an example on the program's own loop", function()
                local process, url = serve.start()
                local script = write(prefix .. "/fetch.lua", ("require('moonwire').sleep(0.05) "
                    .. "return assert(require('moonwire.http').get(%q)).status"):format(url))
                local lines = lines_of(kind, "host", script)
                process:kill()
                assert.same({ "the script gave 200", "the program ticked meanwhile: yes" }, lines)
                local code, _, err = c_program.run(prefix,
                    { programs[kind].host, write(prefix .. "/bad.lua", "error('no', 0)") })
                assert.equal(1, code)
                assert.equal("error: no\n", err)
            end)

            it("has an example of the codec alone", function()
                assert.same({
                    "GET /hello HTTP/1.1\r", "Host: example.com\r", "\r", "status 200",
                    'body "Hell"', 'body "o "', 'body "wor"', 'body "ld!"', "end, reusable",
                }, lines_of(kind, "codec"))
            end)
        end)
    end

    it("needs nothing but libc for the codec", function()
        if os.getenv "MOONWIRE_SAN" then
            return -- the sanitizers' own libraries come along
        end
        local _, out = support.run { "readelf", "-d", programs.static.codec }
        local needed = {}
        for name in out:gmatch "%(NEEDED%)[^%[]*%[([^%]]+)" do
            needed[#needed + 1] = name:match "^%w+"
        end
        for _, name in ipairs(needed) do
            assert.falsy(name:find "lua" or name:find "ssl" or name:find "cares", name)
        end
    end)

    it("exports what its headers declare, and has a soname", function()
        local file = prefix .. "/lib/libmoonwire.so"
        local _, names = support.run { "nm", "-D", "--defined-only", file }
        local headers = ""
        for _, name in ipairs { "moonwire.h", "moonwire/h1.h", "moonwire/headers.h",
            "moonwire/err.h", "moonwire/alloc.h" } do
            local header = assert(io.open(prefix .. "/include/" .. name))
            headers = headers .. header:read "*a"
            header:close()
        end
        local count = 0
        for name in names:gmatch "%x+ %u ([%w_]+)" do
            count = count + 1
            assert.truthy(name == "luaopen_moonwire_core"
                or headers:find("%f[%w_]" .. name .. "%("), name)
        end
        assert.is_true(count > 60)
        local _, dynamic = support.run { "readelf", "-d", file }
        assert.truthy(dynamic:find("[libmoonwire.so.0.1]", 1, true))
    end)

    it("has headers that compile alone, as C and as C++", function()
        for _, name in ipairs { "moonwire.h", "moonwire/h1.h", "moonwire/headers.h",
            "moonwire/err.h", "moonwire/alloc.h" } do
            local source = write(prefix .. "/alone.c", ("#include <%s>\n"):format(name))
            for _, compiler in ipairs { "clang -std=c11 -pedantic", "clang -x c++ -std=c++11" } do
                local code, _, err = c_program.run(prefix, ("%s -Wall -Wextra -Werror "
                    .. "-fsyntax-only $(pkg-config --cflags moonwire) %s"):format(compiler,
                    support.quote(source)))
                assert.equal("", err)
                assert.equal(0, code)
            end
        end
    end)

    it("has the version of the Lua modules, in header and pkg-config", function()
        local version = require "moonwire.version"
        local header = assert(io.open(prefix .. "/include/moonwire.h"))
        assert.equal(version, header:read("*a"):match '#define MW_VERSION "([^"]+)"')
        header:close()
        local _, out = c_program.run(prefix, "pkg-config --modversion moonwire")
        assert.equal(version .. "\n", out)
    end)

    it("is taken away again, as all of it", function()
        local other = support.temp_dir()
        c_program.make("install PREFIX=" .. support.quote(other))
        c_program.make("uninstall PREFIX=" .. support.quote(other))
        local _, out = support.run { "find", other, "-not", "-type", "d" }
        assert.equal("", out)
    end)
end)
