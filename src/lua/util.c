/* util.c - helpers of the Lua border. */
#include "lua/util.h"

#include <lualib.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/alloc.h"

#define STATE "moonwire.core.state"

static const char alloc_key = 'A';

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

void
mwL_add_method(lua_State *L, const char *class_name, const char *name,
    lua_CFunction function)
{
    luaL_getmetatable(L, class_name);
    lua_getfield(L, -1, "__index");
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, name);
    lua_pop(L, 2);
}

void *
mwL_new(lua_State *L, const struct mwL_type *type)
{
    void *object = lua_newuserdata(L, type->size);

    memset(object, 0, type->size);
    *(const struct mwL_type **)object = type;
    luaL_setmetatable(L, type->name);
    return object;
}

void *
mwL_test(lua_State *L, int idx, const struct mwL_type *type)
{
    void *object = lua_touserdata(L, idx);

    if (object == NULL || lua_objlen(L, idx) != type->size) /* 0: light */
        return NULL;
    return *(const struct mwL_type **)object == type ? object : NULL;
}

void *
mwL_check(lua_State *L, int idx, const struct mwL_type *type)
{
    void *object = mwL_test(L, idx, type);

    if (object == NULL)
        luaL_argerror(L, idx,
            lua_pushfstring(
                L, "%s expected, got %s", type->name, luaL_typename(L, idx)));
    return object;
}

void
mwL_push_state(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, STATE);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, STATE);
}

const struct mw_alloc *
mwL_alloc(lua_State *L)
{
    const struct mw_alloc *alloc;

    lua_pushlightuserdata(L, (void *)(uintptr_t)&alloc_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    alloc = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return alloc;
}

/* The userdata has no __gc, so it is there until the last finalizer has run. */
void
mwL_use_state_alloc(lua_State *L)
{
    struct mw_alloc *alloc;

    if (mwL_alloc(L) != NULL)
        return;
    lua_pushlightuserdata(L, (void *)(uintptr_t)&alloc_key);
    alloc = lua_newuserdata(L, sizeof(*alloc));
    alloc->resize = lua_getallocf(L, &alloc->arg);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

double
mwL_check_seconds(lua_State *L, int idx)
{
    double seconds;

    if (lua_isnoneornil(L, idx))
        return HUGE_VAL;
    seconds = luaL_checknumber(L, idx);
    luaL_argcheck(L, !isnan(seconds), idx, "not a number of seconds");
    return seconds;
}

/* An io file begins with its FILE *, which is NULL once it is closed. */
FILE *
mwL_check_file(lua_State *L, int idx)
{
    FILE **file = luaL_checkudata(L, idx, LUA_FILEHANDLE);

    return *file;
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
