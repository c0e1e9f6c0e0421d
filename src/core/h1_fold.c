/* h1_fold.c - joins field lines that a peer has folded (RFC 9112 section 5.2),
 * before llhttp, which refuses them, sees them: so every other check stays as
 * strict as it is.  It is left out unless MW_H1_OBS_FOLD is wanted. */
#include "core/h1_internal.h"

#include <string.h>

#include "core/err.h"

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Fields that frame the message or steer the connection. */
static bool
must_stand_on_one_line(struct mw_slice name)
{
    static const char *const names[] = {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (mw_is_word(name, names[i]))
            return true;
    }
    return false;
}

/* Lets llhttp read bytes that are no part of the input as they stand. */
static int
parse_text(struct mw_h1 *h1, const char *text)
{
    size_t used;

    return mw_h1_parse_kept(h1, text, strlen(text), &used);
}

/* Blanks at the end of the line before, the CRLF, and blanks at the beginning
 * of this line become one space. */
static int
begin_fold(struct mw_h1 *h1)
{
    struct mw_headers *fields = h1->fields;
    struct mw_slice name = {fields->block + h1->field.name, h1->field.name_len};

    if (must_stand_on_one_line(name))
        return mw_h1_fail(
            h1, MW_EH1_HEADER, "%.*s is folded", (int)name.len, name.data);
    while (h1->field.value_len > 0 &&
           is_blank(fields->block[fields->block_len - 1])) {
        fields->block_len--;
        h1->field.value_len--;
    }
    h1->fold = FOLD_SPACE;
    return parse_text(h1, " ");
}

/* Bytes up to a CR; that of a field line is held back. */
static int
parse_line(struct mw_h1 *h1, const char *data, size_t len, size_t *used)
{
    const char *cr = memchr(data, '\r', len);
    size_t line = cr != NULL ? (size_t)(cr - data) : len;
    int stopped = MW_OK;

    *used = 0;
    if (line > 0)
        stopped = mw_h1_parse_kept(h1, data, line, used);
    if (stopped != MW_OK || cr == NULL)
        return stopped;
    ++*used;
    if (!h1->in_field)
        return parse_text(h1, "\r");
    h1->fold = FOLD_CR;
    return MW_OK;
}

/* One step; it takes no byte where it only sees what that byte is. */
static int
parse_step(struct mw_h1 *h1, const char *data, size_t len, size_t *used)
{
    *used = 0;
    switch (h1->fold) {
    case FOLD_LINE:
        return parse_line(h1, data, len, used);
    case FOLD_CR:
        h1->fold = *data == '\n' ? FOLD_CRLF : FOLD_LINE;
        *used = *data == '\n';
        return *data == '\n' ? MW_OK : parse_text(h1, "\r");
    case FOLD_CRLF:
        if (is_blank(*data))
            return begin_fold(h1);
        h1->fold = *data == '\r' ? FOLD_LAST : FOLD_LINE;
        return parse_text(h1, "\r\n");
    case FOLD_SPACE:
        while (*used < len && is_blank(data[*used]))
            ++*used;
        if (*used < len)
            h1->fold = FOLD_LINE;
        return MW_OK;
    case FOLD_LAST:
        return mw_h1_parse_kept(h1, data, len, used);
    }
    return MW_ESTATE;
}

int
mw_h1_parse_folded(struct mw_h1 *h1, const char *data, size_t len, size_t *used)
{
    int stopped = MW_OK;

    *used = 0;
    while (*used < len && stopped == MW_OK) {
        size_t step;

        stopped = parse_step(h1, data + *used, len - *used, &step);
        *used += step;
    }
    return stopped;
}
