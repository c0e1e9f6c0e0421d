/* url.h - http URLs: text in, checked parts out (RFC 3986, uriparser;
 * host names in other scripts than ASCII: UTS 46, libidn2).  It
 * never opens anything, and never repairs what could be read in two ways. */
#ifndef MW_CORE_URL_H
#define MW_CORE_URL_H

#include <stdbool.h>
#include <stddef.h>

/* The longest URL that is looked at. */
#define MW_URL_MAX 65536

/* How much memory the functions below need for texts of `len` bytes together:
 * each byte may become "%XX", the xn-- form of a host may be longer than the
 * host, and a resolved URL stands behind its parts. */
#define MW_URL_ROOM(len) (6 * (len) + 3 * 256 + 32)

enum mw_url_host {
    MW_URL_NAME,
    MW_URL_IPV4,
    MW_URL_IPV6
};

/* Borrowed from the caller's room; data is NULL where the URL has no such
 * part. */
struct mw_url_part {
    const char *data;
    size_t len;
};

/* What a URL is made of.  It owns nothing. */
struct mw_url {
    struct mw_url_part scheme;   /* "http" or "https", lower case */
    struct mw_url_part userinfo; /* without the '@' */
    struct mw_url_part host;     /* lower case, ASCII, without brackets */
    struct mw_url_part zone;     /* of an IPv6 address */
    struct mw_url_part path;     /* may be empty */
    struct mw_url_part query;    /* without the '?' */
    struct mw_url_part fragment; /* without the '#' */
    int port;                    /* -1: none was given */
    enum mw_url_host host_kind;
    char message[192]; /* after a failure: what is wrong, for a person */
};

/* Splits and checks an absolute http or https URL.  Dot segments of its path
 * are removed unless they are to be kept.  The parts live in `room`, of
 * MW_URL_ROOM(len) bytes.  Returns MW_OK; MW_EINVAL, with a message; or
 * MW_ENOMEM. */
int mw_url_parse(struct mw_url *url, const char *text, size_t len,
    bool keep_dots, char *room);

/* Resolves a reference against a base URL (RFC 3986 section 5.2).  The result,
 * of `*out_len` bytes, is at `out`, which points into `room`, of
 * MW_URL_ROOM(base_len + ref_len) bytes; it has not been checked as
 * mw_url_parse() would.  Returns as that does; only the message of `url` is
 * written. */
int mw_url_resolve(struct mw_url *url, const char *base, size_t base_len,
    const char *ref, size_t ref_len, char *room, const char **out,
    size_t *out_len);

#endif
