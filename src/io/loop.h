/* loop.h - one libev loop, its own or a host's: who waits, for what, until
 * when.  Its callbacks only note what happened: what they made ready is taken
 * from a queue by whoever drives the loop. */
#ifndef MW_IO_LOOP_H
#define MW_IO_LOOP_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many system calls that found something to do one thread may make before
 * it has to let the others run. */
#define MW_LOOP_SLICE 32

#define mw_container_of(pointer, type, member)                                 \
    ((type *)(void *)&((char *)(pointer))[-(ptrdiff_t)offsetof(type, member)])

/* A member of a ring; the ring's head is one as well. */
struct mw_link {
    struct mw_link *prev;
    struct mw_link *next;
};

void mw_link_init(struct mw_link *head);
void mw_link_append(struct mw_link *head, struct mw_link *link);
void mw_link_remove(struct mw_link *link);

/* Whatever holds on to the loop, so that closing the loop can let go of it. */
struct mw_handle {
    struct mw_link link;
    void (*on_close)(struct mw_handle *handle);
};

struct mw_alloc;
struct mw_waiter;

/* One loop.  Counted: it lives until its last user is gone, but from
 * mw_loop_close() on it is only a shell.  The fields are private to src/io. */
struct mw_loop {
    const struct mw_alloc *alloc; /* lent; NULL: malloc */
    struct ev_loop *ev;           /* owned unless is_host; NULL once closed */
    bool is_host;
    bool is_held;   /* an ev_ref stands for all that is armed */
    bool is_shared; /* mw_loop_share() was called */
    int refs;
    int slice;      /* what is left of the running thread's slice */
    int driven;     /* how many callers of mw_loop_turn() are under way */
    uint64_t order; /* of the newest waiter in ready */
    int late;       /* signals whose waiter did not wait */
    struct mw_link ready;
    struct mw_link signals;
    struct mw_link handles;
    struct mw_link newborn; /* handles that came since the last growth */
    struct mw_link young;   /* those that grow up at the next one */
    ev_timer growth;
    bool is_growing; /* the timer runs */
    void (*on_grown)(struct mw_handle *handle);
    struct mw_link stirred;   /* guards that have seen an event */
    struct mw_waiter *sentry; /* borrowed; NULL: it runs, or there is none */
    size_t waiting;           /* parked or ready threads */
    size_t armed; /* fds, timers, lookups and signals that can end a wait */
    size_t lookups;
    size_t tcps;
    ev_check check;              /* host: after its callbacks */
    ev_cleanup cleanup;          /* host: it destroys its loop */
    ev_idle idle;                /* host: while something is ready */
    ev_async async;              /* once shared */
    void (*on_ready)(void *arg); /* host: takes what is ready */
    void *arg;                   /* lent until mw_loop_close() */
    char *room;                  /* owned: what is received goes here first */
    size_t room_size;
};

struct mw_loop_stats {
    size_t threads;
    size_t watchers;
    size_t tcp;
    size_t lookups;
};

/* Monotonic seconds, read afresh; they pass while the machine sleeps, too. */
double mw_now(void);

/* The memory is from `alloc`, lent for all of the loop's life (NULL: malloc).
 * Returns a loop with one reference, or NULL when out of memory or file
 * descriptors.  With `host` (lent until mw_loop_close) the host runs it, and
 * when it destroys its loop this one is closed as by mw_loop_close().  Then
 * `on_ready` is called after each round of events that made a waiter ready and
 * takes them with mw_loop_take_ready(); it must return normally. */
struct mw_loop *mw_loop_new(const struct mw_alloc *alloc, struct ev_loop *host,
    void (*on_ready)(void *arg), void *arg);
void mw_loop_ref(struct mw_loop *loop);
void mw_loop_unref(struct mw_loop *loop); /* NULL is allowed */

/* Lets go of all that uses the loop; waiters are dropped, not woken.  Twice is
 * harmless.  Not allowed inside an event callback of the loop's own. */
void mw_loop_close(struct mw_loop *loop);
bool mw_loop_is_closed(const struct mw_loop *loop);

/* Waits for events once; not at all when a waiter is ready.  Returns MW_OK,
 * MW_ECLOSED, or MW_EDEADLOCK when nothing could ever make a waiter ready. */
int mw_loop_turn(struct mw_loop *loop);

/* The same, for so many seconds at most (0: it waits for nothing); HUGE_VAL is
 * mw_loop_turn().  A host's loop is left to the host. */
int mw_loop_turn_for(struct mw_loop *loop, double seconds);

/* While it is driven, on_ready is not called: the driver takes what is ready
 * itself after each turn. */
void mw_loop_drive(struct mw_loop *loop);
void mw_loop_undrive(struct mw_loop *loop);

/* Makes mw_loop_wake() usable; MW_ECLOSED.  From then on the loop is never
 * found to be in a deadlock. */
int mw_loop_share(struct mw_loop *loop);

/* Ends a turn that waits; the one function for other OS threads. */
void mw_loop_wake(struct mw_loop *loop);

struct mw_loop_stats mw_loop_stats(const struct mw_loop *loop);

/* Room of at least `size` bytes, the same for all, good until anybody's next
 * call; NULL when out of memory. */
char *mw_loop_room_borrow(struct mw_loop *loop, size_t size);

/* A new slice, and one step of it: false when it is used up. */
void mw_loop_slice_renew(struct mw_loop *loop);
bool mw_loop_slice_left(const struct mw_loop *loop);
void mw_loop_slice_use(struct mw_loop *loop);

/* The same for a call that has worked on so many bytes: one for each 256 KiB,
 * and one for the rest. */
void mw_loop_slice_use_for(struct mw_loop *loop, size_t bytes);

/* For other files of src/io: handles, and what can end a wait.  One that is
 * added young is given to on_grown, the same for all of a loop, when it is
 * between one and two seconds old and still there. */
void mw_loop_add(struct mw_loop *loop, struct mw_handle *handle);
void mw_loop_add_young(struct mw_loop *loop, struct mw_handle *handle,
    void (*on_grown)(struct mw_handle *handle));
void mw_loop_remove(struct mw_handle *handle);
void mw_loop_arm(struct mw_loop *loop);
void mw_loop_disarm(struct mw_loop *loop);

#endif
