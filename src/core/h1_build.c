/* h1_build.c - checks what a caller wants to send and writes heads: start line,
 * fields, and the fields that are moonwire's own.  It sends nothing. */
#include "core/h1_internal.h"

#include <assert.h>
#include <string.h>

#include "core/err.h"

/* Room for all that moonwire adds to a head by itself. */
enum {
    ADDED = 192
};

static char *
put(char *to, const char *text, size_t len)
{
    if (len > 0)
        memcpy(to, text, len);
    return to + len;
}

static char *
put_text(char *to, const char *text)
{
    return put(to, text, strlen(text));
}

static char *
put_number(char *to, uint64_t number)
{
    char digits[20];
    size_t i = sizeof(digits);

    do {
        digits[--i] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return put(to, digits + i, sizeof(digits) - i);
}

static char *
put_framing(char *to, enum mw_h1_framing framing, uint64_t length)
{
    switch (framing) {
    case MW_H1_LENGTH:
        to = put_text(to, "Content-Length: ");
        to = put_number(to, length);
        return put_text(to, "\r\n");
    case MW_H1_CHUNKED:
        return put_text(to, "Transfer-Encoding: chunked\r\n");
    case MW_H1_NONE:
    case MW_H1_CLOSE:
        break;
    }
    return to;
}

/* Fields that frame a message or steer the connection are written by moonwire
 * alone. */
static bool
is_owned(struct mw_slice name)
{
    switch (name.len) {
    case 7:
        return mw_is_word(name, "upgrade");
    case 10:
        return mw_is_word(name, "connection");
    case 14:
        return mw_is_word(name, "content-length");
    case 17:
        return mw_is_word(name, "transfer-encoding");
    default:
        return false;
    }
}

static bool
is_owned_in_request(struct mw_slice name)
{
    return is_owned(name) || mw_is_word(name, "keep-alive") ||
           mw_is_word(name, "expect") || mw_is_word(name, "te");
}

static int
check_fields(const struct mw_headers *h, bool request, ptrdiff_t *at)
{
    size_t wrong = 0;
    int err = mw_headers_check(h, &wrong);

    *at = (ptrdiff_t)wrong;
    if (err != MW_OK)
        return err;
    for (size_t i = 0; i < h->count; i++) {
        struct mw_slice name = mw_headers_name(h, i);

        *at = (ptrdiff_t)i;
        if (request ? is_owned_in_request(name) : is_owned(name))
            return MW_EOWNED;
    }
    *at = -1;
    return MW_OK;
}

static bool
is_method(struct mw_slice method, const char *name)
{
    return method.len == strlen(name) &&
           memcmp(method.data, name, method.len) == 0;
}

/* A list of `token` or `token/token`. */
static int
check_protocols(struct mw_slice list)
{
    struct mw_slice protocol = {0};

    if (list.len > 0 && (mw_check_value(list.data, list.len) != MW_OK ||
                            !mw_list_next(&list, &protocol)))
        return MW_EPROTOCOLS;
    while (protocol.len > 0) {
        const char *slash = memchr(protocol.data, '/', protocol.len);
        size_t name =
            slash != NULL ? (size_t)(slash - protocol.data) : protocol.len;

        if (mw_check_token(protocol.data, name, MW_EPROTOCOLS) != MW_OK)
            return MW_EPROTOCOLS;
        if (slash != NULL && mw_check_token(slash + 1, protocol.len - name - 1,
                                 MW_EPROTOCOLS) != MW_OK)
            return MW_EPROTOCOLS;
        if (!mw_list_next(&list, &protocol))
            break;
    }
    return MW_OK;
}

static int
check_request(
    const struct mw_h1_request_parts *parts, ptrdiff_t *at, ptrdiff_t *host)
{
    bool bodiless = is_method(parts->method, "CONNECT") ||
                    is_method(parts->method, "TRACE");
    int err;

    *at = -1;
    *host = -1;
    if (mw_check_token(parts->method.data, parts->method.len, MW_EMETHOD) != 0)
        return MW_EMETHOD;
    if (mw_check_target(parts->target.data, parts->target.len) != MW_OK)
        return MW_ETARGET;
    if (parts->framing == MW_H1_CLOSE || parts->length > MW_H1_LARGEST_LENGTH)
        return MW_EINVAL;
    if (bodiless && parts->framing != MW_H1_NONE)
        return MW_EBODY_NONE;
    if (parts->expect &&
        (parts->framing == MW_H1_NONE ||
            (parts->framing == MW_H1_LENGTH && parts->length == 0)))
        return MW_EBODY_NONE;
    if (check_protocols(parts->upgrade) != MW_OK)
        return MW_EPROTOCOLS;
    if (parts->headers == NULL)
        return MW_EOWNED;
    err = check_fields(parts->headers, true, at);
    if (err != MW_OK)
        return err;
    *host = mw_headers_find(parts->headers, "host", 4, 0);
    if (*host < 0)
        return MW_EOWNED;
    *at = mw_headers_find(parts->headers, "host", 4, (size_t)*host + 1);
    return *at < 0 ? MW_OK : MW_EOWNED;
}

size_t
mw_h1_request_size(const struct mw_h1_request_parts *parts)
{
    size_t fields =
        parts->headers != NULL ? mw_headers_wire_size(parts->headers) : 0;

    return parts->method.len + parts->target.len + parts->upgrade.len + fields +
           ADDED;
}

/* One member of the Connection field; the first one begins it. */
static char *
put_option(char *to, const char *option, bool *begun)
{
    to = put_text(to, *begun ? ", " : "Connection: ");
    *begun = true;
    return put_text(to, option);
}

static char *
put_request_connection(char *to, const struct mw_h1_request_parts *parts)
{
    bool begun = false;

    if (parts->close)
        to = put_option(to, "close", &begun);
    if (parts->trailers)
        to = put_option(to, "TE", &begun);
    if (parts->upgrade.len > 0)
        to = put_option(to, "upgrade", &begun);
    if (begun)
        to = put_text(to, "\r\n");
    return parts->trailers ? put_text(to, "TE: trailers\r\n") : to;
}

/* Writes the Upgrade field and says where its value stands. */
static char *
put_upgrade(char *to, struct mw_slice protocols, struct mw_slice *written)
{
    *written = (struct mw_slice){0};
    if (protocols.len == 0)
        return to;
    to = put_text(to, "Upgrade: ");
    *written = (struct mw_slice){to, protocols.len};
    to = put(to, protocols.data, protocols.len);
    return put_text(to, "\r\n");
}

int
mw_h1_request_build(struct mw_h1_request *request,
    const struct mw_h1_request_parts *parts, char *memory, ptrdiff_t *at)
{
    enum mw_h1_framing framing = parts->framing;
    uint64_t length = framing == MW_H1_LENGTH ? parts->length : 0;
    bool expects_body = is_method(parts->method, "POST") ||
                        is_method(parts->method, "PUT") ||
                        is_method(parts->method, "PATCH");
    struct mw_slice upgrade;
    char *to = memory;
    ptrdiff_t host;
    int err = check_request(parts, at, &host);

    if (err != MW_OK)
        return err;
    if (framing == MW_H1_NONE && expects_body)
        framing = MW_H1_LENGTH;
    to = put(to, parts->method.data, parts->method.len);
    *to++ = ' ';
    to = put(to, parts->target.data, parts->target.len);
    to = put_text(to, " HTTP/1.1\r\n");
    to = mw_headers_wire_field(parts->headers, (size_t)host, to);
    for (size_t i = 0; i < parts->headers->count; i++) {
        if ((ptrdiff_t)i != host)
            to = mw_headers_wire_field(parts->headers, i, to);
    }
    to = put_framing(to, framing, length);
    if (parts->expect)
        to = put_text(to, "Expect: 100-continue\r\n");
    to = put_request_connection(to, parts);
    to = put_upgrade(to, parts->upgrade, &upgrade);
    to = put_text(to, "\r\n");
    assert((size_t)(to - memory) <= mw_h1_request_size(parts));
    *request = (struct mw_h1_request){
        .bytes = memory,
        .len = (size_t)(to - memory),
        .framing = framing,
        .length = length,
        .is_head = is_method(parts->method, "HEAD"),
        .is_connect = is_method(parts->method, "CONNECT"),
        .close = parts->close,
        .upgrade = upgrade,
    };
    return MW_OK;
}

struct mw_h1_plan
mw_h1_response_plan(
    const struct mw_h1 *h1, const struct mw_h1_response_parts *parts)
{
    struct mw_h1_plan plan = {.said = parts->framing};
    bool tunnel = h1->is_connect && parts->status / 100 == 2;

    if (plan.said == MW_H1_CHUNKED && h1->minor == 0)
        plan.said = MW_H1_CLOSE;
    plan.framing = plan.said;
    if (parts->status == 204 || parts->status == 304 || tunnel) {
        plan.said = plan.framing = MW_H1_NONE;
    } else if (h1->is_head) {
        plan.drop = true;
        if (plan.framing == MW_H1_CLOSE)
            plan.framing = MW_H1_CHUNKED; /* no bytes, so it ends by itself */
    } else if (plan.said == MW_H1_NONE) {
        plan.said = plan.framing = MW_H1_LENGTH;
    }
    plan.close =
        !tunnel && (parts->close || h1->facts.close || h1->error != MW_OK ||
                       plan.framing == MW_H1_CLOSE ||
                       (h1->minor == 0 && !h1->facts.keep_alive));
    plan.keep_alive = !plan.close && h1->minor == 0;
    return plan;
}

int
mw_h1_response_check(const struct mw_h1 *h1,
    const struct mw_h1_response_parts *parts, ptrdiff_t *at)
{
    bool head_is_in = h1->rx > RX_HEAD || h1->error != MW_OK;

    *at = -1;
    if (h1->role != MW_H1_SERVER || h1->tx != TX_IDLE || !head_is_in)
        return MW_ESTATE;
    if (parts->status < 100 || parts->status > 999 ||
        parts->length > MW_H1_LARGEST_LENGTH)
        return MW_EINVAL;
    if (parts->status == 101) /* nothing switches protocols as yet */
        return MW_EH1_UPGRADE;
    if (mw_check_value(parts->reason.data, parts->reason.len) != MW_OK)
        return MW_EREASON;
    return parts->headers != NULL ? check_fields(parts->headers, false, at)
                                  : MW_OK;
}

size_t
mw_h1_response_size(const struct mw_h1_response_parts *parts)
{
    size_t fields =
        parts->headers != NULL ? mw_headers_wire_size(parts->headers) : 0;

    return parts->reason.len + fields + ADDED;
}

char *
mw_h1_response_write(const struct mw_h1_response_parts *parts,
    const struct mw_h1_plan *plan, char *to)
{
    to = put_text(to, "HTTP/1.1 ");
    to = put_number(to, (uint64_t)parts->status);
    *to++ = ' ';
    to = put(to, parts->reason.data, parts->reason.len);
    to = put_text(to, "\r\n");
    if (parts->headers != NULL)
        to = mw_headers_wire_write(parts->headers, to);
    if (parts->status >= 200) {
        to = put_framing(to, plan->said, parts->length);
        if (plan->close)
            to = put_text(to, "Connection: close\r\n");
        if (plan->keep_alive)
            to = put_text(to, "Connection: keep-alive\r\n");
    }
    return put_text(to, "\r\n");
}
