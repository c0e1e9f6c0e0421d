/* move_lua.h - the methods that move bytes, for whatever has a recv and a send
 * of the core's kind: a socket, one end of TLS. */
#ifndef MW_LUA_MOVE_LUA_H
#define MW_LUA_MOVE_LUA_H

#include <lua.h>
#include <stddef.h>
#include <sys/uio.h>

/* How bytes of one kind of end are moved; each as mw_tcp_recv() and
 * mw_tcp_send_slices(). */
struct mwL_mover {
    int (*recv)(void *end, char *data, size_t len, size_t *count);
    int (*send)(void *end, const struct iovec *slices, size_t slice_count,
        size_t *count);
};

/* end:recv_into(h1), end:send(data, from) and end:send_from(h1): see Tcp in
 * _meta/core.lua.  The caller has checked argument 1, which is the end. */
int mwL_recv_into(lua_State *L, const struct mwL_mover *mover, void *end);
int mwL_send(lua_State *L, const struct mwL_mover *mover, void *end);
int mwL_send_from(lua_State *L, const struct mwL_mover *mover, void *end);

#endif
