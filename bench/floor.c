/* floor.c - what small GETs cost when nothing is parsed: the physical limit.
 *
 *   floor PORT PATH CONNECTIONS REQUESTS [close]
 *
 * The length of a response is learnt from the first one; after that bytes are
 * counted: epoll, recv, send.  With "close" each request has a connection of
 * its own.  Prints n, and how many of them were counted, with their secs and
 * cpu: from when all connections have had their first response. */
#include <fcntl.h>
#include <sys/epoll.h>

#include "util.h"

struct connection {
    int fd;
    int got;
    int connecting;
};

static long port, wanted, sent, done;
static int closing, request_length, response_length, ep;
static char request[1024], buffer[65536];

/* The exact size of one response. */
static int
learn(void)
{
    int fd = dial(port, 0), length = 0;

    if (send(fd, request, (size_t)request_length, 0) != request_length)
        die("send");
    for (;;) {
        ssize_t n =
            recv(fd, buffer + length, sizeof(buffer) - 1 - (size_t)length, 0);
        char *end, *field;

        if (n <= 0)
            die("the first response");
        length += (int)n;
        buffer[length] = '\0';
        end = strstr(buffer, "\r\n\r\n");
        field = strcasestr(buffer, "\ncontent-length:");
        if (end != NULL && field != NULL) {
            int total =
                (int)(end + 4 - buffer) + (int)strtol(field + 16, NULL, 10);

            if (length >= total) {
                close(fd);
                return total;
            }
        }
    }
}

static void
put(struct connection *c)
{
    sent++;
    if (send(c->fd, request, (size_t)request_length, MSG_NOSIGNAL) !=
        request_length)
        die("send");
}

static void
open_connection(struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

    c->fd = dial(port, closing ? SOCK_NONBLOCK : 0);
    c->got = 0;
    c->connecting = closing;
    if (closing)
        event.events |= EPOLLOUT | EPOLLET;
    else
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &event) == -1)
        die("epoll_ctl");
    if (!closing)
        put(c);
}

static void
on_events(struct connection *c, uint32_t events)
{
    ssize_t n;

    if (c->connecting && (events & EPOLLOUT)) {
        c->connecting = 0;
        put(c);
    }
    if (!(events & (EPOLLIN | EPOLLHUP)))
        return;
    n = recv(c->fd, buffer, sizeof(buffer), 0);
    if (n == -1 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("recv");
    c->got += (int)n;
    if (c->got < response_length)
        return;
    c->got = 0;
    done++;
    if (closing)
        close(c->fd);
    if (sent >= wanted)
        return;
    if (closing)
        open_connection(c);
    else
        put(c);
}

static void
run_until(long count)
{
    struct epoll_event events[256];

    while (done < count) {
        int n = epoll_wait(ep, events, 256, -1);

        for (int i = 0; i < n; i++)
            on_events(events[i].data.ptr, events[i].events);
    }
}

int
main(int argc, char **argv)
{
    struct connection *connections;
    double wall, cpu;
    long count, first;

    if (argc < 5) {
        fprintf(
            stderr, "usage: floor PORT PATH CONNECTIONS REQUESTS [close]\n");
        return 2;
    }
    raise_fd_limit();
    port = number(argv[1]);
    count = number(argv[3]);
    closing = argc > 5;
    request_length = snprintf(request, sizeof(request),
        "GET %.500s HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\n%s\r\n", argv[2], port,
        closing ? "Connection: close\r\n" : "");
    response_length = learn();
    connections = calloc((size_t)count, sizeof(*connections));
    ep = epoll_create1(EPOLL_CLOEXEC);
    if (connections == NULL || ep == -1)
        die("floor");
    wanted = count + number(argv[4]);
    for (long i = 0; i < count; i++)
        open_connection(&connections[i]);
    run_until(count);
    wall = now_s();
    cpu = cpu_s();
    first = done;
    run_until(wanted);
    printf("n=%ld counted=%ld secs=%.6f cpu=%.6f\n", done, done - first,
        now_s() - wall, cpu_s() - cpu);
    free(connections);
    return 0;
}
