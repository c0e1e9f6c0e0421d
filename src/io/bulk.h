/* bulk.h - bytes between a socket and a file, or nowhere, that this process
 * never looks at.  Steps that never wait for the peer, as those of tcp.h; a
 * file may keep them. */
#ifndef MW_IO_BULK_H
#define MW_IO_BULK_H

#include <stdint.h>

#include "io/tcp.h"

/* From here on it pays to leave the bytes where they are. */
#define MW_BULK_LEAST (64 * 1024)

/* Each moves at least 1 byte and at most `len`, or one step's worth, which the
 * running thread's slice is used for. */

/* Receives bytes and drops them; else as mw_tcp_recv().  While a fast peer has
 * much more to send, mw_tcp_is_patient(): no event tells of a few bytes.  Who
 * has waited for a moment then calls mw_tcp_look(). */
int mw_tcp_drop(struct mw_tcp *tcp, uint64_t len, size_t *count);

/* The same, but writes them where the file stands, flushed before.  The file
 * may keep it waiting.  *is_file says of an error whether it is the file's;
 * *count is then what has been received nevertheless.  MW_ESTATE: there can't
 * be a pipe for it, so they are to be received. */
int mw_tcp_save(
    struct mw_tcp *tcp, int file, uint64_t len, size_t *count, bool *is_file);

/* For TLS, after `got` bytes with `rest` to come.  Each event costs more than
 * the few packets it tells of: of a fast peer's it tells later.  It never waits
 * for what may not come: the rest is larger, the window too, and the system
 * tells of a full window and of an end in any case. */
void mw_tcp_adapt(struct mw_tcp *tcp, uint64_t rest, size_t got);

bool mw_tcp_is_patient(const struct mw_tcp *tcp);
void mw_tcp_look(struct mw_tcp *tcp);

/* Sends bytes of a regular file from `offset` on; MW_EOF when it ends there.
 * Where the system can't do it by itself the bytes are copied.  *is_file says
 * of an error whether it is the file's. */
int mw_tcp_send_file(struct mw_tcp *tcp, int file, int64_t offset, uint64_t len,
    size_t *count, bool *is_file);

#endif
