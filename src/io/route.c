/* route.c - which of two addresses is tried first. */
#include "io/route.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"

enum {
    SCOPE_LINK = 0x2,
    SCOPE_SITE = 0x5,
    SCOPE_GLOBAL = 0xe,
    NETWORK_BITS = 64,
    ANY_PORT = 9 /* connect() wants one; nothing is sent there */
};

struct policy {
    unsigned char prefix[16];
    int bits;
    int precedence;
    int label;
};

/* RFC 6724 section 2.1; the longest prefix first. */
static const struct policy policies[] = {
    {{[15] = 1}, 128, 50, 0},                /* ::1 */
    {{[10] = 0xff, [11] = 0xff}, 96, 35, 4}, /* IPv4 */
    {{0}, 96, 1, 3},                         /* IPv4-compatible */
    {{[0] = 0x20, [1] = 0x01}, 32, 5, 5},    /* Teredo */
    {{[0] = 0x20, [1] = 0x02}, 16, 30, 2},   /* 6to4 */
    {{[0] = 0x3f, [1] = 0xfe}, 16, 1, 12},   /* 6bone */
    {{[0] = 0xfe, [1] = 0xc0}, 10, 1, 11},   /* site-local */
    {{[0] = 0xfc}, 7, 3, 13},                /* unique local */
    {{0}, 0, 40, 1},
};

static bool
has_prefix(const struct in6_addr *address, const struct policy *policy)
{
    int bytes = policy->bits / 8;
    int rest = policy->bits % 8;
    unsigned mask = 0xffU << (8 - rest) & 0xffU;

    if (memcmp(address->s6_addr, policy->prefix, (size_t)bytes) != 0)
        return false;
    return rest == 0 ||
           (address->s6_addr[bytes] & mask) == policy->prefix[bytes];
}

static const struct policy *
policy_of(const struct in6_addr *address)
{
    const struct policy *policy = policies;

    while (!has_prefix(address, policy)) /* the last one fits all */
        policy++;
    return policy;
}

static int
scope_of(const struct in6_addr *address)
{
    const unsigned char *bytes = address->s6_addr;

    if (IN6_IS_ADDR_V4MAPPED(address)) /* RFC 6724 section 3.2 */
        return bytes[12] == 127 || (bytes[12] == 169 && bytes[13] == 254)
                   ? SCOPE_LINK
                   : SCOPE_GLOBAL;
    if (IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_LINKLOCAL(address))
        return SCOPE_LINK;
    return IN6_IS_ADDR_SITELOCAL(address) ? SCOPE_SITE : SCOPE_GLOBAL;
}

static bool
has_own_scope(const struct mw_route *route)
{
    return scope_of(&route->to) == scope_of(&route->from);
}

static bool
has_own_label(const struct mw_route *route)
{
    return policy_of(&route->to)->label == policy_of(&route->from)->label;
}

/* How many bits the source has in common with where it goes; what is behind the
 * network's 64 bits says nothing about the way. */
static int
common_bits(const struct mw_route *route)
{
    int bits = 0;

    while (bits < NETWORK_BITS) {
        unsigned shift = 7U - (unsigned)bits % 8U;
        unsigned difference = (unsigned)route->to.s6_addr[bits / 8] ^
                              (unsigned)route->from.s6_addr[bits / 8];

        if ((difference >> shift & 1U) != 0)
            break;
        bits++;
    }
    return bits;
}

static bool
is_ipv6_with_source(const struct mw_route *route)
{
    return route->has_from && !IN6_IS_ADDR_V4MAPPED(&route->to);
}

/* Rules 3, 4 and 7 need what the system doesn't tell. */
int
mw_route_compare(const struct mw_route *a, const struct mw_route *b)
{
    int difference = b->has_from - a->has_from; /* rule 1 */

    if (difference == 0 && a->has_from)
        difference = has_own_scope(b) - has_own_scope(a); /* 2 */
    if (difference == 0 && a->has_from)
        difference = has_own_label(b) - has_own_label(a); /* 5 */
    if (difference == 0)
        difference =
            policy_of(&b->to)->precedence - policy_of(&a->to)->precedence;
    if (difference == 0)
        difference = scope_of(&a->to) - scope_of(&b->to); /* 8 */
    if (difference == 0 && is_ipv6_with_source(a) && is_ipv6_with_source(b))
        difference = common_bits(b) - common_bits(a); /* 9 */
    return difference;
}

static int
to_ipv6(const char *text, struct in6_addr *out)
{
    struct mw_address address;
    union mw_any_address system;

    if (mw_address_parse(&address, text, strlen(text)) != MW_OK ||
        mw_address_to_system(&address, &system) == 0)
        return MW_EINVAL;
    if (address.family == MW_IPV6) {
        *out = system.ipv6.sin6_addr;
        return MW_OK;
    }
    memset(out, 0, sizeof(*out));
    out->s6_addr[10] = out->s6_addr[11] = 0xff;
    memcpy(&out->s6_addr[12], &system.ipv4.sin_addr, 4);
    return MW_OK;
}

int
mw_route_set(struct mw_route *route, const char *to, const char *from)
{
    struct mw_route new = {.has_from = from != NULL};

    if (to_ipv6(to, &new.to) != MW_OK)
        return MW_EINVAL;
    if (from != NULL && to_ipv6(from, &new.from) != MW_OK)
        return MW_EINVAL;
    *route = new;
    return MW_OK;
}

/* Connects a datagram socket, which sends nothing, and looks at its name. */
int
mw_route_source(const struct mw_address *to, struct mw_address *from)
{
    struct mw_address target = *to;
    union mw_any_address system;
    socklen_t len;
    int fd;
    int err = MW_OK;

    target.port = ANY_PORT;
    len = mw_address_to_system(&target, &system);
    if (len == 0 || to->family == MW_UNIX)
        return MW_EINVAL;
    fd = socket(system.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return mw_err_from_errno(errno);
    if (connect(fd, &system.any, len) == -1)
        err = mw_err_from_errno(errno);
    len = sizeof(system);
    if (err == MW_OK && getsockname(fd, &system.any, &len) == -1)
        err = mw_err_from_errno(errno);
    close(fd);
    return err == MW_OK ? mw_address_from_system(&system, len, from) : err;
}
