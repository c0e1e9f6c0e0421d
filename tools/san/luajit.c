/* luajit.c - a small `luajit` that `make check-san` runs the specs with:
 * luajit [-e CODE] [-|SCRIPT [args]].  The sanitizers are linked into it, so
 * nothing has to be preloaded, and what it starts is not instrumented. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

static int
add_traceback(lua_State *L)
{
    if (!lua_isstring(L, 1) && !luaL_callmeta(L, 1, "__tostring"))
        return 1;
    luaL_traceback(L, L, lua_tostring(L, -1), 1);
    return 1;
}

static int
run(lua_State *L, int loaded, int arguments)
{
    int failed = loaded;

    if (failed == 0) {
        int base = lua_gettop(L) - arguments;

        lua_pushcfunction(L, add_traceback);
        lua_insert(L, base);
        failed = lua_pcall(L, arguments, 0, base);
    }
    if (failed != 0) {
        const char *message = lua_tostring(L, -1);

        fprintf(stderr, "luajit: %s\n", message != NULL ? message : "(error)");
    }
    lua_settop(L, 0);
    return failed != 0;
}

static void
set_arg(lua_State *L, char **argv, int argc, int script)
{
    lua_createtable(L, argc, 1);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - script);
    }
    lua_setglobal(L, "arg");
}

int
main(int argc, char **argv)
{
    lua_State *L = luaL_newstate();
    int at = 1;
    int status = 0;

    if (L == NULL)
        return 1;
    luaL_openlibs(L);
    while (status == 0 && at + 1 < argc && strcmp(argv[at], "-e") == 0) {
        set_arg(L, argv, argc, 0);
        status = run(L, luaL_loadstring(L, argv[at + 1]), 0);
        at += 2;
    }
    if (status == 0 && at < argc) {
        const char *name = strcmp(argv[at], "-") == 0 ? NULL : argv[at];
        int loaded;

        set_arg(L, argv, argc, at);
        loaded = luaL_loadfile(L, name);
        for (int i = at + 1; loaded == 0 && i < argc; i++)
            lua_pushstring(L, argv[i]);
        status = run(L, loaded, argc - at - 1);
    }
    lua_close(L);
    return status;
}
