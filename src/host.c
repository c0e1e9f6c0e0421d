/* host.c - moonwire.h: contexts in the Lua states of a C program.  It calls Lua
 * under protection and the program's callbacks, and decides nothing: the tasks
 * are kept in lua/moonwire/host.lua. */
#include "moonwire.h"

#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <string.h>

#include "core/err.h"
#include "host_modules.h"
#include "lua/util.h"

#define SEARCHER_KEY "moonwire.host.searcher"

int luaopen_moonwire_core(lua_State *L);

/* What on_end is called with; a userdata of each task. */
struct record {
    mw_on_end *on_end;
    void *arg;
};

/* A userdata, kept in the registry until mw_close(). */
struct mw_context {
    lua_State *L;              /* borrowed from the program */
    struct mw_options options; /* a copy */
    int self_ref;              /* in the registry, like these: */
    int host_ref;              /* the moonwire.Host */
    int spawn_ref;             /* l_spawn */
    int depth;                 /* callbacks under way */
    struct call *call;         /* lent to l_spawn */
};

/* One call of a method of the moonwire.Host. */
struct call {
    struct mw_context *ctx;
    const char *method;
    void (*push)(lua_State *L, const struct call *call); /* its arguments */
    const char *text;
    size_t len;
    const char *name;
    double number;
    struct record record;
    double result;
};

/* -- what the program is told ---------------------------------------------- */

static void
tell(struct mw_context *ctx, enum mw_log_level level, const char *text,
    size_t len)
{
    if (ctx->options.on_log == NULL)
        return;
    ctx->depth++;
    ctx->options.on_log(ctx->options.log_arg, level, text, len);
    ctx->depth--;
}

/* Tells the error on the top of the stack and takes it off. */
static int
tell_error(struct mw_context *ctx, lua_State *L, int status)
{
    size_t len;
    const char *text;

    if (lua_type(L, -1) == LUA_TSTRING) { /* no conversion: it could raise */
        text = lua_tolstring(L, -1, &len);
        tell(ctx, MW_LOG_ERROR, text, len);
    } else {
        text = "an error that is not a string";
        tell(ctx, MW_LOG_ERROR, text, strlen(text));
    }
    lua_pop(L, 1);
    return status == LUA_ERRMEM ? MW_ENOMEM : MW_ESTATE;
}

/* log(level, text), one line: the end of it is not the program's business */
static int
l_log(lua_State *L)
{
    struct mw_context *ctx = lua_touserdata(L, lua_upvalueindex(1));
    bool is_trace = strcmp(luaL_checkstring(L, 1), "trace") == 0;
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);

    if (len > 0 && text[len - 1] == '\n') {
        lua_pushlstring(L, text, len - 1);
        text = lua_tolstring(L, -1, &len);
    }
    tell(ctx, is_trace ? MW_LOG_TRACE : MW_LOG_ERROR, text, len);
    return 0;
}

/* (id, record, kind, message, traceback, results...) */
static int
call_on_end(lua_State *L)
{
    struct mw_context *ctx = lua_touserdata(L, lua_upvalueindex(1));
    struct record *record = lua_touserdata(L, 2);
    struct mw_outcome outcome = {
        .task = (uint64_t)lua_tonumber(L, 1),
        .kind = lua_tostring(L, 3),
        .message = lua_tostring(L, 4),
        .traceback = lua_tostring(L, 5),
        .L = L,
        .first = 6,
        .count = lua_gettop(L) - 5,
    };

    luaL_checkstack(L, LUA_MINSTACK, "too many results");
    if (record->on_end != NULL)
        record->on_end(record->arg, ctx, &outcome);
    else if (outcome.message != NULL)
        tell(ctx, MW_LOG_ERROR, outcome.message, strlen(outcome.message));
    return 0;
}

static int
l_ended(lua_State *L)
{
    struct mw_context *ctx = lua_touserdata(L, lua_upvalueindex(1));
    int status;

    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, call_on_end, 1);
    lua_insert(L, 1);
    ctx->depth++;
    status = lua_pcall(L, lua_gettop(L) - 1, 0, 0);
    ctx->depth--;
    if (status != 0)
        tell_error(ctx, L, status);
    return 0;
}

/* -- the modules ----------------------------------------------------------- */

/* A searcher for package.loaders. */
static int
l_search(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    if (strcmp(name, "moonwire.core") == 0) {
        lua_pushcfunction(L, luaopen_moonwire_core);
        return 1;
    }
    for (const struct mw_host_module *m = mw_host_modules; m->name; m++) {
        if (strcmp(name, m->name) != 0)
            continue;
        if (luaL_loadbuffer(L, m->code, m->size, m->name) == 0)
            return 1;
        lua_pushfstring(L, "\n\tlibmoonwire has it for another LuaJIT: %s",
            lua_tostring(L, -1));
        return 1;
    }
    return 0;
}

/* Puts the searcher behind package.preload, once for each Lua state. */
static void
add_searcher(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, SEARCHER_KEY);
    if (lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    lua_getglobal(L, "package");
    if (lua_istable(L, -1))
        lua_getfield(L, -1, "loaders");
    if (!lua_istable(L, -1))
        luaL_error(L, "moonwire needs LuaJIT's standard libraries in its Lua "
                      "state: call luaL_openlibs(L) before mw_open()");
    for (int i = (int)lua_objlen(L, -1); i >= 2; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushcfunction(L, l_search);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 3);
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, SEARCHER_KEY);
}

/* -- calls of Lua ---------------------------------------------------------- */

static void
push_record(lua_State *L, const struct record *from)
{
    struct record *record = lua_newuserdata(L, sizeof(*record));

    *record = *from;
}

/* The method, the host, and what call->push pushes, above what is there. */
static int
l_call(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, call->ctx->host_ref);
    lua_getfield(L, -1, call->method);
    lua_insert(L, -2);
    if (call->push != NULL)
        call->push(L, call);
    lua_call(L, lua_gettop(L) - 2, 1);
    call->result = lua_tonumber(L, -1);
    return 0;
}

static int
call_host(struct call *call)
{
    lua_State *L = call->ctx->L;
    int status;

    if (!lua_checkstack(L, LUA_MINSTACK))
        return MW_ENOMEM;
    status = lua_cpcall(L, l_call, call);
    if (status != 0)
        return tell_error(call->ctx, L, status);
    return call->result < 0 ? (int)call->result : MW_OK;
}

/* (function, arguments...): starts it as ctx->call says */
static int
l_spawn(lua_State *L)
{
    struct mw_context *ctx = lua_touserdata(L, lua_upvalueindex(1));
    struct call *call = ctx->call;

    lua_rawgeti(L, LUA_REGISTRYINDEX, ctx->host_ref);
    lua_getfield(L, -1, "start");
    lua_insert(L, 1);
    lua_insert(L, 2);
    push_record(L, &call->record);
    lua_insert(L, 3);
    lua_call(L, lua_gettop(L) - 1, 1);
    call->result = lua_tonumber(L, -1);
    return 0;
}

/* -- opening and closing --------------------------------------------------- */

/* What l_open is given and gives. */
struct opening {
    lua_State *L;
    const struct mw_options *options;
    struct mw_context *ctx; /* NULL until it is in the registry */
};

/* Makes the context, at 2, and its places in the registry: when moonwire.host
 * has opened there is nothing left that could fail. */
static struct mw_context *
make_context(lua_State *L, struct opening *opening)
{
    struct mw_context *ctx = lua_newuserdata(L, sizeof(*ctx));

    memset(ctx, 0, sizeof(*ctx));
    ctx->L = opening->L;
    ctx->self_ref = ctx->host_ref = ctx->spawn_ref = LUA_NOREF;
    if (opening->options != NULL)
        ctx->options = *opening->options;
    lua_pushvalue(L, 2);
    ctx->self_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    opening->ctx = ctx;
    lua_pushvalue(L, 2);
    ctx->host_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, l_spawn, 1);
    ctx->spawn_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return ctx;
}

/* Takes it out of the registry.  Not by luaL_unref(): that may need memory, and
 * would raise where nothing protects it.  A place that is nil is free, too. */
static void
free_context(struct mw_context *ctx)
{
    lua_State *L = ctx->L;
    int refs[] = {ctx->host_ref, ctx->spawn_ref, ctx->self_ref};

    for (int i = 0; i < 3; i++) {
        if (refs[i] == LUA_NOREF)
            continue;
        lua_pushnil(L);
        lua_rawseti(L, LUA_REGISTRYINDEX, refs[i]);
    }
}

static int
l_open(lua_State *L)
{
    struct mw_context *ctx;

    add_searcher(L);
    mwL_use_state_alloc(L);
    ctx = make_context(L, lua_touserdata(L, 1));
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moonwire.host");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "open");
    if (ctx->options.loop != NULL)
        lua_pushlightuserdata(L, ctx->options.loop);
    else
        lua_pushnil(L);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, l_log, 1);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, l_ended, 1);
    lua_pushboolean(L, ctx->options.trace);
    lua_call(L, 4, 2);
    if (lua_isnil(L, -2))
        return lua_error(L);
    lua_pop(L, 1);
    lua_rawseti(L, LUA_REGISTRYINDEX, ctx->host_ref);
    return 0;
}

const char *
mw_version(void)
{
    return MW_VERSION;
}

int
mw_open(struct lua_State *L, const struct mw_options *options,
    struct mw_context **ctx)
{
    struct opening opening = {L, options, NULL};
    struct mw_context failed = {.L = L};
    int status;
    int err;

    if (!lua_checkstack(L, LUA_MINSTACK))
        return MW_ENOMEM;
    status = lua_cpcall(L, l_open, &opening);
    if (status == 0) {
        *ctx = opening.ctx;
        return MW_OK;
    }
    if (options != NULL)
        failed.options = *options;
    err = tell_error(&failed, L, status);
    if (opening.ctx != NULL)
        free_context(opening.ctx);
    return err;
}

int
mw_close(struct mw_context *ctx)
{
    struct call call = {.ctx = ctx, .method = "close"};
    int err;

    if (ctx == NULL)
        return MW_OK;
    if (ctx->depth > 0)
        return MW_ESTATE;
    err = call_host(&call);
    if (err == MW_OK)
        free_context(ctx);
    return err;
}

/* -- tasks ----------------------------------------------------------------- */

static int
give_task(const struct call *call, int err, uint64_t *task)
{
    if (err == MW_OK && task != NULL)
        *task = (uint64_t)call->result;
    return err;
}

int
mw_spawn(struct mw_context *ctx, struct lua_State *L, int count,
    mw_on_end *on_end, void *arg, uint64_t *task)
{
    struct call call = {.ctx = ctx, .record = {on_end, arg}};
    struct call *outer = ctx->call;
    int err = MW_OK;
    int status;

    if (lua_topointer(L, LUA_REGISTRYINDEX) !=
            lua_topointer(ctx->L, LUA_REGISTRYINDEX) ||
        !lua_isfunction(L, -count - 1))
        err = MW_EINVAL;
    else if (!lua_checkstack(L, LUA_MINSTACK))
        err = MW_ENOMEM;
    if (err != MW_OK) {
        lua_pop(L, count + 1);
        return err;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, ctx->spawn_ref);
    lua_insert(L, -count - 2);
    ctx->call = &call;
    status = lua_pcall(L, count + 1, 0, 0);
    ctx->call = outer;
    if (status != 0)
        return tell_error(ctx, L, status);
    err = call.result < 0 ? (int)call.result : MW_OK;
    return give_task(&call, err, task);
}

static void
push_text(lua_State *L, const struct call *call)
{
    push_record(L, &call->record);
    lua_pushlstring(L, call->text, call->len);
    lua_pushstring(L, call->name);
}

int
mw_spawn_string(struct mw_context *ctx, const char *code, size_t len,
    const char *name, mw_on_end *on_end, void *arg, uint64_t *task)
{
    struct call call = {
        .ctx = ctx,
        .method = "start_text",
        .push = push_text,
        .text = code,
        .len = len,
        .name = name,
        .record = {on_end, arg},
    };
    int err = call_host(&call);

    return give_task(&call, err, task);
}

static void
push_path(lua_State *L, const struct call *call)
{
    push_record(L, &call->record);
    lua_pushstring(L, call->name);
}

int
mw_spawn_file(struct mw_context *ctx, const char *path, mw_on_end *on_end,
    void *arg, uint64_t *task)
{
    struct call call = {
        .ctx = ctx,
        .method = "start_file",
        .push = push_path,
        .name = path,
        .record = {on_end, arg},
    };
    int err = call_host(&call);

    return give_task(&call, err, task);
}

static void
push_number(lua_State *L, const struct call *call)
{
    lua_pushnumber(L, call->number);
}

int
mw_cancel(struct mw_context *ctx, uint64_t task)
{
    struct call call = {
        .ctx = ctx,
        .method = "cancel",
        .push = push_number,
        .number = (double)task,
    };

    return call_host(&call);
}

/* For what turns our own loop: the count of tasks, or a code. */
static int
turn(struct mw_context *ctx, struct call *call)
{
    int err;

    if (ctx->depth > 0 || ctx->options.loop != NULL)
        return MW_ESTATE;
    err = call_host(call);
    return err == MW_OK ? (int)call->result : err;
}

int
mw_step(struct mw_context *ctx, double seconds)
{
    struct call call = {
        .ctx = ctx,
        .method = "step",
        .push = push_number,
        .number = isnan(seconds) ? 0 : seconds,
    };

    return turn(ctx, &call);
}

int
mw_run(struct mw_context *ctx)
{
    struct call call = {.ctx = ctx, .method = "run"};

    return turn(ctx, &call);
}
