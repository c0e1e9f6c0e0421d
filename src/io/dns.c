/* dns.c - host names to addresses through c-ares.  A lookup that nobody waits
 * for any more is let run beside others, and cancelled with the last of them:
 * c-ares can cancel all or nothing. */
#include "io/dns.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "io/dns_internal.h"

struct mw_dns {
    struct mw_handle handle;
    struct mw_loop *loop; /* a reference */
    ares_channel channel; /* owned; NULL before the first real lookup */
    ares_channel hosts; /* owned; reads the hosts file; NULL: it isn't asked */
    char *servers;      /* owned; NULL: the system's */
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

/* What the hosts file says of a name; on the stack of who asks. */
struct hosts_search {
    enum mw_dns_family family;
    int code;
    struct mw_dns_answer *answer;
};

struct lookup {
    struct mw_dns *dns;            /* borrowed: it outlives its lookups */
    struct mw_waiter *waiter;      /* borrowed; NULL: nobody waits any more */
    struct mw_dns_answer **answer; /* borrowed while there is a waiter */
};

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
 * timer to the next thing to do.  Later versions close sockets that they have
 * no use for any more only when they look around again. */
static void
settle(struct mw_dns *dns)
{
    struct timeval room;
    struct timeval *next;

    if (dns->awaited == 0 &&
        (dns->running > 0 || dns->socks.next != &dns->socks)) {
        dns->busy++;
        ares_cancel(dns->channel);
        ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
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
    int code = mw_dns_code(status);

    (void)timeouts;
    lookup->dns->running--;
    if (lookup->waiter != NULL) {
        if (code == MW_OK)
            code =
                mw_dns_answer_copy(result, MW_DNS_BOTH, true, lookup->answer);
        mw_waiter_end(lookup->waiter, code);
    }
    assert(lookup->waiter == NULL);
    ares_freeaddrinfo(result);
    free(lookup);
}

/* What later versions of c-ares do by themselves, and may not do here: keep
 * answers, which is for whoever asks, and ask servers whether they are back
 * when nobody waits for an answer. */
#ifdef ARES_OPT_SERVER_FAILOVER
static int
without_extras(struct ares_options *options)
{
    options->qcache_max_ttl = 0;
    options->server_failover_opts.retry_chance = 0;
    return ARES_OPT_QUERY_CACHE | ARES_OPT_SERVER_FAILOVER;
}
#else
static int
without_extras(struct ares_options *options)
{
    (void)options;
    return 0;
}
#endif

/* Whether this system looks into the hosts file before it asks anybody; so
 * does nearly every one, where c-ares doesn't say. */
static bool
has_hosts_first(ares_channel channel)
{
    struct ares_options options = {0};
    int mask = 0;
    bool is_first;

    if (ares_save_options(channel, &options, &mask) != ARES_SUCCESS)
        return false;
    is_first = options.lookups == NULL || options.lookups[0] == 'f';
    ares_destroy_options(&options);
    return is_first;
}

static int
open_hosts(struct mw_dns *dns)
{
    struct ares_options options = {.lookups = (char[]){"f"}};
    int status;

    if (!has_hosts_first(dns->channel))
        return MW_OK;
    status = ares_init_options(&dns->hosts, &options, ARES_OPT_LOOKUPS);
    if (status != ARES_SUCCESS)
        dns->hosts = NULL;
    return mw_dns_code(status);
}

static int
use_servers(struct mw_dns *dns)
{
    if (dns->servers == NULL)
        return MW_OK;
    return mw_dns_code(ares_set_servers_ports_csv(dns->channel, dns->servers));
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
    int err;

    if (dns->channel != NULL)
        return MW_OK;
    if (dns->timeout > 0)
        mask |= ARES_OPT_TIMEOUTMS;
    if (dns->tries > 0)
        mask |= ARES_OPT_TRIES;
    mask |= without_extras(&options);
    err = mw_dns_code(ares_init_options(&dns->channel, &options, mask));
    if (err != MW_OK) {
        dns->channel = NULL;
        return err;
    }
    err = use_servers(dns);
    if (err == MW_OK)
        err = open_hosts(dns);
    if (err == MW_OK)
        return MW_OK;
    ares_destroy(dns->channel);
    dns->channel = NULL;
    return err;
}

static void
on_hosts(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
    struct hosts_search *search = arg;

    (void)timeouts;
    if (status == ARES_SUCCESS)
        search->code =
            mw_dns_answer_copy(result, search->family, false, &search->answer);
    ares_freeaddrinfo(result);
}

/* The hosts file's word on a name is final: whether the name servers know of
 * another address, or know nothing, or are dead, doesn't matter then.  Asking
 * for one family at a time c-ares would go on to them.  Returns MW_OK,
 * MW_ENODATA, MW_ENOMEM, or MW_ENOTFOUND: the name isn't there. */
static int
look_into_hosts(struct mw_dns *dns, const char *name, enum mw_dns_family family,
    struct mw_dns_answer **answer)
{
    const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = ARES_AI_ENVHOSTS | ARES_AI_NOSORT};
    struct hosts_search search = {family, MW_ENOTFOUND, NULL};

    if (dns->hosts == NULL)
        return MW_ENOTFOUND;
    ares_getaddrinfo(dns->hosts, name, NULL, &hints, on_hosts, &search);
    *answer = search.answer;
    return search.code;
}

void
mw_dns_ask(struct mw_dns *dns, struct mw_waiter *waiter, const char *name,
    enum mw_dns_family family, struct mw_dns_answer **answer)
{
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
    const struct ares_addrinfo_hints hints = {.ai_family = families[family],
        .ai_socktype = SOCK_STREAM,
        .ai_flags = ARES_AI_NOSORT};
    struct lookup *lookup;
    int err;

    assert(!dns->is_closed);
    err = open_channel(dns);
    if (err == MW_OK)
        err = look_into_hosts(dns, name, family, answer);
    lookup = err == MW_ENOTFOUND ? calloc(1, sizeof(*lookup)) : NULL;
    if (lookup == NULL) {
        mw_waiter_end(waiter, err != MW_ENOTFOUND ? err : MW_ENOMEM);
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
    if (dns->hosts != NULL)
        ares_destroy(dns->hosts);
    dns->channel = dns->hosts = NULL;
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
