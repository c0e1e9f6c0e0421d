/* player.c - see player.h. */
#include "fuzz/player.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"

struct run
take_run(struct choices *from, enum mw_h1_role role)
{
    unsigned choice = take_byte(from);

    return (struct run){
        .role = role,
        .first = choice & 15,
        .eof = (choice & 16) != 0,
        .low_limits = (choice & 32) != 0,
        .compat = (choice & 64) != 0 ? MW_H1_OBS_FOLD : 0,
    };
}

/* One run under way. */
struct player {
    const struct run *run;
    struct cutter *cutter;
    struct mw_buf *said;
    struct mw_h1_limits limits;
    struct mw_h1 *h1;
    struct lease *lease;
    struct mw_buf body; /* neighbouring pieces, not yet written down */
    char request[1024]; /* the head, lent to the codec for the exchange */
    unsigned number;    /* of the exchange */
    uint64_t body_len;  /* of the message under way */
    bool has_head;
    bool over;
};

static void
say(struct mw_buf *said, const char *format, ...)
{
    char line[256];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    must(len >= 0 && (size_t)len < sizeof(line));
    must(mw_buf_append(said, line, (size_t)len) == MW_OK);
}

static void
say_text(struct mw_buf *said, const char *what, struct mw_slice text)
{
    say(said, "%s %zu ", what, text.len);
    must(mw_buf_append(said, text.data, text.len) == MW_OK);
    say(said, "\n");
}

static void
say_fields(struct mw_buf *said, const struct mw_headers *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        struct mw_slice name = mw_headers_name(fields, i);
        struct mw_slice value = mw_headers_value(fields, i);
        struct mw_slice trimmed = mw_trim(value.data, value.len);

        must(mw_check_name(name.data, name.len) == MW_OK);
        must(mw_check_value(value.data, value.len) == MW_OK);
        must(trimmed.len == value.len);
        say_text(said, "name", name);
        say_text(said, "value", value);
    }
}

static void
flush_body(struct player *p)
{
    size_t len = mw_buf_len(&p->body);

    if (len > 0)
        say_text(
            p->said, "body", (struct mw_slice){mw_buf_borrow(&p->body), len});
    mw_buf_clear(&p->body);
}

static void
on_head(struct player *p, int event)
{
    struct mw_h1_head head = mw_h1_head_borrow(p->h1);
    uint64_t length;

    must(head.headers != NULL);
    must(head.headers->count <= p->limits.header_count);
    must(head.headers->live <= p->limits.head_bytes);
    must(head.minor == 0 || head.minor == 1);
    say(p->said, "event %d status %d minor %d\n", event, head.status,
        head.minor);
    say_text(p->said, "method", head.method);
    say_text(p->said, "target", head.target);
    say_text(p->said, "reason", head.reason);
    must(mw_check_value(head.reason.data, head.reason.len) == MW_OK);
    if (p->run->role == MW_H1_SERVER) {
        must(mw_check_token(head.method.data, head.method.len, 1) == MW_OK);
        must(mw_check_target(head.target.data, head.target.len) == MW_OK);
    } else {
        must((head.status / 100 == 1 && head.status != 101) ==
             (event == MW_H1_INFORMATIONAL));
    }
    say_fields(p->said, head.headers);
    say(p->said, "framing %d %llu\n", (int)mw_h1_framing(p->h1, &length),
        (unsigned long long)length);
    p->has_head = event == MW_H1_HEAD;
    p->body_len = 0;
}

static void
on_end(struct player *p)
{
    const struct mw_headers *trailers = mw_h1_trailers_borrow(p->h1);
    uint64_t length;
    enum mw_h1_framing framing = mw_h1_framing(p->h1, &length);

    must(p->has_head);
    must(framing != MW_H1_LENGTH || p->body_len == length);
    must(framing != MW_H1_NONE || p->body_len == 0);
    must(framing != MW_H1_CLOSE || p->run->eof);
    must(trailers == NULL || framing == MW_H1_CHUNKED);
    must(mw_h1_is_received(p->h1));
    say(p->said, "end\n");
    if (trailers != NULL) {
        must(trailers->count <= p->limits.trailer_count);
        say_fields(p->said, trailers);
    }
    p->has_head = false;
}

static void
send_all(struct mw_h1 *h1)
{
    struct mw_slice slices[MW_H1_SLICES];
    int count = mw_h1_output_borrow(h1, slices);

    for (int i = 0; i < count; i++)
        mw_h1_output_sent(h1, slices[i].len);
    must(!mw_h1_has_output(h1));
}

static struct mw_slice
text_of(const char *text)
{
    return (struct mw_slice){text, strlen(text)};
}

/* Requests of every kind that changes how a response is read. */
static void
send_request(struct player *p)
{
    static const char *const methods[] = {
        "GET", "HEAD", "POST", "CONNECT", "GET", "GET", "POST", "GET"};
    unsigned kind = (p->run->first + p->number++) % 8;
    struct mw_h1_request_parts parts = {
        .method = text_of(methods[kind]),
        .target = text_of(kind == 3 ? "h:443" : "/"),
        .framing = kind == 2 ? MW_H1_CHUNKED : MW_H1_NONE,
        .close = kind == 4,
        .trailers = kind == 7,
        .upgrade = text_of(kind == 5 ? "websocket, a/1" : ""),
    };
    struct mw_headers headers;
    struct mw_h1_request request;
    ptrdiff_t at;

    mw_headers_init(&headers);
    must(mw_headers_add(&headers, text_of("Host"), text_of("h")) == MW_OK);
    parts.headers = &headers;
    must(mw_h1_request_size(&parts) <= sizeof(p->request));
    must(mw_h1_request_build(&request, &parts, p->request, &at) == MW_OK);
    must(mw_h1_send_request(p->h1, &request) == MW_OK);
    if (kind == 2)
        must(mw_h1_send_end(p->h1, NULL) == MW_OK);
    if (kind != 6) /* that one is still on its way when the answer comes */
        send_all(p->h1);
    else
        mw_h1_output_sent(p->h1, 1);
    mw_headers_deinit(&headers);
}

static void
send_response(struct player *p)
{
    static const enum mw_h1_framing framings[] = {
        MW_H1_NONE, MW_H1_LENGTH, MW_H1_CHUNKED, MW_H1_CLOSE};
    unsigned kind = (p->run->first + p->number++) % 8;
    struct mw_h1_response_parts parts = {
        .status = kind == 6   ? 204
                  : kind == 7 ? 404
                              : 200,
        .framing = framings[kind % 4],
        .length = kind % 4 == 1 ? 2 : 0,
        .close = kind == 5,
    };
    ptrdiff_t at;
    int err = mw_h1_send_response(p->h1, &parts, &at);

    must(err == MW_OK);
    err = mw_h1_send_body(p->h1, "hi", 2);
    must(err == MW_OK || err == MW_EBODY_LONG || err == MW_EBODY_NONE);
    must(mw_h1_send_end(p->h1, NULL) == MW_OK);
    send_all(p->h1);
}

static void
say_reuse(struct player *p)
{
    say(p->said, "reuse %s\n", mw_h1_reuse_name(mw_h1_reusable(p->h1)));
}

/* Goes on to another exchange if the codec may. */
static bool
go_on(struct player *p)
{
    bool reusable = mw_h1_reusable(p->h1) == MW_H1_REUSABLE;

    say_reuse(p);
    must(mw_h1_restart(p->h1) == (reusable ? MW_OK : MW_ESTATE));
    return reusable;
}

static void
on_error(struct player *p, int code)
{
    flush_body(p);
    say(p->said, "error %s\n", mw_err_name(code));
    must(mw_h1_error_detail(p->h1)[0] != '\0');
    must(mw_h1_next(p->h1, 1) == code);
    must(mw_h1_reusable(p->h1) != MW_H1_REUSABLE);
    must(mw_h1_restart(p->h1) == MW_ESTATE);
    p->over = true;
}

static void
keep_body(struct player *p, struct mw_slice body)
{
    must(p->has_head);
    must(mw_buf_append(&p->body, body.data, body.len) == MW_OK);
    p->body_len += body.len;
}

static void
on_body(struct player *p)
{
    struct mw_slice body = mw_h1_body_borrow(p->h1);

    must(body.len > 0 && body.len <= p->cutter->max);
    keep_body(p, body);
}

/* Takes events until the codec wants more bytes, or nothing more can come. */
static void
drain(struct player *p)
{
    while (!p->over) {
        int event = mw_h1_next(p->h1, p->cutter->max);

        if (event == MW_H1_NEED_DATA)
            return;
        if (event < 0) {
            on_error(p, event);
        } else if (event == MW_H1_BODY) {
            on_body(p);
        } else if (event == MW_H1_END) {
            flush_body(p);
            on_end(p);
            if (p->run->role == MW_H1_SERVER) {
                send_response(p);
                if (mw_h1_reusable(p->h1) != MW_H1_WAS_UPGRADED)
                    p->over = !go_on(p);
            }
        } else if (event == MW_H1_UPGRADED) {
            say(p->said, "upgraded\n");
            p->over = true;
        } else {
            on_head(p, event);
        }
    }
}

/* Body bytes of the piece that go past the codec; 0 where none may. */
static size_t
pass(struct player *p, struct mw_slice piece)
{
    uint64_t past = mw_h1_past(p->h1);

    if (!p->cutter->goes_past || past == 0)
        return 0;
    if (piece.len > past)
        piece.len = (size_t)past;
    mw_h1_received_past(p->h1, piece.len);
    keep_body(p, piece);
    return piece.len;
}

static void
feed(struct player *p, struct mw_slice bytes)
{
    while (bytes.len > 0 && !p->over) {
        size_t len = p->cutter->cut(p->cutter, bytes.len);
        struct mw_slice piece = {bytes.data, len};
        size_t passed = pass(p, piece);

        must(len > 0 && len <= bytes.len);
        if (passed > 0)
            len = passed;
        else
            must(mw_h1_feed(p->h1, lease_bytes(p->lease, piece), len) == MW_OK);
        drain(p);
        bytes.data += len;
        bytes.len -= len;
    }
}

/* Cuts off what comes before FUZZ_THEN. */
static struct mw_slice
next_segment(struct mw_slice *bytes)
{
    const size_t mark = sizeof(FUZZ_THEN) - 1;
    const char *end = memmem(bytes->data, bytes->len, FUZZ_THEN, mark);
    struct mw_slice segment = *bytes;

    if (end == NULL) {
        *bytes = (struct mw_slice){bytes->data + bytes->len, 0};
        return segment;
    }
    segment.len = (size_t)(end - bytes->data);
    bytes->data += segment.len + mark;
    bytes->len -= segment.len + mark;
    return segment;
}

static void
play_segments(struct player *p, struct mw_slice bytes)
{
    bool client = p->run->role == MW_H1_CLIENT;

    if (client)
        send_request(p);
    while (bytes.len > 0 && !p->over) {
        feed(p, next_segment(&bytes));
        if (client && bytes.len > 0 && mw_h1_is_received(p->h1) && !p->over &&
            go_on(p))
            send_request(p);
    }
    if (p->run->eof && !p->over) {
        mw_h1_feed_eof(p->h1);
        drain(p);
    }
    flush_body(p);
    say_reuse(p);
}

void
play(const struct run *run, struct mw_slice bytes, struct cutter *cutter,
    struct mw_buf *said)
{
    static struct lease lease;
    struct mw_h1_limits low = {200, 8, 60, 60, 3, 3};
    struct mw_h1_limits usual = {64 * 1024, 256, 0, 16 * 1024, 64, 32};
    struct player p = {
        .run = run,
        .cutter = cutter,
        .said = said,
        .limits = run->low_limits ? low : usual,
        .lease = &lease,
    };

    p.h1 = mw_h1_new(run->role, &p.limits, run->compat);
    must(p.h1 != NULL);
    play_segments(&p, bytes);
    mw_h1_free(p.h1);
    mw_buf_deinit(&p.body);
}
