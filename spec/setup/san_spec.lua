-- What `make check-san` is for, tried on a small tree: it has to find what is put there.

local tree = dofile("spec/support/tree.lua")

local faulty = [[
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

static int
l_leak(lua_State *L)
{
    lua_pushboolean(L, malloc(77) != NULL);
    return 1;
}

static int
l_overflow(lua_State *L)
{
    char *block = lua_newuserdata(L, 16);

    block[luaL_checkinteger(L, 1)] = 1;
    return 0;
}

static int
l_undefined(lua_State *L)
{
    int big = INT_MAX - 1 + (int)luaL_checkinteger(L, 1);

    lua_pushinteger(L, big + 1);
    return 1;
}

static int
l_collect(lua_State *L)
{
    free(*(void **)lua_touserdata(L, 1));
    return 0;
}

/* owned by a userdata, and freed when the state is closed */
static int
l_owned(lua_State *L)
{
    void **owner = lua_newuserdata(L, sizeof(*owner));

    *owner = malloc(99);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_collect);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return 1;
}

int luaopen_moonwire_core(lua_State *L);
__attribute__((visibility("default"))) int
luaopen_moonwire_core(lua_State *L)
{
    static const luaL_Reg functions[] = { { "leak", l_leak },
        { "overflow", l_overflow }, { "undefined", l_undefined },
        { "owned", l_owned }, { NULL, NULL } };

    lua_createtable(L, 0, 4);
    luaL_register(L, NULL, functions);
    return 1;
}
]]

describe("make check-san", function()
    local t

    setup(function()
        t = tree.new()
        t:copy("Makefile", "src/moonwire.map", "tools", ".busted")
        t:run("ln -s " .. tree.quote(tree.root .. "/.deps") .. " .deps")
        t:write("src/lua/faulty.c", faulty)
        t:write("spec/support.lua", "")
        t:write("tools/deps", "#!/bin/sh\n") -- nothing to install here
    end)

    teardown(function()
        t:remove()
    end)

    local function check_san(code)
        t:write("spec/a_spec.lua", 'local core = require "moonwire.core"\n' ..
            'it("a", function() ' .. code .. " end)\n")
        local status, output = t:run("env -u MOONWIRE -u MOONWIRE_BUILD -u MOONWIRE_SAN " ..
            "-u MOONWIRE_LUAJIT -u LUA_PATH -u LUA_CPATH -u ASAN_OPTIONS make check-san")
        return status, output, output:match("under the sanitizers: [^\n]*")
    end

    it("passes what frees its memory when the state is closed", function()
        local status, output = check_san("_G.kept = core.owned()")
        assert.equal(0, status, output)
        assert.matches("under the sanitizers: 1 passed, 0 failed", output, 1, true)
    end)

    it("does not blame a process that leaves without closing its state", function()
        local _, output = check_san("_G.kept = core.owned() os.exit(0)")
        assert.not_matches("LeakSanitizer", output, 1, true)
    end)

    it("finds a leak", function()
        local status, output, last = check_san("core.leak()")
        assert.not_equal(0, status)
        assert.matches("Direct leak of 77 byte", output, 1, true)
        assert.matches("l_leak", output, 1, true)
        assert.equal("under the sanitizers: 1 passed, 2 failed", last)
    end)

    it("finds a write behind the end of a userdata", function()
        local status, output = check_san("core.overflow(16)")
        assert.not_equal(0, status)
        assert.matches("heap%-buffer%-overflow.*l_overflow", output)
    end)

    it("finds undefined behaviour, and stops there", function()
        local status, output = check_san("core.undefined(1)")
        assert.not_equal(0, status)
        assert.matches("signed integer overflow", output, 1, true)
    end)
end)
