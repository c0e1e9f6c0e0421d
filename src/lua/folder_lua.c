/* folder_lua.c - core.make_folder and core.folder: what lies in a folder, for
 * Lua. */
#include "io/folder.h"

#include "core/err.h"
#include "lua/util.h"

struct folder {
    const struct mwL_type *type;
    struct mw_folder core;
};

static const struct mwL_type folder_type = {
    "moonwire.core.Folder",
    sizeof(struct folder),
};

/* core.make_folder(path) -> true, or nil and a code. */
static int
l_make_folder(lua_State *L)
{
    return mwL_result(L, mw_folder_make(luaL_checkstring(L, 1)));
}

/* core.folder(path) -> folder, or nil and a code. */
static int
l_folder(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct folder *folder = mwL_new(L, &folder_type);
    int err = mw_folder_open(&folder->core, path);

    return err == MW_OK ? 1 : mwL_fail(L, err);
}

/* folder:next() -> name, size, changed; nothing once all have been told. */
static int
l_folder_next(lua_State *L)
{
    struct folder *folder = mwL_check(L, 1, &folder_type);
    struct mw_folder_file file;
    int got = mw_folder_next(&folder->core, &file);

    if (got < 0)
        return mwL_fail(L, got);
    if (got == 0) {
        mw_folder_deinit(&folder->core);
        return 0;
    }
    lua_pushstring(L, file.name);
    lua_pushnumber(L, (lua_Number)file.size);
    lua_pushnumber(L, file.changed);
    return 3;
}

static int
l_folder_close(lua_State *L)
{
    struct folder *folder = mwL_check(L, 1, &folder_type);

    mw_folder_deinit(&folder->core);
    return 0;
}

void
mwL_open_folder(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"next", l_folder_next},
        {"close", l_folder_close},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {
        {"__gc", l_folder_close},
        {NULL, NULL},
    };

    mwL_class(L, folder_type.name, methods, meta);
    lua_pushcfunction(L, l_make_folder);
    lua_setfield(L, -2, "make_folder");
    lua_pushcfunction(L, l_folder);
    lua_setfield(L, -2, "folder");
}
