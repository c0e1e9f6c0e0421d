/* url_internal.h - what url.c and url_name.c share.  Nobody else includes it.
 */
#ifndef MW_CORE_URL_INTERNAL_H
#define MW_CORE_URL_INTERNAL_H

#include <stdbool.h>

#include "core/url.h"

enum {
    MW_NAME_MAX = 253, /* RFC 1035 section 2.3.4, without the root's dot */
    MW_NAME_ROOM = MW_NAME_MAX + 2
};

/* Writes the message; returns MW_EINVAL. */
__attribute__((format(printf, 2, 3))) int mw_url_fail(
    struct mw_url *url, const char *format, ...);

/* Writes a host name to `to`, of MW_NAME_ROOM + len bytes, in lower case and
 * with its other scripts in their xn-- form (UTS 46, non-transitional), and
 * checks it.  `to` may hold no name after a failure.  Sets host_kind.  Returns
 * MW_OK; MW_EINVAL, with a message; or MW_ENOMEM. */
int mw_url_put_name(
    struct mw_url *url, const char *name, size_t len, char *to, size_t *to_len);

static inline bool
mw_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool
mw_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
mw_is_hex(char c)
{
    return mw_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static inline char
mw_to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

#endif
