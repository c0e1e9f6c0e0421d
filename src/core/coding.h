/* coding.h - content codings: bytes in, bytes out.  It knows no header. */
#ifndef MW_CORE_CODING_H
#define MW_CORE_CODING_H

#include <stddef.h>

#include "core/buf.h"

/* Appends one gzip member with the packed bytes.  Returns MW_OK, MW_ENOMEM, or
 * MW_EINVAL for more than zlib takes in one piece (4 GiB). */
int mw_gzip(struct mw_buf *to, const char *data, size_t len);

#endif
