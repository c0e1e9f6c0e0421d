/* h1_lua.h - what other files of the border need of the codec's and the
 * headers' bindings. */
#ifndef MW_LUA_H1_LUA_H
#define MW_LUA_H1_LUA_H

#include <lua.h>
#include <stdbool.h>

#include "core/h1.h"
#include "core/headers.h"

/* The codec at `idx`; raises when it is something else.  It is borrowed for as
 * long as the value stays on the stack. */
struct mw_h1 *mwL_check_h1(lua_State *L, int idx);

/* The header list at `idx`, to be read; raises when it is something else. */
const struct mw_headers *mwL_check_headers(lua_State *L, int idx);

/* The same, or NULL for none and nil. */
const struct mw_headers *mwL_opt_headers(lua_State *L, int idx);

/* Pushes a Headers object with a copy of `headers` (NULL: an empty one). */
void mwL_push_headers(lua_State *L, const struct mw_headers *headers);

/* The serialised request head at `idx`; raises when it is something else. */
const struct mw_h1_request *mwL_check_request_head(lua_State *L, int idx);

/* How a body is framed: nil, a length, "chunked" or, where `close` allows it,
 * "close"; raises naming the argument "framing". */
enum mw_h1_framing mwL_check_framing(
    lua_State *L, int idx, bool close, uint64_t *length);

/* opts[name] of the table at `idx` (none and nil: false). */
bool mwL_opt_flag(lua_State *L, int idx, const char *name);

#endif
