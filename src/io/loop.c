/* loop.c - one libev loop, its own or a host's.  It never blocks but in
 * mw_loop_turn() and never runs Lua.
 *
 * Watchers stay in libev beyond the wait they were started for, because the
 * next wait is mostly for the same thing and then costs nothing.  So that such
 * leftovers don't keep a host's ev_run() going, each is started without a
 * reference, and one reference stands for all waits (hold). */
#include "io/loop.h"

#include <assert.h>
#include <math.h>
#include <signal.h>
#include <time.h>

#include "core/alloc.h"
#include "core/err.h"
#include "io/signal.h"
#include "io/wait.h"

/* A laptop's sleep counts: what was idle meanwhile is older afterwards. */
#ifdef CLOCK_BOOTTIME
#define CLOCK CLOCK_BOOTTIME
#else
#define CLOCK CLOCK_MONOTONIC
#endif

/* Between two looks at what is young. */
#define GROWTH_SECONDS 1.0

/* What one step of a slice may move, where bytes cost more than the call. */
#define SLICE_BYTES (256 * 1024)

#define LOOP_FLAGS (EVFLAG_NOENV | EVFLAG_NOSIGMASK | EVFLAG_NOTIMERFD)

void
mw_link_init(struct mw_link *head)
{
    head->prev = head;
    head->next = head;
}

void
mw_link_append(struct mw_link *head, struct mw_link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

void
mw_link_remove(struct mw_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
}

double
mw_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool
is_empty(const struct mw_link *head)
{
    return head->next == head;
}

static bool
has_ready(const struct mw_loop *loop)
{
    return !is_empty(&loop->ready);
}

/* Starts the timer like every other one: without a reference. */
static void
start_growth(struct mw_loop *loop)
{
    ev_timer_set(&loop->growth, GROWTH_SECONDS, 0);
    ev_timer_start(loop->ev, &loop->growth);
    ev_unref(loop->ev);
    loop->is_growing = true;
}

/* It may have fired: then libev has let go of a reference that we had taken off
 * already. */
static void
stop_growth(struct mw_loop *loop)
{
    if (!loop->is_growing)
        return;
    ev_ref(loop->ev);
    ev_timer_stop(loop->ev, &loop->growth);
    loop->is_growing = false;
}

static struct mw_handle *
take_handle(struct mw_link *head)
{
    struct mw_handle *handle =
        mw_container_of(head->next, struct mw_handle, link);

    mw_link_remove(&handle->link);
    return handle;
}

static void
on_growth(struct ev_loop *ev, ev_timer *timer, int events)
{
    struct mw_loop *loop = mw_container_of(timer, struct mw_loop, growth);

    (void)ev;
    (void)events;
    stop_growth(loop);
    while (!is_empty(&loop->young)) {
        struct mw_handle *handle = take_handle(&loop->young);

        mw_link_append(&loop->handles, &handle->link);
        loop->on_grown(handle);
    }
    while (!is_empty(&loop->newborn))
        mw_link_append(&loop->young, &take_handle(&loop->newborn)->link);
    if (!is_empty(&loop->young))
        start_growth(loop);
}

/* The last callback of a host's round: all that is ready is known now. */
static void
on_check(struct ev_loop *ev, ev_check *check, int events)
{
    struct mw_loop *loop = mw_container_of(check, struct mw_loop, check);

    (void)ev;
    (void)events;
    if (loop->driven > 0)
        return;
    mw_loop_ref(loop); /* what is resumed may close and forget the loop */
    mw_signal_retry(loop);
    if (has_ready(loop))
        loop->on_ready(loop->arg);
    if (loop->ev != NULL)
        mw_signal_retry(loop);
    if (loop->ev != NULL && !has_ready(loop))
        ev_idle_stop(loop->ev, &loop->idle);
    mw_loop_unref(loop);
}

/* It only keeps the host's loop from waiting. */
static void
on_idle(struct ev_loop *ev, ev_idle *idle, int events)
{
    (void)ev;
    (void)idle;
    (void)events;
}

static void
on_async(struct ev_loop *ev, ev_async *async, int events)
{
    (void)ev;
    (void)async;
    (void)events;
}

/* The host destroys its loop before ours is closed. */
static void
on_cleanup(struct ev_loop *ev, ev_cleanup *cleanup, int events)
{
    (void)ev;
    (void)events;
    mw_loop_close(mw_container_of(cleanup, struct mw_loop, cleanup));
}

struct mw_loop *
mw_loop_new(const struct mw_alloc *alloc, struct ev_loop *host,
    void (*on_ready)(void *arg), void *arg)
{
    struct mw_loop *loop = mw_alloc_zeroed(alloc, sizeof(*loop));

    if (loop == NULL)
        return NULL;
    loop->alloc = alloc;
    loop->refs = 1;
    loop->is_host = host != NULL;
    loop->on_ready = on_ready;
    loop->arg = arg;
    mw_link_init(&loop->ready);
    mw_link_init(&loop->signals);
    mw_link_init(&loop->handles);
    mw_link_init(&loop->newborn);
    mw_link_init(&loop->young);
    mw_link_init(&loop->stirred);
    ev_check_init(&loop->check, on_check);
    ev_set_priority(&loop->check, EV_MINPRI);
    ev_idle_init(&loop->idle, on_idle);
    ev_cleanup_init(&loop->cleanup, on_cleanup);
    ev_async_init(&loop->async, on_async);
    ev_timer_init(&loop->growth, on_growth, 0, 0);
    mw_loop_slice_renew(loop);
    if (host != NULL) {
        loop->ev = host;
        ev_check_start(host, &loop->check);
        ev_unref(host);
        ev_cleanup_start(host, &loop->cleanup); /* takes no reference */
        return loop;
    }
    loop->ev = ev_loop_new(LOOP_FLAGS | EVBACKEND_EPOLL);
    if (loop->ev == NULL)
        loop->ev = ev_loop_new(LOOP_FLAGS);
    if (loop->ev == NULL) {
        mw_alloc_free(loop);
        return NULL;
    }
    return loop;
}

void
mw_loop_ref(struct mw_loop *loop)
{
    loop->refs++;
}

void
mw_loop_unref(struct mw_loop *loop)
{
    if (loop == NULL || --loop->refs > 0)
        return;
    mw_loop_close(loop);
    mw_alloc_free(loop->room);
    mw_alloc_free(loop);
}

static void
close_handles(struct mw_link *head)
{
    while (!is_empty(head)) {
        struct mw_handle *handle = take_handle(head);

        handle->on_close(handle);
    }
}

void
mw_loop_close(struct mw_loop *loop)
{
    if (loop->ev == NULL)
        return;
    close_handles(&loop->handles);
    close_handles(&loop->young);
    close_handles(&loop->newborn);
    stop_growth(loop);
    assert(loop->armed == 0 && loop->waiting == 0);
    if (loop->is_shared) {
        ev_ref(loop->ev);
        ev_async_stop(loop->ev, &loop->async);
    }
    if (loop->is_host) {
        ev_ref(loop->ev);
        ev_check_stop(loop->ev, &loop->check);
        ev_idle_stop(loop->ev, &loop->idle);
        ev_cleanup_stop(loop->ev, &loop->cleanup);
    } else {
        ev_loop_destroy(loop->ev);
    }
    loop->ev = NULL;
    loop->arg = NULL;
}

bool
mw_loop_is_closed(const struct mw_loop *loop)
{
    return loop->ev == NULL;
}

int
mw_loop_turn(struct mw_loop *loop)
{
    if (loop->ev == NULL)
        return MW_ECLOSED;
    mw_signal_retry(loop);
    if (has_ready(loop)) {
        ev_run(loop->ev, EVRUN_NOWAIT);
        return MW_OK;
    }
    if (loop->armed == 0 && !loop->is_host && !loop->is_shared)
        return MW_EDEADLOCK;
    ev_run(loop->ev, EVRUN_ONCE);
    return MW_OK;
}

/* It only ends a turn. */
static void
on_limit(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void)ev;
    (void)timer;
    (void)events;
}

int
mw_loop_turn_for(struct mw_loop *loop, double seconds)
{
    ev_timer limit;

    if (loop->ev == NULL)
        return MW_ECLOSED;
    mw_signal_retry(loop);
    if (loop->is_host)
        return MW_OK;
    if (seconds == HUGE_VAL)
        return mw_loop_turn(loop);
    if (seconds <= 0 || has_ready(loop)) {
        ev_run(loop->ev, EVRUN_NOWAIT);
        return MW_OK;
    }
    ev_now_update(loop->ev); /* libev counts from there */
    ev_timer_init(&limit, on_limit, seconds, 0);
    ev_timer_start(loop->ev, &limit);
    ev_run(loop->ev, EVRUN_ONCE);
    ev_timer_stop(loop->ev, &limit);
    return MW_OK;
}

void
mw_loop_drive(struct mw_loop *loop)
{
    loop->driven++;
}

void
mw_loop_undrive(struct mw_loop *loop)
{
    assert(loop->driven > 0);
    loop->driven--;
}

int
mw_loop_share(struct mw_loop *loop)
{
    if (loop->ev == NULL)
        return MW_ECLOSED;
    if (loop->is_shared)
        return MW_OK;
    ev_async_start(loop->ev, &loop->async);
    if (loop->is_host)
        ev_unref(loop->ev); /* the host decides how long it runs */
    loop->is_shared = true;
    return MW_OK;
}

void
mw_loop_wake(struct mw_loop *loop)
{
    ev_async_send(loop->ev, &loop->async);
}

struct mw_loop_stats
mw_loop_stats(const struct mw_loop *loop)
{
    return (struct mw_loop_stats){
        .threads = loop->waiting,
        .watchers = loop->armed - loop->lookups,
        .tcp = loop->tcps,
        .lookups = loop->lookups,
    };
}

char *
mw_loop_room_borrow(struct mw_loop *loop, size_t size)
{
    char *room;

    if (size <= loop->room_size)
        return loop->room;
    room = mw_alloc_new(loop->alloc, size);
    if (room == NULL)
        return NULL;
    mw_alloc_free(loop->room);
    loop->room = room;
    loop->room_size = size;
    return room;
}

void
mw_loop_slice_renew(struct mw_loop *loop)
{
    loop->slice = MW_LOOP_SLICE;
}

bool
mw_loop_slice_left(const struct mw_loop *loop)
{
    return loop->slice > 0;
}

void
mw_loop_slice_use(struct mw_loop *loop)
{
    loop->slice--;
}

void
mw_loop_slice_use_for(struct mw_loop *loop, size_t bytes)
{
    loop->slice -= 1 + (int)(bytes / SLICE_BYTES);
}

void
mw_loop_add(struct mw_loop *loop, struct mw_handle *handle)
{
    mw_link_append(&loop->handles, &handle->link);
}

void
mw_loop_add_young(struct mw_loop *loop, struct mw_handle *handle,
    void (*on_grown)(struct mw_handle *handle))
{
    mw_link_append(&loop->newborn, &handle->link);
    loop->on_grown = on_grown;
    if (!loop->is_growing)
        start_growth(loop);
}

void
mw_loop_remove(struct mw_handle *handle)
{
    mw_link_remove(&handle->link);
}

/* Keeps the one reference in step with what is armed. */
static void
hold(struct mw_loop *loop)
{
    bool wanted = loop->armed > 0;

    if (wanted == loop->is_held)
        return;
    loop->is_held = wanted;
    if (wanted)
        ev_ref(loop->ev);
    else
        ev_unref(loop->ev);
}

void
mw_loop_arm(struct mw_loop *loop)
{
    loop->armed++;
    hold(loop);
}

void
mw_loop_disarm(struct mw_loop *loop)
{
    assert(loop->armed > 0);
    loop->armed--;
    hold(loop);
}
