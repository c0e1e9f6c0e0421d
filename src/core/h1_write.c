/* h1_write.c - heads, body pieces and ends -> bytes to send, checked before
 * they are written.  Body bytes are lent, never copied; nothing is sent here.
 */
#include "core/h1_internal.h"

#include <assert.h>
#include <string.h>

#include "core/err.h"

/* What ends a chunk, and what ends the last one. */
static const char crlf_last_chunk[] = "\r\n0\r\n\r\n";

/* Sets what the head promised; a message without a body is complete with it. */
static void
begin_message(struct mw_h1 *h1, enum mw_h1_framing framing, uint64_t length)
{
    bool empty =
        framing == MW_H1_NONE || (framing == MW_H1_LENGTH && length == 0);

    h1->tx_framing = framing;
    h1->tx_left = length;
    h1->tx_implied = empty;
    h1->tx = empty ? TX_DONE : TX_BODY;
}

int
mw_h1_send_request(struct mw_h1 *h1, const struct mw_h1_request *request)
{
    if (h1->role != MW_H1_CLIENT || h1->rx != RX_IDLE || h1->tx != TX_IDLE ||
        mw_h1_reusable(h1) != MW_H1_REUSABLE)
        return MW_ESTATE;
    h1->out[SLOT_HEAD] = (struct mw_slice){request->bytes, request->len};
    h1->is_head = request->is_head;
    h1->is_connect = request->is_connect;
    h1->tx_close = request->close;
    h1->offered = request->upgrade;
    h1->blanks = 0;
    h1->earlier = h1->counts;
    h1->rx = RX_START;
    begin_message(h1, request->framing, request->length);
    return MW_OK;
}

int
mw_h1_send_response(
    struct mw_h1 *h1, const struct mw_h1_response_parts *parts, ptrdiff_t *at)
{
    struct mw_h1_plan plan = mw_h1_response_plan(h1, parts);
    int err = mw_h1_response_check(h1, parts, at);
    char *room;
    char *end;
    size_t len;

    if (err != MW_OK)
        return err;
    if (parts->status < 200 && h1->minor == 0)
        return MW_OK; /* an HTTP/1.0 client would take it for the answer */
    err = mw_buf_reserve(&h1->head, mw_h1_response_size(parts));
    if (err != MW_OK)
        return err;
    room = mw_buf_room_borrow(&h1->head, &len);
    end = mw_h1_response_write(parts, &plan, room);
    mw_buf_commit(&h1->head, (size_t)(end - room));
    h1->out[SLOT_HEAD] =
        (struct mw_slice){mw_buf_borrow(&h1->head), mw_buf_len(&h1->head)};
    if (parts->status < 200)
        return MW_OK;
    h1->tx_close = plan.close;
    h1->tx_drop = plan.drop;
    begin_message(h1, plan.framing, parts->length);
    if (h1->is_connect && parts->status < 300)
        h1->rx = RX_UPGRADING;
    return MW_OK;
}

static void
write_size_line(struct mw_h1 *h1, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    char *end = h1->size_line + sizeof(h1->size_line);
    char *to = end;

    *--to = '\n';
    *--to = '\r';
    for (; len > 0; len >>= 4)
        *--to = hex[len & 15];
    h1->out[SLOT_SIZE] = (struct mw_slice){to, (size_t)(end - to)};
}

static bool
body_is_queued(const struct mw_h1 *h1)
{
    return h1->out[SLOT_SIZE].len > 0 || h1->out[SLOT_BODY].len > 0 ||
           h1->out[SLOT_TAIL].len > 0;
}

int
mw_h1_queue_body(struct mw_h1 *h1, const char *data, size_t len)
{
    if (h1->tx == TX_DONE && h1->tx_implied && len > 0)
        return h1->tx_framing == MW_H1_NONE ? MW_EBODY_NONE : MW_EBODY_LONG;
    if (h1->tx == TX_DONE && h1->tx_implied)
        return MW_OK;
    if (h1->tx != TX_BODY || body_is_queued(h1))
        return MW_ESTATE;
    if (len == 0)
        return MW_OK; /* as a chunk it would end the body */
    if (h1->tx_framing == MW_H1_LENGTH) {
        if (len > h1->tx_left)
            return MW_EBODY_LONG;
        h1->tx_left -= len;
    }
    if (h1->tx_drop)
        return MW_OK;
    h1->out[SLOT_BODY] = (struct mw_slice){data, len};
    if (h1->tx_framing == MW_H1_CHUNKED) {
        write_size_line(h1, len);
        h1->out[SLOT_TAIL] = (struct mw_slice){crlf_last_chunk, 2};
    }
    return MW_OK;
}

int
mw_h1_send_body(struct mw_h1 *h1, const char *data, size_t len)
{
    return mw_h1_queue_body(h1, data, len);
}

static int
check_trailers(const struct mw_h1 *h1, const struct mw_headers *trailers)
{
    size_t at;

    if (h1->tx_framing != MW_H1_CHUNKED)
        return MW_EINVAL;
    for (size_t i = 0; i < trailers->count; i++) {
        if (mw_h1_is_banned_trailer(mw_headers_name(trailers, i)))
            return MW_EOWNED;
    }
    return mw_headers_check(trailers, &at);
}

/* The CRLF of the piece before may be on its way, or half of it. */
static int
end_chunked(struct mw_h1 *h1, const struct mw_headers *trailers)
{
    struct mw_slice *tail = &h1->out[SLOT_TAIL];
    size_t skip = 2 - tail->len;
    size_t size;
    char *room;
    char *to;
    size_t len;

    if (trailers == NULL || trailers->count == 0) {
        *tail = (struct mw_slice){
            crlf_last_chunk + skip, sizeof(crlf_last_chunk) - 1 - skip};
        return MW_OK;
    }
    size = mw_headers_wire_size(trailers) + sizeof(crlf_last_chunk);
    if (mw_buf_reserve(&h1->tail, size) != MW_OK)
        return MW_ENOMEM;
    room = mw_buf_room_borrow(&h1->tail, &len);
    memcpy(room, "\r\n0\r\n", 5);
    to = mw_headers_wire_write(trailers, room + 5);
    *to++ = '\r';
    *to++ = '\n';
    *tail = (struct mw_slice){room + skip, (size_t)(to - room) - skip};
    return MW_OK;
}

int
mw_h1_send_end(struct mw_h1 *h1, const struct mw_headers *trailers)
{
    int err = MW_OK;

    if (h1->tx == TX_DONE && h1->tx_implied) {
        h1->tx_implied = false;
        return trailers == NULL || trailers->count == 0 ? MW_OK : MW_EINVAL;
    }
    if (h1->tx != TX_BODY)
        return MW_ESTATE;
    if (trailers != NULL && trailers->count > 0)
        err = check_trailers(h1, trailers);
    if (err != MW_OK)
        return err;
    if (h1->tx_framing == MW_H1_LENGTH && h1->tx_left > 0 && !h1->tx_drop)
        return MW_EBODY_SHORT;
    if (h1->tx_framing == MW_H1_CHUNKED && !h1->tx_drop)
        err = end_chunked(h1, trailers);
    if (err == MW_OK)
        h1->tx = TX_DONE;
    return err;
}

static void
drop_output(struct mw_h1 *h1)
{
    memset(h1->out, 0, sizeof(h1->out));
    mw_buf_clear(&h1->head);
}

void
mw_h1_send_abort(struct mw_h1 *h1)
{
    h1->tx = TX_ABORTED;
    drop_output(h1);
}

int
mw_h1_output_borrow(
    const struct mw_h1 *h1, struct mw_slice slices[MW_H1_SLICES])
{
    int count = 0;

    for (int i = 0; i < MW_H1_SLICES; i++) {
        if (h1->out[i].len == 0)
            continue;
        if (h1->out[i].data == NULL)
            break; /* it goes past us: mw_h1_output_past() */
        slices[count++] = h1->out[i];
    }
    return count;
}

void
mw_h1_output_sent(struct mw_h1 *h1, size_t len)
{
    h1->counts.bytes_out += len;
    for (int i = 0; i < MW_H1_SLICES && len > 0; i++) {
        struct mw_slice *slice = &h1->out[i];
        size_t n = slice->len < len ? slice->len : len;

        if (n == 0)
            continue;
        if (slice->data != NULL) /* else it goes past us */
            slice->data += n;
        if (i == SLOT_BODY)
            h1->counts.body_out += n;
        slice->len -= n;
        len -= n;
        if (i == SLOT_HEAD && h1->role == MW_H1_SERVER)
            mw_buf_consume(&h1->head, n);
    }
    assert(len == 0); /* the caller can't send what it was not given */
}

bool
mw_h1_has_output(const struct mw_h1 *h1)
{
    return h1->out[SLOT_HEAD].len > 0 || body_is_queued(h1);
}
