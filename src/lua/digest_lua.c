/* digest_lua.c - core.digest: hashes of bytes for Lua. */
#include "io/digest.h"

#include "core/err.h"
#include "lua/util.h"

struct digest {
    const struct mwL_type *type;
    struct mw_digest core;
};

static const struct mwL_type digest_type = {
    "moonwire.core.Digest",
    sizeof(struct digest),
};

/* Adds the strings from `first` to the stack's top. */
static void
add_all(lua_State *L, struct digest *digest, int first)
{
    for (int i = first; i <= lua_gettop(L); i++) {
        size_t len;
        const char *data = luaL_checklstring(L, i, &len);
        int err = mw_digest_add(&digest->core, data, len);

        if (err != MW_OK)
            luaL_error(L, "digest: %s", mw_err_text(err));
    }
}

/* core.digest(name, ...) -> digest of the strings so far, or nil and a code. */
static int
l_digest(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    struct digest *digest = mwL_new(L, &digest_type);
    int err = mw_digest_open(&digest->core, name);

    if (err != MW_OK)
        return mwL_fail(L, err);
    lua_replace(L, 1); /* where the name was */
    add_all(L, digest, 2);
    lua_settop(L, 1);
    return 1;
}

static int
l_digest_add(lua_State *L)
{
    add_all(L, mwL_check(L, 1, &digest_type), 2);
    return 0;
}

/* digest:finish() -> the hash in hexadecimal. */
static int
l_digest_finish(lua_State *L)
{
    static const char digits[] = "0123456789abcdef";
    struct digest *digest = mwL_check(L, 1, &digest_type);
    unsigned char bytes[MW_DIGEST_MAX];
    char text[2 * MW_DIGEST_MAX];
    size_t len = 0;
    int err = mw_digest_finish(&digest->core, bytes, &len);

    if (err != MW_OK)
        return luaL_error(L, "digest: %s", mw_err_text(err));
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    lua_pushlstring(L, text, 2 * len);
    return 1;
}

static int
l_digest_gc(lua_State *L)
{
    struct digest *digest = mwL_check(L, 1, &digest_type);

    mw_digest_deinit(&digest->core);
    return 0;
}

void
mwL_open_digest(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"add", l_digest_add},
        {"finish", l_digest_finish},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {
        {"__gc", l_digest_gc},
        {NULL, NULL},
    };

    mwL_class(L, digest_type.name, methods, meta);
    lua_pushcfunction(L, l_digest);
    lua_setfield(L, -2, "digest");
}
