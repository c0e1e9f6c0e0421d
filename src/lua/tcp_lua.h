/* tcp_lua.h - what other files of the border need of sockets. */
#ifndef MW_LUA_TCP_LUA_H
#define MW_LUA_TCP_LUA_H

#include <lua.h>
#include <stdbool.h>

#include "io/tcp.h"

struct mw_tcp *mwL_check_tcp(lua_State *L, int idx);

/* For `return mwL_tcp_wait(...)` of a method(self, thread, direction, seconds):
 * waits for reading, for writing, for either; for neither it takes one turn of
 * the loop.  Raises when another thread waits there. */
int mwL_tcp_wait(
    lua_State *L, struct mw_tcp *tcp, bool is_reader, bool is_writer);

/* Pushes address, port and family; nil and the code on an error. */
int mwL_push_address(lua_State *L, int err, const struct mw_address *address);

#endif
