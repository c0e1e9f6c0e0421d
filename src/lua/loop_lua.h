/* loop_lua.h - what other files of the border need of loops and threads, above
 * all the one way to wait. */
#ifndef MW_LUA_LOOP_LUA_H
#define MW_LUA_LOOP_LUA_H

#include <lua.h>
#include <stdbool.h>

#include "io/loop.h"
#include "io/wait.h"

struct mw_dns_answer;
struct mwL_type;

/* The parking place of one coroutine, or of the code outside of any. */
struct mwL_thread {
    const struct mwL_type *type;
    struct mw_waiter waiter;
    lua_State *co; /* anchored in the environment; NULL: no coroutine */
    int anchor;    /* where the loop keeps it while it waits or runs */
    bool is_begun;
    struct mw_dns_answer *answer; /* owned: of its last lookup */
};

#define MWL_LOOP "moonwire.core.Loop"

/* The loop at `idx`; raises when it is something else, or closed. */
struct mw_loop *mwL_check_loop(lua_State *L, int idx);

struct mwL_thread *mwL_check_thread(lua_State *L, int idx);

/* Lets the userdata on the top keep the loop at `idx` alive, through an
 * environment that all share: it is not to be changed. */
void mwL_share_loop(lua_State *L, int idx);

/* A wait has three steps.  The first raises when the thread at `idx` can't wait
 * now; NULL says that its loop is closed: the code is then MW_ECLOSED.  The
 * caller goes on to park thread->waiter and to say what ends the wait, which
 * can't fail.  The last is `return mwL_wait(L, thread, idx)`: it yields, or
 * runs the loop in place, and Lua sees the code. */
struct mwL_thread *mwL_check_can_wait(lua_State *L, int idx);
void mwL_ensure_can_wait(lua_State *L, struct mwL_thread *thread, int idx);
int mwL_wait(lua_State *L, struct mwL_thread *thread, int idx);

/* Pushes what a coroutine yields while it waits. */
void mwL_push_wait_mark(lua_State *L);

#endif
