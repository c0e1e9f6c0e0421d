/* h1_head.c - understands a received head: start line, the fields that frame
 * the message, and what body follows.  It never looks at the body. */
#include "core/h1_internal.h"

#include <string.h>

#include "core/err.h"

bool
mw_h1_is_banned_trailer(struct mw_slice name)
{
    static const char *const banned[] = {
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "cookie2",
        "expect",
        "host",
        "keep-alive",
        "max-forwards",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "set-cookie",
        "set-cookie2",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
    };

    for (size_t i = 0; i < sizeof(banned) / sizeof(banned[0]); i++) {
        if (mw_is_word(name, banned[i]))
            return true;
    }
    return false;
}

/* Returns false when it isn't all digits or is larger than `largest`. */
static bool
parse_number(struct mw_slice text, uint64_t largest, uint64_t *number)
{
    uint64_t value = 0;

    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';

        if (digit > 9 || value > (largest - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return text.len > 0;
}

static void
read_connection(struct head_facts *facts, struct mw_slice list)
{
    struct mw_slice option;

    while (mw_list_next(&list, &option)) {
        if (mw_is_word(option, "close"))
            facts->close = true;
        else if (mw_is_word(option, "keep-alive"))
            facts->keep_alive = true;
        else if (mw_is_word(option, "upgrade"))
            facts->upgrade = true;
    }
}

static void
read_keep_alive(struct head_facts *facts, struct mw_slice list)
{
    struct mw_slice hint;

    while (mw_list_next(&list, &hint)) {
        const char *equals = memchr(hint.data, '=', hint.len);
        size_t key = equals != NULL ? (size_t)(equals - hint.data) : 0;
        struct mw_slice name = mw_trim(hint.data, key);
        struct mw_slice value;
        uint64_t number;

        if (equals == NULL)
            continue;
        value = mw_trim(equals + 1, hint.len - key - 1);
        if (!parse_number(value, INT32_MAX, &number))
            continue;
        if (mw_is_word(name, "timeout"))
            facts->ka_timeout = (int64_t)number;
        else if (mw_is_word(name, "max"))
            facts->ka_max = (int64_t)number;
    }
}

static int
read_length_field(struct mw_h1 *h1, struct mw_slice value)
{
    struct head_facts *facts = &h1->facts;

    if (facts->has_length)
        return mw_h1_fail(h1, MW_EH1_LENGTH, "Content-Length twice");
    if (!parse_number(value, MW_H1_LARGEST_LENGTH, &facts->length))
        return mw_h1_fail(
            h1, MW_EH1_LENGTH, "Content-Length is not a number up to 2^53-1");
    facts->has_length = true;
    return MW_OK;
}

/* The fields that matter here are told apart by their length first. */
static int
read_field(struct mw_h1 *h1, size_t i)
{
    struct mw_headers *h = &h1->headers;
    struct mw_slice name = mw_headers_name(h, i);
    struct mw_slice value = mw_headers_value(h, i);

    switch (name.len) {
    case 4:
        if (mw_is_word(name, "host"))
            h1->facts.hosts++;
        break;
    case 10:
        if (mw_is_word(name, "connection"))
            read_connection(&h1->facts, value);
        else if (mw_is_word(name, "keep-alive"))
            read_keep_alive(&h1->facts, value);
        break;
    case 14:
        if (mw_is_word(name, "content-length"))
            return read_length_field(h1, value);
        break;
    case 17:
        if (mw_is_word(name, "transfer-encoding")) {
            h1->facts.chunked =
                !h1->facts.coded && mw_is_word(value, "chunked");
            h1->facts.coded = true;
        }
        break;
    default: /* any other name may stand there */
        break;
    }
    return MW_OK;
}

static void
trim_fields(struct mw_headers *h)
{
    for (size_t i = 0; i < h->count; i++) {
        struct mw_field *f = &h->fields[i];
        const char *value = h->block + f->value;

        /* the parser has cut off what stands before the value */
        while (f->value_len > 0 && (value[f->value_len - 1] == ' ' ||
                                       value[f->value_len - 1] == '\t')) {
            f->value_len--;
            h->live--;
        }
    }
    h->received = true;
}

static int
read_fields(struct mw_h1 *h1)
{
    bool close = h1->facts.close; /* a 1xx head may have said it */
    int err = MW_OK;

    trim_fields(&h1->headers);
    h1->facts =
        (struct head_facts){.close = close, .ka_timeout = -1, .ka_max = -1};
    for (size_t i = 0; i < h1->headers.count && err == MW_OK; i++)
        err = read_field(h1, i);
    return err;
}

/* Refuses what could be framed in two ways (RFC 9112 sections 6.1, 6.3). */
static int
check_framing(struct mw_h1 *h1)
{
    const struct head_facts *facts = &h1->facts;

    if (facts->coded && facts->has_length)
        return mw_h1_fail(h1, MW_EH1_FRAMING, "both are in one head");
    if (facts->coded && h1->minor == 0)
        return mw_h1_fail(h1, MW_EH1_CODING, "Transfer-Encoding on HTTP/1.0");
    if (facts->coded && !facts->chunked)
        return mw_h1_fail(h1, MW_EH1_CODING, "not exactly one \"chunked\"");
    if (facts->chunked && (h1->parser.flags & F_CHUNKED) == 0)
        return mw_h1_fail(/* llhttp would take the framing for the body */
            h1, MW_EH1_CODING, "a blank behind \"chunked\" that is no space");
    return MW_OK;
}

/* `otherwise` stands when the head says nothing about a body. */
static void
begin_body(struct mw_h1 *h1, bool none, enum mw_h1_framing otherwise)
{
    if (none) {
        h1->rx_framing = MW_H1_NONE;
        h1->rx = RX_ENDING;
    } else if (h1->facts.coded) {
        h1->rx_framing = MW_H1_CHUNKED;
        h1->rx = RX_CHUNKED;
    } else if (h1->facts.has_length) {
        h1->rx_framing = MW_H1_LENGTH;
        h1->body_left = h1->facts.length;
        h1->rx = RX_LENGTH;
    } else {
        h1->rx_framing = otherwise;
        h1->rx = otherwise == MW_H1_CLOSE ? RX_CLOSE : RX_ENDING;
    }
}

/* "HTTP/1.1" at the end or the beginning of a start line. */
static int
read_version(struct mw_h1 *h1, struct mw_slice text)
{
    int shown = (int)(text.len < 16 ? text.len : 16);

    if (text.len < 5 || memcmp(text.data, "HTTP/", 5) != 0)
        return mw_h1_fail(h1, MW_EH1_SYNTAX, "\"%.*s\" where HTTP/1.1 is due",
            shown, text.data);
    if (text.len != 8 || memcmp(text.data, "HTTP/1.", 7) != 0 ||
        (text.data[7] != '0' && text.data[7] != '1'))
        return mw_h1_fail(h1, MW_EH1_VERSION, "the start line says \"%.*s\"",
            shown, text.data);
    h1->minor = text.data[7] - '0';
    return MW_OK;
}

static struct mw_slice
start_line(const struct mw_h1 *h1)
{
    const char *line = h1->headers.block;
    const char *cr = memchr(line, '\r', h1->headers.block_len);
    size_t len = cr != NULL ? (size_t)(cr - line) : h1->headers.block_len;

    return (struct mw_slice){line, len};
}

/* "HTTP/1.1 200 OK"; llhttp has seen to the three digits. */
static int
read_status_line(struct mw_h1 *h1)
{
    struct mw_slice line = start_line(h1);
    size_t reason = line.len > 13 ? 13 : line.len;
    struct mw_slice version = {line.data, line.len < 8 ? line.len : 8};
    int err = read_version(h1, version);

    if (err != MW_OK)
        return err;
    h1->status = h1->parser.status_code;
    if (h1->status < 100)
        return mw_h1_fail(h1, MW_EH1_STATUS, "the status is %03d", h1->status);
    h1->start_words[0] =
        (struct mw_slice){line.data + reason, line.len - reason};
    if (mw_check_value(line.data + reason, line.len - reason) != MW_OK)
        return mw_h1_fail(
            h1, MW_EH1_SYNTAX, "a control byte in the reason phrase");
    return MW_OK;
}

/* "GET /path HTTP/1.1", with exactly one space in both places. */
static int
read_request_line(struct mw_h1 *h1)
{
    struct mw_slice line = start_line(h1);
    const char *end = line.data + line.len;
    const char *method_end = memchr(line.data, ' ', line.len);
    const char *target = method_end != NULL ? method_end + 1 : end;
    const char *target_end = memchr(target, ' ', (size_t)(end - target));
    const char *version = target_end != NULL ? target_end + 1 : end;
    size_t target_len = target_end != NULL ? (size_t)(target_end - target) : 0;
    int err =
        read_version(h1, (struct mw_slice){version, (size_t)(end - version)});

    if (err != MW_OK)
        return err;
    if (mw_check_target(target, target_len) != MW_OK)
        return mw_h1_fail(h1, MW_EH1_SYNTAX,
            "the request target is empty or has a byte outside 0x21-0x7E");
    h1->start_words[0] =
        (struct mw_slice){line.data, (size_t)(method_end - line.data)};
    h1->start_words[1] = (struct mw_slice){target, target_len};
    return MW_OK;
}

static bool
is_offered(struct mw_slice offered, struct mw_slice protocol)
{
    struct mw_slice offer;

    while (mw_list_next(&offered, &offer)) {
        if (offer.len == protocol.len &&
            mw_same_word(offer.data, protocol.data, offer.len))
            return true;
    }
    return false;
}

/* Whether the head names protocols, and only such as the request offered. */
static bool
names_offered(const struct mw_h1 *h1)
{
    const struct mw_headers *h = &h1->headers;
    ptrdiff_t i = mw_headers_find(h, "upgrade", 7, 0);
    bool named = false;

    for (; i >= 0; i = mw_headers_find(h, "upgrade", 7, (size_t)i + 1)) {
        struct mw_slice list = mw_headers_value(h, (size_t)i);
        struct mw_slice protocol;

        while (mw_list_next(&list, &protocol)) {
            if (!is_offered(h1->offered, protocol))
                return false;
            named = true;
        }
    }
    return named;
}

/* 101: the connection belongs to the other protocol, if all agree on it. */
static int
finish_switching(struct mw_h1 *h1)
{
    const char *problem = NULL;

    if (h1->offered.len == 0)
        problem = "no Upgrade was sent";
    else if (h1->minor == 0)
        problem = "HTTP/1.0 knows no Upgrade";
    else if (!mw_h1_is_sent(h1))
        problem = "the request was not complete";
    else if (!h1->facts.upgrade)
        problem = "it has no Connection: upgrade";
    else if (!names_offered(h1))
        problem = "it does not name what was offered";
    if (problem != NULL)
        return mw_h1_fail(h1, MW_EH1_UPGRADE, "%s", problem);
    h1->rx_framing = MW_H1_NONE;
    h1->rx = RX_UPGRADING;
    return MW_H1_HEAD;
}

static int
finish_informational(struct mw_h1 *h1)
{
    if (h1->status == 101)
        return finish_switching(h1);
    if (++h1->informational > h1->limits.informational)
        return mw_h1_fail(h1, MW_EH1_INFORMATIONAL, "more than %zu",
            h1->limits.informational);
    h1->rx = RX_START; /* no 1xx has a body, whatever its fields say */
    return MW_H1_INFORMATIONAL;
}

static int
finish_response(struct mw_h1 *h1)
{
    bool none = h1->is_head || h1->status == 204 || h1->status == 304;
    int err;

    if (h1->status < 200)
        return finish_informational(h1);
    if (h1->is_connect && h1->status < 300) {
        h1->rx_framing = MW_H1_NONE; /* a tunnel, whatever its fields say */
        h1->rx = RX_UPGRADING;
        return MW_H1_HEAD;
    }
    err = check_framing(h1);
    if (err != MW_OK)
        return err;
    begin_body(h1, none, MW_H1_CLOSE);
    return MW_H1_HEAD;
}

static int
finish_request(struct mw_h1 *h1)
{
    int err = check_framing(h1);

    if (err != MW_OK)
        return err;
    if (h1->facts.hosts > 1 || (h1->facts.hosts == 0 && h1->minor == 1))
        return mw_h1_fail(h1, MW_EH1_HEADER,
            "a request has one Host field, not %zu (RFC 9112 section 3.2)",
            h1->facts.hosts);
    h1->is_head = h1->start_words[0].len == 4 &&
                  memcmp(h1->start_words[0].data, "HEAD", 4) == 0;
    h1->is_connect = h1->start_words[0].len == 7 &&
                     memcmp(h1->start_words[0].data, "CONNECT", 7) == 0;
    begin_body(h1, h1->is_connect, MW_H1_NONE);
    return MW_H1_HEAD;
}

int
mw_h1_head_finish(struct mw_h1 *h1)
{
    bool client = h1->role == MW_H1_CLIENT;
    int event = client ? read_status_line(h1) : read_request_line(h1);

    if (event == MW_OK)
        event = read_fields(h1);
    if (event == MW_OK)
        event = client ? finish_response(h1) : finish_request(h1);
    h1->has_head = event >= 0;
    return event;
}

/* Only what the parser need not have seen, since it has no part in the body,
 * and what stood alone before its body. */
void
mw_h1_head_remember(struct mw_h1 *h1)
{
    bool whole = h1->rx_framing == MW_H1_LENGTH || h1->rx_framing == MW_H1_NONE;

    h1->known = 0;
    if (h1->role != MW_H1_CLIENT || !h1->has_head || !whole ||
        h1->facts.coded || h1->informational > 0 ||
        h1->headers.block_len != h1->head_bytes)
        return;
    h1->known = h1->head_bytes;
    h1->known_facts = h1->facts;
}

int
mw_h1_head_again(struct mw_h1 *h1)
{
    int event;

    h1->is_known = h1->known > 0 && h1->head_bytes == 0 &&
                   (size_t)(h1->in_end - h1->in) >= h1->known &&
                   memcmp(h1->in, h1->headers.block, h1->known) == 0;
    if (!h1->is_known)
        return MW_H1_GO_ON;
    h1->in += h1->known;
    h1->head_bytes = h1->known;
    h1->facts = h1->known_facts;
    event = finish_response(h1);
    h1->has_head = event >= 0;
    return event;
}

void
mw_h1_trailers_finish(struct mw_h1 *h1)
{
    struct mw_headers *h = &h1->trailers;
    size_t i = 0;

    trim_fields(h);
    while (i < h->count) {
        struct mw_slice name = mw_headers_name(h, i);

        if (mw_is_word(name, "connection"))
            read_connection(&h1->facts, mw_headers_value(h, i));
        if (mw_h1_is_banned_trailer(name))
            mw_headers_drop_field(h, i);
        else
            i++;
    }
}
