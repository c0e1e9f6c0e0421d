/* file.c - small files that are replaced as a whole. */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/err.h"

static int
write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n == -1 && errno != EINTR)
            return mw_err_from_errno(errno);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return MW_OK;
}

int
mw_file_replace(const char *path, const char *data, size_t len)
{
    static const char end[] = ".XXXXXX";
    size_t path_len = strlen(path);
    struct stat at;
    char *name;
    int err;
    int fd;

    if (lstat(path, &at) == 0 && !S_ISREG(at.st_mode) && !S_ISLNK(at.st_mode))
        return S_ISDIR(at.st_mode) ? mw_err_from_errno(EISDIR) : MW_EINVAL;
    name = mw_alloc_new(NULL, path_len + sizeof(end));
    if (name == NULL)
        return MW_ENOMEM;
    memcpy(name, path, path_len);
    memcpy(name + path_len, end, sizeof(end));
    fd = mkostemp(name, O_CLOEXEC); /* mode 0600 */
    if (fd == -1) {
        err = mw_err_from_errno(errno);
        goto done;
    }
    err = write_all(fd, data, len);
    if (close(fd) == -1 && err == MW_OK)
        err = mw_err_from_errno(errno);
    if (err == MW_OK && rename(name, path) == -1)
        err = mw_err_from_errno(errno);
    if (err != MW_OK)
        unlink(name);

done:
    mw_alloc_free(name);
    return err;
}
