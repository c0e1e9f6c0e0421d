/* folder.h - a folder of one's own, and what lies in it.  It opens no file, and
 * removes none. */
#ifndef MW_IO_FOLDER_H
#define MW_IO_FOLDER_H

#include <dirent.h>
#include <stdint.h>

/* A folder that is being looked through.  Embedded; the field is private. */
struct mw_folder {
    DIR *dir; /* owned; NULL: closed */
};

/* A plain file in it. */
struct mw_folder_file {
    const char *name; /* borrowed, until the next call */
    int64_t size;
    double changed; /* seconds since 1970 */
};

/* Makes the folder for its owner alone, unless it is there.  MW_EACCES: one is,
 * but somebody else owns it, or may write to it. */
int mw_folder_make(const char *path);

int mw_folder_open(struct mw_folder *folder, const char *path);
void mw_folder_deinit(struct mw_folder *folder); /* all zero is harmless */

/* Gives the next plain file, in no order: 1, or 0 when there is none left.
 * Whatever else lies there is passed over, as is what goes away meanwhile. */
int mw_folder_next(struct mw_folder *folder, struct mw_folder_file *file);

#endif
