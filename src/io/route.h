/* route.h - which of two addresses is tried first (RFC 6724 section 6), by what
 * the system would send from.  No packet is ever sent. */
#ifndef MW_IO_ROUTE_H
#define MW_IO_ROUTE_H

#include <netinet/in.h>
#include <stdbool.h>

#include "io/address.h"

/* A way to an address; IPv4 as IPv4-mapped IPv6. */
struct mw_route {
    struct in6_addr to;
    struct in6_addr from;
    bool has_from;
};

/* From numeric texts; `from` is NULL when there is no way.  Returns MW_OK, or
 * MW_EINVAL when one is no address. */
int mw_route_set(struct mw_route *route, const char *to, const char *from);

/* Returns below 0 when `a` is tried first, above 0 when `b` is, else 0. */
int mw_route_compare(const struct mw_route *a, const struct mw_route *b);

/* What the system would send from to that address.  Returns MW_OK, or a code
 * when there is no way. */
int mw_route_source(const struct mw_address *to, struct mw_address *from);

#endif
