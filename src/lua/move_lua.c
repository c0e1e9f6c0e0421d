/* move_lua.c - bytes between an end and Lua, or straight between an end and a
 * codec.  It opens and closes nothing and never waits. */
#include "lua/move_lua.h"

#include <stdint.h>

#include "core/err.h"
#include "lua/h1_lua.h"
#include "lua/util.h"

int
mwL_recv_into(lua_State *L, const struct mwL_mover *mover, void *end)
{
    struct mw_h1 *h1 = mwL_check_h1(L, 2);
    size_t count = 0;
    size_t len;
    char *room;
    int err = mw_h1_reserve(h1, &room, &len);

    if (err != MW_OK)
        return mwL_fail(L, err);
    err = mover->recv(end, room, len, &count);
    mw_h1_commit(h1, count);
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
    struct mw_h1 *h1 = mwL_check_h1(L, 2);
    struct mw_slice slices[MW_H1_SLICES];
    struct iovec vectors[MW_H1_SLICES];
    int count;

    while ((count = mw_h1_output_borrow(h1, slices)) > 0) {
        size_t sent = 0;
        int err;

        for (int i = 0; i < count; i++) {
            vectors[i].iov_base = (void *)(uintptr_t)slices[i].data;
            vectors[i].iov_len = slices[i].len;
        }
        err = mover->send(end, vectors, (size_t)count, &sent);
        if (err != MW_OK)
            return mwL_fail(L, err);
        mw_h1_output_sent(h1, sent);
    }
    lua_pushboolean(L, 1);
    return 1;
}
