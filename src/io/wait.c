/* wait.c - waiters and what they wait for.  A wait that ends is taken off its
 * fd, timer and lookup at once; only then it is queued. */
#include "io/wait.h"

#include <assert.h>
#include <math.h>

#include "core/err.h"

/* Behind fds: what has arrived in time is not late because we are. */
enum {
    TIMER_PRIORITY = -1
};

/* -- the queue ------------------------------------------------------------- */

static void
put_ready(struct mw_waiter *waiter, int code)
{
    struct mw_loop *loop = waiter->loop;

    waiter->state = MW_WAITER_READY;
    waiter->code = code;
    waiter->order = ++loop->order;
    mw_link_append(&loop->ready, &waiter->ready);
    if (loop->is_host)
        ev_idle_start(loop->ev, &loop->idle);
}

uint64_t
mw_loop_ready_mark(const struct mw_loop *loop)
{
    return loop->order;
}

struct mw_waiter *
mw_loop_take_ready(struct mw_loop *loop, uint64_t mark)
{
    struct mw_waiter *waiter;

    if (loop->ready.next == &loop->ready)
        return NULL;
    waiter = mw_container_of(loop->ready.next, struct mw_waiter, ready);
    if (waiter->order > mark)
        return NULL;
    mw_link_remove(&waiter->ready);
    waiter->state = MW_WAITER_IDLE;
    loop->waiting--;
    return waiter;
}

/* -- the timer ------------------------------------------------------------- */

/* libev has stopped a timer that fired, and has let go of a reference that we
 * had taken off already: hence the ev_ref before. */
static void
stop_timer(struct mw_waiter *waiter)
{
    if (!waiter->is_timer_on)
        return;
    ev_ref(waiter->loop->ev);
    ev_timer_stop(waiter->loop->ev, &waiter->timer);
    waiter->is_timer_on = false;
}

/* A running timer that fires before the deadline is left alone: it starts
 * itself again for the rest.  So a thread that waits a hundred times a second,
 * thirty seconds at most each time, touches the heap twice a minute. */
static void
start_timer(struct mw_waiter *waiter)
{
    struct ev_loop *ev = waiter->loop->ev;
    double after;

    if (waiter->is_timer_on && ev_is_active(&waiter->timer) &&
        waiter->timer_at <= waiter->deadline)
        return;
    stop_timer(waiter);
    after = waiter->deadline - mw_now();
    ev_now_update(ev); /* libev counts from there */
    ev_timer_set(&waiter->timer, after > 0 ? after : 0, 0);
    ev_timer_start(ev, &waiter->timer);
    ev_unref(ev);
    waiter->is_timer_on = true;
    waiter->timer_at = waiter->deadline;
}

static void
on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
    struct mw_waiter *waiter = mw_container_of(timer, struct mw_waiter, timer);

    (void)ev;
    (void)events;
    stop_timer(waiter);
    if (waiter->state != MW_WAITER_PARKED || waiter->deadline == HUGE_VAL)
        return;
    if (mw_now() < waiter->deadline)
        start_timer(waiter);
    else
        mw_waiter_end(waiter, MW_ETIMEOUT);
}

/* -- fds ------------------------------------------------------------------- */

static void
start_watch(struct mw_watch *watch)
{
    if (watch->is_on)
        return;
    ev_io_start(watch->loop->ev, &watch->io);
    ev_unref(watch->loop->ev);
    watch->is_on = true;
}

/* Stops it and gives the reference back that was taken off at the start. */
static void
stop_watch(struct mw_watch *watch)
{
    if (!watch->is_on)
        return;
    ev_ref(watch->loop->ev);
    ev_io_stop(watch->loop->ev, &watch->io);
    watch->is_on = false;
}

/* -- waiters --------------------------------------------------------------- */

/* Takes a parked waiter off all that could end its wait. */
static void
detach(struct mw_waiter *waiter)
{
    for (int i = 0; i < 2; i++) {
        if (waiter->watches[i] == NULL)
            continue;
        waiter->watches[i]->waiter = NULL;
        waiter->watches[i] = NULL;
        mw_loop_disarm(waiter->loop);
    }
    if (waiter->deadline != HUGE_VAL) {
        waiter->deadline = HUGE_VAL;
        mw_loop_disarm(waiter->loop);
    }
    if (waiter->on_leave != NULL) {
        void (*on_leave)(void *) = waiter->on_leave;

        waiter->on_leave = NULL;
        on_leave(waiter->arg);
    }
}

static void
on_close(struct mw_handle *handle)
{
    struct mw_waiter *waiter =
        mw_container_of(handle, struct mw_waiter, handle);

    mw_waiter_drop(waiter, MW_ECLOSED);
    stop_timer(waiter);
}

void
mw_waiter_init(struct mw_waiter *waiter, struct mw_loop *loop)
{
    *waiter = (struct mw_waiter){.loop = loop, .deadline = HUGE_VAL};
    waiter->handle.on_close = on_close;
    ev_timer_init(&waiter->timer, on_timer, 0, 0);
    ev_set_priority(&waiter->timer, TIMER_PRIORITY);
    mw_loop_ref(loop);
    if (loop->ev != NULL)
        mw_loop_add(loop, &waiter->handle);
}

void
mw_waiter_deinit(struct mw_waiter *waiter)
{
    struct mw_loop *loop = waiter->loop;

    if (loop == NULL)
        return;
    if (loop->sentry == waiter)
        loop->sentry = NULL;
    if (loop->ev != NULL) {
        on_close(&waiter->handle);
        mw_loop_remove(&waiter->handle);
    }
    waiter->loop = NULL;
    mw_loop_unref(loop);
}

void
mw_waiter_park_until(struct mw_waiter *waiter, double deadline)
{
    assert(waiter->state == MW_WAITER_IDLE && waiter->loop->ev != NULL);
    waiter->state = MW_WAITER_PARKED;
    waiter->loop->waiting++;
    if (deadline == HUGE_VAL)
        return;
    waiter->deadline = deadline;
    mw_loop_arm(waiter->loop);
    start_timer(waiter);
}

void
mw_waiter_park(struct mw_waiter *waiter, double seconds)
{
    mw_waiter_park_until(
        waiter, seconds == HUGE_VAL ? HUGE_VAL : mw_now() + seconds);
}

void
mw_waiter_watch(struct mw_waiter *waiter, struct mw_watch *watch)
{
    int i = waiter->watches[0] == NULL ? 0 : 1;

    assert(waiter->state == MW_WAITER_PARKED && watch->waiter == NULL);
    assert(waiter->watches[i] == NULL);
    waiter->watches[i] = watch;
    watch->waiter = waiter;
    mw_loop_arm(waiter->loop);
    mw_watch_unguard(watch);
    start_watch(watch);
}

void
mw_waiter_lean(struct mw_waiter *waiter, void (*on_leave)(void *arg), void *arg)
{
    assert(waiter->state == MW_WAITER_PARKED && waiter->on_leave == NULL);
    waiter->on_leave = on_leave;
    waiter->arg = arg;
}

bool
mw_waiter_end(struct mw_waiter *waiter, int code)
{
    if (waiter->state != MW_WAITER_PARKED)
        return false;
    detach(waiter);
    put_ready(waiter, code);
    return true;
}

void
mw_waiter_begin(struct mw_waiter *waiter, int code)
{
    assert(waiter->state == MW_WAITER_IDLE && waiter->loop->ev != NULL);
    waiter->loop->waiting++;
    put_ready(waiter, code);
}

void
mw_waiter_drop(struct mw_waiter *waiter, int code)
{
    switch (waiter->state) {
    case MW_WAITER_IDLE:
        return;
    case MW_WAITER_PARKED:
        detach(waiter);
        break;
    case MW_WAITER_READY:
        mw_link_remove(&waiter->ready);
        break;
    }
    waiter->state = MW_WAITER_IDLE;
    waiter->code = code;
    waiter->loop->waiting--;
}

void
mw_waiter_rest(struct mw_waiter *waiter)
{
    if (waiter->loop->ev != NULL)
        stop_timer(waiter);
}

/* -- guards ---------------------------------------------------------------- */

static void
begin_sentry(struct mw_loop *loop)
{
    struct mw_waiter *sentry = loop->sentry;

    if (sentry == NULL || loop->stirred.next == &loop->stirred)
        return;
    loop->sentry = NULL;
    mw_waiter_begin(sentry, MW_OK);
}

static void
stir(struct mw_watch *watch)
{
    watch->guard = MW_GUARD_STIRRED;
    mw_link_append(&watch->loop->stirred, &watch->stirred);
    begin_sentry(watch->loop);
}

void
mw_watch_unguard(struct mw_watch *watch)
{
    if (watch->guard == MW_GUARD_STIRRED)
        mw_link_remove(&watch->stirred);
    watch->guard = MW_GUARD_OFF;
}

void
mw_watch_guard(struct mw_watch *watch, double token)
{
    mw_watch_unguard(watch);
    watch->guard = MW_GUARD_ON;
    watch->token = token;
    watch->has_token = true;
    start_watch(watch);
}

void
mw_loop_set_sentry(struct mw_loop *loop, struct mw_waiter *sentry)
{
    loop->sentry = sentry;
    begin_sentry(loop);
}

bool
mw_loop_take_stirred(struct mw_loop *loop, double *token)
{
    struct mw_watch *watch;

    if (loop->stirred.next == &loop->stirred)
        return false;
    watch = mw_container_of(loop->stirred.next, struct mw_watch, stirred);
    *token = watch->token;
    mw_watch_unguard(watch);
    return true;
}

/* -- watches --------------------------------------------------------------- */

/* A reader is left on, for it will wait again; when it doesn't and there is
 * something to read, it is stopped then.  A socket is nearly always writable,
 * so a writer is stopped at once. */
static void
on_event(struct ev_loop *ev, ev_io *io, int events)
{
    struct mw_watch *watch = mw_container_of(io, struct mw_watch, io);

    (void)ev;
    watch->is_dry = false;
    if (watch->waiter == NULL || (events & (EV_WRITE | EV_ERROR)) != 0)
        stop_watch(watch);
    if (watch->waiter != NULL)
        mw_waiter_end(watch->waiter, MW_OK);
    else if (watch->guard == MW_GUARD_ON)
        stir(watch);
}

void
mw_watch_init(struct mw_watch *watch, struct mw_loop *loop, int fd, int events)
{
    *watch = (struct mw_watch){.loop = loop};
    ev_io_init(&watch->io, on_event, fd, events);
}

void
mw_watch_deinit(struct mw_watch *watch)
{
    if (watch->waiter != NULL)
        mw_waiter_end(watch->waiter, MW_ECLOSED);
    mw_watch_unguard(watch);
    stop_watch(watch);
}

bool
mw_watch_is_busy(const struct mw_watch *watch)
{
    return watch->waiter != NULL;
}
