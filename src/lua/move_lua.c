/* move_lua.c - bytes between an end and Lua, or straight between an end and a
 * codec.  It opens and closes nothing and never waits. */
#include "lua/move_lua.h"

#include <stdint.h>

#include "core/err.h"
#include "io/loop.h"
#include "lua/h1_lua.h"
#include "lua/h1_object.h"
#include "lua/util.h"

/* How a request went out, beside MW_OK, MW_EAGAIN and errors: nothing was
 * sent. */
enum {
    STIRRED = 1, /* there is something to read */
    LATE,        /* the time for it is over */
    STUCK        /* the caller could not wait for the answer */
};

static int
receive(
    const struct mwL_mover *mover, void *end, struct mw_h1 *h1, size_t *count)
{
    size_t len;
    char *room;
    int err = mw_h1_reserve(h1, &room, &len);

    *count = 0;
    if (err != MW_OK)
        return err;
    err = mover->recv(end, room, len, count);
    mw_h1_commit(h1, *count);
    return err;
}

int
mwL_send_slices(
    const struct mw_h1 *h1, mwL_send_fn *step, void *end, size_t *count)
{
    struct mw_slice slices[MW_H1_SLICES];
    struct iovec vectors[MW_H1_SLICES];
    int slice_count = mw_h1_output_borrow(h1, slices);

    for (int i = 0; i < slice_count; i++) {
        vectors[i].iov_base = (void *)(uintptr_t)slices[i].data;
        vectors[i].iov_len = slices[i].len;
    }
    if (slice_count == 0)
        return MW_ESTATE; /* what is next goes past the codec */
    return step(end, vectors, (size_t)slice_count, count);
}

static int
send_output(const struct mwL_mover *mover, void *end, struct mw_h1 *h1)
{
    int err = MW_OK;

    while (err == MW_OK && mw_h1_has_output(h1)) {
        size_t sent = 0;

        err = mwL_send_slices(h1, mover->send, end, &sent);
        if (err == MW_OK)
            mw_h1_output_sent(h1, sent);
    }
    return err;
}

int
mwL_recv_into(lua_State *L, const struct mwL_mover *mover, void *end)
{
    size_t count;
    int err = receive(mover, end, mwL_check_h1(L, 2), &count);

    if (err != MW_OK)
        return mwL_fail(L, err);
    lua_pushinteger(L, (lua_Integer)count);
    return 1;
}

int
mwL_send(lua_State *L, const struct mwL_mover *mover, void *end)
{
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);
    lua_Number from = luaL_optnumber(L, 3, 1);
    struct iovec slice;
    size_t count = 0;
    int err;

    luaL_argcheck(
        L, from >= 1 && from <= (lua_Number)len, 3, "no byte of the data");
    slice.iov_base = (void *)(uintptr_t)(data + (size_t)from - 1);
    slice.iov_len = len - (size_t)from + 1;
    err = mover->send(end, &slice, 1, &count);
    if (err != MW_OK)
        return mwL_fail(L, err);
    lua_pushinteger(L, (lua_Integer)count);
    return 1;
}

int
mwL_send_from(lua_State *L, const struct mwL_mover *mover, void *end)
{
    return mwL_result(L, send_output(mover, end, mwL_check_h1(L, 2)));
}

/* What stands between a request and its being sent, or 0. */
static int
look_before(lua_State *L, const struct mwL_mover *mover, void *end, double now)
{
    if (lua_isthread(L, 5) && (lua_tothread(L, 5) != L || !lua_isyieldable(L)))
        return STUCK;
    if (luaL_checknumber(L, 6) <= now)
        return LATE;
    return mover->is_quiet(end, now) ? 0 : STIRRED;
}

int
mwL_ask(lua_State *L, const struct mwL_mover *mover, void *end)
{
    struct mwL_h1 *object = mwL_check_h1_object(L, 2);
    double now = lua_isnoneornil(L, 7) ? mw_now() : luaL_checknumber(L, 7);
    int code = look_before(L, mover, end, now);

    if (code == 0)
        code = mwL_h1_send_whole(L, object, 2);
    if (code == MW_OK)
        code = send_output(mover, end, object->h1);
    lua_pushinteger(L, code);
    lua_pushnumber(L, now);
    return 2;
}

/* Into room that all share, where there is some: an answer is mostly whole, and
 * then nothing of it is left to be kept. */
static int
receive_answer(const struct mwL_mover *mover, void *end, struct mwL_h1 *object)
{
    char *room = mover->room(end);
    size_t len = 0;
    int err;

    if (room == NULL)
        return receive(mover, end, object->h1, &len);
    err = mw_h1_feed(object->h1, room, 0);
    if (err == MW_OK)
        err = mover->recv(end, room, MWL_ROOM, &len);
    if (err != MW_OK)
        return err;
    object->is_lent = true;
    return mw_h1_feed(object->h1, room, len);
}

static int
end_exchange(lua_State *L, const struct mwL_mover *mover, void *end,
    struct mwL_h1 *object)
{
    bool is_reusable;
    int count = mwL_h1_finish(L, object, 2, &is_reusable);

    if (is_reusable)
        mover->guard_again(end);
    return count;
}

int
mwL_answer(lua_State *L, const struct mwL_mover *mover, void *end)
{
    struct mwL_h1 *object = mwL_check_h1_object(L, 2);
    int err = receive_answer(mover, end, object);
    int count;

    if (err == MW_EOF) {
        mw_h1_feed_eof(object->h1);
    } else if (err != MW_OK) {
        mwL_fail(L, err);
        lua_pushliteral(L, "socket");
        return 3;
    }
    count = mwL_push_answer(L, object, 2);
    if (object->is_lent) {
        object->is_lent = false;
        mw_h1_own_input(object->h1);
    }
    if (count < 8)
        return count;
    lua_pushnumber(L, mover->seen_at(end));
    if (!lua_toboolean(L, 3) || !mw_h1_is_received(object->h1))
        return 9;
    return 9 + end_exchange(L, mover, end, object);
}

int
mwL_finish(lua_State *L, const struct mwL_mover *mover, void *end)
{
    return end_exchange(L, mover, end, mwL_check_h1_object(L, 2));
}

void
mwL_add_steps(lua_State *L, const char *class_name, lua_CFunction ask,
    lua_CFunction answer, lua_CFunction finish)
{
    mwL_add_method(L, class_name, "ask", ask);
    mwL_add_method(L, class_name, "finish", finish);
    luaL_getmetatable(L, class_name);
    lua_getfield(L, -1, "__index");
    lua_pushcclosure(L, answer, mwL_push_words(L));
    lua_setfield(L, -2, "answer");
    lua_pop(L, 2);
}

void
mwL_add_ask_codes(lua_State *L)
{
    lua_pushinteger(L, STIRRED);
    lua_setfield(L, -2, "STIRRED");
    lua_pushinteger(L, LATE);
    lua_setfield(L, -2, "LATE");
    lua_pushinteger(L, STUCK);
    lua_setfield(L, -2, "STUCK");
}
