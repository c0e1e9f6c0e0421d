/* coding_br.c - brotli's encoder, which ends the process where it gets no
 * memory: here the call is left instead, and all that it holds is freed. */
#include "core/coding_internal.h"

#include <brotli/encode.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include "core/alloc.h"
#include "core/err.h"

enum {
    /* These take as long for a body as zlib does, or less. */
    BR_QUALITY = 5,
    BR_WINDOW_LOG = 18 /* 256 KiB */
};

/* In front of each block that the encoder has; as large as its alignment. */
struct block {
    struct block *next;
    struct block *before;
};

struct mw_coding_br {
    const struct mw_alloc *alloc; /* lent; NULL: malloc */
    BrotliEncoderState *state;    /* owned, in `blocks` like all it has */
    struct block blocks;          /* owned; a ring */
    jmp_buf out;                  /* of a call that got no memory */
};

static void *
take_block(void *opaque, size_t size)
{
    struct mw_coding_br *br = opaque;
    struct block *block = NULL;

    if (size <= SIZE_MAX - sizeof(*block))
        block = mw_alloc_new(br->alloc, sizeof(*block) + size);
    if (block == NULL)
        longjmp(br->out, 1);
    *block = (struct block){br->blocks.next, &br->blocks};
    br->blocks.next->before = block;
    br->blocks.next = block;
    return block + 1;
}

static void
drop_block(void *opaque, void *address)
{
    struct block *block;

    (void)opaque;
    if (address == NULL)
        return;
    block = (struct block *)address - 1;
    block->before->next = block->next;
    block->next->before = block->before;
    mw_alloc_free(block);
}

void
mw_coding_br_free(struct mw_coding_br *br)
{
    if (br == NULL)
        return;
    while (br->blocks.next != &br->blocks)
        drop_block(br, br->blocks.next + 1);
    mw_alloc_free(br);
}

static int
open_state(struct mw_coding_br *br)
{
    if (setjmp(br->out) != 0)
        return MW_ENOMEM;
    br->state = BrotliEncoderCreateInstance(take_block, drop_block, br);
    BrotliEncoderSetParameter(br->state, BROTLI_PARAM_QUALITY, BR_QUALITY);
    BrotliEncoderSetParameter(br->state, BROTLI_PARAM_LGWIN, BR_WINDOW_LOG);
    return MW_OK;
}

struct mw_coding_br *
mw_coding_br_new(const struct mw_alloc *alloc)
{
    struct mw_coding_br *br = mw_alloc_zeroed(alloc, sizeof(*br));

    if (br == NULL)
        return NULL;
    br->alloc = alloc;
    br->blocks = (struct block){&br->blocks, &br->blocks};
    if (open_state(br) == MW_OK)
        return br;
    mw_coding_br_free(br);
    return NULL;
}

int
mw_coding_br_write(struct mw_coding_br *br, struct mw_coding_io *io)
{
    const uint8_t *next_in = (const uint8_t *)io->in.data;
    uint8_t *next_out = (uint8_t *)io->room;
    size_t in_left = io->in.len;
    size_t room_left = io->left;

    if (setjmp(br->out) != 0)
        return MW_ENOMEM; /* the state is good for nothing any more */
    if (!BrotliEncoderCompressStream(br->state,
            io->last ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_PROCESS,
            &in_left, &next_in, &room_left, &next_out, NULL))
        return MW_ENOMEM; /* nothing else can go wrong */
    mw_coding_advance(&io->in, io->in.len - in_left);
    mw_coding_made(io, io->left - room_left);
    return BrotliEncoderIsFinished(br->state) ? MW_CODING_END
                                              : MW_CODING_NEED_DATA;
}
