/* url_name.c - the host names of URLs: which ones there are, and the xn-- form
 * of those in other scripts than ASCII, by way of libidn2. */
#include "core/url_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <idn2.h>
#include <uriparser/UriIp4.h>

#include "core/err.h"

enum {
    LABEL_MAX_BYTES = 63,
    IDNA_MAX_BYTES = 1024 /* what is looked at: four for each of the name's */
};

int
mw_url_fail(struct mw_url *url, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(url->message, sizeof(url->message), format, args);
    va_end(args);
    return MW_EINVAL;
}

/* A last label of digits, or of 0x and hex digits, is meant as a number. */
static bool
is_numeric_label(const char *label, size_t len)
{
    size_t i = 0;
    bool hex = len >= 2 && label[0] == '0' && (label[1] | 0x20) == 'x';

    if (len == 0)
        return false;
    for (i = hex ? 2 : 0; i < len; i++)
        if (hex ? !mw_is_hex(label[i]) : !mw_is_digit(label[i]))
            return false;
    return true;
}

static bool
is_ipv4(const char *text, size_t len)
{
    unsigned char octets[4];
    char copy[16];

    if (len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return uriParseIpFourAddressA(octets, copy, copy + len) == URI_SUCCESS;
}

static int
check_name(struct mw_url *url, const char *name, size_t len)
{
    const char *end = name + len;
    const char *label = name;

    if (len > 0 && name[len - 1] == '.') /* the root of the DNS */
        end--;
    if (end - name > MW_NAME_MAX || end == name)
        return mw_url_fail(url, "the host is no name that could exist");
    for (const char *p = name; p <= end; p++) {
        if (p == end || *p == '.') {
            if (p == label || p - label > LABEL_MAX_BYTES)
                return mw_url_fail(url,
                    "the host has a part of %d bytes between its dots (1 to "
                    "%d are possible)",
                    (int)(p - label), LABEL_MAX_BYTES);
            if (p < end)
                label = p + 1;
        } else if (*p == '%') {
            return mw_url_fail(url, "the host has a percent-encoded byte");
        } else if (!mw_is_alpha(*p) && !mw_is_digit(*p) && *p != '-' &&
                   *p != '_') {
            return mw_url_fail(
                url, "the host has a '%c', which no name has", *p);
        }
    }
    if (is_numeric_label(label, (size_t)(end - label))) {
        if (*end == '.' && end < name + len)
            return mw_url_fail(
                url, "the host is an IPv4 address with a dot behind");
        if (!is_ipv4(name, len))
            return mw_url_fail(url,
                "the host ends in a number but is not an IPv4 address of four "
                "decimal parts");
        url->host_kind = MW_URL_IPV4;
    }
    return MW_OK;
}

/* The xn-- form, in lower case.  Characters that only look like others become
 * those (a full-width "/" is a slash), so it is checked after this. */
static int
put_other_script(
    struct mw_url *url, const char *name, size_t len, char *to, size_t *to_len)
{
    char text[IDNA_MAX_BYTES + 1];
    char *ascii = NULL;
    int err;

    if (len > IDNA_MAX_BYTES)
        return mw_url_fail(url, "the host is no name that could exist");
    memcpy(text, name, len);
    text[len] = '\0';
    err = idn2_to_ascii_8z(text, &ascii, IDN2_NONTRANSITIONAL);
    if (err == IDN2_MALLOC)
        return MW_ENOMEM;
    if (err != IDN2_OK)
        return mw_url_fail(
            url, "the host has no form in ASCII: %s", idn2_strerror(err));
    *to_len = strlen(ascii);
    err = MW_OK;
    if (*to_len > MW_NAME_MAX + 1)
        err = mw_url_fail(url, "the host is no name that could exist");
    else
        memcpy(to, ascii, *to_len);
    idn2_free(ascii);
    return err;
}

int
mw_url_put_name(
    struct mw_url *url, const char *name, size_t len, char *to, size_t *to_len)
{
    int err;

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] >= 0x80) {
            err = put_other_script(url, name, len, to, to_len);
            if (err == MW_OK)
                err = check_name(url, to, *to_len);
            if (err == MW_OK && url->host_kind == MW_URL_IPV4)
                err = mw_url_fail(url,
                    "the host is an IPv4 address in digits of another "
                    "script");
            return err;
        }
        to[i] = mw_to_lower(name[i]);
    }
    *to_len = len;
    return check_name(url, to, len);
}
