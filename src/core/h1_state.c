/* h1_state.c - the codec's life: made, lent bytes, asked whether it may carry
 * another exchange, readied for it, freed.  It parses and writes nothing. */
#include "core/h1_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/err.h"

enum {
    SMALLEST_ROOM = 16 * 1024,
    LARGEST_ROOM = 512 * 1024,
    KEPT_BLOCK = 8 * 1024 /* a head's memory kept for the next exchange */
};

static const struct mw_h1_limits default_limits = {
    .head_bytes = 64 * 1024,
    .header_count = 256,
    .chunk_overhead = 16 * 1024,
    .trailer_bytes = 16 * 1024,
    .trailer_count = 64,
    .informational = 32,
};

/* Offsets into a head are 32 bits wide. */
static size_t
pick_limit(size_t wanted, size_t otherwise)
{
    const size_t largest = (size_t)1 << 28;

    if (wanted == 0)
        return otherwise;
    return wanted < largest ? wanted : largest;
}

static struct mw_h1_limits
pick_limits(const struct mw_h1_limits *from)
{
    const struct mw_h1_limits *def = &default_limits;

    if (from == NULL)
        return *def;
    return (struct mw_h1_limits){
        .head_bytes = pick_limit(from->head_bytes, def->head_bytes),
        .header_count = pick_limit(from->header_count, def->header_count),
        .chunk_overhead = pick_limit(from->chunk_overhead, def->chunk_overhead),
        .trailer_bytes = pick_limit(from->trailer_bytes, def->trailer_bytes),
        .trailer_count = pick_limit(from->trailer_count, def->trailer_count),
        .informational = pick_limit(from->informational, def->informational),
    };
}

struct mw_h1 *
mw_h1_new(
    enum mw_h1_role role, const struct mw_h1_limits *limits, unsigned compat)
{
    return mw_h1_new_with(NULL, role, limits, compat);
}

struct mw_h1 *
mw_h1_new_with(const struct mw_alloc *alloc, enum mw_h1_role role,
    const struct mw_h1_limits *limits, unsigned compat)
{
    struct mw_h1 *h1 = mw_alloc_zeroed(alloc, sizeof(*h1));

    if (h1 == NULL)
        return NULL;
    h1->alloc = alloc;
    h1->headers.alloc = h1->trailers.alloc = alloc;
    h1->head.alloc = h1->tail.alloc = alloc;
    h1->role = role;
    h1->compat = compat;
    h1->limits = pick_limits(limits);
    h1->in = h1->in_end = "";
    h1->room_next = SMALLEST_ROOM;
    h1->rx = role == MW_H1_CLIENT ? RX_IDLE : RX_START;
    h1->facts.ka_timeout = h1->facts.ka_max = -1;
    mw_h1_parse_init(h1);
    return h1;
}

void
mw_h1_free(struct mw_h1 *h1)
{
    if (h1 == NULL)
        return;
    mw_headers_deinit(&h1->headers);
    mw_headers_deinit(&h1->trailers);
    mw_buf_deinit(&h1->head);
    mw_buf_deinit(&h1->tail);
    mw_alloc_free(h1->room);
    mw_alloc_free(h1);
}

int
mw_h1_fail(struct mw_h1 *h1, int code, const char *format, ...)
{
    va_list args;

    h1->error = code;
    va_start(args, format);
    vsnprintf(h1->detail, sizeof(h1->detail), format, args);
    va_end(args);
    for (char *c = h1->detail; *c != '\0'; c++) { /* a peer's bytes may be in */
        if (*c < ' ' || *c == 0x7f)
            *c = '?';
    }
    return code;
}

const char *
mw_h1_error_detail(const struct mw_h1 *h1)
{
    return h1->detail;
}

/* A chunk may be read and not yet given out. */
static bool
has_unread(const struct mw_h1 *h1)
{
    return h1->in != h1->in_end || h1->piece.len > 0;
}

int
mw_h1_feed(struct mw_h1 *h1, const char *data, size_t len)
{
    if (has_unread(h1) || h1->eof)
        return MW_ESTATE;
    if (len == 0)
        return MW_OK;
    h1->in = data;
    h1->in_end = data + len;
    h1->counts.bytes_in += len;
    return MW_OK;
}

void
mw_h1_lose_input(struct mw_h1 *h1)
{
    h1->in = h1->in_end = "";
    h1->piece = (struct mw_slice){0};
    mw_h1_fail(h1, MW_ENOMEM, "the bytes received");
}

void
mw_h1_own_input(struct mw_h1 *h1)
{
    size_t len = (size_t)(h1->in_end - h1->in);
    char *room;

    if (h1->error != MW_OK) /* a chunk that nobody is given may be there */
        h1->piece = (struct mw_slice){0};
    assert(h1->piece.len == 0);
    if (len == 0) {
        h1->in = h1->in_end = "";
        return;
    }
    room = mw_alloc_new(h1->alloc, len);
    if (room == NULL) {
        mw_h1_lose_input(h1);
        return;
    }
    memcpy(room, h1->in, len);
    mw_alloc_free(h1->room); /* of bytes that are read */
    h1->room = room;
    h1->room_size = len;
    h1->in = room;
    h1->in_end = room + len;
}

void
mw_h1_feed_eof(struct mw_h1 *h1)
{
    h1->eof = true;
}

void
mw_h1_release_room(struct mw_h1 *h1)
{
    mw_alloc_free(h1->room);
    h1->room = NULL;
    h1->room_size = 0;
    h1->in = h1->in_end = "";
}

int
mw_h1_reserve(struct mw_h1 *h1, char **room, size_t *len)
{
    if (has_unread(h1) || h1->eof)
        return MW_ESTATE;
    if (h1->room_size != h1->room_next) {
        mw_h1_release_room(h1);
        h1->room = mw_alloc_new(h1->alloc, h1->room_next);
        if (h1->room == NULL)
            return MW_ENOMEM;
        h1->room_size = h1->room_next;
    }
    *room = h1->room;
    *len = h1->room_size;
    return MW_OK;
}

/* A read that filled the room doubles the next one; two small ones in a row
 * halve it. */
static void
adapt_room(struct mw_h1 *h1, size_t len)
{
    h1->small_reads = len < h1->room_size / 4 ? h1->small_reads + 1 : 0;
    if (len == h1->room_size && h1->room_size < LARGEST_ROOM) {
        h1->room_next = h1->room_size * 2;
    } else if (h1->small_reads >= 2 && h1->room_size > SMALLEST_ROOM) {
        h1->room_next = h1->room_size / 2;
        h1->small_reads = 0;
    }
}

void
mw_h1_commit(struct mw_h1 *h1, size_t len)
{
    assert(len <= h1->room_size);
    if (len == 0) {
        mw_h1_release_room(h1);
        return;
    }
    adapt_room(h1, len);
    h1->in = h1->room;
    h1->in_end = h1->room + len;
    h1->counts.bytes_in += len;
}

struct mw_slice
mw_h1_body_borrow(const struct mw_h1 *h1)
{
    return h1->body;
}

struct mw_h1_head
mw_h1_head_borrow(const struct mw_h1 *h1)
{
    struct mw_h1_head head = {0};

    if (!h1->has_head)
        return head;
    head.minor = h1->minor;
    head.headers = &h1->headers;
    if (h1->role == MW_H1_CLIENT) {
        head.status = h1->status;
        head.reason = h1->start_words[0];
    } else {
        head.method = h1->start_words[0];
        head.target = h1->start_words[1];
    }
    return head;
}

bool
mw_h1_head_is_known(const struct mw_h1 *h1)
{
    return h1->has_head && h1->is_known;
}

const struct mw_headers *
mw_h1_trailers_borrow(const struct mw_h1 *h1)
{
    bool whole = h1->rx == RX_ENDING || h1->rx == RX_DONE;

    return whole && h1->trailers.count > 0 ? &h1->trailers : NULL;
}

struct mw_slice
mw_h1_leftover_borrow(const struct mw_h1 *h1)
{
    return (struct mw_slice){h1->in, (size_t)(h1->in_end - h1->in)};
}

enum mw_h1_framing
mw_h1_framing(const struct mw_h1 *h1, uint64_t *length)
{
    *length = h1->rx_framing == MW_H1_LENGTH ? h1->facts.length : 0;
    return h1->rx_framing;
}

void
mw_h1_keep_alive(const struct mw_h1 *h1, int64_t *timeout, int64_t *max)
{
    *timeout = h1->facts.ka_timeout;
    *max = h1->facts.ka_max;
}

/* The bytes behind a response may be a few empty lines and nothing else. */
static bool
leftover_is_blank(const struct mw_h1 *h1)
{
    bool cr = h1->blank_cr;

    if (h1->blanks + (size_t)(h1->in_end - h1->in) > IDLE_BLANKS)
        return false;
    for (const char *p = h1->in; p < h1->in_end; p++, cr = !cr) {
        if (*p != (cr ? '\n' : '\r'))
            return false;
    }
    return true;
}

static enum mw_h1_reuse
after_error(int code)
{
    if (code == MW_EOF)
        return MW_H1_AT_EOF;
    return code == MW_EH1_UNSOLICITED ? MW_H1_UNSOLICITED : MW_H1_BROKEN;
}

/* What the two complete messages said. */
static enum mw_h1_reuse
after_exchange(const struct mw_h1 *h1)
{
    if (h1->tx_close || h1->facts.close)
        return MW_H1_CLOSE_HEADER;
    if (h1->rx_framing == MW_H1_CLOSE || h1->tx_framing == MW_H1_CLOSE)
        return MW_H1_NOT_SELF_DELIMITED;
    if (h1->minor == 0 && !h1->facts.keep_alive)
        return MW_H1_HTTP_1_0;
    return MW_H1_REUSABLE;
}

enum mw_h1_reuse
mw_h1_reusable(const struct mw_h1 *h1)
{
    bool client = h1->role == MW_H1_CLIENT;
    bool begun = h1->rx == RX_IDLE || h1->rx == RX_START || h1->rx == RX_HEAD;
    bool unused = h1->tx == TX_IDLE && h1->head_bytes == 0 &&
                  h1->rx == (client ? RX_IDLE : RX_START);
    enum mw_h1_reuse reuse = MW_H1_REUSABLE;

    if (h1->error != MW_OK)
        return after_error(h1->error);
    if (h1->rx == RX_UPGRADING || h1->rx == RX_UPGRADED)
        return MW_H1_WAS_UPGRADED;
    if (!unused) {
        if (h1->tx != TX_DONE || mw_h1_has_output(h1) || begun)
            return MW_H1_INCOMPLETE;
        if (h1->rx == RX_CLOSE)
            return MW_H1_NOT_SELF_DELIMITED;
        if (h1->rx != RX_DONE)
            return MW_H1_UNREAD_BODY;
        reuse = after_exchange(h1);
    }
    if (reuse == MW_H1_REUSABLE && client && !leftover_is_blank(h1))
        return MW_H1_UNSOLICITED;
    if (reuse == MW_H1_REUSABLE && h1->eof && (client || h1->in == h1->in_end))
        return MW_H1_AT_EOF;
    return reuse;
}

const char *
mw_h1_reuse_name(enum mw_h1_reuse reuse)
{
    switch (reuse) {
    case MW_H1_REUSABLE:
        return "reusable";
    case MW_H1_CLOSE_HEADER:
        return "close_header";
    case MW_H1_UNREAD_BODY:
        return "unread_body";
    case MW_H1_UNSOLICITED:
        return "unsolicited";
    case MW_H1_NOT_SELF_DELIMITED:
        return "not_self_delimited";
    case MW_H1_INCOMPLETE:
        return "incomplete";
    case MW_H1_WAS_UPGRADED:
        return "upgraded";
    case MW_H1_BROKEN:
        return "error";
    case MW_H1_AT_EOF:
        return "eof";
    case MW_H1_HTTP_1_0:
        return "http_1_0";
    }
    return "error";
}

static void
clear_headers(struct mw_headers *h)
{
    if (h->block_size > KEPT_BLOCK)
        mw_headers_deinit(h);
    else
        mw_headers_clear(h);
}

/* Of a reusable codec. */
static int
restart(struct mw_h1 *h1)
{
    bool client = h1->role == MW_H1_CLIENT;

    if (client && h1->in != h1->in_end && mw_h1_next(h1, 1) < 0)
        return h1->error; /* only empty lines: can't happen */
    if (h1->in == h1->in_end)
        mw_h1_release_room(h1);
    if (h1->headers.block_size <= KEPT_BLOCK)
        mw_h1_head_remember(h1);
    else
        h1->known = 0;
    h1->has_head = h1->is_known = false;
    if (h1->known == 0)
        clear_headers(&h1->headers);
    clear_headers(&h1->trailers);
    mw_buf_deinit(&h1->tail);
    h1->rx = client ? RX_IDLE : RX_START;
    h1->tx = TX_IDLE;
    h1->tx_framing = h1->rx_framing = MW_H1_NONE;
    h1->tx_close = h1->tx_drop = h1->tx_implied = false;
    h1->is_head = h1->is_connect = false;
    h1->offered = (struct mw_slice){0};
    h1->head_bytes = h1->trailer_bytes = h1->informational = 0;
    h1->overhead = h1->body_in = h1->body_left = 0;
    h1->body = (struct mw_slice){0};
    h1->facts = (struct head_facts){.ka_timeout = -1, .ka_max = -1};
    return MW_OK;
}

int
mw_h1_restart(struct mw_h1 *h1)
{
    return mw_h1_reusable(h1) == MW_H1_REUSABLE ? restart(h1) : MW_ESTATE;
}

enum mw_h1_reuse
mw_h1_finish(struct mw_h1 *h1)
{
    enum mw_h1_reuse reuse = mw_h1_reusable(h1);

    if (reuse == MW_H1_REUSABLE && restart(h1) != MW_OK)
        return MW_H1_BROKEN;
    return reuse;
}

bool
mw_h1_is_sent(const struct mw_h1 *h1)
{
    return h1->tx == TX_DONE && !mw_h1_has_output(h1);
}

bool
mw_h1_is_received(const struct mw_h1 *h1)
{
    return h1->rx == RX_DONE || h1->rx == RX_UPGRADED;
}

int
mw_h1_move(struct mw_h1 *h1)
{
    if (h1->rx != RX_IDLE || h1->tx != TX_IDLE || h1->error != MW_OK ||
        h1->eof || h1->in != h1->in_end)
        return MW_ESTATE;
    h1->counts = (struct mw_h1_counts){0};
    h1->earlier = h1->counts;
    h1->blanks = 0;
    return MW_OK;
}

struct mw_h1_counts
mw_h1_counts(const struct mw_h1 *h1)
{
    return h1->counts;
}

struct mw_h1_counts
mw_h1_last_counts(const struct mw_h1 *h1)
{
    return (struct mw_h1_counts){
        .bytes_in = h1->counts.bytes_in - h1->earlier.bytes_in,
        .bytes_out = h1->counts.bytes_out - h1->earlier.bytes_out,
        .body_in = h1->counts.body_in - h1->earlier.body_in,
        .body_out = h1->counts.body_out - h1->earlier.body_out,
    };
}

struct mw_h1_counts
mw_h1_exchange_counts(const struct mw_h1 *h1)
{
    if (h1->rx == RX_IDLE)
        return (struct mw_h1_counts){0};
    return mw_h1_last_counts(h1);
}
