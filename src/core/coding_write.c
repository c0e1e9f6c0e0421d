/* coding_write.c - puts a coding on, by way of zlib, brotli and zstd.  It
 * flushes at the end only. */
#include "core/coding_internal.h"

#include <limits.h>
#include <zlib.h>
#include <zstd.h>

#include "core/alloc.h"
#include "core/err.h"

enum {
    GZIP_WINDOW = 15 + 16, /* zlib's window of 32 KiB, in a gzip head */
    ZLIB_WINDOW = 15,
    ZLIB_MEMORY = 8, /* zlib's own default */
    ZSTD_LEVEL = 3
};

struct encoder {
    struct mw_coding_stage stage;
    enum mw_coding_kind kind;
    z_stream zlib;           /* gzip and deflate; owned where it has a state */
    struct mw_coding_br *br; /* owned */
    ZSTD_CStream *zstd;      /* owned */
};

static int
write_zlib(struct encoder *e, struct mw_coding_io *io)
{
    z_stream *z = &e->zlib;
    uInt given = io->in.len < UINT_MAX ? (uInt)io->in.len : UINT_MAX;
    uInt room = (uInt)io->left; /* a window at most */
    bool last = io->last && given == io->in.len;
    int code;

    z->next_in = (z_const Bytef *)io->in.data;
    z->avail_in = given;
    z->next_out = (Bytef *)io->room;
    z->avail_out = room;
    code = deflate(z, last ? Z_FINISH : Z_NO_FLUSH);
    mw_coding_advance(&io->in, given - z->avail_in);
    mw_coding_made(io, room - z->avail_out);
    return code == Z_STREAM_END ? MW_CODING_END : MW_CODING_NEED_DATA;
}

static int
write_zstd(struct encoder *e, struct mw_coding_io *io)
{
    ZSTD_inBuffer from = {io->in.data, io->in.len, 0};
    ZSTD_outBuffer to = {io->room, io->left, 0};
    size_t result = ZSTD_compressStream2(
        e->zstd, &to, &from, io->last ? ZSTD_e_end : ZSTD_e_continue);

    if (ZSTD_isError(result))
        return MW_ENOMEM; /* nothing else can go wrong */
    mw_coding_advance(&io->in, from.pos);
    mw_coding_made(io, to.pos);
    return io->last && result == 0 ? MW_CODING_END : MW_CODING_NEED_DATA;
}

static int
run_encoder(struct mw_coding_stage *stage, struct mw_coding_io *io)
{
    struct encoder *e = (struct encoder *)stage;
    int outcome;

    do {
        switch (e->kind) {
        case MW_CODING_GZIP:
        case MW_CODING_DEFLATE:
            outcome = write_zlib(e, io);
            break;
        case MW_CODING_BR:
            outcome = mw_coding_br_write(e->br, io);
            break;
        case MW_CODING_ZSTD:
            outcome = write_zstd(e, io);
            break;
        }
    } while (outcome == MW_CODING_NEED_DATA && io->left > 0 &&
             (io->in.len > 0 || io->last));
    return outcome;
}

static void
free_encoder(struct mw_coding_stage *stage)
{
    struct encoder *e = (struct encoder *)stage;

    if (e->zlib.state != NULL)
        deflateEnd(&e->zlib);
    mw_coding_br_free(e->br);
    ZSTD_freeCStream(e->zstd);
    mw_alloc_free(e);
}

static bool
open_library(struct encoder *e)
{
    switch (e->kind) {
    case MW_CODING_GZIP:
    case MW_CODING_DEFLATE:
        return deflateInit2(&e->zlib, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                   e->kind == MW_CODING_GZIP ? GZIP_WINDOW : ZLIB_WINDOW,
                   ZLIB_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
    case MW_CODING_BR:
        e->br = mw_coding_br_new(e->zlib.opaque);
        return e->br != NULL;
    case MW_CODING_ZSTD:
        e->zstd = ZSTD_createCStream();
        return e->zstd != NULL &&
               !ZSTD_isError(ZSTD_CCtx_setParameter(
                   e->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
               !ZSTD_isError(
                   ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_checksumFlag, 1));
    }
    return false;
}

struct mw_coding_stage *
mw_encoder_new(const struct mw_alloc *alloc, enum mw_coding_kind kind)
{
    struct encoder *e = mw_alloc_zeroed(alloc, sizeof(*e));

    if (e == NULL)
        return NULL;
    e->stage = (struct mw_coding_stage){run_encoder, free_encoder};
    e->kind = kind;
    e->zlib.opaque = (void *)alloc;
    e->zlib.zalloc = mw_coding_zlib_alloc;
    e->zlib.zfree = mw_coding_dealloc;
    if (open_library(e))
        return &e->stage;
    free_encoder(&e->stage);
    return NULL;
}
