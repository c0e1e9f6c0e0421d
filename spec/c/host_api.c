/* host_api.c - a C program that uses moonwire.h on a loop of moonwire's own:
 * host_api CASE.  Each case prints what it sees. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <moonwire.h>
#include <moonwire/err.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define SLEEP(seconds) "return require('moonwire').sleep(" #seconds ")"

static lua_State *
new_state(void)
{
    lua_State *L = luaL_newstate();

    luaL_openlibs(L);
    return L;
}

static void
on_log(void *arg, enum mw_log_level level, const char *text, size_t len)
{
    (void)arg;
    printf("log %d: %.*s\n", (int)level, (int)strcspn(text, "\n"), text);
    if (strlen(text) != len)
        printf("log: not its length\n");
}

static void
on_end(void *arg, struct mw_context *ctx, const struct mw_outcome *outcome)
{
    const char *name = arg;

    (void)ctx;
    if (outcome->kind != NULL) {
        printf("%s: %s: %s%s\n", name, outcome->kind, outcome->message,
            outcome->traceback != NULL ? " (traceback)" : "");
        return;
    }
    printf("%s:", name);
    for (int i = 0; i < outcome->count; i++) {
        lua_getglobal(outcome->L, "tostring");
        lua_pushvalue(outcome->L, outcome->first + i);
        lua_call(outcome->L, 1, 1);
        printf(" %s", lua_tostring(outcome->L, -1));
        lua_pop(outcome->L, 1);
    }
    printf("\n");
}

static struct mw_context *
open_context(lua_State *L)
{
    struct mw_options options = {.on_log = on_log};
    struct mw_context *ctx = NULL;
    int err = mw_open(L, &options, &ctx);

    if (err != MW_OK)
        printf("open: %s\n", mw_err_name(err));
    return ctx;
}

static uint64_t
start(struct mw_context *ctx, const char *name, const char *code)
{
    uint64_t task = 0;
    int err = mw_spawn_string(
        ctx, code, strlen(code), "=script", on_end, (void *)name, &task);

    if (err != MW_OK)
        printf("%s: %s\n", name, mw_err_name(err));
    return task;
}

static void
say(const char *what, int code)
{
    printf("%s: %s\n", what, code < 0 ? mw_err_name(code) : "fine");
}

static void
results(lua_State *L)
{
    struct mw_context *ctx = open_context(L);
    int top = lua_gettop(L);

    start(ctx, "values", "return 1, nil, 'three'");
    start(ctx, "waits", SLEEP(0.01));
    start(ctx, "children",
        "local m = require 'moonwire' "
        "m.spawn(function() m.sleep(0.01) print('child') end) return 'first'");
    say("run", mw_run(ctx));
    lua_getglobal(L, "math");
    lua_getfield(L, -1, "max");
    lua_remove(L, -2);
    lua_pushinteger(L, 3);
    lua_pushinteger(L, 9);
    say("spawn", mw_spawn(ctx, L, 2, on_end, "max", NULL));
    lua_pushinteger(L, 1);
    say("spawn", mw_spawn(ctx, L, 0, on_end, "no function", NULL));
    say("run", mw_run(ctx));
    printf("stack: %s\n", lua_gettop(L) == top ? "as before" : "changed");
    say("close", mw_close(ctx));
}

static void
failures(lua_State *L)
{
    struct mw_context *ctx = open_context(L);

    start(ctx, "raises", "error('it broke')");
    start(ctx, "table", "error({})");
    start(ctx, "syntax", "return +");
    start(ctx, "timeout",
        "local m = require 'moonwire' assert(m.timeout(0.01, m.sleep, 9))");
    start(ctx, "child",
        "require('moonwire').spawn(error, 'of a child', 0) "
        "require('moonwire').sleep(9)");
    start(ctx, "connect",
        "assert(require('moonwire.http').get('http://127.0.0.1:1/'))");
    mw_spawn_file(ctx, "/no/such/file.lua", on_end, "file", NULL);
    say("run", mw_run(ctx));
    mw_spawn_string(ctx, "error('unheard', 0)", 19, "=x", NULL, NULL, NULL);
    say("run", mw_run(ctx));
    say("close", mw_close(ctx));
}

static void
cancel_other(
    void *arg, struct mw_context *ctx, const struct mw_outcome *outcome)
{
    uint64_t *other = arg;

    (void)outcome;
    say("cancelled in a callback", mw_cancel(ctx, *other));
    say("started in a callback", (int)(start(ctx, "late", "return 7") > 0) - 1);
}

static void
cancelling(lua_State *L)
{
    struct mw_context *ctx = open_context(L);
    uint64_t first = start(ctx, "before it began", "print('began')");
    uint64_t value = start(ctx, "value", SLEEP(60));
    uint64_t raised =
        start(ctx, "raised", "assert(require('moonwire').sleep(60))");
    uint64_t other = start(ctx, "other", SLEEP(60));

    mw_cancel(ctx, first);
    printf("under way: %d\n", mw_step(ctx, 0));
    say("cancel", mw_cancel(ctx, value));
    say("twice", mw_cancel(ctx, value));
    say("raised", mw_cancel(ctx, raised));
    printf("under way: %d\n", mw_step(ctx, 0));
    say("ended", mw_cancel(ctx, value));
    say("unknown", mw_cancel(ctx, 12345));
    mw_spawn_string(ctx, "", 0, "=x", cancel_other, &other, NULL);
    say("run", mw_run(ctx));
    say("close", mw_close(ctx));
}

static void
use_in_callback(
    void *arg, struct mw_context *ctx, const struct mw_outcome *outcome)
{
    printf("%s %s\n", (const char *)arg, outcome->kind);
    say("close", mw_close(ctx));
    say("step", mw_step(ctx, 0));
    say("run", mw_run(ctx));
    start(ctx, "start", "return 1");
    lua_pushliteral(outcome->L, "a callback that raises");
    lua_error(outcome->L);
}

static void
closing(lua_State *L)
{
    struct mw_context *ctx = open_context(L);
    const char *loop = "local m = require 'moonwire' local x = 0 "
                       "while true do m.sleep(60) x = x + 1 "
                       "if x > 3 then coroutine.yield() end end";

    mw_spawn_string(ctx, SLEEP(60) " or error('x', 0)",
        strlen(SLEEP(60) " or error('x', 0)"), "=x", use_in_callback, "first",
        NULL);
    start(ctx, "sleeps", SLEEP(60));
    start(ctx, "nested",
        "local m = require 'moonwire' m.spawn(function() m.sleep(60) "
        "print('child ended') end) m.scope(function() m.sleep(60) end)");
    start(ctx, "yields", loop);
    printf("under way: %d\n", mw_step(ctx, 0));
    start(ctx, "never began", "print('began')");
    say("close", mw_close(ctx));
    say("nothing", mw_close(NULL));
    ctx = open_context(L);
    start(ctx, "again", SLEEP(0.01));
    say("run", mw_run(ctx));
    say("close", mw_close(ctx));
}

static void
opening(lua_State *L)
{
    struct mw_context *ctx = open_context(L);
    lua_State *bare = luaL_newstate();
    lua_State *other = new_state();

    open_context(L); /* twice */
    open_context(bare);
    if (luaL_dostring(other, "print('without the library: ' .. "
                             "tostring(pcall(require, 'moonwire.core')))") != 0)
        printf("%s\n", lua_tostring(other, -1));
    lua_getglobal(other, "print");
    say("another state", mw_spawn(ctx, other, 0, on_end, "other", NULL));
    say("close", mw_close(ctx));
    lua_settop(L, 0);
    if (luaL_dostring(L, "require('moonwire').sleep(0)") != 0)
        printf("%s\n", lua_tostring(L, -1));
    open_context(L); /* moonwire has a loop already */
    lua_close(bare);
    lua_close(other);
}

static void
deadlock(lua_State *L)
{
    struct mw_context *ctx = open_context(L);
    uint64_t task = start(ctx, "stuck",
        "local m = require 'moonwire' "
        "local c = m.channel() return c:receive()");

    mw_step(ctx, 0);
    say("run", mw_run(ctx));
    printf("under way: %d\n", mw_step(ctx, 0.01));
    mw_cancel(ctx, task);
    say("run", mw_run(ctx));
    say("close", mw_close(ctx));
}

static void
logging(lua_State *L)
{
    struct mw_options options = {.on_log = on_log, .trace = true};
    struct mw_context *ctx = NULL;
    const char *code =
        "local s = assert(require('moonwire.testing.server').start{}) "
        "local r = assert(require('moonwire.http').get(s.url .. '/get', "
        "{ headers = { authorization = 'secret' } })) r:discard() s:close()";

    say("open", mw_open(L, &options, &ctx));
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moonwire.backend");
    lua_call(L, 1, 1);
    lua_setglobal(L, "backend");
    start(ctx, "detached",
        "backend.current():start(function() error('alone') end)");
    start(ctx, "request", code);
    say("run", mw_run(ctx));
    say("close", mw_close(ctx));
}

/* lua_close() with a context that is still open, and tasks under way */
static void
forgotten(lua_State *L)
{
    struct mw_context *ctx = open_context(L);

    start(ctx, "never told", SLEEP(60));
    printf("under way: %d\n", mw_step(ctx, 0));
}

static void *
in_thread(void *arg)
{
    int *ended_well = arg;
    lua_State *L = new_state();
    struct mw_context *ctx = NULL;
    const char *code = "local m = require 'moonwire' for i = 1, 20 do "
                       "m.gather(function() m.sleep(0) end, "
                       "function() m.sleep(0.001) end) end";

    if (mw_open(L, NULL, &ctx) == MW_OK &&
        mw_spawn_string(ctx, code, strlen(code), "=x", NULL, NULL, NULL) == 0)
        *ended_well = mw_run(ctx) == 0 && mw_close(ctx) == MW_OK;
    lua_close(L);
    return NULL;
}

static void
threads(lua_State *L)
{
    pthread_t thread[4];
    int well[4] = {0};

    (void)L;
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, in_thread, &well[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    printf("ended well: %d\n", well[0] + well[1] + well[2] + well[3]);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(lua_State *L);
    } cases[] = {
        {"results", results},
        {"failures", failures},
        {"cancelling", cancelling},
        {"closing", closing},
        {"opening", opening},
        {"deadlock", deadlock},
        {"logging", logging},
        {"forgotten", forgotten},
        {"threads", threads},
    };
    lua_State *L = new_state();
    int found = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (argc == 2 && strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run(L);
            found = 1;
        }
    }
    lua_close(L);
    return !found;
}
