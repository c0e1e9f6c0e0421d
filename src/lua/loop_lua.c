/* loop_lua.c - loops for Lua: the only C that yields, and the only
 * C that resumes.
 *
 * The loop's environment table keeps the threads that wait or run (luaL_ref),
 * the loop itself ("loop"), the coroutine that works inside a host's ev_run
 * ("runner") and the first error of a thread that ended with one ("error"),
 * which the code that runs the loop raises.  Sockets share the table, so it
 * lives as long as anything of the loop.  Only a host's loop is also kept in
 * the registry until it is closed: the host still runs it when no script
 * remembers it. */
#include "lua/loop_lua.h"

#include <errno.h>
#include <stdint.h>

#include "core/err.h"
#include "lua/util.h"

struct loop {
    const struct mwL_type *type;
    struct mw_loop *core; /* a reference; NULL before it is made, after __gc */
    lua_State *runner;    /* anchored in the environment; host loops only */
    bool has_error;       /* the environment has one */
};

static const struct mwL_type loop_type = {
    MWL_LOOP,
    sizeof(struct loop),
};

static const char wait_mark = 'W';

void
mwL_push_wait_mark(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&wait_mark);
}

/* -- resuming -------------------------------------------------------------- */

/* Keeps the value on co's top, with a traceback when it is a string, unless
 * there is an error already. */
static void
keep_error(lua_State *L, int env, struct loop *loop, lua_State *co)
{
    if (loop->has_error)
        return;
    loop->has_error = true;
    if (lua_type(co, -1) == LUA_TSTRING) {
        luaL_traceback(L, co, lua_tostring(co, -1), 0);
    } else {
        lua_pushvalue(co, -1);
        lua_xmove(co, L, 1);
    }
    lua_setfield(L, env, "error");
}

/* What a resumed coroutine is given: the code of its wait, but what loop:thread
 * was given for it when it begins.  Returns how many values. */
static int
push_arguments(lua_State *co, int code)
{
    int count = lua_status(co) == LUA_YIELD ? 0 : lua_gettop(co) - 1;

    if (count > 0)
        return count;
    lua_pushinteger(co, code);
    return 1;
}

/* Runs a thread until it waits again or ends.  Its userdata stays on the stack
 * meanwhile: what it does may drop every other trace of it. */
static void
resume(lua_State *L, int env, struct loop *loop, struct mwL_thread *thread)
{
    lua_State *co = thread->co;
    int status;

    if (co == NULL)
        return; /* it runs the loop in place, and looks by itself */
    lua_rawgeti(L, env, thread->anchor);
    thread->is_begun = true;
    mw_loop_slice_renew(loop->core);
    status = lua_resume(co, push_arguments(co, thread->waiter.code));
    if (status == LUA_YIELD && thread->waiter.state != MW_WAITER_IDLE) {
        lua_settop(co, 0);
        lua_pop(L, 1);
        return;
    }
    if (status == LUA_YIELD && !mw_loop_is_closed(loop->core)) {
        lua_settop(co, 0);
        lua_pushliteral(co, "a task yielded, but not to wait: "
                            "coroutine.yield belongs into a generator");
        keep_error(L, env, loop, co);
        mwL_push_state(L);
        lua_pushnil(L);
        lua_setfield(L, -2, "current"); /* it runs no more */
        lua_pop(L, 1);
    } else if (status != LUA_YIELD && status != 0) {
        keep_error(L, env, loop, co);
    }
    if (!mw_loop_is_closed(loop->core)) {
        luaL_unref(L, env, thread->anchor);
        thread->anchor = LUA_NOREF;
        mw_waiter_rest(&thread->waiter);
    }
    lua_pop(L, 1);
}

/* Resumes those that are ready now, each once; returns how many. */
static int
resume_ready(lua_State *L, int env, struct loop *loop)
{
    uint64_t mark = mw_loop_ready_mark(loop->core);
    struct mw_waiter *waiter;
    int count = 0;

    while ((waiter = mw_loop_take_ready(loop->core, mark)) != NULL) {
        resume(
            L, env, loop, mw_container_of(waiter, struct mwL_thread, waiter));
        count++;
    }
    return count;
}

static int
run_in_host(lua_State *L)
{
    resume_ready(L, 2, lua_touserdata(L, 1));
    return 0;
}

/* Inside a host's ev_run.  Nothing may be raised through it: a failure here is
 * a lack of memory, and what is still ready is tried again the next time. */
static void
on_ready(void *arg)
{
    struct loop *loop = arg;
    struct mw_loop *core = loop->core;
    lua_State *L = loop->runner;

    mw_loop_drive(core);
    lua_pushvalue(L, 1); /* run_in_host */
    lua_pushlightuserdata(L, loop);
    lua_pushvalue(L, 2); /* the environment */
    if (lua_pcall(L, 2, 0, 0) != 0)
        lua_pop(L, 1);
    mw_loop_undrive(core);
}

/* A turn in which nobody ran was perhaps ended by a signal: a handler that has
 * set a debug hook (Ctrl-C in luajit) gets its chance to raise. */
static void
let_hooks_run(lua_State *L)
{
    if (lua_gethook(L) == NULL)
        return;
    if (luaL_loadstring(L, "") != 0)
        lua_error(L);
    lua_call(L, 0, 0);
}

/* The environment is at 2. */
static void
raise_kept_error(lua_State *L, struct loop *loop)
{
    if (!loop->has_error)
        return;
    loop->has_error = false;
    lua_getfield(L, 2, "error");
    lua_pushnil(L);
    lua_setfield(L, 2, "error");
    lua_error(L);
}

/* Stack: thread, environment, loop.  Runs the loop until the thread's wait is
 * over. */
static int
run_in_place(lua_State *L)
{
    struct mwL_thread *thread = lua_touserdata(L, 1);
    struct loop *loop = lua_touserdata(L, 3);

    while (thread->waiter.state != MW_WAITER_IDLE) {
        int err = mw_loop_turn(loop->core);

        if (err != MW_OK)
            mw_waiter_drop(&thread->waiter, err);
        else if (resume_ready(L, 2, loop) == 0)
            let_hooks_run(L);
        raise_kept_error(L, loop);
    }
    return 0;
}

static int
do_nothing(lua_State *L)
{
    (void)L;
    return 0;
}

/* Raises what code that resumes has raised.  LuaJIT then still takes the
 * coroutine resumed last for the one that runs (cur_L): an error does not set
 * that right, as a return does, and a trace that is left next would restore the
 * wrong stack.  A call sets it right. */
static int
raise_again(lua_State *L)
{
    lua_pushcfunction(L, do_nothing);
    lua_call(L, 0, 0);
    return lua_error(L);
}

/* Leaves all as it found it, also when run_in_place() raises. */
static int
wait_in_place(lua_State *L, struct mwL_thread *thread, int idx)
{
    struct mw_loop *core = thread->waiter.loop;
    int status;

    lua_pushcfunction(L, run_in_place);
    lua_pushvalue(L, idx);
    lua_getfenv(L, idx);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
    lua_getfield(L, -1, "loop");
    mw_loop_drive(core);
    status = lua_pcall(L, 3, 0, 0);
    mw_loop_undrive(core);
    mw_loop_slice_renew(core);
    if (status != 0) {
        if (!mw_loop_is_closed(core))
            mw_waiter_drop(&thread->waiter, MW_ECANCELLED);
        return raise_again(L);
    }
    lua_pushinteger(L, thread->waiter.code);
    return 1;
}

int
mwL_wait(lua_State *L, struct mwL_thread *thread, int idx)
{
    if (thread->co == NULL)
        return wait_in_place(L, thread, idx);
    mwL_push_wait_mark(L);
    return lua_yield(L, 1);
}

/* core.can_wait(coroutine): whether it is the one that runs, and may yield. */
static int
l_core_can_wait(lua_State *L)
{
    lua_pushboolean(L, lua_tothread(L, 1) == L && lua_isyieldable(L));
    return 1;
}

/* -- loops ----------------------------------------------------------------- */

static struct loop *
check_loop(lua_State *L)
{
    return mwL_check(L, 1, &loop_type);
}

struct mw_loop *
mwL_check_loop(lua_State *L, int idx)
{
    struct loop *loop = mwL_check(L, idx, &loop_type);

    if (loop->core == NULL || mw_loop_is_closed(loop->core))
        luaL_argerror(L, idx, "the loop is closed");
    return loop->core;
}

void
mwL_share_loop(lua_State *L, int idx)
{
    lua_getfenv(L, idx);
    lua_setfenv(L, -2);
}

/* Makes the coroutine that resumes threads inside a host's ev_run. */
static void
make_runner(lua_State *L, int env, struct loop *loop)
{
    loop->runner = lua_newthread(L);
    lua_setfield(L, env, "runner");
    lua_pushcfunction(loop->runner, run_in_host);
    lua_pushvalue(L, env);
    lua_xmove(L, loop->runner, 1);
    lua_pushlightuserdata(L, loop);
    lua_pushvalue(L, env);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

static int
l_core_loop(lua_State *L)
{
    struct ev_loop *host = NULL;
    struct loop *loop;

    if (!lua_isnoneornil(L, 1)) {
        luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
        host = lua_touserdata(L, 1);
    }
    loop = mwL_new(L, &loop_type);
    lua_newtable(L);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "loop");
    lua_pushvalue(L, -1);
    lua_setfenv(L, -3);
    if (host != NULL)
        make_runner(L, lua_gettop(L), loop);
    loop->core = mw_loop_new(mwL_alloc(L), host, on_ready, loop);
    if (loop->core == NULL)
        return mwL_fail(L, mw_err_from_errno(errno));
    lua_pop(L, 1);
    return 1;
}

static int
l_loop_now(lua_State *L)
{
    check_loop(L);
    lua_pushnumber(L, mw_now());
    return 1;
}

/* Stack: seconds, environment, loop -> how many were resumed, or nil
 * and a code. */
static int
step(lua_State *L)
{
    struct loop *loop = lua_touserdata(L, 3);
    int err = mw_loop_turn_for(loop->core, mwL_check_seconds(L, 1));
    int count = resume_ready(L, 2, loop);

    raise_kept_error(L, loop);
    if (err != MW_OK)
        return mwL_fail(L, err);
    lua_pushinteger(L, count);
    return 1;
}

static int
l_loop_step(lua_State *L)
{
    struct mw_loop *core = mwL_check_loop(L, 1);
    int status;

    lua_settop(L, 2);
    lua_pushcfunction(L, step);
    lua_insert(L, 2); /* loop, step, seconds */
    lua_getfenv(L, 1);
    lua_pushvalue(L, 1);
    mw_loop_ref(core); /* what is resumed may close it */
    mw_loop_drive(core);
    status = lua_pcall(L, 3, LUA_MULTRET, 0);
    mw_loop_undrive(core);
    mw_loop_unref(core);
    if (status != 0)
        return raise_again(L);
    return lua_gettop(L) - 1;
}

static int
l_loop_is_closed(lua_State *L)
{
    struct loop *loop = check_loop(L);

    lua_pushboolean(L, loop->core == NULL || mw_loop_is_closed(loop->core));
    return 1;
}

static int
l_loop_stats(lua_State *L)
{
    struct loop *loop = check_loop(L);
    struct mw_loop_stats stats = {0};

    if (loop->core != NULL)
        stats = mw_loop_stats(loop->core);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, (lua_Integer)stats.threads);
    lua_setfield(L, -2, "threads");
    lua_pushinteger(L, (lua_Integer)stats.watchers);
    lua_setfield(L, -2, "watchers");
    lua_pushinteger(L, (lua_Integer)stats.tcp);
    lua_setfield(L, -2, "tcp");
    lua_pushinteger(L, (lua_Integer)stats.lookups);
    lua_setfield(L, -2, "lookups");
    return 1;
}

/* Drops the threads it keeps, and its place in the registry. */
static int
l_loop_close(lua_State *L)
{
    struct loop *loop = check_loop(L);

    if (loop->core == NULL || mw_loop_is_closed(loop->core))
        return 0;
    mw_loop_close(loop->core);
    lua_getfenv(L, 1);
    for (size_t i = lua_objlen(L, -1); i > 0; i--) {
        lua_pushnil(L);
        lua_rawseti(L, -2, (int)i);
    }
    lua_pushlightuserdata(L, loop);
    lua_pushnil(L);
    lua_rawset(L, LUA_REGISTRYINDEX);
    return 0;
}

static int
l_loop_gc(lua_State *L)
{
    struct loop *loop = check_loop(L);
    struct mw_loop *core = loop->core;

    loop->core = NULL;
    if (core != NULL)
        mw_loop_close(core);
    mw_loop_unref(core);
    return 0;
}

void
mwL_open_loop(lua_State *L)
{
    static const luaL_Reg loop_methods[] = {
        {"now", l_loop_now},
        {"step", l_loop_step},
        {"is_closed", l_loop_is_closed},
        {"stats", l_loop_stats},
        {"close", l_loop_close},
        {NULL, NULL},
    };
    static const luaL_Reg loop_meta[] = {
        {"__gc", l_loop_gc},
        {NULL, NULL},
    };

    mwL_class(L, MWL_LOOP, loop_methods, loop_meta);
    lua_pushcfunction(L, l_core_loop);
    lua_setfield(L, -2, "loop");
    lua_pushcfunction(L, l_core_can_wait);
    lua_setfield(L, -2, "can_wait");
}
