/* url_lua.c - core.parse_url and core.resolve_url.  It holds no rule of URLs.
 */
#include "core/err.h"
#include "core/url.h"
#include "lua/util.h"

/* Room for most URLs; a longer one borrows memory from Lua's collector, so
 * that nothing is lost when a string can't be made. */
enum {
    STACK_ROOM = 3072
};

static char *
find_room(lua_State *L, char *stack, size_t len)
{
    if (MW_URL_ROOM(len) <= STACK_ROOM)
        return stack;
    return lua_newuserdata(L, MW_URL_ROOM(len));
}

static void
set_part(lua_State *L, const char *name, struct mw_url_part part)
{
    if (part.data == NULL)
        return;
    lua_pushlstring(L, part.data, part.len);
    lua_setfield(L, -2, name);
}

static int
push_failure(lua_State *L, const struct mw_url *url, int err)
{
    if (err == MW_ENOMEM)
        return luaL_error(L, "not enough memory");
    lua_pushnil(L);
    lua_pushstring(L, url->message);
    return 2;
}

/* core.parse_url(url, keep_dots?) -> parts | nil, message */
static int
l_parse_url(lua_State *L)
{
    static const char *const kinds[] = {
        [MW_URL_NAME] = "name",
        [MW_URL_IPV4] = "ipv4",
        [MW_URL_IPV6] = "ipv6",
    };
    char stack[STACK_ROOM];
    struct mw_url url;
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    char *room = find_room(L, stack, len > MW_URL_MAX ? 0 : len);
    int err = mw_url_parse(&url, text, len, lua_toboolean(L, 2), room);

    if (err != MW_OK)
        return push_failure(L, &url, err);
    lua_createtable(L, 0, 12);
    set_part(L, "scheme", url.scheme);
    set_part(L, "userinfo", url.userinfo);
    set_part(L, "host", url.host);
    set_part(L, "zone", url.zone);
    set_part(L, "path", url.path);
    set_part(L, "query", url.query);
    set_part(L, "fragment", url.fragment);
    lua_pushstring(L, kinds[url.host_kind]);
    lua_setfield(L, -2, "host_kind");
    if (url.port >= 0) {
        lua_pushinteger(L, url.port);
        lua_setfield(L, -2, "port");
    }
    return 1;
}

/* core.resolve_url(base, reference) -> url | nil, message */
static int
l_resolve_url(lua_State *L)
{
    char stack[STACK_ROOM];
    struct mw_url url;
    size_t base_len;
    size_t ref_len;
    const char *base = luaL_checklstring(L, 1, &base_len);
    const char *ref = luaL_checklstring(L, 2, &ref_len);
    const char *out = NULL;
    size_t out_len = 0;
    size_t len =
        base_len > MW_URL_MAX || ref_len > MW_URL_MAX ? 0 : base_len + ref_len;
    char *room = find_room(L, stack, len);
    int err = mw_url_resolve(
        &url, base, base_len, ref, ref_len, room, &out, &out_len);

    if (err != MW_OK)
        return push_failure(L, &url, err);
    lua_pushlstring(L, out, out_len);
    return 1;
}

void
mwL_open_url(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"parse_url", l_parse_url},
        {"resolve_url", l_resolve_url},
        {NULL, NULL},
    };

    luaL_setfuncs(L, functions, 0);
}
