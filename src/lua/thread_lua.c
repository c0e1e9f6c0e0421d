/* thread_lua.c - threads for Lua: the parking places of coroutines, who wakes
 * them, and when one may wait.  It resumes none and never yields itself. */
#include "core/err.h"
#include "io/dns.h"
#include "lua/loop_lua.h"
#include "lua/util.h"

static const struct mwL_type thread_type = {
    "moonwire.core.Thread",
    sizeof(struct mwL_thread),
};

struct mwL_thread *
mwL_check_thread(lua_State *L, int idx)
{
    return mwL_check(L, idx, &thread_type);
}

/* Keeps the thread at `idx` until it ends; raises when out of memory. */
static void
anchor(lua_State *L, struct mwL_thread *thread, int idx)
{
    if (thread->anchor != LUA_NOREF)
        return;
    lua_getfenv(L, idx);
    lua_rawgeti(L, -1, 1);
    lua_pushvalue(L, idx);
    thread->anchor = luaL_ref(L, -2);
    lua_pop(L, 2);
}

static bool
is_over(const struct mwL_thread *thread)
{
    return thread->waiter.loop == NULL ||
           mw_loop_is_closed(thread->waiter.loop);
}

void
mwL_ensure_can_wait(lua_State *L, struct mwL_thread *thread, int idx)
{
    if (thread->waiter.state != MW_WAITER_IDLE)
        luaL_error(L, "this thread waits already");
    if (thread->co == NULL)
        return;
    if (!lua_isyieldable(L))
        luaL_error(L, "can't wait here: a C function, such as string.gsub, "
                      "table.sort or require, stands between this call and "
                      "its task");
    anchor(L, thread, idx);
    thread->is_begun = true;
}

struct mwL_thread *
mwL_check_can_wait(lua_State *L, int idx)
{
    struct mwL_thread *thread = mwL_check_thread(L, idx);

    if (is_over(thread))
        return NULL;
    mwL_ensure_can_wait(L, thread, idx);
    return thread;
}

static int
l_thread_wait(lua_State *L)
{
    double seconds = mwL_check_seconds(L, 2);
    struct mwL_thread *thread = mwL_check_can_wait(L, 1);

    if (thread == NULL) {
        lua_pushinteger(L, MW_ECLOSED);
        return 1;
    }
    mw_waiter_park(&thread->waiter, seconds);
    return mwL_wait(L, thread, 1);
}

/* Whether nobody has resumed its coroutine as yet. */
static bool
can_begin(const struct mwL_thread *thread)
{
    lua_Debug frame;

    return thread->co != NULL && !thread->is_begun &&
           thread->waiter.state == MW_WAITER_IDLE &&
           lua_status(thread->co) == 0 && lua_gettop(thread->co) > 0 &&
           lua_getstack(thread->co, 0, &frame) == 0;
}

static int
l_thread_wake(lua_State *L)
{
    struct mwL_thread *thread = mwL_check_thread(L, 1);
    int code = (int)luaL_checkinteger(L, 2);
    bool is_woken = false;

    if (is_over(thread)) {
        is_woken = false;
    } else if (mw_waiter_end(&thread->waiter, code)) {
        is_woken = true;
    } else if (can_begin(thread)) {
        anchor(L, thread, 1);
        mw_waiter_begin(&thread->waiter, code);
        is_woken = true;
    }
    lua_pushboolean(L, is_woken);
    return 1;
}

/* loop:sentry(thread): a thread that has never run. */
static int
l_loop_sentry(lua_State *L)
{
    struct mw_loop *core = mwL_check_loop(L, 1);
    struct mwL_thread *thread = mwL_check_thread(L, 2);

    luaL_argcheck(L, thread->waiter.loop == core && can_begin(thread), 2,
        "a thread of this loop that has never run expected");
    anchor(L, thread, 2);
    mw_loop_set_sentry(core, &thread->waiter);
    return 0;
}

static int
l_loop_take_stirred(lua_State *L)
{
    double token;

    if (mw_loop_take_stirred(mwL_check_loop(L, 1), &token))
        lua_pushnumber(L, token);
    else
        lua_pushnil(L);
    return 1;
}

static int
l_thread_is_waiting(lua_State *L)
{
    struct mwL_thread *thread = mwL_check_thread(L, 1);

    lua_pushboolean(L, thread->waiter.state == MW_WAITER_PARKED);
    return 1;
}

static int
l_thread_gc(lua_State *L)
{
    struct mwL_thread *thread = mwL_check_thread(L, 1);

    mw_waiter_deinit(&thread->waiter);
    mw_dns_answer_free(thread->answer);
    thread->answer = NULL;
    return 0;
}

/* Moves what stands above index 2 to the coroutine there, which has not begun.
 */
static void
give_arguments(lua_State *L)
{
    lua_State *co = lua_tothread(L, 2);
    int count = lua_gettop(L) - 2;
    lua_Debug frame;

    luaL_argcheck(L,
        co != NULL && lua_status(co) == 0 && lua_gettop(co) == 1 &&
            lua_getstack(co, 0, &frame) == 0,
        2, "a coroutine that has not begun expected");
    if (!lua_checkstack(co, count + 1)) /* and the code of a wake */
        luaL_error(L, "too many arguments for a thread");
    lua_xmove(L, co, count);
}

/* loop:thread(coroutine, ...): it begins with these arguments, or, without any,
 * with the code of the wake. */
static int
l_loop_thread(lua_State *L)
{
    struct mw_loop *core = mwL_check_loop(L, 1);
    struct mwL_thread *thread;

    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TTHREAD);
    if (lua_gettop(L) > 2)
        give_arguments(L);
    lua_settop(L, 2);
    thread = mwL_new(L, &thread_type);
    thread->anchor = LUA_NOREF;
    thread->co = lua_tothread(L, 2);
    lua_createtable(L, 2, 0);
    lua_getfenv(L, 1);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, 2);
    lua_setfenv(L, 3);
    mw_waiter_init(&thread->waiter, core);
    return 1;
}

void
mwL_open_thread(lua_State *L)
{
    static const luaL_Reg thread_methods[] = {
        {"wait", l_thread_wait},
        {"wake", l_thread_wake},
        {"is_waiting", l_thread_is_waiting},
        {NULL, NULL},
    };
    static const luaL_Reg thread_meta[] = {
        {"__gc", l_thread_gc},
        {NULL, NULL},
    };

    mwL_class(L, thread_type.name, thread_methods, thread_meta);
    mwL_add_method(L, MWL_LOOP, "thread", l_loop_thread);
    mwL_add_method(L, MWL_LOOP, "sentry", l_loop_sentry);
    mwL_add_method(L, MWL_LOOP, "take_stirred", l_loop_take_stirred);
}
