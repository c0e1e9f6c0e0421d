/* dns_internal.h - what the DNS files share; nobody else includes it. */
#ifndef MW_IO_DNS_INTERNAL_H
#define MW_IO_DNS_INTERNAL_H

#include <ares.h>

#include "io/dns.h"

/* Makes an answer, which the caller owns, of the addresses of that family, 64
 * at most; without has_ttl nobody said how long they may be kept.  Returns
 * MW_OK, MW_ENODATA when there is none, or MW_ENOMEM. */
int mw_dns_answer_copy(const struct ares_addrinfo *result,
    enum mw_dns_family family, bool has_ttl, struct mw_dns_answer **out);

/* An ARES_ status as one of our codes. */
int mw_dns_code(int status);

#endif
