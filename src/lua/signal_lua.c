/* signal_lua.c - signals for Lua: a thread is woken, nothing is called. */
#include "io/signal.h"

#include "core/err.h"
#include "lua/loop_lua.h"
#include "lua/util.h"

struct signal {
    const struct mwL_type *type;
    struct mw_signal core;
};

static const struct mwL_type signal_type = {
    "moonwire.core.Signal",
    sizeof(struct signal),
};

/* loop:signal(number, thread).  The signal keeps loop and thread alive. */
static int
l_loop_signal(lua_State *L)
{
    struct mw_loop *loop = mwL_check_loop(L, 1);
    int number = (int)luaL_checkinteger(L, 2);
    struct mwL_thread *thread = mwL_check_thread(L, 3);
    struct signal *sig;
    int err;

    luaL_argcheck(
        L, thread->waiter.loop == loop, 3, "a thread of another loop");
    sig = mwL_new(L, &signal_type);
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, 2);
    lua_setfenv(L, -2);
    err = mw_signal_open(&sig->core, loop, number, &thread->waiter);
    luaL_argcheck(L, err != MW_EINVAL, 2, "not a signal that can be caught");
    if (err != MW_OK)
        return mwL_fail(L, err);
    return 1;
}

static int
l_signal_close(lua_State *L)
{
    struct signal *sig = mwL_check(L, 1, &signal_type);

    mw_signal_deinit(&sig->core);
    return 0;
}

void
mwL_open_signal(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"close", l_signal_close},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {
        {"__gc", l_signal_close},
        {NULL, NULL},
    };

    mwL_class(L, signal_type.name, methods, meta);
    mwL_add_method(L, MWL_LOOP, "signal", l_loop_signal);
}
