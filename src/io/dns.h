/* dns.h - host names to addresses through c-ares, without stopping the loop.
 * Numbers and localhost are answered on the spot, without a network. */
#ifndef MW_IO_DNS_H
#define MW_IO_DNS_H

#include <stdbool.h>
#include <stddef.h>

#include "io/wait.h"

enum mw_dns_family {
    MW_DNS_BOTH,
    MW_DNS_IPV4,
    MW_DNS_IPV6
};

/* One address; the text is numeric. */
struct mw_dns_address {
    bool is_ipv6;
    int ttl; /* seconds it may be kept; below 0: nobody said */
    char text[64];
};

/* What a lookup found, in the order in which to try them. */
struct mw_dns_answer {
    size_t count;
    struct mw_dns_address addresses[];
};

struct mw_dns_options {
    const char *servers; /* "127.0.0.1:5353,[::1]:53"; NULL: the system's */
    int timeout;         /* milliseconds of the first try; 0: the default */
    int tries;           /* 0: the default */
};

struct mw_dns;

/* Returns a resolver, or NULL when out of memory.  Nothing is read or opened
 * before the first lookup that needs it. */
struct mw_dns *mw_dns_new(
    struct mw_loop *loop, const struct mw_dns_options *options);
void mw_dns_free(struct mw_dns *dns); /* waiters get MW_ECLOSED; NULL allowed */

/* Waiters get MW_ECLOSED; no more lookups. */
void mw_dns_close(struct mw_dns *dns);
bool mw_dns_is_closed(const struct mw_dns *dns);

/* What can be said about a name without asking anybody: MW_OK and an answer
 * that the caller owns (numeric, localhost), MW_ENODATA when that has no
 * address of the family, MW_EBADNAME, MW_ENOMEM, or MW_EAGAIN: ask. */
int mw_dns_answer_at_once(const char *name, size_t len,
    enum mw_dns_family family, struct mw_dns_answer **answer);

/* Asks, for a waiter that has just been parked: its wait ends with MW_OK and
 * *answer (which the caller owns) set, with MW_ENOTFOUND, MW_ENODATA,
 * MW_ERESOLVE or MW_ECLOSED, or by somebody else, and then *answer isn't
 * touched any more.  `name` is copied. */
void mw_dns_ask(struct mw_dns *dns, struct mw_waiter *waiter, const char *name,
    enum mw_dns_family family, struct mw_dns_answer **answer);

void mw_dns_answer_free(struct mw_dns_answer *answer); /* NULL is allowed */

#endif
