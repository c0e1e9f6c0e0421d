/* url.c - http URLs: text in, checked parts out. */
#include "core/url.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include <uriparser/Uri.h>

#include "core/err.h"
#include "core/url_internal.h"

enum {
    PORT_MAX = 65535
};

/* Where the text is built, with escapes written out. */
struct builder {
    char *data;
    size_t len;
};

/* The authority of the URL that is being split, as it was given. */
struct authority {
    struct mw_url_part userinfo;
    struct mw_url_part host; /* with brackets */
    struct mw_url_part port;
};

static int
check_bytes(struct mw_url *url, const char *text, size_t len)
{
    if (len == 0)
        return mw_url_fail(url, "it is empty");
    if (len > MW_URL_MAX)
        return mw_url_fail(url, "it is longer than %d bytes", MW_URL_MAX);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == ' ')
            return mw_url_fail(url, "byte %zu is a space (write %%20)", i + 1);
        if (c == '\\')
            return mw_url_fail(
                url, "byte %zu is a backslash (write %%5C)", i + 1);
        if (c < 0x20 || c == 0x7f)
            return mw_url_fail(url, "byte %zu is a control character (0x%02x)",
                i + 1, (unsigned int)c);
        if (c == '%' &&
            (len - i < 3 || !mw_is_hex(text[i + 1]) || !mw_is_hex(text[i + 2])))
            return mw_url_fail(url,
                "byte %zu is a '%%' without two hex digits behind it "
                "(write %%25)",
                i + 1);
    }
    return MW_OK;
}

static bool
is_ascii(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

static void
put(struct builder *out, const char *data, size_t len)
{
    memcpy(out->data + out->len, data, len);
    out->len += len;
}

static struct mw_url_part
put_lower(struct builder *out, const char *data, size_t len)
{
    struct mw_url_part part = {.data = out->data + out->len, .len = len};

    for (size_t i = 0; i < len; i++)
        out->data[out->len++] = mw_to_lower(data[i]);
    return part;
}

/* Writes the bytes that may not stand in a URL as they are as %XX. */
static struct mw_url_part
put_escaped(struct builder *out, const char *data, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    struct mw_url_part part = {.data = out->data + out->len};

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];

        if (c < 0x80 && strchr("\"<>[]^`{|}", c) == NULL) {
            out->data[out->len++] = data[i];
            continue;
        }
        out->data[out->len++] = '%';
        out->data[out->len++] = digits[c >> 4];
        out->data[out->len++] = digits[c & 15];
    }
    part.len = (size_t)(out->data + out->len - part.data);
    return part;
}

/* The length of the scheme in front of a ':', or 0. */
static size_t
scheme_len(const char *text, size_t len)
{
    size_t i = 0;

    if (len == 0 || !mw_is_alpha(text[0]))
        return 0;
    while (i < len && (mw_is_alpha(text[i]) || mw_is_digit(text[i]) ||
                          text[i] == '+' || text[i] == '-' || text[i] == '.'))
        i++;
    return i < len && text[i] == ':' ? i : 0;
}

/* "example.com", "//example.com" and "localhost:8080" get a hint. */
static int
fail_without_scheme(struct mw_url *url, const char *text, size_t len)
{
    while (len > 0 && *text == '/') {
        text++;
        len--;
    }
    if (len == 0 || len > 100 || memchr(text, '@', len) != NULL)
        return mw_url_fail(url, "it has no scheme: did you mean http://...?");
    return mw_url_fail(
        url, "it has no scheme: did you mean http://%.*s?", (int)len, text);
}

static int
check_scheme(struct mw_url *url, const char *text, size_t len)
{
    size_t n = scheme_len(text, len);

    if (n == 0 || (n + 1 < len && mw_is_digit(text[n + 1])))
        return fail_without_scheme(url, text, len);
    if ((n != 4 && n != 5) || strncasecmp(text, "https", n) != 0)
        return mw_url_fail(url, "the scheme \"%.*s\" is not http or https",
            n > 40 ? 40 : (int)n, text);
    if (len - n < 3 || memcmp(text + n, "://", 3) != 0)
        return mw_url_fail(url, "there is no \"//\" behind the scheme");
    return MW_OK;
}

static int
split_authority(
    struct mw_url *url, const char *text, size_t len, struct authority *out)
{
    const char *end = text + len;
    const char *at = memchr(text, '@', len);
    const char *colon;

    *out = (struct authority){0};
    if (at != NULL) {
        if (memchr(at + 1, '@', (size_t)(end - at - 1)) != NULL)
            return mw_url_fail(url,
                "there are two '@' before the path (write %%40 in a password)");
        out->userinfo.data = text;
        out->userinfo.len = (size_t)(at - text);
        text = at + 1;
    }
    out->host.data = text;
    if (text < end && *text == '[') {
        colon = memchr(text, ']', (size_t)(end - text));
        if (colon == NULL)
            return mw_url_fail(url, "the '[' of the host has no ']'");
        colon++;
        if (colon < end && *colon != ':')
            return mw_url_fail(
                url, "there is something between ']' and the port");
    } else {
        colon = memchr(text, ':', (size_t)(end - text));
        if (colon == NULL)
            colon = end;
    }
    out->host.len = (size_t)(colon - text);
    if (colon < end) {
        out->port.data = colon + 1;
        out->port.len = (size_t)(end - colon - 1);
    }
    return MW_OK;
}

static int
parse_port(struct mw_url *url, struct mw_url_part port)
{
    int value = 0;

    url->port = -1;
    if (port.len == 0)
        return MW_OK;
    if (memchr(port.data, ':', port.len) != NULL)
        return mw_url_fail(url,
            "there are too many ':' in the host (an IPv6 address stands in "
            "brackets)");
    for (size_t i = 0; i < port.len; i++) {
        if (!mw_is_digit(port.data[i]))
            return mw_url_fail(url, "the port is not a number");
        value = value * 10 + (port.data[i] - '0');
        if (value > PORT_MAX)
            return mw_url_fail(url, "the port is above %d", PORT_MAX);
    }
    if (value == 0)
        return mw_url_fail(url, "there is no port 0");
    url->port = value;
    return MW_OK;
}

/* [address] or [address%25zone]; uriparser checks the address later. */
static int
put_ipv6(struct mw_url *url, struct builder *out, struct mw_url_part host)
{
    const char *text = host.data + 1;
    size_t len = host.len - 2;
    const char *percent = memchr(text, '%', len);

    url->host_kind = MW_URL_IPV6;
    if (percent != NULL) {
        const char *zone = percent + 3;
        size_t zone_len = len - (size_t)(zone - text);

        if (memcmp(percent, "%25", 3) != 0 || zone_len == 0)
            return mw_url_fail(
                url, "the zone of the IPv6 address must be written %%25zone");
        for (size_t i = 0; i < zone_len; i++)
            if (!mw_is_alpha(zone[i]) && !mw_is_digit(zone[i]) &&
                strchr("-._~", zone[i]) == NULL)
                return mw_url_fail(
                    url, "the zone of the IPv6 address is not a name");
        url->zone.data = zone;
        url->zone.len = zone_len;
        len = (size_t)(percent - text);
    }
    if (len > 0 && (*text | 0x20) == 'v') /* IPvFuture, of no use as yet */
        return mw_url_fail(url, "the host in brackets is not an IPv6 address");
    put(out, "[", 1);
    url->host = put_lower(out, text, len);
    put(out, "]", 1);
    return MW_OK;
}

static int
put_name(struct mw_url *url, struct builder *out, struct mw_url_part name)
{
    char *to = out->data + out->len;
    size_t len = 0;
    int err = mw_url_put_name(url, name.data, name.len, to, &len);

    if (err == MW_OK) {
        url->host = (struct mw_url_part){to, len};
        out->len += len;
    }
    return err;
}

static int
put_authority(
    struct mw_url *url, struct builder *out, const char *text, size_t len)
{
    struct authority parts;
    int err = split_authority(url, text, len, &parts);

    if (err == MW_OK)
        err = parse_port(url, parts.port);
    if (err != MW_OK)
        return err;
    if (parts.host.len == 0)
        return mw_url_fail(url, "it has no host");
    if (parts.userinfo.len > 0) {
        url->userinfo =
            put_escaped(out, parts.userinfo.data, parts.userinfo.len);
        put(out, "@", 1);
    }
    if (parts.host.data[0] == '[') {
        err = put_ipv6(url, out, parts.host);
    } else {
        err = put_name(url, out, parts.host);
    }
    if (err == MW_OK && parts.port.len > 0) {
        put(out, ":", 1);
        put(out, parts.port.data, parts.port.len);
    }
    return err;
}

/* Drops the last segment of what was written, with the slash before it. */
static size_t
drop_segment(const char *path, size_t len)
{
    while (len > 0)
        if (path[--len] == '/')
            break;
    return len;
}

/* RFC 3986 section 5.2.4, for a path that is empty or begins with a slash.
 * Returns the new length. */
static size_t
remove_dots(char *path, size_t len)
{
    size_t in = 0;
    size_t out = 0;

    while (in < len) {
        const char *next = memchr(path + in + 1, '/', len - in - 1);
        size_t end = next != NULL ? (size_t)(next - path) : len;
        size_t n = end - in; /* with the slash in front */
        bool dot = n == 2 && path[in + 1] == '.';
        bool dots = n == 3 && path[in + 1] == '.' && path[in + 2] == '.';

        if (dots)
            out = drop_segment(path, out);
        if (!dot && !dots) {
            memmove(path + out, path + in, n);
            out += n;
        } else if (end == len) {
            path[out++] = '/';
        }
        in = end;
    }
    return out;
}

/* The end of the part that begins at `from`: the first of `stops`, or len. */
static size_t
find_end(const char *text, size_t from, size_t len, const char *stops)
{
    while (from < len && strchr(stops, text[from]) == NULL)
        from++;
    return from;
}

static int
check_with_uriparser(struct mw_url *url, const char *text, size_t len)
{
    UriUriA uri;
    const char *where = NULL;
    int err = uriParseSingleUriExA(&uri, text, text + len, &where);

    if (err == URI_SUCCESS) {
        uriFreeUriMembersA(&uri);
        return MW_OK;
    }
    if (err == URI_ERROR_MALLOC)
        return MW_ENOMEM;
    if (url->host_kind == MW_URL_IPV6 && where != NULL &&
        where <= url->host.data + url->host.len)
        return mw_url_fail(url, "the host in brackets is not an IPv6 address");
    if (where != NULL && where < text + len)
        return mw_url_fail(
            url, "a '%c' may not stand where it does (RFC 3986)", *where);
    return mw_url_fail(url, "it is not a URL (RFC 3986)");
}

int
mw_url_parse(struct mw_url *url, const char *text, size_t len, bool keep_dots,
    char *room)
{
    struct builder out = {.data = room};
    size_t at;
    size_t end;
    int err;

    memset(url, 0, offsetof(struct mw_url, message) + 1);
    err = check_bytes(url, text, len);
    if (err == MW_OK)
        err = check_scheme(url, text, len);
    if (err != MW_OK)
        return err;
    at = scheme_len(text, len);
    url->scheme = put_lower(&out, text, at);
    put(&out, "://", 3);
    at += 3;
    end = find_end(text, at, len, "/?#");
    err = put_authority(url, &out, text + at, end - at);
    if (err != MW_OK)
        return err;
    at = end;
    end = find_end(text, at, len, "?#");
    url->path = put_escaped(&out, text + at, end - at);
    if (end < len && text[end] == '?') {
        at = end + 1;
        end = find_end(text, at, len, "#");
        put(&out, "?", 1);
        url->query = put_escaped(&out, text + at, end - at);
    }
    if (end < len) {
        put(&out, "#", 1);
        url->fragment = put_escaped(&out, text + end + 1, len - end - 1);
    }
    err = check_with_uriparser(url, room, out.len);
    if (err == MW_OK && !keep_dots)
        url->path.len =
            remove_dots(room + (url->path.data - room), url->path.len);
    return err;
}

/* Puts the authority of a URL reference as it is, but for a host in another
 * script than ASCII, which uriparser would not read. */
static int
put_raw_authority(
    struct mw_url *url, struct builder *out, const char *text, size_t len)
{
    const char *at = memrchr(text, '@', len);
    size_t host = at != NULL ? (size_t)(at + 1 - text) : 0;
    size_t end = find_end(text, host, len, ":[");
    int err = MW_OK;

    put_escaped(out, text, host);
    if (is_ascii(text + host, end - host))
        put(out, text + host, end - host);
    else
        err = put_name(url, out, (struct mw_url_part){text + host, end - host});
    put(out, text + end, len - end);
    return err;
}

static int
put_reference(struct mw_url *url, struct builder *out, const char *text,
    size_t len, struct mw_url_part *part)
{
    size_t at = scheme_len(text, len);
    size_t end;
    int err = MW_OK;

    part->data = out->data + out->len;
    if (at > 0)
        at++;
    put(out, text, at);
    if (len - at >= 2 && text[at] == '/' && text[at + 1] == '/') {
        end = find_end(text, at + 2, len, "/?#");
        put(out, "//", 2);
        err = put_raw_authority(url, out, text + at + 2, end - at - 2);
        at = end;
    }
    put_escaped(out, text + at, len - at);
    part->len = (size_t)(out->data + out->len - part->data);
    return err;
}

static int
parse_reference(struct mw_url *url, UriUriA *uri, struct mw_url_part part,
    const char *which)
{
    const char *where;
    int err =
        uriParseSingleUriExA(uri, part.data, part.data + part.len, &where);

    if (err == URI_SUCCESS)
        return MW_OK;
    if (err == URI_ERROR_MALLOC)
        return MW_ENOMEM;
    return mw_url_fail(url, "the %s is not a URL (RFC 3986)", which);
}

/* Writes a resolved URL behind what stands in `room`. */
static int
write_resolved(struct mw_url *url, UriUriA *base, UriUriA *ref,
    struct builder *room, const char **out, size_t *out_len)
{
    UriUriA full;
    int size = 0;
    int err = uriAddBaseUriExA(&full, ref, base, URI_RESOLVE_STRICTLY);

    if (err == URI_SUCCESS)
        err = uriToStringCharsRequiredA(&full, &size);
    if (err == URI_SUCCESS)
        err = uriToStringA(room->data + room->len, &full, size + 1, &size);
    if (err == URI_SUCCESS) {
        *out = room->data + room->len;
        *out_len = (size_t)size - 1;
    }
    uriFreeUriMembersA(&full);
    if (err == URI_SUCCESS)
        return MW_OK;
    return err == URI_ERROR_MALLOC
               ? MW_ENOMEM
               : mw_url_fail(url, "the base is not an absolute URL");
}

int
mw_url_resolve(struct mw_url *url, const char *base, size_t base_len,
    const char *ref, size_t ref_len, char *room, const char **out,
    size_t *out_len)
{
    struct builder build = {.data = room};
    struct mw_url_part base_part;
    struct mw_url_part ref_part;
    UriUriA base_uri;
    UriUriA ref_uri;
    int err;

    memset(url, 0, sizeof(*url));
    err = check_bytes(url, base, base_len);
    if (err == MW_OK && ref_len > 0)
        err = check_bytes(url, ref, ref_len);
    if (err != MW_OK)
        return err;
    err = put_reference(url, &build, base, base_len, &base_part);
    if (err == MW_OK)
        err = put_reference(url, &build, ref, ref_len, &ref_part);
    if (err == MW_OK)
        err = parse_reference(url, &base_uri, base_part, "base");
    if (err != MW_OK)
        return err;
    err = parse_reference(url, &ref_uri, ref_part, "reference");
    if (err == MW_OK) {
        err = write_resolved(url, &base_uri, &ref_uri, &build, out, out_len);
        uriFreeUriMembersA(&ref_uri);
    }
    uriFreeUriMembersA(&base_uri);
    return err;
}
