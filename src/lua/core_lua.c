/* core_lua.c - luaopen_moonwire_core, the one exported symbol: the codes, and
 * what each file of the border adds. */
#include "core/err.h"
#include "io/loop.h"
#include "io/random.h"
#include "lua/loop_lua.h"
#include "lua/util.h"

int luaopen_moonwire_core(lua_State *L);

static int
l_error_name(lua_State *L)
{
    lua_pushstring(L, mw_err_name((int)luaL_checkinteger(L, 1)));
    return 1;
}

static int
l_error_kind(lua_State *L)
{
    lua_pushstring(L, mw_err_kind((int)luaL_checkinteger(L, 1)));
    return 1;
}

static int
l_error_text(lua_State *L)
{
    lua_pushstring(L, mw_err_text((int)luaL_checkinteger(L, 1)));
    return 1;
}

static int
l_error_errno(lua_State *L)
{
    lua_pushinteger(L, mw_err_errno((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* core.error_code(words) -> the code of a system error, or nil. */
static int
l_error_code(lua_State *L)
{
    int code = mw_err_from_text(luaL_checkstring(L, 1));

    if (code == 0)
        return 0;
    lua_pushinteger(L, code);
    return 1;
}

/* core.now() -> seconds of a clock that only goes forward. */
static int
l_now(lua_State *L)
{
    lua_pushnumber(L, mw_now());
    return 1;
}

/* core.random_bytes(n) -> a string of n bytes that nobody can foretell. */
static int
l_random_bytes(lua_State *L)
{
    char bytes[MW_RANDOM_MOST];
    lua_Integer len = luaL_checkinteger(L, 1);
    int err;

    luaL_argcheck(L, len >= 0 && len <= MW_RANDOM_MOST, 1, "0 to 256");
    err = mw_random(bytes, (size_t)len);
    if (err < 0)
        return luaL_error(L, "no random bytes: %s", mw_err_text(err));
    lua_pushlstring(L, bytes, (size_t)len);
    return 1;
}

static void
set_code(lua_State *L, const char *name, int code)
{
    lua_pushinteger(L, code);
    lua_setfield(L, -2, name);
}

__attribute__((visibility("default"))) int
luaopen_moonwire_core(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"error_name", l_error_name},
        {"error_kind", l_error_kind},
        {"error_text", l_error_text},
        {"error_errno", l_error_errno},
        {"error_code", l_error_code},
        {"now", l_now},
        {"random_bytes", l_random_bytes},
        {NULL, NULL},
    };

    if (!mwL_is_luajit())
        return luaL_error(L,
            "moonwire needs LuaJIT 2.1, and this is another Lua, which lacks "
            "its C API and can't wait inside pcall or an iterator: run the "
            "script with luajit, or with the moonwire command");
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    set_code(L, "EAGAIN", MW_EAGAIN);
    set_code(L, "EOF", MW_EOF);
    set_code(L, "ECLOSED", MW_ECLOSED);
    set_code(L, "ETIMEOUT", MW_ETIMEOUT);
    set_code(L, "ECANCELLED", MW_ECANCELLED);
    lua_newtable(L);
#define MW_X(name, kind, words) set_code(L, #name, MW_##name);
    MW_ERRORS(MW_X)
#undef MW_X
    lua_setfield(L, -2, "codes");
    mwL_push_wait_mark(L);
    lua_setfield(L, -2, "WAIT");
    mwL_push_state(L);
    lua_setfield(L, -2, "state");
    mwL_open_headers(L);
    mwL_open_request(L);
    mwL_open_h1(L);
    mwL_open_url(L);
    mwL_open_coding(L);
    mwL_open_loop(L);
    mwL_open_thread(L);
    mwL_open_signal(L);
    mwL_open_address(L);
    mwL_open_tcp(L);
    mwL_open_tls(L);
    mwL_open_dns(L);
    mwL_open_digest(L);
    mwL_open_psl(L);
    mwL_open_file(L);
    mwL_open_part(L);
    mwL_open_folder(L);
    return 1;
}
