/* part.h - a file in the making, which takes its name once it is whole. */
#ifndef MW_IO_PART_H
#define MW_IO_PART_H

#include <stdbool.h>
#include <stdint.h>

enum mw_path_kind {
    MW_PATH_FILE,
    MW_PATH_FOLDER, /* or a link to one */
    MW_PATH_LINK,   /* to anything else, or to nothing */
    MW_PATH_OTHER
};

/* What stands at a path.  Returns MW_OK or a code, ENOENT's
 * where there is nothing. */
int mw_path_look(const char *path, enum mw_path_kind *kind);

/* Makes the open file this process's own for as long as it is open.  MW_EAGAIN:
 * somebody else has it; MW_ESTATE: another file stands at the path by now, or
 * none; MW_EINVAL: what stands there is no regular file.  Where the file system
 * knows no locks the file is taken as it is. */
int mw_part_claim(int fd, const char *path);

/* Gives it the permissions of the file at a path, if there is one; while it is
 * in the making its owner may read and write it in any case. */
void mw_part_imitate(int fd, const char *path, bool is_in_the_making);

/* Whether there is place for `size` bytes altogether: MW_OK, ENOSPC's code, or
 * EFBIG's where this process may not write such a file.  *free_bytes is what
 * the file system has left, for words. */
int mw_part_check_room(int fd, uint64_t size, uint64_t *free_bytes);

/* Has the system put aside what it needs to be `size` bytes long; its length
 * stays.  MW_OK also where the file system can't. */
int mw_part_reserve(int fd, uint64_t size);

/* Makes it end at `size`, and gives back what was reserved beyond. */
int mw_part_cut(int fd, uint64_t size);

/* Returns when all of it is on the disk. */
int mw_part_sync(int fd);

/* Gives it its name for good.  EEXIST's code where something has that name and
 * may not be replaced. */
int mw_part_publish(const char *from, const char *to, bool replaces);

#endif
