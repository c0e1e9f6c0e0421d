/* signal.c - signals through libev.  libev serves a signal in one loop of a
 * process only and stops the process otherwise, so that is looked up before. */
#include "io/signal.h"

#include <assert.h>
#include <dlfcn.h>
#include <signal.h>

#include "core/err.h"

static void
deliver(struct mw_signal *sig)
{
    bool was_late = sig->is_late;

    sig->is_late = !mw_waiter_end(sig->waiter, sig->watcher.signum);
    sig->loop->late += (int)sig->is_late - (int)was_late;
}

static void
on_signal(struct ev_loop *ev, ev_signal *watcher, int events)
{
    (void)ev;
    (void)events;
    deliver(mw_container_of(watcher, struct mw_signal, watcher));
}

void
mw_signal_retry(struct mw_loop *loop)
{
    struct mw_link *link;

    if (loop->late == 0)
        return;
    for (link = loop->signals.next; link != &loop->signals; link = link->next) {
        struct mw_signal *sig = mw_container_of(link, struct mw_signal, link);

        if (sig->is_late)
            deliver(sig);
    }
}

static bool
is_ours(const struct mw_loop *loop, int number)
{
    const struct mw_link *link;

    for (link = loop->signals.next; link != &loop->signals; link = link->next) {
        if (mw_container_of(link, struct mw_signal, link)->watcher.signum ==
            number)
            return true;
    }
    return false;
}

/* Whether some loop handles the signal: its handler is a function of the
 * library that ev_signal_start() is in. */
static bool
is_taken(int number)
{
    struct sigaction action;
    Dl_info handler;
    Dl_info library;

    if (sigaction(number, NULL, &action) == -1)
        return false;
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)
        return false;
    return dladdr((void *)(uintptr_t)action.sa_handler, &handler) != 0 &&
           dladdr((void *)(uintptr_t)ev_signal_start, &library) != 0 &&
           handler.dli_fbase == library.dli_fbase;
}

static void
on_close(struct mw_handle *handle)
{
    struct mw_signal *sig = mw_container_of(handle, struct mw_signal, handle);

    if (sig->is_late)
        sig->loop->late--;
    sig->is_late = false;
    mw_link_remove(&sig->link);
    ev_ref(sig->loop->ev);
    ev_signal_stop(sig->loop->ev, &sig->watcher);
    mw_loop_disarm(sig->loop);
}

int
mw_signal_open(struct mw_signal *sig, struct mw_loop *loop, int number,
    struct mw_waiter *waiter)
{
    assert(sig->loop == NULL);
    if (loop->ev == NULL)
        return MW_ECLOSED;
    if (number <= 0 || number >= NSIG || number == SIGKILL || number == SIGSTOP)
        return MW_EINVAL;
    if (!is_ours(loop, number) && is_taken(number))
        return MW_EBUSY;
    *sig = (struct mw_signal){.loop = loop, .waiter = waiter};
    sig->handle.on_close = on_close;
    ev_signal_init(&sig->watcher, on_signal, number);
    ev_signal_start(loop->ev, &sig->watcher);
    ev_unref(loop->ev);
    mw_loop_arm(loop);
    mw_link_append(&loop->signals, &sig->link);
    mw_loop_add(loop, &sig->handle);
    mw_loop_ref(loop);
    return MW_OK;
}

void
mw_signal_deinit(struct mw_signal *sig)
{
    struct mw_loop *loop = sig->loop;

    if (loop == NULL)
        return;
    if (loop->ev != NULL) {
        on_close(&sig->handle);
        mw_loop_remove(&sig->handle);
    }
    sig->loop = NULL;
    mw_loop_unref(loop);
}
