/* h1_lua.c - moonwire.core.H1: the HTTP/1.1 codec for Lua, its life, what it
 * sends and how an exchange ends.  It keeps alive what the codec was lent. */
#include "core/h1.h"

#include <stdint.h>

#include "core/err.h"
#include "lua/h1_lua.h"
#include "lua/h1_object.h"
#include "lua/util.h"

static const struct mwL_type h1_type = {MWL_H1, sizeof(struct mwL_h1)};

struct mwL_h1 *
mwL_check_h1_object(lua_State *L, int idx)
{
    struct mwL_h1 *object = mwL_check(L, idx, &h1_type);

    luaL_argcheck(L, object->h1 != NULL, idx, "the codec was freed");
    if (object->is_lent) {
        object->is_lent = false;
        mw_h1_lose_input(object->h1);
    }
    return object;
}

struct mw_h1 *
mwL_check_h1(lua_State *L, int idx)
{
    return mwL_check_h1_object(L, idx)->h1;
}

static struct mw_h1 *
check_h1(lua_State *L)
{
    return mwL_check_h1(L, 1);
}

static void
drop_anchor(lua_State *L, int idx, int slot)
{
    lua_pushnil(L);
    mwL_anchor(L, idx, -1, slot);
    lua_pop(L, 1);
}

void
mwL_h1_drop_input(lua_State *L, struct mwL_h1 *object, int idx)
{
    if (object->holds_input && mw_h1_leftover_borrow(object->h1).len == 0) {
        drop_anchor(L, idx, MWL_H1_INPUT);
        object->holds_input = false;
    }
}

static void
drop_body(lua_State *L, struct mwL_h1 *object, int idx)
{
    if (object->holds_body && !mw_h1_has_output(object->h1)) {
        drop_anchor(L, idx, MWL_H1_BODY);
        object->holds_body = false;
    }
}

static size_t
read_limit(lua_State *L, int idx, const char *name)
{
    lua_Number number;

    lua_getfield(L, idx, name);
    if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L, "bad argument 'limits' (%s: number expected, got %s)",
            name, luaL_typename(L, -1));
    number = lua_tonumber(L, -1);
    if (!lua_isnil(L, -1) && !(number >= 1))
        luaL_error(L, "bad argument 'limits' (%s: at least 1 expected)", name);
    lua_pop(L, 1);
    return number < 1e9 ? (size_t)number : (size_t)1000000000;
}

static struct mw_h1_limits
read_limits(lua_State *L, int idx)
{
    struct mw_h1_limits limits = {0};

    if (lua_isnoneornil(L, idx))
        return limits;
    luaL_checktype(L, idx, LUA_TTABLE);
    limits.head_bytes = read_limit(L, idx, "head_bytes");
    limits.header_count = read_limit(L, idx, "header_count");
    limits.chunk_overhead = read_limit(L, idx, "chunk_overhead");
    limits.trailer_bytes = read_limit(L, idx, "trailer_bytes");
    limits.trailer_count = read_limit(L, idx, "trailer_count");
    limits.informational = read_limit(L, idx, "informational");
    return limits;
}

static int
l_new(lua_State *L)
{
    static const char *const roles[] = {"client", "server", NULL};
    int role = luaL_checkoption(L, 1, NULL, roles);
    struct mw_h1_limits limits = read_limits(L, 2);
    unsigned compat = mwL_opt_flag(L, 3, "obs_fold") ? MW_H1_OBS_FOLD : 0;
    struct mwL_h1 *object = mwL_new(L, &h1_type);

    lua_createtable(L, MWL_H1_ANCHORS, 0);
    lua_setfenv(L, -2);
    object->h1 = mw_h1_new_with(
        mwL_alloc(L), role == 0 ? MW_H1_CLIENT : MW_H1_SERVER, &limits, compat);
    if (object->h1 == NULL)
        return luaL_error(L, "h1: %s", mw_err_text(MW_ENOMEM));
    return 1;
}

static int
l_h1_gc(lua_State *L)
{
    struct mwL_h1 *object = mwL_check(L, 1, &h1_type);

    mw_h1_free(object->h1);
    object->h1 = NULL;
    return 0;
}

/* out ---------------------------------------------------------------------*/

/* The codec is at `idx`, the head behind it. */
static int
send_head(lua_State *L, struct mwL_h1 *object, int idx)
{
    const struct mw_h1_request *request = mwL_check_request_head(L, idx + 1);
    int err = mw_h1_send_request(object->h1, request);

    if (err == MW_OK && object->holds_head != request) {
        mwL_anchor(L, idx, idx + 1, MWL_H1_HEAD);
        object->holds_head = request;
    }
    return err;
}

/* The codec is at `idx`, the bytes are at `at`. */
static int
send_body(lua_State *L, struct mwL_h1 *object, int idx, int at)
{
    size_t len;
    const char *data = luaL_checklstring(L, at, &len);
    int err = mw_h1_send_body(object->h1, data, len);

    if (err == MW_OK && len > 0) {
        mwL_anchor(L, idx, at, MWL_H1_BODY);
        object->holds_body = true;
    }
    return err;
}

static int
l_h1_send_request(lua_State *L)
{
    return mwL_result(L, send_head(L, mwL_check_h1_object(L, 1), 1));
}

int
mwL_h1_send_whole(lua_State *L, struct mwL_h1 *object, int idx)
{
    int err = send_head(L, object, idx);

    if (err == MW_OK && !lua_isnoneornil(L, idx + 2))
        err = send_body(L, object, idx, idx + 2);
    if (err == MW_OK)
        err = mw_h1_send_end(object->h1, NULL);
    return err;
}

static int
l_h1_send_whole(lua_State *L)
{
    return mwL_result(L, mwL_h1_send_whole(L, mwL_check_h1_object(L, 1), 1));
}

static int
l_h1_send_response(lua_State *L)
{
    struct mw_h1 *h1 = check_h1(L);
    struct mw_h1_response_parts parts = {
        .status = (int)luaL_checkinteger(L, 2),
        .headers = mwL_opt_headers(L, 4),
    };
    ptrdiff_t at;

    parts.reason.data = luaL_optlstring(L, 3, "", &parts.reason.len);
    parts.framing = mwL_check_framing(L, 5, true, &parts.length);
    parts.close = mwL_opt_flag(L, 6, "close");
    return mwL_result(L, mw_h1_send_response(h1, &parts, &at));
}

static int
l_h1_send_body(lua_State *L)
{
    return mwL_result(L, send_body(L, mwL_check_h1_object(L, 1), 1, 2));
}

static int
l_h1_send_past(lua_State *L)
{
    struct mwL_h1 *object = mwL_check_h1_object(L, 1);
    lua_Number len = luaL_checknumber(L, 2);

    luaL_argcheck(L, len >= 0 && len <= 0x40000000, 2, "more than 1 GiB");
    return mwL_result(L, mw_h1_send_past(object->h1, (size_t)len));
}

static int
l_h1_send_end(lua_State *L)
{
    struct mw_h1 *h1 = check_h1(L);

    return mwL_result(L, mw_h1_send_end(h1, mwL_opt_headers(L, 2)));
}

static int
l_h1_send_abort(lua_State *L)
{
    struct mwL_h1 *object = mwL_check_h1_object(L, 1);

    mw_h1_send_abort(object->h1);
    drop_body(L, object, 1);
    return 0;
}

static int
l_h1_has_output(lua_State *L)
{
    struct mwL_h1 *object = mwL_check_h1_object(L, 1);

    drop_body(L, object, 1);
    lua_pushboolean(L, mw_h1_has_output(object->h1));
    return 1;
}

static int
l_h1_output(lua_State *L)
{
    struct mw_h1 *h1 = check_h1(L);
    lua_Number number = luaL_optnumber(L, 2, 65536);
    size_t max = number < 1e15 ? (size_t)(number > 0 ? number : 0) : SIZE_MAX;
    struct mw_slice slices[MW_H1_SLICES];
    int count = mw_h1_output_borrow(h1, slices);
    luaL_Buffer text;

    luaL_buffinit(L, &text);
    for (int i = 0; i < count; i++) {
        size_t len = slices[i].len < max ? slices[i].len : max;

        luaL_addlstring(&text, slices[i].data, len);
        max -= len;
    }
    luaL_pushresult(&text);
    return 1;
}

static int
l_h1_output_past(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)mw_h1_output_past(check_h1(L)));
    return 1;
}

static int
l_h1_output_sent(lua_State *L)
{
    struct mw_h1 *h1 = check_h1(L);
    lua_Number number = luaL_checknumber(L, 2);
    struct mw_slice slices[MW_H1_SLICES];
    int count = mw_h1_output_borrow(h1, slices);
    size_t queued = mw_h1_output_past(h1);

    for (int i = 0; i < count; i++)
        queued += slices[i].len;
    luaL_argcheck(L, number >= 0 && number <= (lua_Number)queued, 2,
        "that much was not to be sent");
    mw_h1_output_sent(h1, (size_t)number);
    return 0;
}

/* the exchange ------------------------------------------------------------*/

static void
push_hint(lua_State *L, int64_t hint)
{
    if (hint < 0)
        lua_pushnil(L);
    else
        lua_pushnumber(L, (lua_Number)hint);
}

static int
l_h1_keep_alive(lua_State *L)
{
    int64_t timeout;
    int64_t max;

    mw_h1_keep_alive(check_h1(L), &timeout, &max);
    push_hint(L, timeout);
    push_hint(L, max);
    return 2;
}

static int
push_counts(lua_State *L, struct mw_h1_counts counts)
{
    lua_pushnumber(L, (lua_Number)counts.bytes_in);
    lua_pushnumber(L, (lua_Number)counts.bytes_out);
    lua_pushnumber(L, (lua_Number)counts.body_in);
    lua_pushnumber(L, (lua_Number)counts.body_out);
    return 4;
}

static int
l_h1_reusable(lua_State *L)
{
    enum mw_h1_reuse reuse = mw_h1_reusable(check_h1(L));

    lua_pushboolean(L, reuse == MW_H1_REUSABLE);
    if (reuse == MW_H1_REUSABLE)
        return 1;
    lua_pushstring(L, mw_h1_reuse_name(reuse));
    return 2;
}

static int
l_h1_restart(lua_State *L)
{
    struct mwL_h1 *object = mwL_check_h1_object(L, 1);
    int err = mw_h1_restart(object->h1);

    if (err == MW_OK) {
        mwL_h1_drop_input(L, object, 1);
        drop_body(L, object, 1);
    }
    return mwL_result(L, err);
}

int
mwL_h1_finish(lua_State *L, struct mwL_h1 *object, int idx, bool *is_reusable)
{
    enum mw_h1_reuse reuse;
    int64_t timeout;
    int64_t max;

    mw_h1_keep_alive(object->h1, &timeout, &max); /* finishing forgets it */
    reuse = mw_h1_finish(object->h1);
    *is_reusable = reuse == MW_H1_REUSABLE;
    lua_pushboolean(L, *is_reusable);
    if (!*is_reusable) {
        lua_pushstring(L, mw_h1_reuse_name(reuse));
        return 2;
    }
    mwL_h1_drop_input(L, object, idx);
    drop_body(L, object, idx);
    push_hint(L, timeout);
    push_hint(L, max);
    return 3;
}

static int
l_h1_move(lua_State *L)
{
    return mwL_result(L, mw_h1_move(check_h1(L)));
}

/* reusable, keep_alive and restart in one. */
static int
l_h1_finish(lua_State *L)
{
    bool is_reusable;

    return mwL_h1_finish(L, mwL_check_h1_object(L, 1), 1, &is_reusable);
}

static int
l_h1_done(lua_State *L)
{
    struct mw_h1 *h1 = check_h1(L);

    lua_pushboolean(L, mw_h1_is_sent(h1));
    lua_pushboolean(L, mw_h1_is_received(h1));
    return 2;
}

static int
l_h1_bytes(lua_State *L)
{
    return push_counts(L, mw_h1_counts(check_h1(L)));
}

static int
l_h1_exchange_bytes(lua_State *L)
{
    return push_counts(L, mw_h1_exchange_counts(check_h1(L)));
}

static int
l_h1_last_bytes(lua_State *L)
{
    return push_counts(L, mw_h1_last_counts(check_h1(L)));
}

void
mwL_open_h1(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"keep_alive", l_h1_keep_alive},
        {"send_request", l_h1_send_request},
        {"send_response", l_h1_send_response},
        {"send_whole", l_h1_send_whole},
        {"send_body", l_h1_send_body},
        {"send_past", l_h1_send_past},
        {"send_end", l_h1_send_end},
        {"send_abort", l_h1_send_abort},
        {"has_output", l_h1_has_output},
        {"output", l_h1_output},
        {"output_past", l_h1_output_past},
        {"output_sent", l_h1_output_sent},
        {"reusable", l_h1_reusable},
        {"restart", l_h1_restart},
        {"move", l_h1_move},
        {"finish", l_h1_finish},
        {"done", l_h1_done},
        {"bytes", l_h1_bytes},
        {"exchange_bytes", l_h1_exchange_bytes},
        {"last_bytes", l_h1_last_bytes},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {{"__gc", l_h1_gc}, {NULL, NULL}};

    mwL_class(L, MWL_H1, methods, meta);
    mwL_add_h1_reading(L);
    lua_pushcfunction(L, l_new);
    lua_setfield(L, -2, "h1");
}
