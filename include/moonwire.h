/* moonwire.h - moonwire inside a C program: in a Lua state of the program, on a
 * loop of its own or on the program's.
 *
 * It prints nothing, handles no signal and has no global state: what belongs to
 * one context is used by one OS thread at a time, and contexts of different Lua
 * states know nothing of each other.  Functions that return an int give 0 or
 * more on success and a code of moonwire/err.h below 0, whose words are
 * mw_err_text().  The codec alone is in moonwire/h1.h. */
#ifndef MOONWIRE_H
#define MOONWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MW_VERSION "0.1.0"
#define MW_API     __attribute__((visibility("default")))

struct ev_loop;
struct lua_State;

/* moonwire in one Lua state. */
struct mw_context;

enum mw_log_level {
    MW_LOG_ERROR, /* what went wrong with nobody there to be told */
    MW_LOG_TRACE  /* a line of the transcript, if `trace` is set */
};

/* Receives one message: `text` ends with a NUL and is the caller's during the
 * call only.  It must return normally, and not use the context. */
typedef void mw_on_log(
    void *arg, enum mw_log_level level, const char *text, size_t len);

/* All zero is usable. */
struct mw_options {
    struct ev_loop *loop; /* lent until mw_close(); NULL: one of our own */
    mw_on_log *on_log;    /* NULL: nobody is told */
    void *log_arg;        /* handed to on_log */
    bool trace;           /* what is sent and received, secrets left out */
};

/* How a task has ended; all of it is the caller's during the call only. */
struct mw_outcome {
    uint64_t task;
    const char *kind;      /* NULL: it returned.  "error": it raised something;
                              else a kind of moonwire's errors: "timeout",
                              "cancelled", "connect" ... */
    const char *message;   /* a sentence; NULL without kind */
    const char *traceback; /* NULL: unknown */
    struct lua_State *L;   /* has what the task returned on its stack: */
    int first;             /* from this index on */
    int count;             /* so many values */
};

/* Is called once for each task that was started, inside the loop.  It may start
 * and cancel tasks and use outcome->L; what it raises goes to on_log.  It may
 * not step, run or close the context (MW_ESTATE), nor close the Lua state. */
typedef void mw_on_end(
    void *arg, struct mw_context *ctx, const struct mw_outcome *outcome);

/* The version of the library, MW_VERSION of its header. */
MW_API const char *mw_version(void);

/* Opens moonwire in a Lua state with LuaJIT's standard libraries; *ctx is then
 * the caller's until mw_close().  The modules come out of this library, and
 * `require` finds them from now on; LUA_PATH isn't asked.  Keep L, best the
 * main thread of its state, until mw_close().  MW_ESTATE when the state has a
 * context, when moonwire already works in it without one, or when libraries are
 * missing: on_log is told which.  MW_ENOMEM. */
MW_API int mw_open(struct lua_State *L, const struct mw_options *options,
    struct mw_context **ctx);

/* Cancels all tasks, lets them end and calls each on_end; a task that goes on
 * nevertheless is dropped and ends as "cancelled".  Then all that moonwire has
 * open in this state is closed, and ctx is no more.  Before lua_close(); the
 * host's loop may have been destroyed before.  MW_ESTATE inside a callback or a
 * task: nothing is done then.  NULL is allowed. */
MW_API int mw_close(struct mw_context *ctx);

/* Each of these starts a task, which runs at the next turn of the loop and has
 * ended when all that it has spawned has.  *task, if not NULL, is a number that
 * this context has never used before.  Source text and path are copied; a
 * script that can't be read or compiled is a task that fails.  mw_spawn() takes
 * a function and `count` arguments off the stack of L, any thread of the
 * context's Lua state, also on failure.  MW_ECLOSED while the context closes,
 * MW_EINVAL for a wrong L or no function, MW_ENOMEM: then on_end is never
 * called.  A NULL on_end is allowed: a failure then goes to on_log. */
MW_API int mw_spawn(struct mw_context *ctx, struct lua_State *L, int count,
    mw_on_end *on_end, void *arg, uint64_t *task);
MW_API int mw_spawn_string(struct mw_context *ctx, const char *code, size_t len,
    const char *name, mw_on_end *on_end, void *arg, uint64_t *task);
MW_API int mw_spawn_file(struct mw_context *ctx, const char *path,
    mw_on_end *on_end, void *arg, uint64_t *task);

/* Cancels a task: all that it waits for fails with "cancelled" from now on.  It
 * ends at a later turn, as it decides.  A task that has ended, or never was, is
 * no mistake. */
MW_API int mw_cancel(struct mw_context *ctx, uint64_t task);

/* One turn of our own loop: waits so many seconds at most (0: not at all) for
 * something to do, and does it.  Returns how many tasks are under way.
 * MW_ESTATE on a host's loop, which the host runs, or inside a callback. */
MW_API int mw_step(struct mw_context *ctx, double seconds);

/* Turns until no task is under way.  MW_EDEADLOCK when nothing is left that
 * could wake one of them: cancel it, or close the context.  Else as
 * mw_step(). */
MW_API int mw_run(struct mw_context *ctx);

#ifdef __cplusplus
}
#endif
#endif
