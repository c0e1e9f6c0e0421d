/* coding_read.c - takes a coding off, by way of zlib, brotli and zstd: members
 * one behind the other, what follows them, and where bytes are missing. */
#include "core/coding_internal.h"

#include <brotli/decode.h>
#include <limits.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "core/alloc.h"
#include "core/err.h"

/* Of zlib's window of 32 KiB, with a gzip head, zlib's or none around it. */
enum {
    GZIP_WINDOW = 15 + 16,
    ZLIB_WINDOW = 15,
    RAW_WINDOW = -15,
    /* Browsers take no more of zstd either (RFC 9659 section 3). */
    ZSTD_WINDOW_LOG = 23
};

enum {
    MEMBER_END = 100 /* beside what a stage returns */
};

enum place {
    AT_START, /* of the first member */
    INSIDE,
    BETWEEN, /* members, or behind the last one */
    ENDED
};

struct decoder {
    struct mw_coding_stage stage;
    enum mw_coding_kind kind;
    enum place place;
    z_stream zlib;          /* gzip and deflate; owned where it has a state */
    BrotliDecoderState *br; /* owned */
    ZSTD_DStream *zstd;     /* owned */
    char held[4]; /* of a member's start, before it is known to be one */
    size_t held_len;
    size_t held_from; /* which of those are still to be decoded */
    uint64_t members; /* begun */
    uint64_t out;     /* bytes made */
};

static const char gzip_start[] = {'\x1f', '\x8b', 8};
static const char zstd_start[] = {'\x28', '\xb5', '\x2f', '\xfd'};
static const char zstd_skippable[] = {'\x2a', '\x4d', '\x18'};

/* How many bytes tell what begins there. */
static size_t
start_len(enum mw_coding_kind kind)
{
    switch (kind) {
    case MW_CODING_GZIP:
        return sizeof(gzip_start);
    case MW_CODING_DEFLATE:
        return 2;
    case MW_CODING_BR:
        return 1;
    case MW_CODING_ZSTD:
        return sizeof(zstd_start);
    }
    return 0;
}

/* Whether a member may begin like the held bytes. */
static bool
is_start(const struct decoder *d)
{
    const char *held = d->held;
    size_t len = d->held_len;

    switch (d->kind) {
    case MW_CODING_GZIP:
        return memcmp(held, gzip_start, len) == 0;
    case MW_CODING_ZSTD:
        return memcmp(held, zstd_start, len) == 0 ||
               ((held[0] & 0xf0) == 0x50 &&
                   memcmp(held + 1, zstd_skippable, len - 1) == 0);
    case MW_CODING_DEFLATE:
    case MW_CODING_BR:
        return d->place == AT_START; /* they have one member */
    }
    return false;
}

/* "deflate" is zlib's format, and some servers send it without its head, whose
 * two bytes no encoder begins with otherwise (RFC 1950 section 2.2). */
static int
deflate_window(const char *held)
{
    unsigned head =
        (unsigned)((unsigned char)held[0] << 8) | (unsigned char)held[1];
    bool zlib = (head >> 8 & 15) == 8 && head >> 12 <= 7 && head % 31 == 0;

    return zlib ? ZLIB_WINDOW : RAW_WINDOW;
}

/* All of the held bytes are there, and a member begins with them. */
static int
begin_member(struct decoder *d)
{
    int err = Z_OK;

    d->place = INSIDE;
    d->held_from = 0;
    d->members++;
    if (d->members > MW_CODING_MEMBERS + d->out / 1024)
        return MW_ECODING_LIMIT;
    if (d->zlib.state != NULL)
        err = inflateReset(&d->zlib);
    else if (d->kind == MW_CODING_GZIP)
        err = inflateInit2(&d->zlib, GZIP_WINDOW);
    else if (d->kind == MW_CODING_DEFLATE)
        err = inflateInit2(&d->zlib, deflate_window(d->held));
    return err == Z_OK ? MW_OK : MW_ENOMEM;
}

/* No member begins here: MW_CODING_END behind one, and before the first where
 * there is no byte at all. */
static int
stop(struct decoder *d, bool cut)
{
    int outcome = d->place == BETWEEN ? MW_CODING_END : MW_ECODING;

    if (d->held_len == 0)
        outcome = MW_CODING_END;
    else if (cut && is_start(d))
        outcome = MW_ECODING_TRUNCATED;
    d->place = ENDED;
    return outcome;
}

/* Returns MW_OK inside a member. */
static int
look_for_member(struct decoder *d, struct mw_coding_io *io)
{
    size_t wanted = start_len(d->kind);

    while (d->held_len < wanted && io->in.len > 0) {
        d->held[d->held_len++] = io->in.data[0];
        mw_coding_advance(&io->in, 1);
        if (!is_start(d))
            return stop(d, false);
    }
    if (d->held_len == wanted)
        return begin_member(d);
    return io->last ? stop(d, true) : MW_CODING_NEED_DATA;
}

static int
read_zlib(struct decoder *d, struct mw_slice *in, struct mw_coding_io *io)
{
    z_stream *z = &d->zlib;
    uInt given = in->len < UINT_MAX ? (uInt)in->len : UINT_MAX;
    uInt room = (uInt)io->left; /* a window at most */
    int code;

    z->next_in = (z_const Bytef *)in->data;
    z->avail_in = given;
    z->next_out = (Bytef *)io->room;
    z->avail_out = room;
    code = inflate(z, Z_NO_FLUSH);
    mw_coding_advance(in, given - z->avail_in);
    mw_coding_made(io, room - z->avail_out);
    if (code == Z_OK || code == Z_BUF_ERROR)
        return MW_OK;
    if (code == Z_STREAM_END)
        return MEMBER_END;
    return code == Z_MEM_ERROR ? MW_ENOMEM : MW_ECODING;
}

static int
read_br(struct decoder *d, struct mw_slice *in, struct mw_coding_io *io)
{
    const uint8_t *next_in = (const uint8_t *)in->data;
    uint8_t *next_out = (uint8_t *)io->room;
    size_t in_left = in->len;
    size_t room_left = io->left;
    BrotliDecoderResult result = BrotliDecoderDecompressStream(
        d->br, &in_left, &next_in, &room_left, &next_out, NULL);
    BrotliDecoderErrorCode code;

    mw_coding_advance(in, in->len - in_left);
    mw_coding_made(io, io->left - room_left);
    switch (result) {
    case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
    case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT:
        return MW_OK;
    case BROTLI_DECODER_RESULT_SUCCESS:
        return MEMBER_END;
    case BROTLI_DECODER_RESULT_ERROR:
        break;
    }
    code = BrotliDecoderGetErrorCode(d->br);
    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                   code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES
               ? MW_ENOMEM
               : MW_ECODING;
}

static int
read_zstd(struct decoder *d, struct mw_slice *in, struct mw_coding_io *io)
{
    ZSTD_inBuffer from = {in->data, in->len, 0};
    ZSTD_outBuffer to = {io->room, io->left, 0};
    size_t result = ZSTD_decompressStream(d->zstd, &to, &from);

    mw_coding_advance(in, from.pos);
    mw_coding_made(io, to.pos);
    if (result == 0)
        return MEMBER_END;
    if (!ZSTD_isError(result))
        return MW_OK;
    if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
        return MW_ENOMEM;
    return ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge
               ? MW_ECODING_LIMIT
               : MW_ECODING;
}

/* Decodes `in` once. */
static int
read_member(struct decoder *d, struct mw_slice *in, struct mw_coding_io *io)
{
    size_t room = io->left;
    int outcome = MW_ECODING;

    switch (d->kind) {
    case MW_CODING_GZIP:
    case MW_CODING_DEFLATE:
        outcome = read_zlib(d, in, io);
        break;
    case MW_CODING_BR:
        outcome = read_br(d, in, io);
        break;
    case MW_CODING_ZSTD:
        outcome = read_zstd(d, in, io);
        break;
    }
    d->out += room - io->left;
    return outcome;
}

/* Decodes what there is of a member: first those bytes that were held. Returns
 * MW_OK behind its end. */
static int
go_on(struct decoder *d, struct mw_coding_io *io)
{
    struct mw_slice held;
    int outcome = MW_OK;

    while (outcome == MW_OK && d->held_from < d->held_len && io->left > 0) {
        held = (struct mw_slice){
            d->held + d->held_from, d->held_len - d->held_from};
        outcome = read_member(d, &held, io);
        d->held_from = d->held_len - held.len;
    }
    if (outcome == MW_OK && io->left > 0)
        outcome = read_member(d, &io->in, io);
    if (outcome == MEMBER_END) {
        d->place = BETWEEN;
        d->held_len = 0;
        return MW_OK;
    }
    if (outcome < 0)
        return outcome;
    if (io->last && io->in.len == 0 && io->left > 0)
        return MW_ECODING_TRUNCATED;
    return MW_CODING_NEED_DATA;
}

static int
run_decoder(struct mw_coding_stage *stage, struct mw_coding_io *io)
{
    struct decoder *d = (struct decoder *)stage;

    for (;;) {
        int outcome = MW_OK;

        if (d->place == ENDED)
            return MW_CODING_END;
        if (d->place != INSIDE)
            outcome = look_for_member(d, io);
        if (d->place != INSIDE || outcome != MW_OK)
            return outcome;
        outcome = go_on(d, io);
        if (d->place == INSIDE)
            return outcome;
    }
}

static void
free_decoder(struct mw_coding_stage *stage)
{
    struct decoder *d = (struct decoder *)stage;

    if (d->zlib.state != NULL)
        inflateEnd(&d->zlib);
    if (d->br != NULL)
        BrotliDecoderDestroyInstance(d->br);
    ZSTD_freeDStream(d->zstd);
    mw_alloc_free(d);
}

struct mw_coding_stage *
mw_decoder_new(const struct mw_alloc *alloc, enum mw_coding_kind kind)
{
    struct decoder *d = mw_alloc_zeroed(alloc, sizeof(*d));
    bool ok = true;

    if (d == NULL)
        return NULL;
    d->stage = (struct mw_coding_stage){run_decoder, free_decoder};
    d->kind = kind;
    d->zlib.opaque = (void *)alloc;
    d->zlib.zalloc = mw_coding_zlib_alloc;
    d->zlib.zfree = mw_coding_dealloc;
    if (kind == MW_CODING_BR) {
        d->br = BrotliDecoderCreateInstance(
            mw_coding_alloc, mw_coding_dealloc, (void *)alloc);
        ok = d->br != NULL;
    } else if (kind == MW_CODING_ZSTD) {
        d->zstd = ZSTD_createDStream();
        ok = d->zstd != NULL && !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd,
                                    ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG));
    }
    if (ok)
        return &d->stage;
    free_decoder(&d->stage);
    return NULL;
}
