/* address_lua.c - core.parse_address, core.source_of and core.is_better_route.
 */
#include "core/err.h"
#include "io/address.h"
#include "io/route.h"
#include "lua/util.h"

static const char *const families[] = {
    [MW_IPV4] = "ipv4", [MW_IPV6] = "ipv6", [MW_UNIX] = "unix"};

/* core.parse_address(text) -> address, family | nil */
static int
l_parse_address(lua_State *L)
{
    struct mw_address address;
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    if (mw_address_parse(&address, text, len) != MW_OK) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, address.text);
    lua_pushstring(L, families[address.family]);
    return 2;
}

/* core.source_of(text) -> address | nil, code */
static int
l_source_of(lua_State *L)
{
    struct mw_address to;
    struct mw_address from;
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    int err;

    luaL_argcheck(L, mw_address_parse(&to, text, len) == MW_OK, 1,
        "not a numeric address");
    err = mw_route_source(&to, &from);
    if (err != MW_OK)
        return mwL_fail(L, err);
    lua_pushstring(L, from.text);
    return 1;
}

static void
check_route(lua_State *L, int idx, struct mw_route *route)
{
    const char *to = luaL_checkstring(L, idx);
    const char *from = luaL_optstring(L, idx + 1, NULL);

    luaL_argcheck(L, mw_route_set(route, to, from) == MW_OK, idx,
        "not a numeric address, or its source is not");
}

/* core.is_better_route(to, from, other_to, other_from) -> boolean */
static int
l_is_better_route(lua_State *L)
{
    struct mw_route a;
    struct mw_route b;

    check_route(L, 1, &a);
    check_route(L, 3, &b);
    lua_pushboolean(L, mw_route_compare(&a, &b) < 0);
    return 1;
}

void
mwL_open_address(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"parse_address", l_parse_address},
        {"source_of", l_source_of},
        {"is_better_route", l_is_better_route},
        {NULL, NULL},
    };

    luaL_setfuncs(L, functions, 0);
}
