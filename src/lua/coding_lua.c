/* coding_lua.c - core.decoder and core.encoder: content codings for Lua. */
#include "core/coding.h"

#include "core/err.h"
#include "lua/util.h"

#define CODING "moonwire.core.Coding"

struct coding_object {
    const struct mwL_type *type;
    struct mw_coding *coding; /* owned; NULL once it is closed */
    bool ended;               /* it was told the end of its input */
    bool holds_input;         /* the anchor below is set */
};

enum {
    INPUT = 1 /* the anchor of the string that is lent */
};

static const struct mwL_type coding_type = {
    CODING, sizeof(struct coding_object)};

/* In the order of enum mw_coding_kind. */
static const char *const names[] = {"gzip", "deflate", "br", "zstd", NULL};

static struct coding_object *
check_open(lua_State *L)
{
    struct coding_object *object = mwL_check(L, 1, &coding_type);

    luaL_argcheck(L, object->coding != NULL, 1, "it is closed");
    return object;
}

static int
l_coding_close(lua_State *L)
{
    struct coding_object *object = mwL_check(L, 1, &coding_type);

    mw_coding_free(object->coding);
    object->coding = NULL;
    return 0;
}

/* coding:feed(data), once next() has said "need_data" or before its first
 * call. */
static int
l_coding_feed(lua_State *L)
{
    struct coding_object *object = check_open(L);
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);

    if (object->holds_input || object->ended)
        return luaL_error(L, "feed: not before next() says \"need_data\", and "
                             "not after feed_eof()");
    if (len == 0)
        return 0;
    mwL_anchor(L, 1, 2, INPUT);
    object->holds_input = true;
    mw_coding_feed(object->coding, data, len);
    return 0;
}

static int
l_coding_feed_eof(lua_State *L)
{
    struct coding_object *object = check_open(L);

    object->ended = true;
    mw_coding_feed_eof(object->coding);
    return 0;
}

static void
drop_input(lua_State *L, struct coding_object *object)
{
    if (object->holds_input) {
        lua_pushnil(L);
        mwL_anchor(L, 1, lua_gettop(L), INPUT);
        lua_pop(L, 1);
        object->holds_input = false;
    }
}

/* coding:next(max) -> "data" and bytes, "need_data", "end", or nil and a
 * code. */
static int
l_coding_next(lua_State *L)
{
    struct coding_object *object = check_open(L);
    lua_Number max = luaL_optnumber(L, 2, MW_CODING_WINDOW);
    int event;
    struct mw_slice bytes;

    luaL_argcheck(L, max >= 1, 2, "at least 1 byte expected");
    event = mw_coding_next(object->coding);
    if (event < 0)
        return mwL_fail(L, event);
    if (event == MW_CODING_DATA) {
        bytes = mw_coding_take(object->coding,
            max < MW_CODING_WINDOW ? (size_t)max : MW_CODING_WINDOW);
        lua_pushliteral(L, "data");
        lua_pushlstring(L, bytes.data, bytes.len);
        return 2;
    }
    drop_input(L, object);
    if (event == MW_CODING_NEED_DATA)
        lua_pushliteral(L, "need_data");
    else
        lua_pushliteral(L, "end");
    return 1;
}

/* coding:bytes() -> how many came in, and how many out */
static int
l_coding_bytes(lua_State *L)
{
    uint64_t in;
    uint64_t out;

    mw_coding_bytes(check_open(L)->coding, &in, &out);
    lua_pushnumber(L, (lua_Number)in);
    lua_pushnumber(L, (lua_Number)out);
    return 2;
}

/* A new object without a coding, on the stack's top. */
static struct coding_object *
new_object(lua_State *L)
{
    struct coding_object *object = mwL_new(L, &coding_type);

    lua_newtable(L); /* for the anchor */
    lua_setfenv(L, -2);
    return object;
}

/* core.decoder(name, ...) -> coding */
static int
l_decoder(lua_State *L)
{
    enum mw_coding_kind kinds[MW_CODING_CHAIN];
    int count = lua_gettop(L);
    struct coding_object *object;

    luaL_argcheck(L, count >= 1 && count <= MW_CODING_CHAIN, count,
        "one coding or two expected");
    for (int i = 0; i < count; i++)
        kinds[i] = (enum mw_coding_kind)luaL_checkoption(L, i + 1, NULL, names);
    object = new_object(L);
    object->coding = mw_coding_new_decoder(mwL_alloc(L), kinds, (size_t)count);
    return object->coding != NULL ? 1 : mwL_fail(L, MW_ENOMEM);
}

/* core.encoder(name) -> coding */
static int
l_encoder(lua_State *L)
{
    enum mw_coding_kind kind =
        (enum mw_coding_kind)luaL_checkoption(L, 1, NULL, names);
    struct coding_object *object = new_object(L);

    object->coding = mw_coding_new_encoder(mwL_alloc(L), kind);
    return object->coding != NULL ? 1 : mwL_fail(L, MW_ENOMEM);
}

void
mwL_open_coding(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"feed", l_coding_feed},
        {"feed_eof", l_coding_feed_eof},
        {"next", l_coding_next},
        {"bytes", l_coding_bytes},
        {"close", l_coding_close},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {{"__gc", l_coding_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"decoder", l_decoder},
        {"encoder", l_encoder},
        {NULL, NULL},
    };

    mwL_class(L, CODING, methods, meta);
    luaL_setfuncs(L, functions, 0);
}
