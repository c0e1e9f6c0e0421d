/* wait.h - who waits in a loop, for which fd and until when.  The end of a wait
 * is one integer in the loop's queue; nothing is called. */
#ifndef MW_IO_WAIT_H
#define MW_IO_WAIT_H

#include "io/loop.h"

enum mw_waiter_state {
    MW_WAITER_IDLE,   /* it runs, or has not begun */
    MW_WAITER_PARKED, /* it waits */
    MW_WAITER_READY   /* its wait is over; in the queue */
};

struct mw_watch;

/* One thread of control that can wait.  Embedded; fields are private. */
struct mw_waiter {
    struct mw_handle handle;
    struct mw_loop *loop; /* a reference; NULL after deinit */
    struct mw_link ready;
    uint64_t order;
    enum mw_waiter_state state;
    int code;         /* how its last wait ended */
    bool is_timer_on; /* it may still run when nobody waits */
    double deadline;  /* HUGE_VAL: none */
    double timer_at;  /* when the timer fires */
    ev_timer timer;
    struct mw_watch *watches[2]; /* borrowed while parked */
    void (*on_leave)(void *arg); /* the wait is over */
    void *arg;
};

/* What a watch does on an event while nobody waits on it. */
enum mw_guard {
    MW_GUARD_OFF,
    MW_GUARD_ON,     /* the first event stirs it */
    MW_GUARD_STIRRED /* in the loop's queue */
};

/* One direction of one fd, level triggered.  Embedded; fields are private. */
struct mw_watch {
    ev_io io;
    struct mw_loop *loop;     /* borrowed from its owner */
    struct mw_waiter *waiter; /* borrowed; NULL: nobody waits */
    bool is_on;
    bool is_dry; /* a reader: all was read, and no event has come since */
    enum mw_guard guard;
    struct mw_link stirred;
    bool has_token;
    double token; /* its owner's name for it */
};

void mw_waiter_init(struct mw_waiter *waiter, struct mw_loop *loop);
void mw_waiter_deinit(struct mw_waiter *waiter);

/* Begins a wait of an idle waiter of an open loop; HUGE_VAL: no limit. */
void mw_waiter_park(struct mw_waiter *waiter, double seconds);

/* The same until a time of mw_now(). */
void mw_waiter_park_until(struct mw_waiter *waiter, double deadline);

/* Adds what can end the wait, right after mw_waiter_park(). */
void mw_waiter_watch(struct mw_waiter *waiter, struct mw_watch *watch);

/* The same for what isn't an fd: on_leave is called, once, when the wait ends,
 * whoever ends it. */
void mw_waiter_lean(
    struct mw_waiter *waiter, void (*on_leave)(void *arg), void *arg);

/* Ends the wait with a code.  False, and nothing kept, when it isn't parked. */
bool mw_waiter_end(struct mw_waiter *waiter, int code);

/* Puts an idle waiter in the queue, as if it had waited. */
void mw_waiter_begin(struct mw_waiter *waiter, int code);

/* Ends the wait without putting it in the queue. */
void mw_waiter_drop(struct mw_waiter *waiter, int code);

/* Says that no wait will come for long: nothing stays behind in the loop. */
void mw_waiter_rest(struct mw_waiter *waiter);

/* Takes the oldest waiter out of the queue, now idle; NULL when those that
 * were there at the call of mw_loop_ready_mark() are gone. */
uint64_t mw_loop_ready_mark(const struct mw_loop *loop);
struct mw_waiter *mw_loop_take_ready(struct mw_loop *loop, uint64_t mark);

/* events: EV_READ or EV_WRITE.  The loop is borrowed. */
void mw_watch_init(
    struct mw_watch *watch, struct mw_loop *loop, int fd, int events);

/* Before the fd is closed; whoever waits gets MW_ECLOSED. */
void mw_watch_deinit(struct mw_watch *watch);
bool mw_watch_is_busy(const struct mw_watch *watch);

/* Looks after an fd that nobody waits on: the first event puts the token in
 * the loop's queue and begins the sentry.  A wait takes that back, and so does
 * _unguard.  It keeps no loop going. */
void mw_watch_guard(struct mw_watch *watch, double token);
void mw_watch_unguard(struct mw_watch *watch);

/* The idle waiter that is begun, once, when a guard is stirred; the next one
 * is set when it has taken all tokens.  Borrowed until then or its deinit. */
void mw_loop_set_sentry(struct mw_loop *loop, struct mw_waiter *sentry);

/* Takes the oldest token out of the queue; false when there is none. */
bool mw_loop_take_stirred(struct mw_loop *loop, double *token);

#endif
