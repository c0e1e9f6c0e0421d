-- The Makefile, tried on a small tree of its own and once on the real sources.

local tree = dofile("spec/support/tree.lua")

local value_h = "#define VALUE 1\nint mw_value(void);\n"
local value_c = '#include "core/value.h"\nint\nmw_value(void)\n{\n    return VALUE;\n}\n'
local open_c = [[
#include "core/value.h"
#include <lua.h>
int luaopen_moonwire_core(lua_State *L);
__attribute__((visibility("default"))) int
luaopen_moonwire_core(lua_State *L)
{
    lua_pushinteger(L, mw_value());
    return 1;
}
]]

local function small_tree()
    local t = tree.new()
    t:copy("Makefile", "src/moonwire.map", "tools/needs", "tools/san")
    t:run("ln -s " .. tree.quote(tree.root .. "/.deps") .. " .deps")
    t:write("src/core/value.h", value_h)
    t:write("src/core/value.c", value_c)
    t:write("src/lua/open.c", open_c)
    t:write("src/main.c", "int\nmain(void)\n{\n    return 0;\n}\n")
    return t
end

local function made(output)
    local names = {}
    for name in output:gmatch("  %u%u ([%w/._-]+)") do
        names[#names + 1] = name:gsub("^build/", "")
    end
    table.sort(names)
    return table.concat(names, " ")
end

describe("make", function()
    local t

    before_each(function()
        t = small_tree()
    end)

    after_each(function()
        t:remove()
    end)

    it("builds from a clean tree with two jobs, and then has nothing to do", function()
        local status, output = t:run("make -j2")
        assert.equal(0, status, output)
        assert.equal("bin/moonwire moonwire/core.so obj/core/value.o obj/lua/open.o obj/main.o",
            made(output))
        status, output = t:run("make -j2")
        assert.equal(0, status)
        assert.equal("", made(output))
    end)

    it("builds again what includes a changed header", function()
        t:run("make")
        t:write("src/core/value.h", (value_h:gsub("1", "2")))
        local _, output = t:run("touch -d '+2 seconds' src/core/value.h && make")
        assert.equal("moonwire/core.so obj/core/value.o obj/lua/open.o", made(output))
    end)

    it("builds everything again when a flag has changed", function()
        t:run("make")
        local _, output = t:run("make CFLAGS=-O0")
        assert.equal("bin/moonwire moonwire/core.so obj/core/value.o obj/lua/open.o obj/main.o",
            made(output))
        _, output = t:run("make CFLAGS=-O0")
        assert.equal("", made(output))
    end)

    it("compiles the modules into the command, names and lines as well", function()
        t:write("lua/moonwire/init.lua", "return 1\n")
        t:write("lua/moonwire/a/b.lua", "\nerror('no', 1)\n")
        t:write("lua/moonwire/_meta/core.lua", "return {}\n")
        t:write("src/main.c", [[
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
int
main(void)
{
    lua_State *L = luaL_newstate();

    luaL_openlibs(L);
    if (luaL_dostring(L, "package.path = '' print(require 'moonwire') require 'moonwire.a.b'"))
        puts(lua_tostring(L, -1));
    lua_close(L);
    return 0;
}
]])
        local status, output = t:run("make")
        assert.equal(0, status, output)
        assert.equal("bin/moonwire bytecode/moonwire/a/b.o bytecode/moonwire/init.o "
            .. "moonwire/core.so obj/core/value.o obj/lua/open.o obj/main.o", made(output))
        assert.equal("1\nlua/moonwire/a/b.lua:2: no\n", select(2, t:run("build/bin/moonwire")))
        t:write("lua/moonwire/init.lua", "return 2\n")
        local _
        _, output = t:run("touch -d '+2 seconds' lua/moonwire/init.lua && make")
        assert.equal("bin/moonwire bytecode/moonwire/init.o", made(output))
        assert.matches("^2\n", select(2, t:run("build/bin/moonwire")))
    end)

    it("links again when a source file has gone", function()
        t:write("src/core/more.c", "int mw_more(void);\nint\nmw_more(void)\n{\n    return 1;\n}\n")
        t:run("make")
        local _, output = t:run("rm src/core/more.c && make")
        assert.equal("moonwire/core.so", made(output))
    end)

    it("survives that a header has gone with the last file that included it", function()
        t:run("make")
        local alone = value_c:gsub("^[^\n]*", "int mw_value(void);"):gsub("VALUE", "3")
        t:write("src/core/value.c", alone)
        t:write("src/lua/open.c", (open_c:gsub('#include "core/value.h"', "int mw_value(void);")))
        t:run("rm src/core/value.h && touch -d '+2 seconds' src/*/*.c")
        local status, output = t:run("make")
        assert.equal(0, status, output)
    end)

    it("refuses an llhttp older than 9.2 and says what to do", function()
        t:write("old/llhttp.h", "#define LLHTTP_VERSION_MAJOR 8\n#define LLHTTP_VERSION_MINOR 1\n")
        local status, output = t:run("make LLHTTP_CFLAGS=-Iold")
        assert.not_equal(0, status)
        assert.matches("moonwire needs llhttp 9.2 or later", output, 1, true)
        assert.matches("tools/deps build", output, 1, true)
        assert.equal("", made(output))
    end)

    it("takes llhttp 9.2", function()
        t:write("new/llhttp.h", "#define LLHTTP_VERSION_MAJOR 9\n#define LLHTTP_VERSION_MINOR 2\n")
        local status, output = t:run("make LLHTTP_CFLAGS=-Inew")
        assert.equal(0, status, output)
    end)

    it("check-globals names the object that has writable data", function()
        assert.equal(0, (t:run("make check-globals")))
        t:write("src/core/count.c", "int mw_count(void);\nstatic int count;\n" ..
            "int\nmw_count(void)\n{\n    return ++count;\n}\n")
        local status, output = t:run("make check-globals")
        assert.not_equal(0, status)
        assert.matches("obj/core/count.o: writable .bss", output, 1, true)
    end)

    it("check-globals sees a table of pointers that is not const", function()
        t:write("src/core/words.c", 'const char *mw_words(int i);\n' ..
            'static const char *words[] = { "a", "b" };\n' ..
            "const char *\nmw_words(int i)\n{\n    return words[i]++;\n}\n")
        local status, output = t:run("make check-globals")
        assert.not_equal(0, status)
        assert.matches("obj/core/words.o: writable .data", output, 1, true)
    end)

    it("check-warnings fails on a warning", function()
        t:write("src/core/bad.c",
            "int mw_bad(long x);\nint\nmw_bad(long x)\n{\n    return x;\n}\n")
        local status, output = t:run("make check-warnings COMPILERS=gcc")
        assert.not_equal(0, status)
        assert.matches("conversion", output, 1, true)
    end)
end)

describe("make install", function()
    local t, make

    -- builds beside the tree, with quick flags, so that build/ stays as it is
    setup(function()
        t = tree.new()
        make = ("make -C %s BUILD=%s CFLAGS=-O0 PREFIX=/usr DESTDIR=%s "):format(
            tree.quote(tree.root), tree.quote(t.path .. "/build"), tree.quote(t.path .. "/dest"))
        local status, output = tree.run(make .. "-j2 install")
        assert(status == 0, output)
    end)

    teardown(function()
        t:remove()
    end)

    local clean = "env -u LUA_PATH -u LUA_CPATH "

    it("puts the command, the modules and the core where LuaJIT looks for them", function()
        local _, output = t:run("find dest -type f | sort")
        for _, name in ipairs({
            "dest/usr/bin/moonwire", "dest/usr/lib/lua/5.1/moonwire/core.so",
            "dest/usr/lib/lua/5.1/moonwire/editor.so",
            "dest/usr/share/lua/5.1/moonwire/init.lua",
            "dest/usr/share/lua/5.1/moonwire/_meta/core.lua",
        }) do
            assert.matches(name .. "\n", output, 1, true)
        end
    end)

    it("installs a command that runs from where it stands", function()
        local status, output = t:run("cd / && " .. clean .. tree.quote(t.path) ..
            [[/dest/usr/bin/moonwire -e 'print(package.searchpath("moonwire.core", package.cpath))
            print(require("moonwire.http").get ~= nil)']])
        assert.equal(0, status, output)
        assert.equal(t.path .. "/dest/usr/lib/lua/5.1/moonwire/core.so\ntrue\n", output)
    end)

    it("exports one symbol a library", function()
        for _, name in ipairs { "core", "editor" } do
            local _, output = t:run("nm -D --defined-only dest/usr/lib/lua/5.1/moonwire/"
                .. name .. ".so")
            assert.matches("^%x+ T luaopen_moonwire_" .. name .. "\n$", output)
        end
    end)

    it("installs a command that reads no module's text, and has all of them", function()
        t:run("mv dest/usr/share dest/usr/elsewhere")
        local _, names = t:run("cd dest/usr/elsewhere/lua/5.1 && find moonwire -name '*.lua' "
            .. "! -path '*/_meta/*'")
        local requires = names:gsub("([^\n]+)%.lua\n", function(path)
            return ("require %q "):format((path:gsub("/init$", ""):gsub("/", ".")))
        end)
        local status, output = t:run(clean .. "dest/usr/bin/moonwire -e '" .. requires .. "'")
        t:run("mv dest/usr/elsewhere dest/usr/share")
        assert.equal("", output)
        assert.equal(0, status)
    end)

    it("loads libedit for the prompt only", function()
        local _, output = t:run("LD_DEBUG=libs dest/usr/bin/moonwire -e '' 2>&1 | grep -c libedit")
        assert.equal("0\n", output)
        _, output = t:run("echo 'print(1)' | LD_DEBUG=libs dest/usr/bin/moonwire -i 2>&1 "
            .. "| grep -c libedit")
        assert.is_true(tonumber(output) > 0)
    end)

    it("leaves nothing after make uninstall", function()
        assert.equal(0, (tree.run(make .. "uninstall")))
        local _, output = t:run("find dest -type f; find dest -name 'moonwire*'")
        assert.equal("", output)
    end)
end)
