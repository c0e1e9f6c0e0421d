/* h1_lua.c - moonwire.core.H1: the HTTP/1.1 codec for Lua.  It makes Lua
 * values of what the codec says and keeps alive what the codec was lent. */
#include "core/h1.h"

#include <errno.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>

#include "core/err.h"
#include "lua/h1_lua.h"
#include "lua/util.h"

#define H1 "moonwire.core.H1"

struct h1_object {
    const struct mwL_type *type;
    struct mw_h1 *h1; /* owned; NULL before and after its life */
    const struct mw_h1_request *holds_head; /* what is anchored at the moment */
    bool holds_input;
    bool holds_body;
};

static const struct mwL_type h1_type = {H1, sizeof(struct h1_object)};

/* Anchors: what is lent stays alive in these slots of the object's table. */
enum {
    ANCHOR_INPUT = 1,
    ANCHOR_HEAD,
    ANCHOR_BODY
};

/* Pieces of a body on the stack before they are joined. */
enum {
    READY_PIECES = 16
};

/* Upvalues of the methods that give events and heads: strings made once. */
enum {
    WORD_EVENTS = 1, /* in the order of enum mw_h1_event */
    WORD_STATUS = WORD_EVENTS + MW_H1_UPGRADED + 1,
    WORD_REASON,
    WORD_METHOD,
    WORD_TARGET,
    WORD_VERSION,
    WORD_HEADERS,
    WORD_1_0,
    WORD_1_1,
    WORDS = WORD_1_1
};

static const char *const words[WORDS] = {"need_data", "head", "informational",
    "body", "end", "upgraded", "status", "reason", "method", "target",
    "http_version", "headers", "1.0", "1.1"};

static struct h1_object *
check_object(lua_State *L)
{
    struct h1_object *object = mwL_check(L, 1, &h1_type);

    luaL_argcheck(L, object->h1 != NULL, 1, "the codec was freed");
    return object;
}

static struct mw_h1 *
check_h1(lua_State *L)
{
    return check_object(L)->h1;
}

struct mw_h1 *
mwL_check_h1(lua_State *L, int idx)
{
    struct h1_object *object = mwL_check(L, idx, &h1_type);

    luaL_argcheck(L, object->h1 != NULL, idx, "the codec was freed");
    return object->h1;
}

static void
drop_anchor(lua_State *L, int slot)
{
    lua_pushnil(L);
    mwL_anchor(L, 1, -1, slot);
    lua_pop(L, 1);
}

static void
drop_input(lua_State *L, struct h1_object *object)
{
    if (object->holds_input && mw_h1_leftover_borrow(object->h1).len == 0) {
        drop_anchor(L, ANCHOR_INPUT);
        object->holds_input = false;
    }
}

static void
drop_body(lua_State *L, struct h1_object *object)
{
    if (object->holds_body && !mw_h1_has_output(object->h1)) {
        drop_anchor(L, ANCHOR_BODY);
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
    struct h1_object *object = mwL_new(L, &h1_type);

    lua_createtable(L, ANCHOR_BODY, 0);
    lua_setfenv(L, -2);
    object->h1 =
        mw_h1_new(role == 0 ? MW_H1_CLIENT : MW_H1_SERVER, &limits, compat);
    if (object->h1 == NULL)
        return luaL_error(L, "h1: %s", mw_err_text(MW_ENOMEM));
    return 1;
}

static int
l_h1_gc(lua_State *L)
{
    struct h1_object *object = mwL_check(L, 1, &h1_type);

    mw_h1_free(object->h1);
    object->h1 = NULL;
    return 0;
}

/* in ----------------------------------------------------------------------*/

static int
l_h1_feed(lua_State *L)
{
    struct h1_object *object = check_object(L);
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);

    if (mw_h1_feed(object->h1, data, len) != MW_OK)
        return luaL_error(L, "feed: not before next() says \"need_data\", and "
                             "not after feed_eof()");
    mwL_anchor(L, 1, 2, ANCHOR_INPUT);
    object->holds_input = true;
    return 0;
}

static int
l_h1_feed_eof(lua_State *L)
{
    mw_h1_feed_eof(check_h1(L));
    return 0;
}

static int
push_event(lua_State *L, struct h1_object *object, int event)
{
    struct mw_slice body;

    if (event < 0)
        return mwL_fail(L, event);
    if (event == MW_H1_NEED_DATA || event == MW_H1_END)
        drop_input(L, object);
    lua_pushvalue(L, lua_upvalueindex(WORD_EVENTS + event));
    if (event != MW_H1_BODY)
        return 1;
    body = mw_h1_body_borrow(object->h1);
    lua_pushlstring(L, body.data, body.len);
    return 2;
}

static int
l_h1_next(lua_State *L)
{
    struct h1_object *object = check_object(L);
    size_t max = SIZE_MAX;

    if (!lua_isnoneornil(L, 2)) {
        lua_Number number = luaL_checknumber(L, 2);

        luaL_argcheck(L, number >= 1, 2, "at least 1 byte expected");
        if (number < 9007199254740992.0)
            max = (size_t)number;
    }
    return push_event(L, object, mw_h1_next(object->h1, max));
}

static int
l_h1_next_discard(lua_State *L)
{
    struct h1_object *object = check_object(L);
    int event;

    do
        event = mw_h1_next(object->h1, SIZE_MAX);
    while (event == MW_H1_BODY);
    return push_event(L, object, event);
}

/* An io file begins with its FILE *, which is NULL once it is closed. */
static FILE *
check_file(lua_State *L, int idx)
{
    FILE **file = luaL_checkudata(L, idx, LUA_FILEHANDLE);

    luaL_argcheck(L, *file != NULL, idx, "the file is closed");
    return *file;
}

/* At the end of the body the file is flushed, so that a full disk shows. */
static int
l_h1_next_to_file(lua_State *L)
{
    struct h1_object *object = check_object(L);
    FILE *file = check_file(L, 2);
    int event = mw_h1_next(object->h1, SIZE_MAX);
    bool written = true;

    errno = EIO; /* should stdio not say what went wrong */
    while (event == MW_H1_BODY && written) {
        struct mw_slice body = mw_h1_body_borrow(object->h1);

        written = fwrite(body.data, 1, body.len, file) == body.len;
        if (written)
            event = mw_h1_next(object->h1, SIZE_MAX);
    }
    if (written && event == MW_H1_END)
        written = fflush(file) == 0;
    if (written)
        return push_event(L, object, event);
    mwL_fail(L, mw_err_from_errno(errno));
    lua_pushliteral(L, "file");
    return 3;
}

/* The body bytes that take no more input, nil where there are none, and the
 * event behind them. */
static int
l_h1_next_ready(lua_State *L)
{
    struct h1_object *object = check_object(L);
    int event = mw_h1_next(object->h1, SIZE_MAX);
    const struct mw_headers *trailers;
    struct mw_slice body;

    lua_settop(L, 1);
    while (event == MW_H1_BODY) {
        body = mw_h1_body_borrow(object->h1);
        lua_pushlstring(L, body.data, body.len);
        event = mw_h1_next(object->h1, SIZE_MAX);
        if (lua_gettop(L) == READY_PIECES)
            lua_concat(L, READY_PIECES - 1);
    }
    if (lua_gettop(L) == 1)
        lua_pushnil(L);
    else
        lua_concat(L, lua_gettop(L) - 1);
    push_event(L, object, event);
    trailers = event == MW_H1_END ? mw_h1_trailers_borrow(object->h1) : NULL;
    if (trailers == NULL)
        return event < 0 ? 3 : 2;
    mwL_push_headers(L, trailers);
    return 3;
}

static void
set_word(lua_State *L, int key, struct mw_slice text)
{
    lua_pushvalue(L, lua_upvalueindex(key));
    lua_pushlstring(L, text.data, text.len);
    lua_rawset(L, -3);
}

static int
l_h1_head(lua_State *L)
{
    struct mw_h1_head head = mw_h1_head_borrow(check_h1(L));

    if (head.headers == NULL)
        return luaL_error(L, "head: next() has not said \"head\"");
    lua_createtable(L, 0, 4);
    if (head.method.len > 0) {
        set_word(L, WORD_METHOD, head.method);
        set_word(L, WORD_TARGET, head.target);
    } else {
        lua_pushvalue(L, lua_upvalueindex(WORD_STATUS));
        lua_pushinteger(L, head.status);
        lua_rawset(L, -3);
        set_word(L, WORD_REASON, head.reason);
    }
    lua_pushvalue(L, lua_upvalueindex(WORD_VERSION));
    lua_pushvalue(L, lua_upvalueindex(head.minor == 0 ? WORD_1_0 : WORD_1_1));
    lua_rawset(L, -3);
    lua_pushvalue(L, lua_upvalueindex(WORD_HEADERS));
    mwL_push_headers(L, head.headers);
    lua_rawset(L, -3);
    return 1;
}

/* As next; behind "head" and "informational" the head's parts. */
static int
l_h1_next_head(lua_State *L)
{
    struct h1_object *object = check_object(L);
    int event = mw_h1_next(object->h1, SIZE_MAX);
    struct mw_h1_head head;

    if (event != MW_H1_HEAD && event != MW_H1_INFORMATIONAL)
        return push_event(L, object, event);
    lua_pushvalue(L, lua_upvalueindex(WORD_EVENTS + event));
    head = mw_h1_head_borrow(object->h1);
    if (head.method.len > 0) {
        lua_pushlstring(L, head.method.data, head.method.len);
        lua_pushlstring(L, head.target.data, head.target.len);
    } else {
        lua_pushinteger(L, head.status);
        lua_pushlstring(L, head.reason.data, head.reason.len);
    }
    lua_pushvalue(L, lua_upvalueindex(head.minor == 0 ? WORD_1_0 : WORD_1_1));
    mwL_push_headers(L, head.headers);
    return 5;
}

static int
l_h1_trailers(lua_State *L)
{
    const struct mw_headers *trailers = mw_h1_trailers_borrow(check_h1(L));

    if (trailers == NULL)
        lua_pushnil(L);
    else
        mwL_push_headers(L, trailers);
    return 1;
}

static int
l_h1_leftover(lua_State *L)
{
    struct mw_slice rest = mw_h1_leftover_borrow(check_h1(L));

    lua_pushlstring(L, rest.data, rest.len);
    return 1;
}

static int
l_h1_error_detail(lua_State *L)
{
    const char *detail = mw_h1_error_detail(check_h1(L));

    if (detail[0] == '\0')
        lua_pushnil(L);
    else
        lua_pushstring(L, detail);
    return 1;
}

static int
l_h1_framing(lua_State *L)
{
    static const char *const names[] = {"none", "length", "chunked", "close"};
    uint64_t length;
    enum mw_h1_framing framing = mw_h1_framing(check_h1(L), &length);

    lua_pushstring(L, names[framing]);
    if (framing != MW_H1_LENGTH)
        return 1;
    lua_pushnumber(L, (lua_Number)length);
    return 2;
}

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

/* out ---------------------------------------------------------------------*/

/* Argument 2. */
static int
send_head(lua_State *L, struct h1_object *object)
{
    const struct mw_h1_request *request = mwL_check_request_head(L, 2);
    int err = mw_h1_send_request(object->h1, request);

    if (err == MW_OK && object->holds_head != request) {
        mwL_anchor(L, 1, 2, ANCHOR_HEAD);
        object->holds_head = request;
    }
    return err;
}

/* Argument `idx`. */
static int
send_body(lua_State *L, struct h1_object *object, int idx)
{
    size_t len;
    const char *data = luaL_checklstring(L, idx, &len);
    int err = mw_h1_send_body(object->h1, data, len);

    if (err == MW_OK && len > 0) {
        mwL_anchor(L, 1, idx, ANCHOR_BODY);
        object->holds_body = true;
    }
    return err;
}

static int
l_h1_send_request(lua_State *L)
{
    return mwL_result(L, send_head(L, check_object(L)));
}

static int
l_h1_send_whole(lua_State *L)
{
    struct h1_object *object = check_object(L);
    int err = send_head(L, object);

    if (err == MW_OK && !lua_isnoneornil(L, 3))
        err = send_body(L, object, 3);
    if (err == MW_OK)
        err = mw_h1_send_end(object->h1, NULL);
    return mwL_result(L, err);
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
    return mwL_result(L, send_body(L, check_object(L), 2));
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
    struct h1_object *object = check_object(L);

    mw_h1_send_abort(object->h1);
    drop_body(L, object);
    return 0;
}

static int
l_h1_has_output(lua_State *L)
{
    struct h1_object *object = check_object(L);

    drop_body(L, object);
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
l_h1_output_sent(lua_State *L)
{
    struct mw_h1 *h1 = check_h1(L);
    lua_Number number = luaL_checknumber(L, 2);
    struct mw_slice slices[MW_H1_SLICES];
    int count = mw_h1_output_borrow(h1, slices);
    size_t queued = 0;

    for (int i = 0; i < count; i++)
        queued += slices[i].len;
    luaL_argcheck(L, number >= 0 && number <= (lua_Number)queued, 2,
        "that much was not to be sent");
    mw_h1_output_sent(h1, (size_t)number);
    return 0;
}

/* the exchange ------------------------------------------------------------*/

static int
push_counts(lua_State *L, struct mw_h1 *h1)
{
    struct mw_h1_counts counts = mw_h1_counts(h1);

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
    struct h1_object *object = check_object(L);
    int err = mw_h1_restart(object->h1);

    if (err == MW_OK) {
        drop_input(L, object);
        drop_body(L, object);
    }
    return mwL_result(L, err);
}

/* reusable, keep_alive, restart and bytes in one. */
static int
l_h1_finish(lua_State *L)
{
    struct h1_object *object = check_object(L);
    enum mw_h1_reuse reuse = mw_h1_reusable(object->h1);
    int64_t timeout;
    int64_t max;

    mw_h1_keep_alive(object->h1, &timeout, &max);
    if (reuse == MW_H1_REUSABLE && mw_h1_restart(object->h1) != MW_OK)
        reuse = MW_H1_BROKEN;
    lua_pushboolean(L, reuse == MW_H1_REUSABLE);
    if (reuse != MW_H1_REUSABLE) {
        lua_pushstring(L, mw_h1_reuse_name(reuse));
        return 2;
    }
    drop_input(L, object);
    drop_body(L, object);
    push_hint(L, timeout);
    push_hint(L, max);
    return 3 + push_counts(L, object->h1);
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
    return push_counts(L, check_h1(L));
}

static void
add_worded_methods(lua_State *L)
{
    static const luaL_Reg worded[] = {
        {"next", l_h1_next},
        {"next_head", l_h1_next_head},
        {"next_ready", l_h1_next_ready},
        {"next_discard", l_h1_next_discard},
        {"next_to_file", l_h1_next_to_file},
        {"head", l_h1_head},
        {NULL, NULL},
    };

    luaL_getmetatable(L, H1);
    lua_getfield(L, -1, "__index");
    luaL_checkstack(L, WORDS, "the codec's words");
    for (int i = 0; i < WORDS; i++)
        lua_pushstring(L, words[i]);
    luaL_setfuncs(L, worded, WORDS);
    lua_pop(L, 2);
}

void
mwL_open_h1(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"feed", l_h1_feed},
        {"feed_eof", l_h1_feed_eof},
        {"trailers", l_h1_trailers},
        {"leftover", l_h1_leftover},
        {"error_detail", l_h1_error_detail},
        {"framing", l_h1_framing},
        {"keep_alive", l_h1_keep_alive},
        {"send_request", l_h1_send_request},
        {"send_response", l_h1_send_response},
        {"send_whole", l_h1_send_whole},
        {"send_body", l_h1_send_body},
        {"send_end", l_h1_send_end},
        {"send_abort", l_h1_send_abort},
        {"has_output", l_h1_has_output},
        {"output", l_h1_output},
        {"output_sent", l_h1_output_sent},
        {"reusable", l_h1_reusable},
        {"restart", l_h1_restart},
        {"finish", l_h1_finish},
        {"done", l_h1_done},
        {"bytes", l_h1_bytes},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {{"__gc", l_h1_gc}, {NULL, NULL}};

    mwL_class(L, H1, methods, meta);
    add_worded_methods(L);
    lua_pushcfunction(L, l_new);
    lua_setfield(L, -2, "h1");
}
