/* part.c - see part.h. */
#include "io/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/err.h"

#define BLOCK     512 /* what st_blocks counts */
#define NOREPLACE 1   /* renameat2()'s, which not every libc names */

/* What a file system says that doesn't know what it is asked for. */
static bool
is_unknown(int number)
{
    return number == EOPNOTSUPP || number == ENOSYS || number == EINVAL ||
           number == ENOLCK;
}

static int
last_error(void)
{
    return mw_err_from_errno(errno);
}

int
mw_path_look(const char *path, enum mw_path_kind *kind)
{
    struct stat at;

    if (stat(path, &at) == 0 && S_ISDIR(at.st_mode))
        *kind = MW_PATH_FOLDER;
    else if (lstat(path, &at) == -1)
        return last_error();
    else if (S_ISLNK(at.st_mode))
        *kind = MW_PATH_LINK;
    else
        *kind = S_ISREG(at.st_mode) ? MW_PATH_FILE : MW_PATH_OTHER;
    return MW_OK;
}

int
mw_part_claim(int fd, const char *path)
{
    struct stat open_file;
    struct stat named;

    if (fstat(fd, &open_file) == -1)
        return last_error();
    if (!S_ISREG(open_file.st_mode))
        return MW_EINVAL;
    if (flock(fd, LOCK_EX | LOCK_NB) == -1 && !is_unknown(errno))
        return last_error();
    if (lstat(path, &named) == -1)
        return errno == ENOENT ? MW_ESTATE : last_error();
    if (!S_ISREG(named.st_mode))
        return MW_EINVAL; /* a link that somebody has put there */
    if (named.st_dev != open_file.st_dev || named.st_ino != open_file.st_ino)
        return MW_ESTATE;
    return MW_OK;
}

void
mw_part_imitate(int fd, const char *path, bool is_in_the_making)
{
    mode_t more = is_in_the_making ? S_IRUSR | S_IWUSR : 0;
    struct stat named;

    if (stat(path, &named) == 0 && S_ISREG(named.st_mode))
        (void)fchmod(fd, (named.st_mode & 0777) | more);
}

int
mw_part_check_room(int fd, uint64_t size, uint64_t *free_bytes)
{
    struct statvfs system;
    struct rlimit most;
    struct stat file;
    uint64_t has;

    if (getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur != RLIM_INFINITY &&
        size > most.rlim_cur)
        return mw_err_from_errno(EFBIG);
    if (fstat(fd, &file) == -1 || fstatvfs(fd, &system) == -1)
        return last_error();
    *free_bytes = (uint64_t)system.f_bavail * system.f_frsize;
    has = (uint64_t)file.st_blocks * BLOCK;
    if (size > has && size - has > *free_bytes && system.f_blocks > 0)
        return mw_err_from_errno(ENOSPC);
    return MW_OK;
}

int
mw_part_reserve(int fd, uint64_t size)
{
    int err;

    do
        err = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
    while (err == -1 && errno == EINTR);
    return err == 0 || is_unknown(errno) ? MW_OK : last_error();
}

int
mw_part_cut(int fd, uint64_t size)
{
    return ftruncate(fd, (off_t)size) == 0 ? MW_OK : last_error();
}

int
mw_part_sync(int fd)
{
    return fsync(fd) == 0 || is_unknown(errno) ? MW_OK : last_error();
}

/* Where the file system has no such call a link does it, which replaces
 * nothing either. */
static int
rename_to_nothing(const char *from, const char *to)
{
    if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, NOREPLACE) == 0)
        return MW_OK;
    if (!is_unknown(errno))
        return last_error();
    if (link(from, to) == -1)
        return last_error();
    return unlink(from) == 0 ? MW_OK : last_error();
}

/* The name is there already: a folder that can't be synced, as on some network
 * file systems, is no failure. */
static void
sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 1 : (size_t)(slash - path) + 1;
    char *name = mw_alloc_new(NULL, len + 1);
    int fd;

    if (name == NULL)
        return;
    memcpy(name, slash == NULL ? "." : path, len);
    name[len] = '\0';
    fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mw_alloc_free(name);
    if (fd != -1) {
        (void)fsync(fd);
        close(fd);
    }
}

int
mw_part_publish(const char *from, const char *to, bool replaces)
{
    int err;

    if (!replaces)
        err = rename_to_nothing(from, to);
    else
        err = rename(from, to) == 0 ? MW_OK : last_error();
    if (err == MW_OK)
        sync_folder_of(to);
    return err;
}
