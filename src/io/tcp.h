/* tcp.h - TCP and unix sockets that never wait: what can't be done at once is
 * MW_EAGAIN.  Names are looked up elsewhere (dns.h). */
#ifndef MW_IO_TCP_H
#define MW_IO_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "io/address.h"
#include "io/wait.h"

/* From so many on a socket is sent over without delay. */
#define MW_TCP_SENDS 2

/* One socket.  Embedded; fields are private but for the watches. */
struct mw_tcp {
    struct mw_handle handle;
    struct mw_loop *loop; /* a reference; NULL after deinit */
    int fd;               /* owned; -1: closed */
    unsigned char sends;  /* counted up to MW_TCP_SENDS, where it is set */
    double dry_at;        /* when it was seen that all is read */
    int low;              /* an event tells of no fewer bytes to read */
    size_t busy;          /* bytes since `low` was looked at */
    double busy_since;    /* when that was */
    int pipe[2];          /* owned; -1: none */
    struct mw_watch read;
    struct mw_watch write;
};

void mw_tcp_init(struct mw_tcp *tcp, struct mw_loop *loop); /* closed */
void mw_tcp_deinit(struct mw_tcp *tcp);

/* Closes; whoever waits gets MW_ECLOSED.  Twice is harmless. */
void mw_tcp_close(struct mw_tcp *tcp);
bool mw_tcp_is_closed(const struct mw_tcp *tcp);

/* Each returns MW_OK (or a count), or an MW_E code; on a closed socket
 * MW_ECLOSED; connect, listen and accept on an open one MW_ESTATE. */

/* MW_EAGAIN: under way; wait for writing, then ask connect_result.  `from` is
 * the address of this side, of the same family; NULL: the system chooses. */
int mw_tcp_connect(struct mw_tcp *tcp, const struct mw_address *address,
    const struct mw_address *from);
int mw_tcp_connect_result(struct mw_tcp *tcp);
int mw_tcp_listen(
    struct mw_tcp *tcp, const struct mw_address *address, int backlog);
int mw_tcp_accept(struct mw_tcp *tcp, struct mw_tcp *into);

/* Receives 1 to len bytes into *count, or MW_EOF.  len > 0.  A recv() that has
 * given less than was asked for has emptied the socket: until an event says
 * otherwise the answer is MW_EAGAIN without another one. */
int mw_tcp_recv(struct mw_tcp *tcp, char *data, size_t len, size_t *count);

/* The same, but it looks, whatever is known and whatever is left of the
 * running thread's slice; for TLS without a change of what events tell. */
int mw_tcp_recv_now(struct mw_tcp *tcp, char *data, size_t len, size_t *count);
int mw_tcp_recv_raw(struct mw_tcp *tcp, char *data, size_t len, size_t *count);

/* Sends at least 1 byte. */
int mw_tcp_send(
    struct mw_tcp *tcp, const char *data, size_t len, size_t *count);
int mw_tcp_send_slices(struct mw_tcp *tcp, const struct iovec *slices,
    size_t slice_count, size_t *count);

/* The same, but more follows at once: the system may wait for that, to send
 * both together. */
int mw_tcp_send_more(struct mw_tcp *tcp, const struct iovec *slices,
    size_t slice_count, size_t *count);

/* Looks after an idle socket (mw_watch_guard), until somebody waits to read
 * from it or sends over it; it keeps nothing of what it was used for. */
void mw_tcp_guard(struct mw_tcp *tcp, double token);

/* The same with the last token; nothing when there has been none. */
void mw_tcp_guard_again(struct mw_tcp *tcp);

/* True when there is nothing to read, not even an end or an error.  It looks,
 * unless that was seen within the last tenth of a millisecond before `now`. */
bool mw_tcp_is_quiet(struct mw_tcp *tcp, double now);

/* No more will be sent. */
int mw_tcp_shutdown(struct mw_tcp *tcp);

int mw_tcp_peer(struct mw_tcp *tcp, struct mw_address *address);
int mw_tcp_name(struct mw_tcp *tcp, struct mw_address *address);

/* For bulk.c: from how many bytes on an event tells of them, the end of the
 * pipe that a save went through, whether it may receive now (MW_OK, MW_EAGAIN,
 * MW_ECLOSED), what follows when there was nothing, what goes before a system
 * call that sends, and what follows one that has sent something. */
void mw_tcp_set_low(struct mw_tcp *tcp, int low);
void mw_tcp_close_pipe(struct mw_tcp *tcp);
int mw_tcp_check_recv(const struct mw_tcp *tcp);
void mw_tcp_note_dry(struct mw_tcp *tcp);
void mw_tcp_before_send(struct mw_tcp *tcp);
void mw_tcp_sent(struct mw_tcp *tcp, size_t count);

#endif
