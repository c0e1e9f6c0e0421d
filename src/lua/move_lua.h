/* move_lua.h - the methods that move bytes, for whatever has a recv and a send
 * of the core's kind: a socket, one end of TLS. */
#ifndef MW_LUA_MOVE_LUA_H
#define MW_LUA_MOVE_LUA_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct mw_h1;

/* As mw_tcp_send_slices(). */
typedef int mwL_send_fn(
    void *end, const struct iovec *slices, size_t slice_count, size_t *count);

#define MWL_ROOM (64 * 1024)

/* How bytes of one kind of end are moved; as mw_tcp_recv(),
 * mw_tcp_send_slices(), mw_tcp_is_quiet() and mw_tcp_guard_again(). */
struct mwL_mover {
    int (*recv)(void *end, char *data, size_t len, size_t *count);
    mwL_send_fn *send;
    bool (*is_quiet)(void *end, double now);
    void (*guard_again)(void *end);
    double (*seen_at)(void *end); /* when the last receive was; or now */
    char *(*room)(void *end);     /* MWL_ROOM bytes that all share, or NULL */
};

/* end:recv_into(h1), end:send(data, from) and end:send_from(h1): see Tcp in
 * _meta/core.lua.  The caller has checked argument 1, which is the end. */
int mwL_recv_into(lua_State *L, const struct mwL_mover *mover, void *end);
int mwL_send(lua_State *L, const struct mwL_mover *mover, void *end);
int mwL_send_from(lua_State *L, const struct mwL_mover *mover, void *end);

/* One step of it: sends some of what the codec has to say, as the codec isn't
 * told yet. */
int mwL_send_slices(
    const struct mw_h1 *h1, mwL_send_fn *step, void *end, size_t *count);

/* The steps of a whole exchange: end:ask(h1, head, text, coroutine, limit,
 * now), end:answer(h1, ends) and end:finish(h1).  The second one's function has
 * the words of mwL_push_words() as its upvalues. */
int mwL_ask(lua_State *L, const struct mwL_mover *mover, void *end);
int mwL_answer(lua_State *L, const struct mwL_mover *mover, void *end);
int mwL_finish(lua_State *L, const struct mwL_mover *mover, void *end);

/* Adds them to the class of such an end. */
void mwL_add_steps(lua_State *L, const char *class_name, lua_CFunction ask,
    lua_CFunction answer, lua_CFunction finish);

/* Adds what end:ask says beside codes to the module table on the top. */
void mwL_add_ask_codes(lua_State *L);

#endif
