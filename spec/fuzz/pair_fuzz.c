/* pair_fuzz.c - client and server codec face to face: what one of them lets
 * out, the other reads as exactly that, or refuses it. */
#include <string.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/h1.h"
#include "fuzz/input.h"

enum {
    PIECES = 4
};

/* What is to be said. */
struct message {
    struct mw_slice method;
    struct mw_slice target;
    struct mw_slice reason;
    int status;
    struct mw_headers headers;
    struct mw_headers trailers;
    enum mw_h1_framing framing;
    struct mw_slice pieces[PIECES];
    uint64_t length;
    bool close;
};

/* One side, and what it has heard. */
struct side {
    struct mw_h1 *h1;
    struct lease lease;
    struct mw_buf body;
    bool has_head;
    bool received;
    int error;
};

static struct mw_slice
text_of(const char *text)
{
    return (struct mw_slice){text, strlen(text)};
}

static bool
is_same(struct mw_slice a, struct mw_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void
take_fields(struct choices *from, struct mw_headers *fields)
{
    static const char *const known[] = {"X-A", "Content-Length", "Connection",
        "Transfer-Encoding", "Keep-Alive", "Trailer", "TE", "host"};
    unsigned count = take_byte(from) % 8;

    for (unsigned i = 0; i < count; i++) {
        unsigned which = take_byte(from);
        struct mw_slice name =
            which < 64 ? text_of(known[which % 8]) : take_text(from, 40);

        (void)mw_headers_add(fields, name, take_text(from, 300));
    }
}

static void
take_body(struct choices *from, struct message *m, bool may_close)
{
    m->framing = (enum mw_h1_framing)(take_byte(from) % (may_close ? 4 : 3));
    m->close = take_byte(from) % 8 == 1;
    if (m->framing == MW_H1_NONE)
        return;
    for (int i = 0; i < PIECES; i++) {
        m->pieces[i] = take_text(from, 600);
        m->length += m->pieces[i].len;
    }
    if (m->framing == MW_H1_CHUNKED)
        take_fields(from, &m->trailers);
}

/* Mostly of the usual form, so that exchanges get beyond the head. */
static void
take_request(struct choices *from, struct message *m)
{
    static const char *const methods[] = {
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"};
    unsigned choice = take_byte(from);

    m->method =
        choice < 240 ? text_of(methods[choice % 8]) : take_text(from, 20);
    m->target = choice % 3 == 0 ? take_text(from, 100) : text_of("/a?b");
    (void)mw_headers_add(&m->headers, text_of("Host"), text_of("h"));
    take_fields(from, &m->headers);
    take_body(from, m, false);
}

static void
take_response(struct choices *from, struct message *m)
{
    static const int statuses[] = {200, 204, 304, 404, 500, 999, 205, 301};

    m->status = statuses[take_byte(from) % 8];
    m->reason = take_text(from, 40);
    take_fields(from, &m->headers);
    take_body(from, m, true);
}

static void
forget_message(struct message *m)
{
    mw_headers_deinit(&m->headers);
    mw_headers_deinit(&m->trailers);
}

/* Takes events; stops when the other side has more to say. */
static void
hear(struct side *to, size_t max)
{
    while (!to->received && to->error == MW_OK) {
        int event = mw_h1_next(to->h1, max);
        struct mw_slice body = mw_h1_body_borrow(to->h1);

        if (event == MW_H1_NEED_DATA)
            return;
        if (event < 0)
            to->error = event;
        else if (event == MW_H1_HEAD)
            to->has_head = true;
        else if (event == MW_H1_END)
            to->received = true;
        else if (event == MW_H1_BODY)
            must(mw_buf_append(&to->body, body.data, body.len) == MW_OK);
        else
            must(event == MW_H1_INFORMATIONAL);
    }
}

/* Carries all that is to be sent over, in pieces; `past` is what the codec was
 * told of but not given. */
static void
carry(
    struct side *from, struct side *to, const char *past, struct cutter *cutter)
{
    while (mw_h1_has_output(from->h1) && to->error == MW_OK) {
        size_t own = mw_h1_output_past(from->h1);
        struct mw_slice slices[MW_H1_SLICES];
        struct mw_slice piece = {past, own};

        must((mw_h1_output_borrow(from->h1, slices) > 0) == (own == 0));
        if (own == 0)
            piece = slices[0];
        piece.len = cutter->cut(cutter, piece.len);
        must(mw_h1_feed(to->h1, lease_bytes(&to->lease, piece), piece.len) ==
             MW_OK);
        mw_h1_output_sent(from->h1, piece.len);
        if (own > 0)
            past += piece.len;
        hear(to, cutter->max);
    }
}

/* Sends the body's pieces and its end; too much and too little is refused. */
static void
send_body(struct side *from, struct side *to, struct message *m,
    struct cutter *cutter)
{
    static const char more[] = "more";
    int err;

    for (int i = 0; i < PIECES; i++) {
        struct mw_slice piece = m->pieces[i];

        if (piece.len == 0)
            continue;
        if (piece.data[0] % 2 == 0)
            err = mw_h1_send_past(from->h1, piece.len);
        else
            err = mw_h1_send_body(from->h1, piece.data, piece.len);
        if (err == MW_EBODY_NONE && m->status != 0)
            break; /* 204 or 304 */
        must(err == MW_OK);
        carry(from, to, piece.data, cutter);
    }
    if (m->framing == MW_H1_LENGTH && m->status != 204 && m->status != 304 &&
        to->error == MW_OK)
        must(mw_h1_send_body(from->h1, more, sizeof(more)) == MW_EBODY_LONG);
    err = mw_h1_send_end(from->h1, &m->trailers);
    if (err == MW_EOWNED || err == MW_EINVAL) {
        mw_headers_clear(&m->trailers);
        err = mw_h1_send_end(from->h1, NULL);
    }
    must(err == MW_OK || err == MW_ESTATE);
    carry(from, to, NULL, cutter);
}

/* What was said stands first in what was heard, in order. */
static void
compare_fields(const struct mw_headers *said, const struct mw_headers *heard)
{
    must(heard != NULL && heard->count >= said->count);
    for (size_t i = 0; i < said->count; i++) {
        must(is_same(mw_headers_name(said, i), mw_headers_name(heard, i)));
        must(is_same(mw_headers_value(said, i), mw_headers_value(heard, i)));
    }
}

static void
compare_body(const struct message *m, const struct side *to, bool empty)
{
    const struct mw_headers *trailers = mw_h1_trailers_borrow(to->h1);
    const char *data =
        mw_buf_len(&to->body) > 0 ? mw_buf_borrow(&to->body) : "";
    uint64_t at = 0;

    if (!empty && m->framing == MW_H1_CHUNKED && m->trailers.count > 0)
        compare_fields(&m->trailers, trailers);
    else
        must(trailers == NULL);
    must(mw_buf_len(&to->body) == (empty ? 0 : m->length));
    for (int i = 0; i < PIECES && !empty; i++) {
        must(is_same(
            (struct mw_slice){data + at, m->pieces[i].len}, m->pieces[i]));
        at += m->pieces[i].len;
    }
}

static void
forget_heard(struct side *side)
{
    mw_buf_clear(&side->body);
    side->has_head = false;
    side->received = false;
}

/* llhttp reads the methods it knows, and targets of the four forms. */
static bool
is_usual(const struct message *m)
{
    static const char *const methods[] = {
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"};

    if (m->target.data[0] != '/')
        return false;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (is_same(m->method, text_of(methods[i])))
            return true;
    }
    return false;
}

/* Returns false when the request was refused, on either side. */
static bool
request(struct side *client, struct side *server, struct message *m,
    struct cutter *cutter)
{
    struct mw_h1_request_parts parts = {m->method, m->target, &m->headers,
        m->framing, m->length, m->close, .trailers = m->close};
    struct mw_h1_request head;
    char memory[8192];
    ptrdiff_t at;

    must(mw_h1_request_size(&parts) <= sizeof(memory));
    if (mw_h1_request_build(&head, &parts, memory, &at) != MW_OK ||
        head.is_connect) /* a tunnel is for the other targets */
        return false;
    must(head.len <= mw_h1_request_size(&parts));
    must(mw_h1_send_request(client->h1, &head) == MW_OK);
    carry(client, server, NULL, cutter);
    if (server->error == MW_OK)
        send_body(client, server, m, cutter);
    if (server->error != MW_OK) {
        must(!is_usual(m));
        return false;
    }
    must(server->received);
    must(mw_h1_is_sent(client->h1));
    must(mw_h1_leftover_borrow(server->h1).len == 0);
    must(is_same(mw_h1_head_borrow(server->h1).method, m->method));
    must(is_same(mw_h1_head_borrow(server->h1).target, m->target));
    compare_fields(&m->headers, mw_h1_head_borrow(server->h1).headers);
    compare_body(m, server, m->framing == MW_H1_NONE);
    return true;
}

static bool
respond(struct side *server, struct side *client, struct message *m,
    bool is_head, struct cutter *cutter)
{
    struct mw_h1_response_parts hint = {.status = 103, .reason = m->reason};
    struct mw_h1_response_parts parts = {
        m->status, m->reason, &m->headers, m->framing, m->length, m->close};
    bool empty = is_head || m->status == 204 || m->status == 304;
    ptrdiff_t at;

    if (mw_h1_send_response(server->h1, &hint, &at) != MW_OK ||
        mw_h1_send_response(server->h1, &parts, &at) != MW_OK)
        return false;
    carry(server, client, NULL, cutter);
    send_body(server, client, m, cutter);
    if (m->framing == MW_H1_CLOSE && !client->received) {
        must(!empty);
        mw_h1_feed_eof(client->h1);
        hear(client, cutter->max);
    }
    must(client->error == MW_OK && client->received);
    must(mw_h1_head_borrow(client->h1).status == m->status);
    must(is_same(mw_h1_head_borrow(client->h1).reason, m->reason));
    compare_fields(&m->headers, mw_h1_head_borrow(client->h1).headers);
    compare_body(m, client, empty);
    return true;
}

/* Returns whether another exchange may follow. */
static bool
exchange(struct side *client, struct side *server, struct choices *from,
    struct cutter *cutter)
{
    struct message asked = {0};
    struct message answered = {0};
    bool done;

    take_request(from, &asked);
    take_response(from, &answered);
    done = request(client, server, &asked, cutter) &&
           respond(server, client, &answered,
               is_same(asked.method, text_of("HEAD")), cutter);
    forget_message(&asked);
    forget_message(&answered);
    if (!done || mw_h1_reusable(client->h1) != MW_H1_REUSABLE)
        return false;
    must(mw_h1_reusable(server->h1) == MW_H1_REUSABLE);
    must(mw_h1_restart(client->h1) == MW_OK);
    must(mw_h1_restart(server->h1) == MW_OK);
    forget_heard(client);
    forget_heard(server);
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct lease leases[2];
    struct choices from = {data, len};
    struct mw_slice cuts = take_text(&from, 32);
    struct cutter cutter = {
        .cut = cut_as_chosen, .from = {(const uint8_t *)cuts.data, cuts.len}};
    struct side client = {.h1 = mw_h1_new(MW_H1_CLIENT, NULL, 0)};
    struct side server = {.h1 = mw_h1_new(MW_H1_SERVER, NULL, 0)};

    must(client.h1 != NULL && server.h1 != NULL);
    client.lease = leases[0];
    server.lease = leases[1];
    cutter.max = take_number(&from, 255) + 1;
    for (int i = 0; i < 3; i++) {
        if (!exchange(&client, &server, &from, &cutter))
            break;
    }
    leases[0] = client.lease;
    leases[1] = server.lease;
    mw_buf_deinit(&client.body);
    mw_buf_deinit(&server.body);
    mw_h1_free(client.h1);
    mw_h1_free(server.h1);
    return 0;
}
