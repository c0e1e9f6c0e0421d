/* no_shortcuts.c - linked into a moonwire.core of its own in front of the
 * kernel's ways to move bytes between files and sockets: they say what they say
 * of those that can't do that. */
#include <errno.h>
#include <sys/types.h>

ssize_t __wrap_sendfile(int out, int in, off_t *offset, size_t len);
ssize_t __wrap_splice(int in, loff_t *in_offset, int out, loff_t *out_offset,
    size_t len, unsigned flags);

ssize_t
__wrap_sendfile(int out, int in, off_t *offset, size_t len)
{
    (void)out;
    (void)in;
    (void)offset;
    (void)len;
    errno = EINVAL;
    return -1;
}

ssize_t
__wrap_splice(int in, loff_t *in_offset, int out, loff_t *out_offset,
    size_t len, unsigned flags)
{
    (void)in;
    (void)in_offset;
    (void)out;
    (void)out_offset;
    (void)len;
    (void)flags;
    errno = EINVAL;
    return -1;
}
