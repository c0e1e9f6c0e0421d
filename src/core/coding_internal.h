/* coding_internal.h - one coding of a chain, as coding.c drives it.  It holds
 * no window. */
#ifndef MW_CORE_CODING_INTERNAL_H
#define MW_CORE_CODING_INTERNAL_H

#include <stdbool.h>

#include "core/coding.h"

/* What a stage works on: it moves all of these but `last`. */
struct mw_coding_io {
    struct mw_slice in; /* lent */
    bool last;          /* nothing comes behind it */
    char *room;         /* lent */
    size_t left;        /* bytes of the room */
};

struct mw_coding_stage;

/* Returns MW_CODING_NEED_DATA once the input is used up or the room full,
 * MW_CODING_END, or an error. */
typedef int mw_coding_run(
    struct mw_coding_stage *stage, struct mw_coding_io *io);

/* What begins each way's own struct. */
struct mw_coding_stage {
    mw_coding_run *run;
    void (*free)(struct mw_coding_stage *stage);
};

/* NULL when out of memory. */
struct mw_coding_stage *mw_decoder_new(
    const struct mw_alloc *alloc, enum mw_coding_kind kind);
struct mw_coding_stage *mw_encoder_new(
    const struct mw_alloc *alloc, enum mw_coding_kind kind);

/* Brotli's encoder, as mw_encoder_new() uses it.  NULL when out of memory; what
 * has failed once is only to be freed. */
struct mw_coding_br;
struct mw_coding_br *mw_coding_br_new(const struct mw_alloc *alloc);
void mw_coding_br_free(struct mw_coding_br *br); /* NULL is allowed */
int mw_coding_br_write(struct mw_coding_br *br, struct mw_coding_io *io);

/* Memory as zlib and brotli ask for it; `alloc` is the const struct mw_alloc *,
 * or NULL. */
void *mw_coding_zlib_alloc(void *alloc, unsigned count, unsigned size);
void *mw_coding_alloc(void *alloc, size_t size);
void mw_coding_dealloc(void *alloc, void *block);

/* Moves on by what was used of the input, and of the room. */
void mw_coding_advance(struct mw_slice *in, size_t used);
void mw_coding_made(struct mw_coding_io *io, size_t made);

#endif
