/* folder.c - see folder.h. */
#include "io/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"

int
mw_folder_make(const char *path)
{
    struct stat found;

    if (mkdir(path, S_IRWXU) == 0)
        return MW_OK;
    if (errno != EEXIST || stat(path, &found) == -1)
        return mw_err_from_errno(errno);
    if (!S_ISDIR(found.st_mode))
        return mw_err_from_errno(ENOTDIR);
    if (found.st_uid != geteuid() || (found.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return mw_err_from_errno(EACCES);
    return MW_OK;
}

int
mw_folder_open(struct mw_folder *folder, const char *path)
{
    folder->dir = opendir(path);
    return folder->dir == NULL ? mw_err_from_errno(errno) : MW_OK;
}

void
mw_folder_deinit(struct mw_folder *folder)
{
    if (folder->dir != NULL)
        closedir(folder->dir);
    folder->dir = NULL;
}

int
mw_folder_next(struct mw_folder *folder, struct mw_folder_file *file)
{
    if (folder->dir == NULL)
        return MW_ECLOSED;
    for (;;) {
        struct stat found;
        const struct dirent *entry;

        errno = 0;
        entry = readdir(folder->dir);
        if (entry == NULL)
            return errno == 0 ? 0 : mw_err_from_errno(errno);
        if (fstatat(dirfd(folder->dir), entry->d_name, &found,
                AT_SYMLINK_NOFOLLOW) == -1 ||
            !S_ISREG(found.st_mode))
            continue;
        file->name = entry->d_name;
        file->size = found.st_size;
        file->changed =
            (double)found.st_mtim.tv_sec + (double)found.st_mtim.tv_nsec / 1e9;
        return 1;
    }
}
