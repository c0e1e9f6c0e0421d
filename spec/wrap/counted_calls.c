/* counted_calls.c - linked into a moonwire.core of its own in front of the
 * calls that change what libev waits for: it counts them.  Each timer started
 * or stopped is work on libev's heap, each watcher of an fd an epoll_ctl(). */
#include <ev.h>
#include <lauxlib.h>
#include <lua.h>

static struct {
    long timers;
    long watchers;
} calls;

void __real_ev_timer_start(struct ev_loop *loop, ev_timer *timer);
void __real_ev_timer_stop(struct ev_loop *loop, ev_timer *timer);
void __real_ev_io_start(struct ev_loop *loop, ev_io *io);
void __real_ev_io_stop(struct ev_loop *loop, ev_io *io);
void __wrap_ev_timer_start(struct ev_loop *loop, ev_timer *timer);
void __wrap_ev_timer_stop(struct ev_loop *loop, ev_timer *timer);
void __wrap_ev_io_start(struct ev_loop *loop, ev_io *io);
void __wrap_ev_io_stop(struct ev_loop *loop, ev_io *io);

void
__wrap_ev_timer_start(struct ev_loop *loop, ev_timer *timer)
{
    calls.timers++;
    __real_ev_timer_start(loop, timer);
}

void
__wrap_ev_timer_stop(struct ev_loop *loop, ev_timer *timer)
{
    calls.timers++;
    __real_ev_timer_stop(loop, timer);
}

void
__wrap_ev_io_start(struct ev_loop *loop, ev_io *io)
{
    calls.watchers++;
    __real_ev_io_start(loop, io);
}

void
__wrap_ev_io_stop(struct ev_loop *loop, ev_io *io)
{
    calls.watchers++;
    __real_ev_io_stop(loop, io);
}

/* take() -> timers, watchers: the calls since the one before */
__attribute__((visibility("default"))) int counted_calls_take(lua_State *L);
int
counted_calls_take(lua_State *L)
{
    lua_pushinteger(L, calls.timers);
    lua_pushinteger(L, calls.watchers);
    calls.timers = 0;
    calls.watchers = 0;
    return 2;
}
