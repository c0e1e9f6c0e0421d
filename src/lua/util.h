/* util.h - helpers of the Lua border: classes, codes, error values.  It hides
 * what differs between Luas and holds no rule of HTTP. */
#ifndef MW_LUA_UTIL_H
#define MW_LUA_UTIL_H

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>

struct mw_alloc;

/* What LuaJIT has and the plain Lua 5.1 has not.  They may be missing when this
 * library is loaded, so that luaopen_moonwire_core() can say in a sentence what
 * the dynamic linker would say in a riddle. */
#pragma weak lua_isyieldable
#pragma weak luaL_setfuncs
#pragma weak luaL_setmetatable
#pragma weak luaL_traceback

/* Whether the Lua that has loaded us is a LuaJIT. */
#define mwL_is_luajit() (&lua_isyieldable != NULL)

/* Makes the metatable of a class and leaves nothing on the stack.  `name` is
 * its key in the registry and its __name; `methods` becomes __index unless
 * `meta` has an __index of its own.  Calling it again changes nothing, so the
 * module may be opened twice. */
void mwL_class(lua_State *L, const char *name, const luaL_Reg *methods,
    const luaL_Reg *meta);

/* Adds a method to a class that mwL_class() has made. */
void mwL_add_method(lua_State *L, const char *class_name, const char *name,
    lua_CFunction function);

/* What a userdata begins with: the address of its type, which no other module
 * can have there.  That makes a check as cheap as one comparison. */
struct mwL_type {
    const char *name; /* key of the metatable, and the word in messages */
    size_t size;      /* of the whole struct */
};

/* Pushes a new userdata: all zero but for the type, with the metatable set
 * already, so that __gc must accept it as it is. */
void *mwL_new(lua_State *L, const struct mwL_type *type);

/* The userdata at `idx`, or NULL when it is something else; the second raises
 * instead. */
void *mwL_test(lua_State *L, int idx, const struct mwL_type *type);
void *mwL_check(lua_State *L, int idx, const struct mwL_type *type);

/* Pushes the table core.state: the same one however often the module is opened
 * in this Lua state. */
void mwL_push_state(lua_State *L);

/* Where the memory of this Lua state's objects comes from: what
 * mwL_use_state_alloc() has set, NULL (malloc) before. */
const struct mw_alloc *mwL_alloc(lua_State *L);

/* From now on they take it from the state's own lua_Alloc. */
void mwL_use_state_alloc(lua_State *L);

/* The seconds at `idx`: HUGE_VAL for none or nil; raises on NaN. */
double mwL_check_seconds(lua_State *L, int idx);

/* The io file at `idx`; NULL once it is closed; raises when it is something
 * else. */
FILE *mwL_check_file(lua_State *L, int idx);

/* Pushes nil and the code, for `return mwL_fail(L, code)`. */
int mwL_fail(lua_State *L, int code);

/* Pushes true on success (code >= 0), else nil and the code. */
int mwL_result(lua_State *L, int code);

/* Keeps the value at `value` alive as long as the userdata at `owner` lives.
 * `slot` says which of its anchors is replaced; nil drops it.  The owner must
 * have been given an environment table of its own (lua_setfenv). */
void mwL_anchor(lua_State *L, int owner, int value, int slot);

/* Each file of the border adds its part to the module table on the stack's
 * top. */
void mwL_open_h1(lua_State *L);
void mwL_open_headers(lua_State *L);
void mwL_open_request(lua_State *L);
void mwL_open_url(lua_State *L);
void mwL_open_coding(lua_State *L);
void mwL_open_loop(lua_State *L);
void mwL_open_thread(lua_State *L);
void mwL_open_signal(lua_State *L);
void mwL_open_address(lua_State *L);
void mwL_open_tcp(lua_State *L);
void mwL_open_tls(lua_State *L);
void mwL_open_dns(lua_State *L);
void mwL_open_digest(lua_State *L);
void mwL_open_psl(lua_State *L);
void mwL_open_file(lua_State *L);
void mwL_open_part(lua_State *L);
void mwL_open_folder(lua_State *L);

#endif
