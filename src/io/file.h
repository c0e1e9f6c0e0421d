/* file.h - small files that are replaced as a whole. */
#ifndef MW_IO_FILE_H
#define MW_IO_FILE_H

#include <stddef.h>

/* Makes `data` the content of the file at `path`, which only its owner may read
 * and write then (mode 0600).  Whoever reads it meanwhile finds the old content
 * or the new one; after a failure it is the old one, and no other file is left.
 * Of a link the link is replaced, not what it leads to: who has put it there
 * may be anybody.  Returns MW_OK or a code, MW_EINVAL where something else than
 * a regular file stands there. */
int mw_file_replace(const char *path, const char *data, size_t len);

#endif
