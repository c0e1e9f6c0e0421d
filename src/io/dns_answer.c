/* dns_answer.c - what is said of a name: out of the name itself, or by c-ares.
 * It asks nobody. */
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/err.h"
#include "io/address.h"
#include "io/dns_internal.h"
#include "io/route.h"

#define NAME_MOST    253 /* RFC 1035 section 2.3.4, as text */
#define LABEL_MOST   63
#define ADDRESS_MOST 64 /* nobody tries more */

static struct mw_dns_answer *
new_answer(size_t room)
{
    return calloc(
        1, sizeof(struct mw_dns_answer) + room * sizeof(struct mw_dns_address));
}

void
mw_dns_answer_free(struct mw_dns_answer *answer)
{
    free(answer);
}

static void
add_text(struct mw_dns_answer *answer, bool is_ipv6, const char *text, int ttl)
{
    struct mw_dns_address *address = &answer->addresses[answer->count++];

    address->is_ipv6 = is_ipv6;
    address->ttl = ttl;
    snprintf(address->text, sizeof(address->text), "%.*s",
        (int)sizeof(address->text) - 1, text);
}

static bool
has_text(const struct mw_dns_answer *answer, const char *text)
{
    for (size_t i = 0; i < answer->count; i++) {
        if (strcmp(answer->addresses[i].text, text) == 0)
            return true;
    }
    return false;
}

static bool
is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Labels of letters, digits, - and _. */
static bool
has_name_labels(const char *name, size_t len)
{
    size_t label = 0;

    for (size_t i = 0; i < len; i++) {
        if (name[i] != '.' && is_name_byte(name[i]) && label < LABEL_MOST)
            label++;
        else if (name[i] == '.' && label > 0)
            label = 0;
        else
            return false;
    }
    return label > 0;
}

/* Whether the last label is a number, decimal or hexadecimal: other programs
 * would take such a name for a strange IPv4 address. */
static bool
ends_in_number(const char *name, size_t len)
{
    size_t first = len;
    bool is_hex;

    while (first > 0 && name[first - 1] != '.')
        first--;
    is_hex =
        len - first >= 2 && name[first] == '0' && (name[first + 1] | 32) == 'x';
    for (size_t i = is_hex ? first + 2 : first; i < len; i++) {
        bool is_digit = name[i] >= '0' && name[i] <= '9';
        bool is_hex_digit = (name[i] | 32) >= 'a' && (name[i] | 32) <= 'f';

        if (!is_digit && !(is_hex && is_hex_digit))
            return false;
    }
    return true;
}

static bool
is_name(const char *name, size_t len)
{
    if (len > 0 && name[len - 1] == '.')
        len--;
    return len <= NAME_MOST && has_name_labels(name, len) &&
           !ends_in_number(name, len);
}

/* localhost and all below it (RFC 6761 section 6.3). */
static bool
is_localhost(const char *name, size_t len)
{
    static const char word[] = "localhost";
    size_t word_len = sizeof(word) - 1;

    if (len > 0 && name[len - 1] == '.')
        len--;
    if (len < word_len || strncasecmp(name + len - word_len, word, word_len))
        return false;
    return len == word_len || name[len - word_len - 1] == '.';
}

int
mw_dns_answer_at_once(const char *name, size_t len, enum mw_dns_family family,
    struct mw_dns_answer **answer)
{
    bool wants_ipv4 = family != MW_DNS_IPV6;
    bool wants_ipv6 = family != MW_DNS_IPV4;
    bool is_local = is_localhost(name, len) && is_name(name, len);
    struct mw_address numeric;

    if (mw_address_parse(&numeric, name, len) == MW_OK) {
        if (numeric.family == MW_IPV4 ? !wants_ipv4 : !wants_ipv6)
            return MW_ENODATA;
    } else if (!is_local) {
        return is_name(name, len) ? MW_EAGAIN : MW_EBADNAME;
    }
    *answer = new_answer(2);
    if (*answer == NULL)
        return MW_ENOMEM;
    if (is_local && wants_ipv6)
        add_text(*answer, true, "::1", -1);
    if (is_local && wants_ipv4)
        add_text(*answer, false, "127.0.0.1", -1);
    if (!is_local)
        add_text(*answer, numeric.family == MW_IPV6, numeric.text, -1);
    return MW_OK;
}

static bool
is_wanted(enum mw_dns_family family, int system_family)
{
    switch (family) {
    case MW_DNS_BOTH:
        return system_family == AF_INET || system_family == AF_INET6;
    case MW_DNS_IPV4:
        return system_family == AF_INET;
    case MW_DNS_IPV6:
        return system_family == AF_INET6;
    }
    return false;
}

/* One address of c-ares as ours.  An IPv4-mapped one is the IPv4 address that
 * it stands for, so that whoever judges it can't be fooled. */
static int
to_address(const struct ares_addrinfo_node *node, struct mw_address *address)
{
    union mw_any_address system;
    struct mw_address plain;
    int err;

    memcpy(&system, node->ai_addr,
        node->ai_family == AF_INET ? sizeof(system.ipv4) : sizeof(system.ipv6));
    err = mw_address_from_system(&system, sizeof(system), &plain);
    if (err != MW_OK)
        return err;
    return mw_address_parse(address, plain.text, strlen(plain.text));
}

static struct mw_route
route_to(const struct mw_dns_address *address)
{
    struct mw_address to;
    struct mw_address from;
    struct mw_route route = {0};
    bool has_from =
        mw_address_parse(&to, address->text, strlen(address->text)) == MW_OK &&
        mw_route_source(&to, &from) == MW_OK;

    (void)mw_route_set(&route, address->text, has_from ? from.text : NULL);
    return route;
}

/* In the order in which to try them.  c-ares could do it as well, but looks at
 * each address of an answer, and there may be thousands. */
static void
sort_answer(struct mw_dns_answer *answer)
{
    struct mw_route routes[ADDRESS_MOST];

    assert(answer->count <= ADDRESS_MOST);
    for (size_t i = 0; i < answer->count; i++) {
        struct mw_dns_address address = answer->addresses[i];
        struct mw_route route = route_to(&address);
        size_t at = i;

        for (; at > 0 && mw_route_compare(&route, &routes[at - 1]) < 0; at--) {
            routes[at] = routes[at - 1];
            answer->addresses[at] = answer->addresses[at - 1];
        }
        routes[at] = route;
        answer->addresses[at] = address;
    }
}

int
mw_dns_answer_copy(const struct ares_addrinfo *result,
    enum mw_dns_family family, bool has_ttl, struct mw_dns_answer **out)
{
    struct mw_dns_answer *answer = new_answer(ADDRESS_MOST);
    const struct ares_addrinfo_node *node;
    struct mw_address address;

    if (answer == NULL)
        return MW_ENOMEM;
    for (node = result->nodes; node != NULL; node = node->ai_next) {
        if (answer->count < ADDRESS_MOST &&
            is_wanted(family, node->ai_family) &&
            to_address(node, &address) == MW_OK &&
            !has_text(answer, address.text))
            add_text(answer, address.family == MW_IPV6, address.text,
                has_ttl ? node->ai_ttl : -1);
    }
    if (answer->count == 0) {
        free(answer);
        return MW_ENODATA;
    }
    if (answer->count > 1)
        sort_answer(answer);
    *out = answer;
    return MW_OK;
}

int
mw_dns_code(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return MW_OK;
    case ARES_ENOTFOUND:
        return MW_ENOTFOUND;
    case ARES_ENODATA:
        return MW_ENODATA;
    case ARES_EBADNAME:
        return MW_EBADNAME;
    case ARES_ENOMEM:
        return MW_ENOMEM;
    case ARES_EDESTRUCTION:
        return MW_ECLOSED;
    default:
        return MW_ERESOLVE;
    }
}
