/* part_lua.c - core.part_*: files in the making; core.path_kind,
 * core.terminal_size. */
#include "io/part.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "io/terminal.h"
#include "lua/util.h"

#define SIZE_MOST 9007199254740992.0 /* 2^53 */

static const char *
check_path(lua_State *L, int idx)
{
    size_t len;
    const char *path = luaL_checklstring(L, idx, &len);

    luaL_argcheck(L, strlen(path) == len, idx, "a byte 0 is in it");
    return path;
}

static int
check_fd(lua_State *L, int idx)
{
    FILE *file = mwL_check_file(L, idx);

    luaL_argcheck(L, file != NULL, idx, "the file is closed");
    return fileno(file);
}

static uint64_t
check_size(lua_State *L, int idx)
{
    lua_Number size = luaL_checknumber(L, idx);

    luaL_argcheck(L, size >= 0 && size < SIZE_MOST, idx, "not a size");
    return (uint64_t)size;
}

/* core.path_kind(path) -> "file" | "folder" | "link" | "other", or nil and a
 * code */
static int
l_path_kind(lua_State *L)
{
    static const char *const names[] = {"file", "folder", "link", "other"};
    enum mw_path_kind kind = MW_PATH_OTHER;
    int err = mw_path_look(check_path(L, 1), &kind);

    if (err != MW_OK)
        return mwL_fail(L, err);
    lua_pushstring(L, names[kind]);
    return 1;
}

static int
l_part_claim(lua_State *L)
{
    int fd = check_fd(L, 1);

    return mwL_result(L, mw_part_claim(fd, check_path(L, 2)));
}

static int
l_part_imitate(lua_State *L)
{
    int fd = check_fd(L, 1);

    mw_part_imitate(fd, check_path(L, 2), lua_toboolean(L, 3));
    return 0;
}

/* -> true, or nil, the code and the bytes that are free */
static int
l_part_check_room(lua_State *L)
{
    int fd = check_fd(L, 1);
    uint64_t free_bytes = 0;
    int err = mw_part_check_room(fd, check_size(L, 2), &free_bytes);

    if (err == MW_OK)
        return mwL_result(L, err);
    mwL_fail(L, err);
    lua_pushnumber(L, (lua_Number)free_bytes);
    return 3;
}

static int
l_part_reserve(lua_State *L)
{
    int fd = check_fd(L, 1);

    return mwL_result(L, mw_part_reserve(fd, check_size(L, 2)));
}

static int
l_part_cut(lua_State *L)
{
    int fd = check_fd(L, 1);
    uint64_t size = check_size(L, 2);
    FILE *file = mwL_check_file(L, 1);

    if (fflush(file) != 0) /* or it would be written behind the cut */
        return mwL_fail(L, mw_err_from_errno(errno));
    return mwL_result(L, mw_part_cut(fd, size));
}

static int
l_part_sync(lua_State *L)
{
    return mwL_result(L, mw_part_sync(check_fd(L, 1)));
}

static int
l_part_publish(lua_State *L)
{
    const char *from = check_path(L, 1);
    const char *to = check_path(L, 2);

    return mwL_result(L, mw_part_publish(from, to, lua_toboolean(L, 3)));
}

/* core.terminal_size(file) -> columns, rows, or nil: it is none */
static int
l_terminal_size(lua_State *L)
{
    FILE *file = mwL_check_file(L, 1);
    int columns;
    int rows;

    if (file == NULL || !mw_terminal_size(fileno(file), &columns, &rows))
        return 0;
    lua_pushinteger(L, columns);
    lua_pushinteger(L, rows);
    return 2;
}

void
mwL_open_part(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"path_kind", l_path_kind},
        {"part_claim", l_part_claim},
        {"part_imitate", l_part_imitate},
        {"part_check_room", l_part_check_room},
        {"part_reserve", l_part_reserve},
        {"part_cut", l_part_cut},
        {"part_sync", l_part_sync},
        {"part_publish", l_part_publish},
        {"terminal_size", l_terminal_size},
        {NULL, NULL},
    };

    luaL_setfuncs(L, functions, 0);
}
