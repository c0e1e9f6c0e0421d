/* coding.c - content codings by way of zlib. */
#include "core/coding.h"

#include <limits.h>
#include <zlib.h>

#include "core/err.h"

/* zlib's window of 32 KiB, and 16 for a gzip header around it. */
#define GZIP_WINDOW (15 + 16)

int
mw_gzip(struct mw_buf *to, const char *data, size_t len)
{
    z_stream stream = {0};
    char *room;
    size_t size;
    int err;

    if (len > UINT_MAX)
        return MW_EINVAL;
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8,
            Z_DEFAULT_STRATEGY) != Z_OK)
        return MW_ENOMEM;
    size = deflateBound(&stream, len);
    if (size > UINT_MAX) {
        err = MW_EINVAL;
        goto fail;
    }
    err = mw_buf_reserve(to, size);
    if (err != MW_OK)
        goto fail;
    room = mw_buf_room_borrow(to, &size);
    stream.next_in = (z_const Bytef *)data;
    stream.avail_in = (uInt)len;
    stream.next_out = (Bytef *)room;
    stream.avail_out = size < UINT_MAX ? (uInt)size : UINT_MAX;
    err = deflate(&stream, Z_FINISH) == Z_STREAM_END ? MW_OK : MW_ENOMEM;
    if (err == MW_OK)
        mw_buf_commit(to, stream.total_out);

fail:
    deflateEnd(&stream);
    return err;
}
