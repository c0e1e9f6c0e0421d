/* util.c - helpers of the Lua border. */
#include "lua/util.h"

#include "core/err.h"

void
mwL_class(lua_State *L, const char *name, const luaL_Reg *methods,
    const luaL_Reg *meta)
{
    if (!luaL_newmetatable(L, name)) {
        lua_pop(L, 1);
        return;
    }
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0); /* getmetatable() tells a script nothing */
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    if (meta != NULL)
        luaL_setfuncs(L, meta, 0);
    lua_pop(L, 1);
}

int
mwL_fail(lua_State *L, int code)
{
    lua_pushnil(L);
    lua_pushinteger(L, code);
    return 2;
}

int
mwL_result(lua_State *L, int code)
{
    if (code < 0)
        return mwL_fail(L, code);
    lua_pushboolean(L, 1);
    return 1;
}

void
mwL_anchor(lua_State *L, int owner, int value, int slot)
{
    lua_pushvalue(L, value);
    if (owner < 0)
        owner--;
    lua_getfenv(L, owner);
    lua_insert(L, -2);
    lua_rawseti(L, -2, slot);
    lua_pop(L, 1);
}
