/* slow.c - a server that keeps requests waiting: it answers none before COUNT
 * of them wait at the same time, prints "full" then, and answers them all when
 * HOLD seconds have passed.
 *
 *   slow PORT COUNT HOLD
 *
 * Prints "ready" when it listens. */
#include <sys/epoll.h>

#include "util.h"

static long waiting;
static char *waits; /* by file descriptor */
static rlim_t fds;
static int ep;

static void
watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == -1)
        die("epoll_ctl");
}

static void
on_readable(int fd)
{
    static char buffer[65536];
    ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

    if (n > 0) {
        waiting += !waits[fd];
        waits[fd] = 1;
        return;
    }
    waiting -= waits[fd];
    waits[fd] = 0;
    close(fd);
}

static void
accept_all(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd == -1)
            return;
        watch(fd);
    }
}

static void
answer_all(void)
{
    char answer[512], body[201];
    int length;

    memset(body, 'x', 200);
    body[200] = '\0';
    length = snprintf(answer, sizeof(answer),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
        "Content-Length: 200\r\n\r\n%s",
        body);
    for (rlim_t fd = 0; fd < fds; fd++)
        if (waits[fd]) {
            waits[fd] = 0;
            send((int)fd, answer, (size_t)length, MSG_NOSIGNAL);
        }
    waiting = 0;
}

int
main(int argc, char **argv)
{
    struct epoll_event events[512];
    struct rlimit limit;
    double full = 0;
    int listener;

    if (argc != 4) {
        fprintf(stderr, "usage: slow PORT COUNT HOLD\n");
        return 2;
    }
    raise_fd_limit();
    getrlimit(RLIMIT_NOFILE, &limit);
    fds = limit.rlim_cur;
    waits = calloc(fds, 1);
    listener = listen_on(number(argv[1]), SOCK_NONBLOCK);
    ep = epoll_create1(EPOLL_CLOEXEC);
    if (waits == NULL || ep == -1)
        die("slow");
    watch(listener);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(ep, events, 512, full > 0 ? 20 : 1000);

        for (int i = 0; i < n; i++)
            if (events[i].data.fd == listener)
                accept_all(listener);
            else
                on_readable(events[i].data.fd);
        if (full == 0 && waiting >= number(argv[2])) {
            full = now_s();
            puts("full");
            fflush(stdout);
        }
        if (full > 0 && now_s() - full >= (double)number(argv[3])) {
            answer_all();
            full = 0;
        }
    }
}
