/* coding.h - content codings: bytes in, bytes out, a window at a time.  It
 * knows no header and never holds more than its windows and what the libraries
 * need (8 MiB at most, 16 MiB for br). */
#ifndef MW_CORE_CODING_H
#define MW_CORE_CODING_H

#include <stddef.h>
#include <stdint.h>

#include "core/headers.h"

struct mw_alloc;

enum mw_coding_kind {
    MW_CODING_GZIP,
    MW_CODING_DEFLATE, /* with zlib's head; read without one as well */
    MW_CODING_BR,
    MW_CODING_ZSTD,
};

enum {
    MW_CODING_CHAIN = 2,          /* codings one upon the other */
    MW_CODING_WINDOW = 64 * 1024, /* bytes given out at once, at most */
    /* Of an inner coding, and for those who keep all of a body: from
     * MW_CODING_RATIO_FROM bytes on no more than so many for each that came.
     */
    MW_CODING_RATIO = 200,
    MW_CODING_RATIO_FROM = 1024 * 1024,
    MW_CODING_MEMBERS = 1000, /* of gzip and zstd, and one more for each KiB */
};

enum mw_coding_event {
    MW_CODING_NEED_DATA,
    MW_CODING_DATA,
    MW_CODING_END,
};

struct mw_coding;

/* Each returns an object that the caller owns, or NULL when out of memory: one
 * that takes off `count` codings (1 to MW_CODING_CHAIN), given in the order in
 * which they were put on, and one that puts one on. */
struct mw_coding *mw_coding_new_decoder(const struct mw_alloc *alloc,
    const enum mw_coding_kind *kinds, size_t count);
struct mw_coding *mw_coding_new_encoder(
    const struct mw_alloc *alloc, enum mw_coding_kind kind);
void mw_coding_free(struct mw_coding *coding); /* NULL is allowed */

/* Lends bytes.  They must stay where they are until mw_coding_next() has
 * returned MW_CODING_NEED_DATA or MW_CODING_END; not before the bytes lent
 * earlier are used up, and not behind the end. */
void mw_coding_feed(struct mw_coding *coding, const char *data, size_t len);
void mw_coding_feed_eof(struct mw_coding *coding);

/* Returns an mw_coding_event, or an error and then the same for ever:
 * MW_ECODING, MW_ECODING_TRUNCATED, MW_ECODING_LIMIT or MW_ENOMEM.
 * MW_CODING_END comes at the end of the input, or earlier when what follows is
 * no part of the coded bytes: that is dropped.  No byte at all decodes to none.
 */
int mw_coding_next(struct mw_coding *coding);

/* Behind MW_CODING_DATA: takes at most `max` of the bytes that are there; good
 * until the next call.  mw_coding_next() says MW_CODING_DATA until all are
 * taken. */
struct mw_slice mw_coding_take(struct mw_coding *coding, size_t max);

/* Bytes that came in and were used, and those that came out. */
void mw_coding_bytes(
    const struct mw_coding *coding, uint64_t *in, uint64_t *out);

#endif
