/* coding_lua.c - core.gzip: content codings for Lua. */
#include "core/coding.h"

#include "core/err.h"
#include "lua/util.h"

#define PACKED "moonwire.core.packed"

/* Holds the packed bytes until they are a Lua string, which may raise. */
static int
l_packed_gc(lua_State *L)
{
    mw_buf_deinit(luaL_checkudata(L, 1, PACKED));
    return 0;
}

static int
l_gzip(lua_State *L)
{
    size_t len;
    const char *data = luaL_checklstring(L, 1, &len);
    struct mw_buf *packed = lua_newuserdata(L, sizeof(*packed));
    int err;

    mw_buf_init(packed);
    packed->alloc = mwL_alloc(L);
    luaL_setmetatable(L, PACKED);
    err = mw_gzip(packed, data, len);
    if (err != MW_OK)
        return luaL_error(L, "gzip: %s", mw_err_text(err));
    lua_pushlstring(L, mw_buf_borrow(packed), mw_buf_len(packed));
    mw_buf_deinit(packed);
    return 1;
}

void
mwL_open_coding(lua_State *L)
{
    static const luaL_Reg methods[] = {{NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_packed_gc}, {NULL, NULL}};

    mwL_class(L, PACKED, methods, meta);
    lua_pushcfunction(L, l_gzip);
    lua_setfield(L, -2, "gzip");
}
