/* bulk_lua.c - the socket's methods by which large bodies go past Lua and past
 * the codec: received and dropped or saved, sent from a file. */
#include "io/bulk.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "core/err.h"
#include "core/h1.h"
#include "lua/h1_lua.h"
#include "lua/move_lua.h"
#include "lua/tcp_lua.h"
#include "lua/util.h"

int
mwL_push_received(
    lua_State *L, const struct mw_tcp *tcp, int err, size_t count, bool is_file)
{
    if (err == MW_OK) {
        lua_pushinteger(L, (lua_Integer)count);
        return 1;
    }
    mwL_fail(L, err);
    if (is_file)
        lua_pushliteral(L, "file");
    else if (err == MW_EAGAIN && mw_tcp_is_patient(tcp))
        lua_pushliteral(L, "patient");
    else
        return 2;
    return 3;
}

static int
l_tcp_skip(lua_State *L)
{
    struct mw_tcp *tcp = mwL_check_tcp(L, 1);
    struct mw_h1 *h1 = mwL_check_h1(L, 2);
    uint64_t past = mw_h1_past(h1);
    size_t count = 0;
    int err;

    if (past < MW_BULK_LEAST)
        return mwL_recv_into(L, &mwL_tcp_mover, tcp);
    err = mw_tcp_drop(tcp, past, &count);
    mw_h1_received_past(h1, count);
    return mwL_push_received(L, tcp, err, count, false);
}

/* The stream of a file whose bytes were written past it is told where they
 * end. */
static void
catch_up(FILE *file)
{
    off_t at = lseek(fileno(file), 0, SEEK_CUR);

    if (at >= 0)
        (void)fseeko(file, at, SEEK_SET);
}

static int
save(
    struct mw_tcp *tcp, FILE *file, uint64_t past, size_t *count, bool *is_file)
{
    int err;

    *is_file = true;
    if (fflush(file) != 0)
        return mw_err_from_errno(errno);
    err = mw_tcp_save(tcp, fileno(file), past, count, is_file);
    if (*count > 0)
        catch_up(file);
    return err;
}

static int
l_tcp_save(lua_State *L)
{
    struct mw_tcp *tcp = mwL_check_tcp(L, 1);
    struct mw_h1 *h1 = mwL_check_h1(L, 2);
    FILE *file = mwL_check_file(L, 3);
    uint64_t past = mw_h1_past(h1);
    bool is_file = false;
    size_t count = 0;
    int err;

    luaL_argcheck(L, file != NULL, 3, "the file is closed");
    err = past < MW_BULK_LEAST ? MW_ESTATE
                               : save(tcp, file, past, &count, &is_file);
    if (err == MW_ESTATE)
        return mwL_recv_into(L, &mwL_tcp_mover, tcp);
    mw_h1_received_past(h1, count);
    return mwL_push_received(L, tcp, err, count, is_file);
}

static int
l_tcp_look(lua_State *L)
{
    mw_tcp_look(mwL_check_tcp(L, 1));
    return 0;
}

static int
move_more(
    void *end, const struct iovec *slices, size_t slice_count, size_t *count)
{
    return mw_tcp_send_more(end, slices, slice_count, count);
}

/* Sends what the codec has to say up to the end of what goes past it.  *offset
 * moves on; *is_file says whose the error is. */
static int
send_file(struct mw_tcp *tcp, struct mw_h1 *h1, int file, int64_t *offset,
    bool *is_file)
{
    for (;;) {
        size_t past = mw_h1_output_past(h1);
        size_t sent = 0;
        int err;

        *is_file = false;
        if (past > 0)
            err = mw_tcp_send_file(tcp, file, *offset, past, &sent, is_file);
        else if (mw_h1_has_output(h1))
            err = mwL_send_slices(h1, move_more, tcp, &sent);
        else
            return MW_OK;
        if (err != MW_OK)
            return err;
        if (past > 0)
            *offset += (int64_t)sent;
        mw_h1_output_sent(h1, sent);
    }
}

/* -> true or nil, the code, the offset, and "file" when the file is to blame */
static int
l_tcp_send_file(lua_State *L)
{
    struct mw_tcp *tcp = mwL_check_tcp(L, 1);
    struct mw_h1 *h1 = mwL_check_h1(L, 2);
    FILE *file = mwL_check_file(L, 3);
    lua_Number from = luaL_checknumber(L, 4);
    int64_t offset;
    bool is_file = true;
    int err = MW_OK;

    luaL_argcheck(
        L, from >= 0 && from < 9007199254740992.0, 4, "not a place in a file");
    offset = (int64_t)from;
    if (file == NULL)
        err = mw_err_from_errno(EBADF);
    else
        err = send_file(tcp, h1, fileno(file), &offset, &is_file);
    if (err == MW_OK)
        lua_pushboolean(L, 1);
    else
        lua_pushnil(L);
    lua_pushinteger(L, err);
    lua_pushnumber(L, (lua_Number)offset);
    if (err == MW_OK || !is_file)
        return 3;
    lua_pushliteral(L, "file");
    return 4;
}

void
mwL_add_bulk(lua_State *L)
{
    mwL_add_method(L, MWL_TCP, "skip", l_tcp_skip);
    mwL_add_method(L, MWL_TCP, "save", l_tcp_save);
    mwL_add_method(L, MWL_TCP, "look", l_tcp_look);
    mwL_add_method(L, MWL_TCP, "send_file", l_tcp_send_file);
}
