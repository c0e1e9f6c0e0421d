/* tcp_lua.h - what other files of the border need of sockets. */
#ifndef MW_LUA_TCP_LUA_H
#define MW_LUA_TCP_LUA_H

#include <lua.h>
#include <stdbool.h>

#include "io/tcp.h"
#include "lua/move_lua.h"

#define MWL_TCP "moonwire.core.Tcp"

/* How a socket moves bytes; the end is a struct mw_tcp *. */
extern const struct mwL_mover mwL_tcp_mover;

struct mw_tcp *mwL_check_tcp(lua_State *L, int idx);

/* For `return mwL_tcp_wait(...)` of a method(self, thread, direction, seconds):
 * waits for reading, for writing, for either; for neither it takes one turn of
 * the loop.  Raises when another thread waits there. */
int mwL_tcp_wait(
    lua_State *L, struct mw_tcp *tcp, bool is_reader, bool is_writer);

/* Pushes address, port and family; nil and the code on an error. */
int mwL_push_address(lua_State *L, int err, const struct mw_address *address);

/* bulk_lua.c: pushes what `count` bytes past the codec, or the code, are to a
 * script: their number; or nil, the code, and "file" when the file is to blame,
 * "patient" when a few bytes may be there nevertheless. */
int mwL_push_received(lua_State *L, const struct mw_tcp *tcp, int err,
    size_t count, bool is_file);

/* bulk_lua.c: adds its methods to the class. */
void mwL_add_bulk(lua_State *L);

#endif
