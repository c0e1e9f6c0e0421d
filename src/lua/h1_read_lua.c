/* h1_read_lua.c - the codec's binding, the reading half: feeds it and makes Lua
 * values of its events. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "core/err.h"
#include "core/h1.h"
#include "lua/h1_lua.h"
#include "lua/h1_object.h"

/* Pieces of a body on the stack before they are joined; with a head's values
 * and the arguments they stay below LUA_MINSTACK. */
enum {
    READY_PIECES = 8
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

int
mwL_push_words(lua_State *L)
{
    luaL_checkstack(L, WORDS, "the codec's words");
    for (int i = 0; i < WORDS; i++)
        lua_pushstring(L, words[i]);
    return WORDS;
}

static int
l_h1_feed(lua_State *L)
{
    struct mwL_h1 *object = mwL_check_h1_object(L, 1);
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);

    if (mw_h1_feed(object->h1, data, len) != MW_OK)
        return luaL_error(L, "feed: not before next() says \"need_data\", and "
                             "not after feed_eof()");
    mwL_anchor(L, 1, 2, MWL_H1_INPUT);
    object->holds_input = true;
    return 0;
}

static int
l_h1_feed_eof(lua_State *L)
{
    mw_h1_feed_eof(mwL_check_h1(L, 1));
    return 0;
}

static int
l_h1_past(lua_State *L)
{
    uint64_t past = mw_h1_past(mwL_check_h1(L, 1));

    lua_pushnumber(L, past < UINT64_MAX ? (lua_Number)past : HUGE_VAL);
    return 1;
}

static int
l_h1_received_past(lua_State *L)
{
    struct mw_h1 *h1 = mwL_check_h1(L, 1);
    lua_Number len = luaL_checknumber(L, 2);

    luaL_argcheck(L, len >= 0 && len <= (lua_Number)mw_h1_past(h1), 2,
        "that much was not to come");
    mw_h1_received_past(h1, (size_t)len);
    return 0;
}

/* Of the codec at `idx`. */
static int
push_event(lua_State *L, struct mwL_h1 *object, int idx, int event)
{
    struct mw_slice body;

    if (event < 0)
        return mwL_fail(L, event);
    if (event == MW_H1_NEED_DATA || event == MW_H1_END)
        mwL_h1_drop_input(L, object, idx);
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
    struct mwL_h1 *object = mwL_check_h1_object(L, 1);
    size_t max = SIZE_MAX;

    if (!lua_isnoneornil(L, 2)) {
        lua_Number number = luaL_checknumber(L, 2);

        luaL_argcheck(L, number >= 1, 2, "at least 1 byte expected");
        if (number < 9007199254740992.0)
            max = (size_t)number;
    }
    return push_event(L, object, 1, mw_h1_next(object->h1, max));
}

static int
l_h1_next_discard(lua_State *L)
{
    struct mwL_h1 *object = mwL_check_h1_object(L, 1);
    int event;

    do
        event = mw_h1_next(object->h1, SIZE_MAX);
    while (event == MW_H1_BODY);
    return push_event(L, object, 1, event);
}

/* At the end of the body the file is flushed, so that a full disk shows. */
static int
l_h1_next_to_file(lua_State *L)
{
    struct mwL_h1 *object = mwL_check_h1_object(L, 1);
    FILE *file = mwL_check_file(L, 2);
    bool written = true;
    int event;

    luaL_argcheck(L, file != NULL, 2, "the file is closed");
    event = mw_h1_next(object->h1, SIZE_MAX);
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
        return push_event(L, object, 1, event);
    mwL_fail(L, mw_err_from_errno(errno));
    lua_pushliteral(L, "file");
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
    struct mw_h1_head head = mw_h1_head_borrow(mwL_check_h1(L, 1));

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

/* Pushes the body bytes that take no more input (nil where there are none),
 * the event behind them, and its code or trailers, if any. */
static int
push_ready(lua_State *L, struct mwL_h1 *object, int idx)
{
    int base = lua_gettop(L);
    int event = mw_h1_next(object->h1, SIZE_MAX);
    const struct mw_headers *trailers;

    while (event == MW_H1_BODY) {
        struct mw_slice body = mw_h1_body_borrow(object->h1);

        lua_pushlstring(L, body.data, body.len);
        event = mw_h1_next(object->h1, SIZE_MAX);
        if (lua_gettop(L) - base == READY_PIECES)
            lua_concat(L, READY_PIECES);
    }
    if (lua_gettop(L) == base)
        lua_pushnil(L);
    else
        lua_concat(L, lua_gettop(L) - base);
    push_event(L, object, idx, event);
    trailers = event == MW_H1_END ? mw_h1_trailers_borrow(object->h1) : NULL;
    if (trailers != NULL)
        mwL_push_headers(L, trailers);
    else if (event >= 0)
        lua_pushnil(L);
    return 3;
}

/* The headers of a final head: those of the head before, where it is the same
 * once more. */
static void
push_answer_headers(lua_State *L, struct mwL_h1 *object, int idx)
{
    if (object->holds_answer && mw_h1_head_is_known(object->h1)) {
        lua_getfenv(L, idx);
        lua_rawgeti(L, -1, MWL_H1_ANSWER);
        lua_remove(L, -2);
        return;
    }
    mwL_push_headers(L, mw_h1_head_borrow(object->h1).headers);
    mwL_anchor(L, idx, -1, MWL_H1_ANSWER);
    object->holds_answer = true;
}

int
mwL_push_answer(lua_State *L, struct mwL_h1 *object, int idx)
{
    int event = mw_h1_next(object->h1, SIZE_MAX);
    struct mw_h1_head head;

    if (event != MW_H1_HEAD && event != MW_H1_INFORMATIONAL)
        return push_event(L, object, idx, event);
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
    if (event == MW_H1_HEAD) {
        push_answer_headers(L, object, idx);
        return 5 + push_ready(L, object, idx);
    }
    mwL_push_headers(L, head.headers);
    return 5;
}

static int
l_h1_next_answer(lua_State *L)
{
    return mwL_push_answer(L, mwL_check_h1_object(L, 1), 1);
}

static int
l_h1_trailers(lua_State *L)
{
    const struct mw_headers *trailers =
        mw_h1_trailers_borrow(mwL_check_h1(L, 1));

    if (trailers == NULL)
        lua_pushnil(L);
    else
        mwL_push_headers(L, trailers);
    return 1;
}

static int
l_h1_leftover(lua_State *L)
{
    struct mw_slice rest = mw_h1_leftover_borrow(mwL_check_h1(L, 1));

    lua_pushlstring(L, rest.data, rest.len);
    return 1;
}

static int
l_h1_error_detail(lua_State *L)
{
    const char *detail = mw_h1_error_detail(mwL_check_h1(L, 1));

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
    enum mw_h1_framing framing = mw_h1_framing(mwL_check_h1(L, 1), &length);

    lua_pushstring(L, names[framing]);
    if (framing != MW_H1_LENGTH)
        return 1;
    lua_pushnumber(L, (lua_Number)length);
    return 2;
}

void
mwL_add_h1_reading(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"feed", l_h1_feed},
        {"feed_eof", l_h1_feed_eof},
        {"past", l_h1_past},
        {"received_past", l_h1_received_past},
        {"trailers", l_h1_trailers},
        {"leftover", l_h1_leftover},
        {"error_detail", l_h1_error_detail},
        {"framing", l_h1_framing},
        {NULL, NULL},
    };
    static const luaL_Reg worded[] = {
        {"next", l_h1_next},
        {"next_answer", l_h1_next_answer},
        {"next_discard", l_h1_next_discard},
        {"next_to_file", l_h1_next_to_file},
        {"head", l_h1_head},
        {NULL, NULL},
    };

    luaL_getmetatable(L, MWL_H1);
    lua_getfield(L, -1, "__index");
    luaL_setfuncs(L, methods, 0);
    luaL_setfuncs(L, worded, mwL_push_words(L));
    lua_pop(L, 2);
}
