/* tcp.c - TCP and unix sockets that never wait. */
#include "io/tcp.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"

/* Seconds of silence before the system asks whether the peer is still there,
 * and between such questions. */
#define KEEPALIVE_IDLE     60
#define KEEPALIVE_INTERVAL 15

/* Milliseconds that bytes sent by the connecting side may stay unconfirmed.
 * Who listens isn't given it: its peer may let it wait for longer than that. */
#define USER_TIMEOUT 30000

/* Seconds for which it is taken for true that nothing has come since all was
 * read.  A look costs a system call, and what comes right after it is not seen
 * either way. */
#define DRY_SECONDS 0.0001

static void
set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

/* -- what a body of its own has left ----------------------------------------
 */

/* Events tell of `low` bytes and more from here on, or of the end. */
void
mw_tcp_set_low(struct mw_tcp *tcp, int low)
{
    if (tcp->low == low)
        return;
    tcp->low = low;
    set_option(tcp->fd, SOL_SOCKET, SO_RCVLOWAT, low);
}

void
mw_tcp_close_pipe(struct mw_tcp *tcp)
{
    if (tcp->pipe[0] == -1)
        return;
    close(tcp->pipe[0]);
    close(tcp->pipe[1]);
    tcp->pipe[0] = tcp->pipe[1] = -1;
}

/* -- open and close -------------------------------------------------------- */

static void
on_close(struct mw_handle *handle)
{
    struct mw_tcp *tcp = mw_container_of(handle, struct mw_tcp, handle);

    mw_watch_deinit(&tcp->read);
    mw_watch_deinit(&tcp->write);
    mw_tcp_close_pipe(tcp);
    close(tcp->fd);
    tcp->fd = -1;
    tcp->loop->tcps--;
}

void
mw_tcp_init(struct mw_tcp *tcp, struct mw_loop *loop)
{
    tcp->handle.on_close = on_close;
    tcp->loop = loop;
    tcp->fd = -1;
    tcp->pipe[0] = tcp->pipe[1] = -1;
    mw_loop_ref(loop);
}

void
mw_tcp_deinit(struct mw_tcp *tcp)
{
    if (tcp->loop == NULL)
        return;
    mw_tcp_close(tcp);
    mw_loop_unref(tcp->loop);
    tcp->loop = NULL;
}

void
mw_tcp_close(struct mw_tcp *tcp)
{
    if (mw_tcp_is_closed(tcp))
        return;
    on_close(&tcp->handle);
    mw_loop_remove(&tcp->handle);
}

bool
mw_tcp_is_closed(const struct mw_tcp *tcp)
{
    return tcp->loop == NULL || tcp->fd == -1;
}

/* Whether the socket can be opened now. */
static int
check_can_open(const struct mw_tcp *tcp)
{
    if (tcp->loop == NULL || mw_loop_is_closed(tcp->loop))
        return MW_ECLOSED;
    return tcp->fd == -1 ? MW_OK : MW_ESTATE;
}

/* A vanished peer is found out some day. */
static void
set_keepalive(int fd)
{
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL);
}

/* All that is about long silence waits until the socket is no longer young:
 * where each request has a connection of its own, it never comes to that. */
static void
on_grown(struct mw_handle *handle)
{
    struct mw_tcp *tcp = mw_container_of(handle, struct mw_tcp, handle);

    set_keepalive(tcp->fd);
    set_option(tcp->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT);
}

static void
take_fd(struct mw_tcp *tcp, int fd)
{
    tcp->fd = fd;
    tcp->sends = MW_TCP_SENDS;
    tcp->dry_at = 0;
    tcp->low = 1;
    tcp->busy = 0;
    tcp->busy_since = 0;
    mw_watch_init(&tcp->read, tcp->loop, fd, EV_READ);
    mw_watch_init(&tcp->write, tcp->loop, fd, EV_WRITE);
    tcp->loop->tcps++;
}

static void
adopt(struct mw_tcp *tcp, int fd)
{
    take_fd(tcp, fd);
    mw_loop_add(tcp->loop, &tcp->handle);
}

/* The same for a TCP socket that connects; it has no options yet. */
static void
adopt_young(struct mw_tcp *tcp, int fd)
{
    take_fd(tcp, fd);
    tcp->sends = 0;
    mw_loop_add_young(tcp->loop, &tcp->handle, on_grown);
}

/* Returns a fd, or a code. */
static int
open_socket(const union mw_any_address *address)
{
    int fd = socket(
        address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    return fd == -1 ? mw_err_from_errno(errno) : fd;
}

/* Binds to an address of this side, with a port that is chosen when the other
 * side is known.  Returns MW_OK or a code. */
static int
bind_from(int fd, const struct mw_address *from)
{
    union mw_any_address own;
    socklen_t len = mw_address_to_system(from, &own);

    if (len == 0)
        return MW_EINVAL;
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    return bind(fd, &own.any, len) == 0 ? MW_OK : mw_err_from_errno(errno);
}

/* Returns a fd that is ready to connect, or a code. */
static int
open_client(const union mw_any_address *to, const struct mw_address *from)
{
    int fd = open_socket(to);
    int err = fd >= 0 && from != NULL ? bind_from(fd, from) : MW_OK;

    if (err == MW_OK)
        return fd;
    close(fd);
    return err;
}

/* A peer on this machine has answered by the time connect() returns, although
 * that says EINPROGRESS: the same call once more tells how it ended, and saves
 * a wait.  Returns MW_OK, MW_EAGAIN or a code. */
static int
start_connect(int fd, const union mw_any_address *to, socklen_t len)
{
    if (connect(fd, &to->any, len) == 0)
        return MW_OK;
    if (errno == EINPROGRESS && connect(fd, &to->any, len) == 0)
        return MW_OK;
    switch (errno) {
    case EISCONN:
        return MW_OK;
    case EINPROGRESS:
    case EALREADY:
        return MW_EAGAIN;
    case EAGAIN: /* A unix socket whose queue is full, but no event will tell
                  * when there is room: it is a refusal. */
        return mw_err_from_errno(ECONNREFUSED);
    default:
        return mw_err_from_errno(errno);
    }
}

/* Whatever comes, an event will tell. */
void
mw_tcp_note_dry(struct mw_tcp *tcp)
{
    tcp->read.is_dry = true;
    tcp->dry_at = mw_now();
}

int
mw_tcp_connect(struct mw_tcp *tcp, const struct mw_address *address,
    const struct mw_address *from)
{
    union mw_any_address to;
    socklen_t len = mw_address_to_system(address, &to);
    int err = check_can_open(tcp);
    int fd;

    if (err != MW_OK)
        return err;
    if (len == 0 || (from != NULL && from->family != address->family))
        return MW_EINVAL;
    fd = open_client(&to, from);
    if (fd < 0)
        return fd;
    err = start_connect(fd, &to, len);
    if (err != MW_OK && err != MW_EAGAIN) {
        close(fd);
        return err;
    }
    if (address->family == MW_UNIX)
        adopt(tcp, fd);
    else
        adopt_young(tcp, fd);
    mw_tcp_note_dry(tcp);
    return err;
}

int
mw_tcp_connect_result(struct mw_tcp *tcp)
{
    int number = 0;
    socklen_t len = sizeof(number);

    if (mw_tcp_is_closed(tcp))
        return MW_ECLOSED;
    if (getsockopt(tcp->fd, SOL_SOCKET, SO_ERROR, &number, &len) == -1)
        return mw_err_from_errno(errno);
    if (number != 0)
        return mw_err_from_errno(number);
    mw_tcp_note_dry(tcp);
    return MW_OK;
}

int
mw_tcp_listen(struct mw_tcp *tcp, const struct mw_address *address, int backlog)
{
    union mw_any_address at;
    socklen_t len = mw_address_to_system(address, &at);
    int err = check_can_open(tcp);
    int fd;

    if (err != MW_OK)
        return err;
    if (len == 0)
        return MW_EINVAL;
    fd = open_socket(&at);
    if (fd < 0)
        return fd;
    if (address->family != MW_UNIX) { /* what is accepted inherits it */
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        set_keepalive(fd);
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address->family == MW_IPV6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (bind(fd, &at.any, len) == -1 || listen(fd, backlog) == -1)
        goto fail;
    adopt(tcp, fd);
    return MW_OK;

fail:
    err = mw_err_from_errno(errno);
    close(fd);
    return err;
}

/* Errors of one connection that died in the queue; the next may be well. */
static bool
is_passing(int number)
{
    return number == ECONNABORTED || number == EINTR || number == EPROTO;
}

int
mw_tcp_accept(struct mw_tcp *tcp, struct mw_tcp *into)
{
    int err = check_can_open(into);
    int fd;

    if (mw_tcp_is_closed(tcp))
        return MW_ECLOSED;
    if (err != MW_OK)
        return err;
    if (!mw_loop_slice_left(tcp->loop))
        return MW_EAGAIN;
    do {
        fd = accept4(tcp->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd == -1 && is_passing(errno));
    if (fd == -1)
        return mw_err_from_errno(errno);
    mw_loop_slice_use(tcp->loop);
    adopt(into, fd);
    return MW_OK;
}

/* -- bytes ----------------------------------------------------------------- */

/* What is sent first is never delayed, so the option can wait until there is
 * more to send. */
void
mw_tcp_before_send(struct mw_tcp *tcp)
{
    if (tcp->sends >= MW_TCP_SENDS)
        return;
    tcp->sends++;
    if (tcp->sends == MW_TCP_SENDS)
        set_option(tcp->fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

int
mw_tcp_check_recv(const struct mw_tcp *tcp)
{
    if (mw_tcp_is_closed(tcp))
        return MW_ECLOSED;
    return tcp->read.is_dry || !mw_loop_slice_left(tcp->loop) ? MW_EAGAIN
                                                              : MW_OK;
}

int
mw_tcp_recv_raw(struct mw_tcp *tcp, char *data, size_t len, size_t *count)
{
    ssize_t got;

    assert(len > 0);
    if (mw_tcp_is_closed(tcp))
        return MW_ECLOSED;
    got = recv(tcp->fd, data, len, 0);
    if (got == -1)
        return mw_err_from_errno(errno);
    if (got == 0)
        return MW_EOF;
    *count = (size_t)got;
    if ((size_t)got < len)
        mw_tcp_note_dry(tcp);
    return MW_OK;
}

int
mw_tcp_recv_now(struct mw_tcp *tcp, char *data, size_t len, size_t *count)
{
    if (!mw_tcp_is_closed(tcp))
        mw_tcp_set_low(tcp, 1);
    return mw_tcp_recv_raw(tcp, data, len, count);
}

int
mw_tcp_recv(struct mw_tcp *tcp, char *data, size_t len, size_t *count)
{
    int err = mw_tcp_check_recv(tcp);

    if (err == MW_EAGAIN)
        mw_tcp_set_low(tcp, 1);
    if (err == MW_OK)
        err = mw_tcp_recv_now(tcp, data, len, count);
    if (err == MW_OK)
        mw_loop_slice_use(tcp->loop);
    return err;
}

void
mw_tcp_sent(struct mw_tcp *tcp, size_t count)
{
    mw_loop_slice_use_for(tcp->loop, count);
    mw_watch_unguard(&tcp->read);
}

static int
send_flagged(struct mw_tcp *tcp, const struct iovec *slices, size_t slice_count,
    int flags, size_t *count)
{
    struct msghdr message = {
        .msg_iov = (struct iovec *)(uintptr_t)slices,
        .msg_iovlen = slice_count,
    };
    ssize_t sent;

    if (mw_tcp_is_closed(tcp))
        return MW_ECLOSED;
    if (!mw_loop_slice_left(tcp->loop))
        return MW_EAGAIN;
    mw_tcp_before_send(tcp);
    if (slice_count == 1) /* what the system has least to do for */
        sent = send(
            tcp->fd, slices->iov_base, slices->iov_len, flags | MSG_NOSIGNAL);
    else
        sent = sendmsg(tcp->fd, &message, flags | MSG_NOSIGNAL);
    if (sent == -1)
        return mw_err_from_errno(errno);
    mw_tcp_sent(tcp, (size_t)sent);
    *count = (size_t)sent;
    return MW_OK;
}

int
mw_tcp_send_slices(struct mw_tcp *tcp, const struct iovec *slices,
    size_t slice_count, size_t *count)
{
    return send_flagged(tcp, slices, slice_count, 0, count);
}

int
mw_tcp_send_more(struct mw_tcp *tcp, const struct iovec *slices,
    size_t slice_count, size_t *count)
{
    return send_flagged(tcp, slices, slice_count, MSG_MORE, count);
}

int
mw_tcp_send(struct mw_tcp *tcp, const char *data, size_t len, size_t *count)
{
    struct iovec slice = {(void *)(uintptr_t)data, len};

    return mw_tcp_send_slices(tcp, &slice, 1, count);
}

void
mw_tcp_guard(struct mw_tcp *tcp, double token)
{
    if (mw_tcp_is_closed(tcp))
        return;
    mw_tcp_set_low(tcp, 1);
    mw_tcp_close_pipe(tcp);
    mw_watch_guard(&tcp->read, token);
}

void
mw_tcp_guard_again(struct mw_tcp *tcp)
{
    if (tcp->read.has_token)
        mw_tcp_guard(tcp, tcp->read.token);
}

bool
mw_tcp_is_quiet(struct mw_tcp *tcp, double now)
{
    char byte;

    if (mw_tcp_is_closed(tcp))
        return false;
    if (tcp->read.is_dry && now - tcp->dry_at < DRY_SECONDS)
        return true;
    return recv(tcp->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1 &&
           mw_err_from_errno(errno) == MW_EAGAIN;
}

int
mw_tcp_shutdown(struct mw_tcp *tcp)
{
    if (mw_tcp_is_closed(tcp))
        return MW_ECLOSED;
    if (shutdown(tcp->fd, SHUT_WR) == -1)
        return mw_err_from_errno(errno);
    return MW_OK;
}

int
mw_tcp_peer(struct mw_tcp *tcp, struct mw_address *address)
{
    union mw_any_address from;
    socklen_t len = sizeof(from);

    if (mw_tcp_is_closed(tcp))
        return MW_ECLOSED;
    if (getpeername(tcp->fd, &from.any, &len) == -1)
        return mw_err_from_errno(errno);
    return mw_address_from_system(&from, len, address);
}

int
mw_tcp_name(struct mw_tcp *tcp, struct mw_address *address)
{
    union mw_any_address from;
    socklen_t len = sizeof(from);

    if (mw_tcp_is_closed(tcp))
        return MW_ECLOSED;
    if (getsockname(tcp->fd, &from.any, &len) == -1)
        return mw_err_from_errno(errno);
    return mw_address_from_system(&from, len, address);
}
