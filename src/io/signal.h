/* signal.h - a signal that wakes one waiter.  A handler is there only while a
 * script has asked for it. */
#ifndef MW_IO_SIGNAL_H
#define MW_IO_SIGNAL_H

#include "io/wait.h"

/* Embedded; fields are private. */
struct mw_signal {
    struct mw_handle handle;
    struct mw_link link;      /* in the loop's signals */
    struct mw_loop *loop;     /* a reference; NULL: closed */
    struct mw_waiter *waiter; /* borrowed until mw_signal_deinit() */
    bool is_late;             /* it came while the waiter did not wait */
    ev_signal watcher;
};

/* From now on the signal ends the waiter's wait, whatever it is, with its
 * number as the code.  Returns MW_OK, MW_ECLOSED, MW_EINVAL for a number that
 * is none or can't be caught, or MW_EBUSY when another loop of this process
 * has that signal.  All zero is a closed signal. */
int mw_signal_open(struct mw_signal *sig, struct mw_loop *loop, int number,
    struct mw_waiter *waiter);
void mw_signal_deinit(struct mw_signal *sig); /* twice is harmless */

/* Tries again with signals that came while their waiter did not wait. */
void mw_signal_retry(struct mw_loop *loop);

#endif
