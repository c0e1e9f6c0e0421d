/* bulk.c - bytes between a socket and a file, or nowhere. */
#include "io/bulk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
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

/* What is waited for at once, at most and at least; and how many bytes in how
 * many seconds make a peer fast. */
#define LOW_MOST     (512 * 1024)
#define LOW_LEAST    (64 * 1024)
#define BUSY_BYTES   (2 * 1024 * 1024)
#define BUSY_SECONDS 0.2

/* What the system says of a file or socket that it can't do that with. */
static bool
must_be_copied(int number)
{
    return number == EINVAL || number == ENOSYS || number == EOPNOTSUPP;
}

static size_t
clip(uint64_t len, size_t most)
{
    assert(len > 0);
    return len < most ? (size_t)len : most;
}

/* -- receiving --------------------------------------------------------------
 */

void
mw_tcp_adapt(struct mw_tcp *tcp, uint64_t rest, size_t got)
{
    double since = tcp->busy_since;
    int size = 0;
    socklen_t len = sizeof(size);

    if (rest < 2 * LOW_MOST) {
        mw_tcp_set_low(tcp, 1);
        return;
    }
    tcp->busy += got;
    if (tcp->low == LOW_MOST || tcp->busy < BUSY_BYTES)
        return;
    tcp->busy = 0;
    tcp->busy_since = mw_now();
    if (tcp->busy_since - since > BUSY_SECONDS ||
        getsockopt(tcp->fd, SOL_SOCKET, SO_RCVBUF, &size, &len) == -1)
        return;
    size /= 4;
    if (size > LOW_LEAST)
        mw_tcp_set_low(tcp, size < LOW_MOST ? size : LOW_MOST);
}

bool
mw_tcp_is_patient(const struct mw_tcp *tcp)
{
    return tcp->low > 1;
}

void
mw_tcp_look(struct mw_tcp *tcp)
{
    if (mw_tcp_is_closed(tcp))
        return;
    mw_tcp_set_low(tcp, 1);
    tcp->busy = 0;
    tcp->read.is_dry = false;
}

/* TCP leaves the room as it is, so its pages are never touched; a unix socket
 * doesn't know MSG_TRUNC and fills it. */
int
mw_tcp_drop(struct mw_tcp *tcp, uint64_t len, size_t *count)
{
    int err = mw_tcp_check_recv(tcp);
    size_t most = clip(len, STEP);
    char *room;
    ssize_t got;

    if (err != MW_OK)
        return err;
    room = mw_loop_room_borrow(tcp->loop, STEP);
    if (room == NULL)
        return MW_ENOMEM;
    got = recv(tcp->fd, room, most, MSG_TRUNC);
    if (got == -1)
        return mw_err_from_errno(errno);
    if (got == 0)
        return MW_EOF;
    if ((size_t)got < most)
        mw_tcp_note_dry(tcp);
    mw_loop_slice_use(tcp->loop);
    mw_tcp_adapt(tcp, len - (size_t)got, (size_t)got);
    *count = (size_t)got;
    return MW_OK;
}

static int
open_pipe(struct mw_tcp *tcp)
{
    if (tcp->pipe[0] != -1)
        return MW_OK;
    if (pipe2(tcp->pipe, O_CLOEXEC | O_NONBLOCK) == -1) {
        tcp->pipe[0] = tcp->pipe[1] = -1;
        return MW_ESTATE;
    }
    (void)fcntl(tcp->pipe[1], F_SETPIPE_SZ, STEP); /* or it stays small */
    return MW_OK;
}

static int
write_all(int file, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t put = write(file, data, len);

        if (put == -1 && errno == EINTR)
            continue;
        if (put == -1)
            return mw_err_from_errno(errno);
        data += put;
        len -= (size_t)put;
    }
    return MW_OK;
}

/* Some of what is in the pipe, for files that can't be spliced to. */
static ssize_t
copy_out(struct mw_tcp *tcp, int file, size_t len, int *err)
{
    char *room = mw_loop_room_borrow(tcp->loop, COPY_STEP);
    ssize_t got;

    *err = MW_ENOMEM;
    if (room == NULL)
        return -1;
    got = read(tcp->pipe[0], room, clip(len, COPY_STEP));
    *err =
        got > 0 ? write_all(file, room, (size_t)got) : mw_err_from_errno(errno);
    return got;
}

/* Moves the `len` bytes in the pipe to the file. */
static int
empty_pipe(struct mw_tcp *tcp, int file, size_t len)
{
    int err = MW_OK;

    while (len > 0 && err == MW_OK) {
        ssize_t put =
            splice(tcp->pipe[0], NULL, file, NULL, len, SPLICE_F_MOVE);

        if (put == -1 && errno == EINTR)
            continue;
        if (put == -1 && must_be_copied(errno))
            put = copy_out(tcp, file, len, &err);
        else if (put <= 0)
            err = mw_err_from_errno(put == 0 ? EIO : errno);
        if (err == MW_OK)
            len -= (size_t)put;
    }
    return err;
}

/* A short splice may mean that the pipe had no place for more pieces: only the
 * next one shows that the socket is empty. */
int
mw_tcp_save(
    struct mw_tcp *tcp, int file, uint64_t len, size_t *count, bool *is_file)
{
    int err = mw_tcp_check_recv(tcp);
    ssize_t got;

    *is_file = false;
    if (err == MW_OK)
        err = open_pipe(tcp);
    if (err != MW_OK)
        return err;
    got = splice(tcp->fd, NULL, tcp->pipe[1], NULL, clip(len, STEP),
        SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (got == -1 && must_be_copied(errno))
        return MW_ESTATE;
    if (got == -1) {
        err = mw_err_from_errno(errno);
        if (err == MW_EAGAIN)
            mw_tcp_note_dry(tcp);
        return err;
    }
    if (got == 0)
        return MW_EOF;
    mw_loop_slice_use_for(tcp->loop, (size_t)got);
    mw_tcp_adapt(tcp, len - (size_t)got, (size_t)got);
    *count = (size_t)got;
    err = empty_pipe(tcp, file, (size_t)got);
    *is_file = err != MW_OK;
    if (err != MW_OK)
        mw_tcp_close_pipe(tcp); /* with what is left in it */
    return err;
}

/* -- sending ----------------------------------------------------------------
 */

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
    mw_tcp_sent(tcp, (size_t)sent);
    *count = (size_t)sent;
    return MW_OK;
}
