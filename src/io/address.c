/* address.c - numeric addresses and paths. */
#include "io/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"

/* The interface that a zone names, by its name or its number; 0: none. */
static uint32_t
zone_number(const char *zone)
{
    uint32_t number = 0;

    for (const char *p = zone; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            return if_nametoindex(zone);
        number = number * 10 + (uint32_t)(*p - '0');
    }
    return number;
}

/* "fe80::1%eth0".  A zone is for link-local addresses: anything else would be
 * one more way of writing an address that means the same without. */
static bool
ipv6_to_system(const char *text, struct sockaddr_in6 *to)
{
    const char *percent = strchr(text, '%');
    size_t len = percent != NULL ? (size_t)(percent - text) : strlen(text);
    char address[INET6_ADDRSTRLEN];

    if (len >= sizeof(address))
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    if (inet_pton(AF_INET6, address, &to->sin6_addr) != 1)
        return false;
    if (percent == NULL)
        return true;
    len = strlen(percent + 1);
    if (len == 0 || len >= IF_NAMESIZE ||
        !IN6_IS_ADDR_LINKLOCAL(&to->sin6_addr))
        return false;
    to->sin6_scope_id = zone_number(percent + 1);
    return to->sin6_scope_id != 0;
}

/* The same way back.  The zone of an interface that is gone is its number. */
static void
add_zone(const struct sockaddr_in6 *from, struct mw_address *to)
{
    char name[IF_NAMESIZE];
    size_t len = strlen(to->text);

    if (from->sin6_scope_id == 0 || !IN6_IS_ADDR_LINKLOCAL(&from->sin6_addr))
        return;
    if (if_indextoname(from->sin6_scope_id, name) == NULL)
        snprintf(name, sizeof(name), "%u", (unsigned)from->sin6_scope_id);
    snprintf(to->text + len, sizeof(to->text) - len, "%%%s", name);
}

socklen_t
mw_address_to_system(const struct mw_address *from, union mw_any_address *to)
{
    in_port_t port = htons((uint16_t)from->port);

    memset(to, 0, sizeof(*to));
    switch (from->family) {
    case MW_IPV4:
        to->ipv4.sin_family = AF_INET;
        to->ipv4.sin_port = port;
        if (inet_pton(AF_INET, from->text, &to->ipv4.sin_addr) != 1)
            return 0;
        return sizeof(to->ipv4);
    case MW_IPV6:
        to->ipv6.sin6_family = AF_INET6;
        to->ipv6.sin6_port = port;
        if (!ipv6_to_system(from->text, &to->ipv6))
            return 0;
        return sizeof(to->ipv6);
    case MW_UNIX:
        to->path.sun_family = AF_UNIX;
        strcpy(to->path.sun_path, from->text);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                           strlen(from->text) + 1);
    }
    return 0;
}

int
mw_address_from_system(
    const union mw_any_address *from, socklen_t len, struct mw_address *to)
{
    size_t path_at = offsetof(struct sockaddr_un, sun_path);

    memset(to, 0, sizeof(*to));
    switch (from->any.sa_family) {
    case AF_INET:
        to->family = MW_IPV4;
        to->port = ntohs(from->ipv4.sin_port);
        inet_ntop(AF_INET, &from->ipv4.sin_addr, to->text, sizeof(to->text));
        return MW_OK;
    case AF_INET6:
        to->family = MW_IPV6;
        to->port = ntohs(from->ipv6.sin6_port);
        inet_ntop(AF_INET6, &from->ipv6.sin6_addr, to->text, sizeof(to->text));
        add_zone(&from->ipv6, to);
        return MW_OK;
    case AF_UNIX:
        to->family = MW_UNIX;
        if (len > path_at) /* else it has no name */
            memcpy(to->text, from->path.sun_path,
                strnlen(from->path.sun_path, len - path_at));
        return MW_OK;
    default:
        return MW_EINVAL;
    }
}

int
mw_address_set(struct mw_address *address, enum mw_family family,
    const char *text, size_t len, int port)
{
    union mw_any_address ignored;

    if (len == 0 || len >= sizeof(ignored.path.sun_path))
        return MW_EINVAL;
    if (memchr(text, '\0', len) != NULL || port < 0 || port > 65535)
        return MW_EINVAL;
    *address = (struct mw_address){.family = family, .port = port};
    memcpy(address->text, text, len);
    return mw_address_to_system(address, &ignored) > 0 ? MW_OK : MW_EINVAL;
}

int
mw_address_parse(struct mw_address *address, const char *text, size_t len)
{
    union mw_any_address system;
    const unsigned char *bytes = system.ipv6.sin6_addr.s6_addr;
    struct mw_address new;

    if (len >= INET6_ADDRSTRLEN + IF_NAMESIZE)
        return MW_EINVAL;
    if (mw_address_set(&new, MW_IPV4, text, len, 0) != MW_OK &&
        mw_address_set(&new, MW_IPV6, text, len, 0) != MW_OK)
        return MW_EINVAL;
    mw_address_to_system(&new, &system);
    *address = (struct mw_address){.family = new.family};
    if (new.family == MW_IPV6 && IN6_IS_ADDR_V4MAPPED(&system.ipv6.sin6_addr)) {
        address->family = MW_IPV4;
        inet_ntop(AF_INET, bytes + 12, address->text, sizeof(address->text));
        return MW_OK;
    }
    return mw_address_from_system(&system, sizeof(system), address);
}
