/* bulk.c - bytes between a socket and a file, or nowhere. */
#include "io/bulk.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"

/* One step's worth: enough that a system call costs next to nothing, and not so
 * much that the other threads are kept for long. */
#define STEP (1024 * 1024)

/* What is copied in one step where the system can't do better. */
#define COPY_STEP (128 * 1024)

static size_t
clip(uint64_t len, size_t most)
{
    assert(len > 0);
    return len < most ? (size_t)len : most;
}

/* TCP leaves the room as it is, so its pages are never touched; a unix socket
 * doesn't know MSG_TRUNC and fills it. */
int
mw_tcp_drop(struct mw_tcp *tcp, uint64_t len, size_t *count)
{
    char *room;

    if (mw_tcp_is_closed(tcp))
        return MW_ECLOSED;
    room = mw_loop_room_borrow(tcp->loop, STEP);
    if (room == NULL)
        return MW_ENOMEM;
    return mw_tcp_recv_flagged(tcp, room, clip(len, STEP), MSG_TRUNC, count);
}

/* sendfile() has no MSG_NOSIGNAL: a SIGPIPE of its own is held back and taken
 * away, one that was there before stays. */
static ssize_t
sendfile_quietly(int fd, int file, off_t *offset, size_t len)
{
    static const struct timespec no_time;
    sigset_t pipe_only, before, pending;
    ssize_t sent;
    int number;

    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    sent = sendfile(fd, file, offset, len);
    number = errno;
    if (sent == -1 && number == EPIPE && !sigismember(&pending, SIGPIPE))
        (void)sigtimedwait(&pipe_only, NULL, &no_time);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return sent;
}

static int
send_copy(struct mw_tcp *tcp, int file, off_t offset, size_t len, size_t *count,
    bool *is_file)
{
    char *room = mw_loop_room_borrow(tcp->loop, COPY_STEP);
    ssize_t got;

    if (room == NULL)
        return MW_ENOMEM;
    got = pread(file, room, clip(len, COPY_STEP), offset);
    *is_file = got <= 0;
    if (got == 0)
        return MW_EOF;
    if (got == -1)
        return mw_err_from_errno(errno);
    return mw_tcp_send(tcp, room, (size_t)got, count);
}

/* What sendfile() says of a file that it doesn't know how to send. */
static bool
must_be_copied(int number)
{
    return number == EINVAL || number == ENOSYS || number == EOPNOTSUPP;
}

int
mw_tcp_send_file(struct mw_tcp *tcp, int file, int64_t offset, uint64_t len,
    size_t *count, bool *is_file)
{
    off_t from = offset;
    ssize_t sent;

    *is_file = false;
    if (mw_tcp_is_closed(tcp))
        return MW_ECLOSED;
    if (!mw_loop_slice_left(tcp->loop))
        return MW_EAGAIN;
    mw_tcp_before_send(tcp);
    sent = sendfile_quietly(tcp->fd, file, &from, clip(len, STEP));
    if (sent == -1 && must_be_copied(errno))
        return send_copy(
            tcp, file, offset, clip(len, COPY_STEP), count, is_file);
    *is_file = sent == 0 || (sent == -1 && (errno == EIO || errno == EBADF));
    if (sent == -1)
        return mw_err_from_errno(errno);
    if (sent == 0)
        return MW_EOF;
    mw_tcp_sent(tcp);
    *count = (size_t)sent;
    return MW_OK;
}
