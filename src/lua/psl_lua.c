/* psl_lua.c - core.public_suffixes: the list of public suffixes for Lua. */
#include "io/psl.h"

#include "lua/util.h"

struct suffixes {
    const struct mwL_type *type;
    struct mw_psl *core; /* owned; NULL before it is made, after __gc */
};

static const struct mwL_type suffixes_type = {
    "moonwire.core.PublicSuffixes",
    sizeof(struct suffixes),
};

/* core.public_suffixes() -> suffixes | nil */
static int
l_public_suffixes(lua_State *L)
{
    struct suffixes *suffixes = mwL_new(L, &suffixes_type);

    suffixes->core = mw_psl_new();
    if (suffixes->core == NULL)
        lua_pushnil(L);
    return 1;
}

/* suffixes:registered(name) -> name | nil */
static int
l_suffixes_registered(lua_State *L)
{
    struct suffixes *suffixes = mwL_check(L, 1, &suffixes_type);
    const char *name = luaL_checkstring(L, 2);

    lua_pushstring(L, mw_psl_registered(suffixes->core, name));
    return 1;
}

static int
l_suffixes_gc(lua_State *L)
{
    struct suffixes *suffixes = mwL_check(L, 1, &suffixes_type);

    mw_psl_free(suffixes->core);
    suffixes->core = NULL;
    return 0;
}

void
mwL_open_psl(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"registered", l_suffixes_registered},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {{"__gc", l_suffixes_gc}, {NULL, NULL}};

    mwL_class(L, suffixes_type.name, methods, meta);
    lua_pushcfunction(L, l_public_suffixes);
    lua_setfield(L, -2, "public_suffixes");
}
