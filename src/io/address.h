/* address.h - numeric addresses and paths, as text and as the system has them.
 * It never looks a name up. */
#ifndef MW_IO_ADDRESS_H
#define MW_IO_ADDRESS_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

enum mw_family {
    MW_IPV4,
    MW_IPV6,
    MW_UNIX
};

struct mw_address {
    enum mw_family family;
    int port; /* 0 with MW_UNIX */
    char text[sizeof(((struct sockaddr_un *)0)->sun_path) + 1]; /* or path */
};

union mw_any_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_un path;
};

/* A numeric address, or a path.  Returns MW_OK, or MW_EINVAL when it is none:
 * a path that is empty, too long or abstract, a port outside 0-65535. */
int mw_address_set(struct mw_address *address, enum mw_family family,
    const char *text, size_t len, int port);

/* A numeric address of either family in the one way of writing it, with port 0;
 * a link-local one may have a zone, "fe80::1%eth0".
 * An IPv4-mapped IPv6 address is the IPv4 address that it stands for.  Returns
 * MW_OK, or MW_EINVAL when it is none. */
int mw_address_parse(struct mw_address *address, const char *text, size_t len);

/* Fills *to from a checked or unchecked address; returns its length, 0 when it
 * is no address. */
socklen_t mw_address_to_system(
    const struct mw_address *from, union mw_any_address *to);

/* Returns MW_OK, or MW_EINVAL for a family that is none of ours. */
int mw_address_from_system(
    const union mw_any_address *from, socklen_t len, struct mw_address *to);

#endif
