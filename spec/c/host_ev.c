/* host_ev.c - a C program that uses moonwire.h on an ev_loop of its own:
 * host_ev CASE.  Each case prints what it sees. */
#include <ev.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <moonwire.h>
#include <moonwire/err.h>
#include <stdio.h>
#include <string.h>

#define SLEEP(seconds) "return require('moonwire').sleep(" #seconds ")"

struct program {
    struct ev_loop *loop;
    lua_State *L;
    struct mw_context *ctx;
    ev_timer timer;
    uint64_t task;
};

static void
say(const char *what, int code)
{
    printf("%s: %s\n", what, code < 0 ? mw_err_name(code) : "fine");
}

static void
on_end(void *arg, struct mw_context *ctx, const struct mw_outcome *outcome)
{
    (void)ctx;
    printf("%s: %s\n", (const char *)arg,
        outcome->kind != NULL ? outcome->kind : "returned");
}

static uint64_t
start(struct program *p, const char *name, const char *code)
{
    uint64_t task = 0;
    int err = mw_spawn_string(
        p->ctx, code, strlen(code), "=script", on_end, (void *)name, &task);

    if (err != MW_OK)
        printf("%s: %s\n", name, mw_err_name(err));
    return task;
}

static void
start_timer(
    struct program *p, void (*callback)(struct ev_loop *, ev_timer *, int))
{
    ev_now_update(p->loop);
    ev_timer_init(&p->timer, callback, 0.02, 0);
    p->timer.data = p;
    ev_timer_start(p->loop, &p->timer);
}

static void
cancel_on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct program *p = timer->data;

    (void)loop;
    (void)events;
    say("cancel", mw_cancel(p->ctx, p->task));
}

static void
running(struct program *p)
{
    start(p, "short", SLEEP(0.01));
    p->task = start(p, "long", SLEEP(60));
    say("step", mw_step(p->ctx, 0));
    say("run", mw_run(p->ctx));
    start_timer(p, cancel_on_timer);
    ev_run(p->loop, 0); /* ends by itself: nothing is armed any more */
    printf("the loop has ended\n");
    say("close", mw_close(p->ctx));
}

static void
close_on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct program *p = timer->data;

    (void)loop;
    (void)events;
    say("close", mw_close(p->ctx));
}

static void
closing(struct program *p)
{
    start(p, "long", SLEEP(60));
    start(
        p, "nested", "require('moonwire').spawn(function() " SLEEP(60) " end)");
    start_timer(p, close_on_timer);
    ev_run(p->loop, 0);
    printf("the loop has ended\n");
}

/* The timer is the host's: closing does not run its loop. */
static void
not_run(struct program *p)
{
    start(p, "long", SLEEP(60));
    ev_run(p->loop, EVRUN_NOWAIT);
    ev_run(p->loop, EVRUN_NOWAIT);
    start_timer(p, cancel_on_timer);
    ev_timer_set(&p->timer, 0, 0);
    say("close", mw_close(p->ctx));
    ev_timer_stop(p->loop, &p->timer);
}

static void
loop_first(struct program *p)
{
    start(p, "sleeps", SLEEP(60));
    start(p, "connected",
        "local net = require 'moonwire.net' "
        "local l = assert(net.listen('127.0.0.1', 0)) kept = l "
        "return l:accept()");
    ev_run(p->loop, EVRUN_NOWAIT);
    ev_run(p->loop, EVRUN_NOWAIT);
    start(p, "never began", "print('began')");
    ev_loop_destroy(p->loop);
    p->loop = NULL;
    start(p, "too late", "return 1");
    say("cancel", mw_cancel(p->ctx, 1));
    if (luaL_dostring(p->L, "collectgarbage() kept:close() "
                            "require('moonwire').sleep(0)") != 0)
        printf("%s\n", lua_tostring(p->L, -1));
    say("close", mw_close(p->ctx));
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct program *p);
    } cases[] = {
        {"running", running},
        {"closing", closing},
        {"not_run", not_run},
        {"loop_first", loop_first},
    };
    struct program p = {.loop = ev_loop_new(0), .L = luaL_newstate()};
    struct mw_options options = {.loop = p.loop};
    int found = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    luaL_openlibs(p.L);
    say("open", mw_open(p.L, &options, &p.ctx));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (argc == 2 && strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run(&p);
            found = 1;
        }
    }
    lua_close(p.L);
    if (p.loop != NULL)
        ev_loop_destroy(p.loop);
    return !found;
}
