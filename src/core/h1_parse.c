/* h1_parse.c - the codec's side of llhttp, which cuts heads and chunks into
 * tokens and is stopped at the end of each.  It decides nothing about framing.
 */
#include "core/h1_internal.h"

#include <assert.h>

#include "core/err.h"

/* An offset into the block to which this run's bytes will be appended. */
static uint32_t
offset_of(const struct mw_h1 *h1, const char *at)
{
    return (uint32_t)(h1->fields->block_len + (size_t)(at - h1->run));
}

static int
refuse_field(struct mw_h1 *h1)
{
    if (h1->fields == &h1->trailers)
        mw_h1_fail(h1, MW_EH1_TRAILER, "more than %zu trailer fields",
            h1->limits.trailer_count);
    else
        mw_h1_fail(h1, MW_EH1_HEADER_COUNT, "more than %zu header fields",
            h1->limits.header_count);
    return HPE_USER;
}

static int
on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct mw_h1 *h1 = parser->data;

    if (!h1->in_field) {
        h1->in_field = true;
        h1->field = (struct mw_field){.name = offset_of(h1, at)};
    }
    h1->field.name_len += (uint32_t)len;
    return HPE_OK;
}

static int
on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct mw_h1 *h1 = parser->data;

    if (len == 0)
        return HPE_OK;
    if (h1->field.value_len == 0)
        h1->field.value = offset_of(h1, at);
    h1->field.value_len += (uint32_t)len;
    return HPE_OK;
}

/* Counted here: whether a part of a name or value is met depends on how the
 * bytes were cut. */
static int
on_header_value_complete(llhttp_t *parser)
{
    struct mw_h1 *h1 = parser->data;
    size_t most = h1->fields == &h1->trailers ? h1->limits.trailer_count
                                              : h1->limits.header_count;

    h1->in_field = false;
    if (h1->fields->count >= most)
        return refuse_field(h1);
    if (mw_headers_append_field(h1->fields, h1->field) == MW_OK)
        return HPE_OK;
    mw_h1_fail(h1, MW_ENOMEM, "header fields");
    return HPE_USER;
}

static int
on_headers_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED; /* h1_head.c takes over */
}

/* The size stands in content_length, as llhttp.h promises. */
static int
on_chunk_header(llhttp_t *parser)
{
    struct mw_h1 *h1 = parser->data;

    if (parser->content_length > MW_H1_LARGEST_LENGTH) {
        mw_h1_fail(h1, MW_EH1_CHUNK, "a chunk larger than 2^53-1 bytes");
        return -1;
    }
    h1->body_left = parser->content_length;
    h1->last_chunk = h1->body_left == 0;
    return h1->last_chunk ? HPE_PAUSED : HPE_OK;
}

static int
on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct mw_h1 *h1 = parser->data;

    assert(h1->piece.len == 0);
    if (len > h1->body_left) { /* then we don't agree on where we are */
        mw_h1_fail(h1, MW_EH1_CHUNK, "bytes outside of a chunk");
        return -1;
    }
    h1->body_left -= len;
    h1->piece = (struct mw_slice){at, len};
    return HPE_PAUSED;
}

static int
on_message_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* Two of llhttp's errors stand for several rules; which one it was shows in
 * the fields that it has already seen. */
static int
code_in_head(const struct mw_h1 *h1, llhttp_errno_t why)
{
    bool has_length = (h1->parser.flags & F_CONTENT_LENGTH) != 0;
    bool coded = (h1->parser.flags & F_TRANSFER_ENCODING) != 0;
    bool in_fields = h1->in_field || h1->fields->count > 0;

    switch ((int)why) { /* llhttp's enum grows with its versions */
    case HPE_INVALID_VERSION:
    case HPE_PAUSED_H2_UPGRADE:
        return MW_EH1_VERSION;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return coded ? MW_EH1_FRAMING : MW_EH1_LENGTH;
    case HPE_INVALID_TRANSFER_ENCODING:
        return has_length ? MW_EH1_FRAMING : MW_EH1_CODING;
    case HPE_INVALID_HEADER_TOKEN:
    case HPE_UNEXPECTED_SPACE:
        return MW_EH1_HEADER;
    default:
        return in_fields ? MW_EH1_HEADER : MW_EH1_SYNTAX;
    }
}

static int
code_of(const struct mw_h1 *h1, llhttp_errno_t why)
{
    if (h1->rx == RX_CHUNKED)
        return MW_EH1_CHUNK;
    if (h1->rx == RX_HEAD)
        return code_in_head(h1, why);
    return why == HPE_INVALID_CONTENT_LENGTH ||
                   why == HPE_UNEXPECTED_CONTENT_LENGTH
               ? MW_EH1_FRAMING /* a length behind a chunked body */
               : MW_EH1_HEADER;
}

int
mw_h1_parse(struct mw_h1 *h1, const char *data, size_t len, size_t *used)
{
    const char *end = data + len;
    llhttp_errno_t why;

    if (llhttp_get_errno(&h1->parser) == HPE_PAUSED)
        llhttp_resume(&h1->parser);
    h1->run = data;
    why = llhttp_execute(&h1->parser, data, len);
    if (why != HPE_OK && why != HPE_USER)
        end = llhttp_get_error_pos(&h1->parser);
    *used = (size_t)(end - data);
    if (h1->error != MW_OK) /* a callback's word counts more */
        return h1->error;
    if (why != HPE_OK && why != HPE_PAUSED)
        return mw_h1_fail(
            h1, code_of(h1, why), "%s", llhttp_get_error_reason(&h1->parser));
    return why == HPE_PAUSED;
}

int
mw_h1_parse_kept(struct mw_h1 *h1, const char *data, size_t len, size_t *used)
{
    bool head = h1->fields == &h1->headers;
    int stopped = mw_h1_parse(h1, data, len, used);

    if (stopped < 0)
        return stopped;
    if ((head || h1->in_field ||
            h1->fields->count > 0) && /* else no trailers */
        mw_headers_append_raw(h1->fields, data, *used) != MW_OK)
        return mw_h1_fail(h1, MW_ENOMEM, head ? "a head" : "trailers");
    return stopped;
}

void
mw_h1_parse_init(struct mw_h1 *h1)
{
    llhttp_init(&h1->parser,
        h1->role == MW_H1_CLIENT ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
    h1->parser.data = h1;
}

void
mw_h1_parse_fields(struct mw_h1 *h1, struct mw_headers *fields)
{
    mw_headers_clear(fields);
    h1->fields = fields;
    h1->in_field = false;
    h1->fold = FOLD_LINE;
}
