/* coding.c - a chain of codings: each reads out of the window of the one before
 * it, and runs only when the one behind it has nothing left. */
#include "core/coding_internal.h"

#include <assert.h>
#include <stdint.h>

#include "core/alloc.h"
#include "core/err.h"

struct link {
    struct mw_coding_stage *stage; /* owned */
    char *window;                  /* owned; NULL before the first byte */
    size_t from;                   /* the first byte that was not taken */
    size_t len;                    /* from there on */
    uint64_t in;                   /* bytes used */
    uint64_t out;                  /* bytes made */
    bool was_full;                 /* there may be more without any input */
    int outcome;                   /* MW_CODING_NEED_DATA: it goes on */
};

struct mw_coding {
    const struct mw_alloc *alloc; /* lent; NULL: malloc */
    struct mw_slice in;           /* lent */
    bool eof;
    size_t count;
    struct link links[MW_CODING_CHAIN];
};

void *
mw_coding_alloc(void *alloc, size_t size)
{
    return mw_alloc_new(alloc, size);
}

void *
mw_coding_zlib_alloc(void *alloc, unsigned count, unsigned size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    return mw_alloc_new(alloc, (size_t)count * size);
}

void
mw_coding_dealloc(void *alloc, void *block)
{
    (void)alloc;
    mw_alloc_free(block);
}

void
mw_coding_advance(struct mw_slice *in, size_t used)
{
    assert(used <= in->len);
    if (used > 0)
        *in = (struct mw_slice){in->data + used, in->len - used};
}

void
mw_coding_made(struct mw_coding_io *io, size_t made)
{
    assert(made <= io->left);
    io->room += made;
    io->left -= made;
}

void
mw_coding_free(struct mw_coding *coding)
{
    if (coding == NULL)
        return;
    for (size_t i = 0; i < coding->count; i++) {
        struct link *link = &coding->links[i];

        if (link->stage != NULL)
            link->stage->free(link->stage);
        mw_alloc_free(link->window);
    }
    mw_alloc_free(coding);
}

static struct mw_coding *
new_chain(const struct mw_alloc *alloc, size_t count)
{
    struct mw_coding *coding = mw_alloc_zeroed(alloc, sizeof(*coding));

    assert(count >= 1 && count <= MW_CODING_CHAIN);
    if (coding == NULL)
        return NULL;
    coding->alloc = alloc;
    coding->in.data = "";
    coding->count = count;
    return coding;
}

struct mw_coding *
mw_coding_new_decoder(const struct mw_alloc *alloc,
    const enum mw_coding_kind *kinds, size_t count)
{
    struct mw_coding *coding = new_chain(alloc, count);

    if (coding == NULL)
        return NULL;
    for (size_t i = 0; i < count;
         i++) { /* the last one put on comes off first */
        coding->links[i].stage = mw_decoder_new(alloc, kinds[count - 1 - i]);
        if (coding->links[i].stage == NULL)
            goto fail;
    }
    return coding;

fail:
    mw_coding_free(coding);
    return NULL;
}

struct mw_coding *
mw_coding_new_encoder(const struct mw_alloc *alloc, enum mw_coding_kind kind)
{
    struct mw_coding *coding = new_chain(alloc, 1);

    if (coding == NULL)
        return NULL;
    coding->links[0].stage = mw_encoder_new(alloc, kind);
    if (coding->links[0].stage != NULL)
        return coding;
    mw_coding_free(coding);
    return NULL;
}

void
mw_coding_feed(struct mw_coding *coding, const char *data, size_t len)
{
    assert(coding->in.len == 0 && !coding->eof);
    coding->in = (struct mw_slice){data, len};
}

void
mw_coding_feed_eof(struct mw_coding *coding)
{
    coding->eof = true;
}

/* What an inner coding makes costs time that no reader has asked for. */
static bool
is_bomb(const struct link *link)
{
    return link->out > MW_CODING_RATIO_FROM &&
           link->out / MW_CODING_RATIO > link->in;
}

/* Runs the stage of a link once over its input. */
static void
run(struct mw_coding *coding, struct link *link, struct mw_coding_io *io)
{
    size_t len = io->in.len;

    if (link->window == NULL) {
        link->window = mw_alloc_new(coding->alloc, MW_CODING_WINDOW);
        if (link->window == NULL) {
            link->outcome = MW_ENOMEM;
            return;
        }
    }
    io->room = link->window;
    io->left = MW_CODING_WINDOW;
    link->outcome = link->stage->run(link->stage, io);
    link->from = 0;
    link->len = MW_CODING_WINDOW - io->left;
    link->was_full = io->left == 0;
    link->in += len - io->in.len;
    link->out += link->len;
}

/* What there is for a reader of a link: its bytes come before its end. */
static int
state_of(const struct link *link)
{
    return link->len > 0 ? MW_CODING_DATA : link->outcome;
}

/* Makes bytes in the first link's window. */
static int
fill_first(struct mw_coding *coding)
{
    struct link *link = &coding->links[0];

    while (state_of(link) == MW_CODING_NEED_DATA) {
        struct mw_coding_io io = {coding->in, coding->eof, NULL, 0};

        if (io.in.len == 0 && !io.last && !link->was_full)
            return MW_CODING_NEED_DATA;
        run(coding, link, &io);
        coding->in = io.in;
    }
    return state_of(link);
}

/* The same in the second one's. */
static int
fill_second(struct mw_coding *coding)
{
    struct link *before = &coding->links[0];
    struct link *link = &coding->links[1];

    while (state_of(link) == MW_CODING_NEED_DATA) {
        int event = fill_first(coding);
        struct mw_coding_io io = {{"", 0}, event == MW_CODING_END, NULL, 0};

        if (event < 0)
            return link->outcome = event;
        if (event == MW_CODING_NEED_DATA && !link->was_full)
            return event;
        if (is_bomb(before))
            return link->outcome = MW_ECODING_LIMIT;
        if (before->len > 0)
            io.in =
                (struct mw_slice){before->window + before->from, before->len};
        run(coding, link, &io);
        before->from += before->len - io.in.len;
        before->len = io.in.len;
    }
    return state_of(link);
}

int
mw_coding_next(struct mw_coding *coding)
{
    int event = coding->count == 1 ? fill_first(coding) : fill_second(coding);

    if (event == MW_CODING_END)
        coding->in.len = 0; /* what is left belongs to nothing */
    return event;
}

struct mw_slice
mw_coding_take(struct mw_coding *coding, size_t max)
{
    struct link *link = &coding->links[coding->count - 1];
    struct mw_slice bytes = {link->window + link->from, link->len};

    if (bytes.len > max)
        bytes.len = max;
    link->from += bytes.len;
    link->len -= bytes.len;
    return bytes;
}

void
mw_coding_bytes(const struct mw_coding *coding, uint64_t *in, uint64_t *out)
{
    *in = coding->links[0].in;
    *out = coding->links[coding->count - 1].out;
}
