/* server.c - a small HTTP server for load: one process, epoll, answers by the
 * path of a GET without a body.  It knows no pipelining and no body.
 *
 *   server HOLD    listens on a free port of 127.0.0.1 and prints it
 *
 *   /fast    is answered at once        /close   the same, then closed
 *   /hold    is answered when HOLD such requests are open at the same time
 *   /reset   is reset                   /silent  is never answered
 *   /half    gets half a body           /most    how many were open at once */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 512,
    HEAD_MOST = 4096
};

/* What one connection has sent of its next head. */
struct connection {
    char *head; /* owned; NULL: nothing is left over */
    size_t len;
    bool is_held;
};

struct server {
    int epoll;
    int listener;
    struct connection *connections; /* by fd */
    int fd_most;
    int hold; /* how many are to be held */
    int held;
    int held_most;
};

static void
give_up(const char *what)
{
    perror(what);
    exit(1);
}

static void
add(struct server *server, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) == -1)
        give_up("epoll_ctl");
}

static void
drop(struct server *server, int fd)
{
    struct connection *connection = &server->connections[fd];

    if (connection->is_held)
        server->held--;
    free(connection->head);
    *connection = (struct connection){0};
    close(fd);
}

/* What is answered is small: it always fits into the socket's buffer. */
static void
answer(int fd, const char *lines, const char *body, size_t length)
{
    char text[512];
    int len = snprintf(text, sizeof(text),
        "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n%s", lines, length,
        body);

    (void)!send(fd, text, (size_t)len, MSG_NOSIGNAL);
}

static void
release_held(struct server *server)
{
    for (int fd = 0; fd < server->fd_most; fd++) {
        if (!server->connections[fd].is_held)
            continue;
        server->connections[fd].is_held = false;
        answer(fd, "", "ok", 2);
    }
    server->held = 0;
}

static void
hold(struct server *server, int fd)
{
    server->connections[fd].is_held = true;
    if (++server->held > server->held_most)
        server->held_most = server->held;
    if (server->held >= server->hold)
        release_held(server);
}

static bool
is_for(const char *head, const char *path)
{
    size_t len = strlen(path);

    return strncmp(head, "GET ", 4) == 0 && strncmp(head + 4, path, len) == 0 &&
           head[4 + len] == ' ';
}

static void
serve(struct server *server, int fd, const char *head)
{
    char number[16];

    if (is_for(head, "/hold")) {
        hold(server, fd);
    } else if (is_for(head, "/most")) {
        snprintf(number, sizeof(number), "%d", server->held_most);
        answer(fd, "", number, strlen(number));
    } else if (is_for(head, "/reset")) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};

        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        drop(server, fd);
    } else if (is_for(head, "/close")) {
        answer(fd, "Connection: close\r\n", "ok", 2);
        drop(server, fd);
    } else if (is_for(head, "/half")) {
        answer(fd, "", "ok", 4);
    } else if (!is_for(head, "/silent")) {
        answer(fd, "", "ok", 2);
    }
}

/* A head that comes in pieces is kept until it is whole. */
static void
keep(struct server *server, int fd, const char *text, size_t len)
{
    struct connection *connection = &server->connections[fd];

    free(connection->head);
    connection->head = NULL;
    connection->len = len;
    if (len == 0)
        return;
    connection->head = malloc(len);
    if (connection->head == NULL)
        give_up("malloc");
    memcpy(connection->head, text, len);
}

static void
receive(struct server *server, int fd)
{
    struct connection *connection = &server->connections[fd];
    char text[HEAD_MOST + 1];
    size_t len = connection->len;
    ssize_t n;

    if (len > 0)
        memcpy(text, connection->head, len);
    n = recv(fd, text + len, HEAD_MOST - len, 0);
    if (n == -1 && errno == EAGAIN)
        return;
    if (n <= 0) {
        drop(server, fd);
        return;
    }
    len += (size_t)n;
    text[len] = '\0';
    if (len < 4 || memcmp(text + len - 4, "\r\n\r\n", 4) != 0) {
        keep(server, fd, text, len);
        return;
    }
    keep(server, fd, NULL, 0);
    serve(server, fd, text);
}

static void
accept_all(struct server *server)
{
    int one = 1;
    int fd;

    while ((fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        add(server, fd);
    }
}

static void
begin(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        give_up("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
        give_up("setrlimit");
    server->fd_most = limit.rlim_cur < 1000000 ? (int)limit.rlim_cur : 1000000;
    server->connections =
        calloc((size_t)server->fd_most, sizeof(*server->connections));
    if (server->connections == NULL)
        give_up("calloc");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    server->epoll = epoll_create1(0);
    if (server->listener == -1 || server->epoll == -1)
        give_up("socket");
    if (bind(server->listener, (struct sockaddr *)&address, len) == -1 ||
        listen(server->listener, 16384) == -1 ||
        getsockname(server->listener, (struct sockaddr *)&address, &len) == -1)
        give_up("listen");
    add(server, server->listener);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    struct server server = {.hold = argc > 1 ? atoi(argv[1]) : 1};
    struct epoll_event events[EVENTS];

    begin(&server);
    for (;;) {
        int count = epoll_wait(server.epoll, events, EVENTS, -1);

        if (count == -1 && errno != EINTR)
            give_up("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == server.listener)
                accept_all(&server);
            else
                receive(&server, events[i].data.fd);
        }
    }
}
