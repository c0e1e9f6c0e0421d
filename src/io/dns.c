/* dns.c - host names to addresses through c-ares.  A lookup that nobody waits
 * for any more is let run beside others, and cancelled with the last of them:
 * c-ares can cancel all or nothing. */
#include "io/dns.h"

#include <ares.h>
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/err.h"

#define NAME_MOST    253 /* RFC 1035 section 2.3.4, as text */
#define LABEL_MOST   63
#define ADDRESS_MOST 64 /* nobody tries more */

struct mw_dns {
    struct mw_handle handle;
    struct mw_loop *loop; /* a reference */
    ares_channel channel; /* owned; NULL before the first real lookup */
    char *servers;        /* owned; NULL: the system's */
    int timeout;
    int tries;
    bool is_closed;
    int busy;         /* inside c-ares */
    int running;      /* lookups c-ares works on */
    int awaited;      /* those that somebody waits for */
    bool is_timer_on; /* started without a reference, like a waiter's */
    ev_timer timer;   /* the next time c-ares wants to look around */
    struct mw_link socks;
};

/* A socket of c-ares. */
struct sock {
    struct mw_link link;
    struct mw_dns *dns; /* borrowed */
    ev_io io;
};

struct lookup {
    struct mw_dns *dns;            /* borrowed: it outlives its lookups */
    struct mw_waiter *waiter;      /* borrowed; NULL: nobody waits any more */
    struct mw_dns_answer **answer; /* borrowed while there is a waiter */
};

/* -- answers --------------------------------------------------------------- */

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
    snprintf(address->text, sizeof(address->text), "%s", text);
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

/* Labels of letters, digits, - and _.  A last label of digits only is no name
 * either: other programs would take it for a strange IPv4 address. */
static bool
is_name(const char *name, size_t len)
{
    size_t label = 0;
    bool is_number = true;

    if (len > 0 && name[len - 1] == '.')
        len--;
    if (len == 0 || len > NAME_MOST)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (name[i] == '.') {
            if (label == 0)
                return false;
            label = 0;
            is_number = true;
            continue;
        }
        if (!is_name_byte(name[i]) || ++label > LABEL_MOST)
            return false;
        is_number = is_number && name[i] >= '0' && name[i] <= '9';
    }
    return label > 0 && !is_number;
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
    unsigned char ignored[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN] = "";
    bool is_ipv4;
    bool is_ipv6;
    bool is_local = is_localhost(name, len) && is_name(name, len);

    if (len < sizeof(text) && memchr(name, '\0', len) == NULL)
        memcpy(text, name, len);
    is_ipv4 = inet_pton(AF_INET, text, ignored) == 1;
    is_ipv6 = inet_pton(AF_INET6, text, ignored) == 1;
    if (!is_ipv4 && !is_ipv6 && !is_local)
        return is_name(name, len) ? MW_EAGAIN : MW_EBADNAME;
    if ((is_ipv4 && !wants_ipv4) || (is_ipv6 && !wants_ipv6))
        return MW_ENODATA;
    *answer = new_answer(2);
    if (*answer == NULL)
        return MW_ENOMEM;
    if (is_local && wants_ipv6)
        add_text(*answer, true, "::1", -1);
    if (is_local && wants_ipv4)
        add_text(*answer, false, "127.0.0.1", -1);
    if (!is_local)
        add_text(*answer, is_ipv6, text, -1);
    return MW_OK;
}

static int
copy_answer(const struct ares_addrinfo *result, struct mw_dns_answer **out)
{
    struct mw_dns_answer *answer = new_answer(ADDRESS_MOST);
    const struct ares_addrinfo_node *node;

    if (answer == NULL)
        return MW_ENOMEM;
    for (node = result->nodes; node != NULL; node = node->ai_next) {
        char text[INET6_ADDRSTRLEN];
        bool is_ipv6 = node->ai_family == AF_INET6;
        const void *bytes =
            &((const struct sockaddr_in *)(const void *)node->ai_addr)
                 ->sin_addr;

        if (is_ipv6)
            bytes = &((const struct sockaddr_in6 *)(const void *)node->ai_addr)
                         ->sin6_addr;
        else if (node->ai_family != AF_INET)
            continue;
        if (inet_ntop(node->ai_family, bytes, text, sizeof(text)) == NULL)
            continue;
        if (!has_text(answer, text) && answer->count < ADDRESS_MOST)
            add_text(answer, is_ipv6, text, node->ai_ttl);
    }
    if (answer->count == 0) {
        free(answer);
        return MW_ENODATA;
    }
    *out = answer;
    return MW_OK;
}

static int
code_of(int status)
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

/* -- timer and sockets of c-ares ------------------------------------------- */

static void
stop_timer(struct mw_dns *dns)
{
    if (!dns->is_timer_on)
        return;
    ev_ref(dns->loop->ev); /* as in wait.c */
    ev_timer_stop(dns->loop->ev, &dns->timer);
    dns->is_timer_on = false;
}

/* After each call into c-ares: gives up what nobody waits for, and sets the
 * timer to the next thing to do. */
static void
settle(struct mw_dns *dns)
{
    struct timeval room;
    struct timeval *next;

    if (dns->awaited == 0 && dns->running > 0) {
        dns->busy++;
        ares_cancel(dns->channel);
        dns->busy--;
    }
    stop_timer(dns);
    next = ares_timeout(dns->channel, NULL, &room);
    if (next == NULL)
        return;
    ev_now_update(dns->loop->ev);
    ev_timer_set(
        &dns->timer, (double)next->tv_sec + (double)next->tv_usec * 1e-6, 0);
    ev_timer_start(dns->loop->ev, &dns->timer);
    ev_unref(dns->loop->ev);
    dns->is_timer_on = true;
}

static void
process(struct mw_dns *dns, ares_socket_t readable, ares_socket_t writable)
{
    dns->busy++;
    ares_process_fd(dns->channel, readable, writable);
    dns->busy--;
    settle(dns);
}

static void
on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void)ev;
    (void)events;
    process(mw_container_of(timer, struct mw_dns, timer), ARES_SOCKET_BAD,
        ARES_SOCKET_BAD);
}

static void
on_event(struct ev_loop *ev, ev_io *io, int events)
{
    struct sock *sock = mw_container_of(io, struct sock, io);

    (void)ev;
    process(sock->dns, (events & EV_READ) != 0 ? io->fd : ARES_SOCKET_BAD,
        (events & EV_WRITE) != 0 ? io->fd : ARES_SOCKET_BAD);
}

static struct sock *
find_sock(struct mw_dns *dns, int fd)
{
    struct mw_link *link;

    for (link = dns->socks.next; link != &dns->socks; link = link->next) {
        struct sock *sock = mw_container_of(link, struct sock, link);

        if (sock->io.fd == fd)
            return sock;
    }
    return NULL;
}

static void
stop_sock(struct sock *sock)
{
    ev_ref(sock->dns->loop->ev);
    ev_io_stop(sock->dns->loop->ev, &sock->io);
}

/* c-ares says what it wants to know of a socket; nothing: it closes it. */
static void
on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct mw_dns *dns = arg;
    struct sock *sock = find_sock(dns, fd);
    int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);

    if (sock != NULL)
        stop_sock(sock);
    if (events == 0) {
        if (sock != NULL)
            mw_link_remove(&sock->link);
        free(sock);
        return;
    }
    if (sock == NULL) {
        sock = calloc(1, sizeof(*sock));
        if (sock == NULL)
            return; /* no event, so the lookup times out */
        sock->dns = dns;
        mw_link_append(&dns->socks, &sock->link);
    }
    ev_io_init(&sock->io, on_event, fd, events);
    ev_io_start(dns->loop->ev, &sock->io);
    ev_unref(dns->loop->ev);
}

/* -- lookups --------------------------------------------------------------- */

/* The waiter doesn't wait any more. */
static void
on_leave(void *arg)
{
    struct lookup *lookup = arg;
    struct mw_dns *dns = lookup->dns;

    lookup->waiter = NULL;
    dns->awaited--;
    dns->loop->lookups--;
    mw_loop_disarm(dns->loop);
    if (dns->busy == 0)
        settle(dns);
}

static void
on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
    struct lookup *lookup = arg;
    int code = code_of(status);

    (void)timeouts;
    lookup->dns->running--;
    if (lookup->waiter != NULL) {
        if (code == MW_OK)
            code = copy_answer(result, lookup->answer);
        mw_waiter_end(lookup->waiter, code);
    }
    assert(lookup->waiter == NULL);
    ares_freeaddrinfo(result);
    free(lookup);
}

static int
open_channel(struct mw_dns *dns)
{
    struct ares_options options = {
        .timeout = dns->timeout,
        .tries = dns->tries,
        .sock_state_cb = on_socket,
        .sock_state_cb_data = dns,
    };
    int mask = ARES_OPT_SOCK_STATE_CB;
    int status;

    if (dns->channel != NULL)
        return MW_OK;
    if (dns->timeout > 0)
        mask |= ARES_OPT_TIMEOUTMS;
    if (dns->tries > 0)
        mask |= ARES_OPT_TRIES;
    status = ares_init_options(&dns->channel, &options, mask);
    if (status != ARES_SUCCESS) {
        dns->channel = NULL;
        return code_of(status);
    }
    if (dns->servers == NULL)
        return MW_OK;
    status = ares_set_servers_ports_csv(dns->channel, dns->servers);
    if (status == ARES_SUCCESS)
        return MW_OK;
    ares_destroy(dns->channel);
    dns->channel = NULL;
    return code_of(status);
}

void
mw_dns_ask(struct mw_dns *dns, struct mw_waiter *waiter, const char *name,
    enum mw_dns_family family, struct mw_dns_answer **answer)
{
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
    const struct ares_addrinfo_hints hints = {
        .ai_family = families[family], .ai_socktype = SOCK_STREAM};
    struct lookup *lookup;
    int err;

    assert(!dns->is_closed);
    err = open_channel(dns);
    lookup = err == MW_OK ? calloc(1, sizeof(*lookup)) : NULL;
    if (lookup == NULL) {
        mw_waiter_end(waiter, err != MW_OK ? err : MW_ENOMEM);
        return;
    }
    *lookup = (struct lookup){dns, waiter, answer};
    mw_waiter_lean(waiter, on_leave, lookup);
    dns->running++;
    dns->awaited++;
    dns->loop->lookups++;
    mw_loop_arm(dns->loop);
    dns->busy++;
    ares_getaddrinfo(dns->channel, name, NULL, &hints, on_answer, lookup);
    dns->busy--;
    settle(dns);
}

/* -- the resolver ---------------------------------------------------------- */

static void
on_close(struct mw_handle *handle)
{
    struct mw_dns *dns = mw_container_of(handle, struct mw_dns, handle);

    dns->is_closed = true;
    stop_timer(dns);
    if (dns->channel == NULL)
        return;
    dns->busy++;
    ares_destroy(dns->channel);
    dns->channel = NULL;
    assert(dns->running == 0 && dns->socks.next == &dns->socks);
}

struct mw_dns *
mw_dns_new(struct mw_loop *loop, const struct mw_dns_options *options)
{
    struct mw_dns *dns = calloc(1, sizeof(*dns));

    if (dns == NULL)
        return NULL;
    if (options->servers != NULL) {
        dns->servers = strdup(options->servers);
        if (dns->servers == NULL) {
            free(dns);
            return NULL;
        }
    }
    dns->timeout = options->timeout;
    dns->tries = options->tries;
    dns->loop = loop;
    dns->handle.on_close = on_close;
    mw_link_init(&dns->socks);
    ev_timer_init(&dns->timer, on_timer, 0, 0);
    mw_loop_ref(loop);
    mw_loop_add(loop, &dns->handle);
    return dns;
}

void
mw_dns_close(struct mw_dns *dns)
{
    if (dns->is_closed)
        return;
    on_close(&dns->handle);
    mw_loop_remove(&dns->handle);
}

bool
mw_dns_is_closed(const struct mw_dns *dns)
{
    return dns->is_closed;
}

void
mw_dns_free(struct mw_dns *dns)
{
    if (dns == NULL)
        return;
    mw_dns_close(dns);
    mw_loop_unref(dns->loop);
    free(dns->servers);
    free(dns);
}
