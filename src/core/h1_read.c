/* h1_read.c - received bytes -> events, one step for each phase.  Where a
 * message begins and ends is decided here and in h1_head.c, never by llhttp. */
#include "core/h1_internal.h"

#include <assert.h>

#include "core/err.h"

/* Nothing left to read: the caller shall bring more, unless EOF came. */
static int
starve(struct mw_h1 *h1)
{
    bool untouched = h1->rx == RX_IDLE || h1->rx == RX_DONE ||
                     (h1->rx == RX_START && h1->head_bytes == 0);

    if (!h1->eof)
        return MW_H1_NEED_DATA;
    if (untouched)
        return mw_h1_fail(h1, MW_EOF, "before any byte of a message");
    if (h1->rx == RX_LENGTH)
        return mw_h1_fail(h1, MW_EH1_TRUNCATED,
            "%llu bytes of the body are missing",
            (unsigned long long)h1->body_left);
    return mw_h1_fail(h1, MW_EH1_TRUNCATED, "%s",
        h1->rx == RX_START || h1->rx == RX_HEAD
            ? "in the head"
            : "the last chunk did not come");
}

/* Steps over empty lines (RFC 9112 section 2.2): whole CRLFs only.  Returns
 * how many bytes. */
static size_t
skip_empty_lines(struct mw_h1 *h1)
{
    const char *from = h1->in;

    while (h1->in < h1->in_end && *h1->in == (h1->blank_cr ? '\n' : '\r')) {
        h1->blank_cr = !h1->blank_cr;
        h1->in++;
    }
    return (size_t)(h1->in - from);
}

static int
read_idle(struct mw_h1 *h1)
{
    h1->blanks += skip_empty_lines(h1);
    if (h1->in < h1->in_end || h1->blanks > IDLE_BLANKS)
        return mw_h1_fail(h1, MW_EH1_UNSOLICITED, "%s",
            h1->rx == RX_IDLE ? "no request is out"
                              : "they follow a complete response");
    return starve(h1);
}

static int
read_start(struct mw_h1 *h1)
{
    int event = mw_h1_head_again(h1);

    if (event != MW_H1_GO_ON)
        return event;
    h1->head_bytes += skip_empty_lines(h1);
    if (h1->head_bytes > h1->limits.head_bytes)
        return mw_h1_fail(h1, MW_EH1_HEAD_BYTES, "more than %zu bytes",
            h1->limits.head_bytes);
    if (h1->in == h1->in_end)
        return starve(h1);
    if (h1->blank_cr || *h1->in == '\n')
        return mw_h1_fail(h1, MW_EH1_SYNTAX, "CR or LF alone");
    h1->has_head = false;
    h1->known = 0;
    llhttp_reset(&h1->parser);
    mw_h1_parse_fields(h1, &h1->headers);
    h1->rx = RX_HEAD;
    return MW_H1_GO_ON;
}

/* Lets llhttp read up to `len` bytes of fields. */
/* Reads on in the head or the trailers, which have `bytes` of `limit` so far,
 * and says whether that was all of them; an error or an event otherwise. */
static int
read_fields(
    struct mw_h1 *h1, size_t *bytes, size_t limit, int too_many, bool *whole)
{
    size_t left = limit - *bytes;
    size_t len = (size_t)(h1->in_end - h1->in);
    int stopped;
    size_t used;

    *whole = false;
    if (len == 0)
        return starve(h1);
    if (left == 0)
        return mw_h1_fail(h1, too_many, "more than %zu bytes", limit);
    if (len > left)
        len = left;
    stopped = (h1->compat & MW_H1_OBS_FOLD) != 0
                  ? mw_h1_parse_folded(h1, h1->in, len, &used)
                  : mw_h1_parse_kept(h1, h1->in, len, &used);
    h1->in += used;
    if (stopped < 0)
        return stopped;
    *bytes += used;
    *whole = stopped != 0;
    return MW_H1_GO_ON;
}

static int
read_head(struct mw_h1 *h1)
{
    bool whole;
    int event = read_fields(
        h1, &h1->head_bytes, h1->limits.head_bytes, MW_EH1_HEAD_BYTES, &whole);

    return whole ? mw_h1_head_finish(h1) : event;
}

static int
give_body(struct mw_h1 *h1, const char *data, size_t len)
{
    h1->body = (struct mw_slice){data, len};
    h1->counts.body_in += len;
    return MW_H1_BODY;
}

/* Bodies that are not chunked need no parser. */
static int
read_plain(struct mw_h1 *h1, size_t max)
{
    size_t len = (size_t)(h1->in_end - h1->in);
    const char *data = h1->in;

    if (h1->rx == RX_LENGTH && h1->body_left == 0) {
        h1->rx = RX_ENDING;
        return MW_H1_GO_ON;
    }
    if (len == 0 && h1->rx == RX_CLOSE && h1->eof) {
        h1->rx = RX_ENDING;
        return MW_H1_GO_ON;
    }
    if (len == 0)
        return starve(h1);
    if (len > max)
        len = max;
    if (h1->rx == RX_LENGTH) {
        if (len > h1->body_left)
            len = (size_t)h1->body_left;
        h1->body_left -= len;
    }
    h1->in += len;
    return give_body(h1, data, len);
}

static int
give_piece(struct mw_h1 *h1, size_t max)
{
    const char *data = h1->piece.data;
    size_t len = h1->piece.len < max ? h1->piece.len : max;

    h1->piece.data += len;
    h1->piece.len -= len;
    return give_body(h1, data, len);
}

/* Chunk framing before a piece of body is counted before that piece is: the
 * verdict then doesn't depend on how the bytes were cut. */
static int
count_chunk(struct mw_h1 *h1, size_t used)
{
    h1->overhead += used - h1->piece.len;
    if (h1->overhead > h1->limits.chunk_overhead &&
        h1->overhead > h1->body_in / 2)
        return mw_h1_fail(h1, MW_EH1_CHUNK_OVERHEAD,
            "%llu bytes of framing for %llu of body",
            (unsigned long long)h1->overhead, (unsigned long long)h1->body_in);
    h1->body_in += h1->piece.len;
    return MW_OK;
}

static int
read_chunked(struct mw_h1 *h1, size_t max)
{
    size_t used;
    int stopped;
    int err;

    if (h1->piece.len > 0)
        return give_piece(h1, max);
    if (h1->in == h1->in_end)
        return starve(h1);
    h1->last_chunk = false;
    stopped = mw_h1_parse(h1, h1->in, (size_t)(h1->in_end - h1->in), &used);
    h1->in += used;
    err = count_chunk(h1, used); /* too much is too much, whatever follows it */
    if (err != MW_OK || stopped < 0)
        return err != MW_OK ? err : stopped;
    if (h1->last_chunk) {
        mw_h1_parse_fields(h1, &h1->trailers);
        h1->rx = RX_TRAILER;
    }
    return MW_H1_GO_ON;
}

static int
read_trailer(struct mw_h1 *h1)
{
    bool whole;
    int event = read_fields(h1, &h1->trailer_bytes, h1->limits.trailer_bytes,
        MW_EH1_TRAILER, &whole);

    if (whole) {
        mw_h1_trailers_finish(h1);
        h1->rx = RX_ENDING;
    }
    return event;
}

static int
give_end(struct mw_h1 *h1)
{
    h1->rx = RX_DONE;
    if (h1->in == h1->in_end)
        mw_h1_release_room(h1);
    return MW_H1_END;
}

static int
step(struct mw_h1 *h1, size_t max)
{
    switch (h1->rx) {
    case RX_IDLE:
        return read_idle(h1);
    case RX_START:
        return read_start(h1);
    case RX_HEAD:
        return read_head(h1);
    case RX_LENGTH:
    case RX_CLOSE:
        return read_plain(h1, max);
    case RX_CHUNKED:
        return read_chunked(h1, max);
    case RX_TRAILER:
        return read_trailer(h1);
    case RX_ENDING:
        return give_end(h1);
    case RX_DONE: /* further requests stay in line, responses have no place */
        return h1->role == MW_H1_SERVER ? MW_H1_END : read_idle(h1);
    case RX_UPGRADING:
    case RX_UPGRADED:
        h1->rx = RX_UPGRADED;
        return MW_H1_UPGRADED;
    }
    return MW_ESTATE;
}

int
mw_h1_next(struct mw_h1 *h1, size_t max)
{
    int event = h1->error;

    assert(max > 0);
    if (event != MW_OK)
        return event;
    do
        event = step(h1, max);
    while (event == MW_H1_GO_ON);
    if (event < 0)
        mw_h1_release_room(h1); /* nothing will be read any more */
    return event;
}
