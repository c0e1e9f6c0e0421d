/* host.c - a program with a libev loop of its own: it ticks, and meanwhile a
 * script in its Lua state fetches pages on the same loop.
 *
 *   cc host.c $(pkg-config --cflags --libs moonwire luajit) -lev -o host
 *   ./host script.lua */
#include <ev.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <moonwire.h>
#include <moonwire/err.h>
#include <stdio.h>

struct program {
    ev_timer tick;
    int ticks;
    int failed;
};

static void
on_tick(struct ev_loop *loop, ev_timer *tick, int events)
{
    struct program *program = tick->data;

    (void)loop;
    (void)events;
    program->ticks++;
}

static void
on_log(void *arg, enum mw_log_level level, const char *text, size_t len)
{
    (void)arg;
    (void)len;
    fprintf(
        stderr, "%s: %s\n", level == MW_LOG_TRACE ? "trace" : "error", text);
}

/* The script has ended: what it returned is on the stack of outcome->L. */
static void
on_end(void *arg, struct mw_context *ctx, const struct mw_outcome *outcome)
{
    struct program *program = arg;

    (void)ctx;
    if (outcome->kind != NULL) {
        program->failed = 1;
        fprintf(stderr, "%s: %s\n", outcome->kind, outcome->message);
    } else if (outcome->count > 0) {
        printf(
            "the script gave %s\n", lua_tostring(outcome->L, outcome->first));
    }
    printf("the program ticked meanwhile: %s\n",
        program->ticks > 0 ? "yes" : "no");
    ev_break(EV_DEFAULT_ EVBREAK_ALL);
}

int
main(int argc, char **argv)
{
    struct program program = {.failed = argc != 2};
    struct ev_loop *loop = EV_DEFAULT;
    lua_State *L = luaL_newstate();
    struct mw_options options = {.loop = loop, .on_log = on_log};
    struct mw_context *ctx = NULL;
    int err;

    if (argc != 2 || L == NULL || loop == NULL)
        return 2;
    luaL_openlibs(L);
    err = mw_open(L, &options, &ctx);
    if (err == MW_OK)
        err = mw_spawn_file(ctx, argv[1], on_end, &program, NULL);
    if (err == MW_OK) {
        ev_timer_init(&program.tick, on_tick, 0.01, 0.01);
        program.tick.data = &program;
        ev_timer_start(loop, &program.tick);
        ev_run(loop, 0);
    } else {
        fprintf(stderr, "%s\n", mw_err_text(err));
        program.failed = 1;
    }
    mw_close(ctx);
    lua_close(L);
    ev_loop_destroy(loop);
    return program.failed;
}
