/* h1_past.c - body bytes that go past the codec, in and out: it counts them and
 * frames them, and never sees them. */
#include "core/h1_internal.h"

#include <assert.h>

#include "core/err.h"

uint64_t
mw_h1_past(const struct mw_h1 *h1)
{
    if (h1->error != MW_OK || h1->eof || h1->in != h1->in_end ||
        h1->piece.len > 0)
        return 0;
    if (h1->rx == RX_LENGTH)
        return h1->body_left;
    if (h1->rx == RX_CLOSE)
        return UINT64_MAX;
    /* llhttp takes a chunk without a byte left for the last one */
    return h1->rx == RX_CHUNKED && h1->body_left > 0 ? h1->body_left - 1 : 0;
}

void
mw_h1_received_past(struct mw_h1 *h1, size_t len)
{
    assert(len <= mw_h1_past(h1));
    h1->counts.bytes_in += len;
    h1->counts.body_in += len;
    if (h1->rx == RX_CLOSE)
        return;
    h1->body_left -= len;
    if (h1->rx == RX_CHUNKED) {
        h1->body_in += len;
        assert(h1->parser.content_length == h1->body_left + len);
        h1->parser.content_length = h1->body_left;
    }
}

int
mw_h1_send_past(struct mw_h1 *h1, size_t len)
{
    return mw_h1_queue_body(h1, NULL, len);
}

size_t
mw_h1_output_past(const struct mw_h1 *h1)
{
    const struct mw_slice *body = &h1->out[SLOT_BODY];
    bool is_next = h1->out[SLOT_HEAD].len == 0 && h1->out[SLOT_SIZE].len == 0;

    return is_next && body->data == NULL ? body->len : 0;
}
