/* file_lua.c - core.replace_file. */
#include <string.h>

#include "core/err.h"
#include "io/file.h"
#include "lua/util.h"

/* core.replace_file(path, data) -> true | nil, code */
static int
l_replace_file(lua_State *L)
{
    size_t path_len;
    size_t len;
    const char *path = luaL_checklstring(L, 1, &path_len);
    const char *data = luaL_checklstring(L, 2, &len);

    luaL_argcheck(L, strlen(path) == path_len, 1, "a byte 0 is in it");
    return mwL_result(L, mw_file_replace(path, data, len));
}

void
mwL_open_file(lua_State *L)
{
    lua_pushcfunction(L, l_replace_file);
    lua_setfield(L, -2, "replace_file");
}
