/* err.c - words for error codes. */
#include "core/err.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct row {
    const char *name;
    const char *kind;
    const char *text;
};

static const struct row rows[] = {{"OK", "system", "success"},
#define MW_X(name, kind, words) {#name, kind, words},
    MW_ERRORS(MW_X)
#undef MW_X
};

struct system_row {
    int number;
    const char *name;
    const char *text;
};

/* strerror() may use one static buffer for all threads where it knows no words,
 * so the errors a client can meet stand here in its stead. */
static const struct system_row system_rows[] = {
    {ECONNREFUSED, "ECONNREFUSED", "connection refused"},
    {ECONNRESET, "ECONNRESET", "connection reset by the peer"},
    {ECONNABORTED, "ECONNABORTED", "connection aborted"},
    {EPIPE, "EPIPE", "the peer closed the connection while we were writing"},
    {ETIMEDOUT, "ETIMEDOUT", "the peer did not answer"},
    {EHOSTUNREACH, "EHOSTUNREACH", "no route to the host"},
    {ENETUNREACH, "ENETUNREACH", "the network is unreachable"},
    {EHOSTDOWN, "EHOSTDOWN", "the host is down"},
    {ENETDOWN, "ENETDOWN", "the network is down"},
    {ENETRESET, "ENETRESET", "the network dropped the connection"},
    {EADDRINUSE, "EADDRINUSE", "the address is in use"},
    {EADDRNOTAVAIL, "EADDRNOTAVAIL", "the address is not available"},
    {EAFNOSUPPORT, "EAFNOSUPPORT", "address family not supported"},
    {EACCES, "EACCES", "permission denied"},
    {EPERM, "EPERM", "operation not permitted"},
    {ENOENT, "ENOENT", "no such file"},
    {ENOTDIR, "ENOTDIR", "not a directory"},
    {EISDIR, "EISDIR", "it is a directory"},
    {EEXIST, "EEXIST", "it exists already"},
    {ELOOP, "ELOOP", "too many symbolic links"},
    {EROFS, "EROFS", "the file system is read-only"},
    {EBUSY, "EBUSY", "it is in use"},
    {ENOSPC, "ENOSPC", "no space left on the device"},
    {EDQUOT, "EDQUOT", "disk quota exceeded"},
    {EFBIG, "EFBIG", "the file is too large"},
    {EIO, "EIO", "input/output error"},
    {EMFILE, "EMFILE", "too many open files in this process"},
    {ENFILE, "ENFILE", "too many open files in the system"},
    {ENOBUFS, "ENOBUFS", "no buffer space"},
    {ENOTCONN, "ENOTCONN", "not connected"},
    {EBADF, "EBADF", "bad file descriptor"},
    {EINVAL, "EINVAL", "invalid argument"},
    {ENAMETOOLONG, "ENAMETOOLONG", "the name is too long"},
    {EPROTONOSUPPORT, "EPROTONOSUPPORT", "protocol not supported"},
    {ENOTSOCK, "ENOTSOCK", "not a socket"},
    {EMSGSIZE, "EMSGSIZE", "the message is too large"},
};

static const struct row *
find_row(int code)
{
    if (code > 0 || code <= -(int)MW_ERR_COUNT_)
        return NULL;
    return &rows[-code];
}

static const struct system_row *
find_system_row(int code)
{
    int number = mw_err_errno(code);

    for (size_t i = 0; i < sizeof(system_rows) / sizeof(system_rows[0]); i++) {
        if (system_rows[i].number == number)
            return &system_rows[i];
    }
    return NULL;
}

int
mw_err_from_errno(int system_errno)
{
    switch (system_errno) {
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
    case EINTR:
    case EINPROGRESS:
        return MW_EAGAIN;
    case ENOMEM:
        return MW_ENOMEM;
    default:
        return -(MW_ERR_SYSTEM_ + system_errno);
    }
}

/* Of errors that it knows strerror() has constants, in glibc and in musl. */
int
mw_err_from_text(const char *text)
{
    for (size_t i = 0; i < sizeof(system_rows) / sizeof(system_rows[0]); i++) {
        if (strcasecmp(text, strerror(system_rows[i].number)) == 0)
            return mw_err_from_errno(system_rows[i].number);
    }
    return 0;
}

int
mw_err_errno(int code)
{
    return code <= -MW_ERR_SYSTEM_ ? -code - MW_ERR_SYSTEM_ : 0;
}

const char *
mw_err_name(int code)
{
    const struct row *row = find_row(code);
    const struct system_row *system = find_system_row(code);

    if (row != NULL)
        return row->name;
    return system != NULL ? system->name : "ESYSTEM";
}

const char *
mw_err_kind(int code)
{
    const struct row *row = find_row(code);

    return row != NULL ? row->kind : "system";
}

const char *
mw_err_text(int code)
{
    const struct row *row = find_row(code);
    const struct system_row *system = find_system_row(code);

    if (row != NULL)
        return row->text;
    return system != NULL ? system->text : "system error";
}
