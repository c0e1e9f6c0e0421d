/* sink.c - a server for uploads that costs next to nothing: it reads a request,
 * drops its body without copying it, and answers 200 with what it has counted.
 *
 *   sink PORT
 *
 * One connection at a time; Content-Length, chunked, Expect: 100-continue.
 * Prints "ready" when it listens. */
#include "util.h"

enum {
    HEAD_SIZE = 65536,
    DROP_SIZE = 1 << 20
};

static char head[DROP_SIZE]; /* as large as the largest recv */

/* Drops that many bytes.  Returns 0, or -1 when the peer has gone. */
static int
drop(int fd, long long count)
{
    while (count > 0) {
        size_t some = count > DROP_SIZE ? DROP_SIZE : (size_t)count;
        ssize_t n = recv(fd, head, some, MSG_TRUNC);

        if (n <= 0)
            return -1;
        count -= n;
    }
    return 0;
}

/* Takes what comes up to `end`, and no byte more, into head.  Returns its
 * length, or -1. */
static int
take_until(int fd, const char *end)
{
    for (;;) {
        ssize_t n = recv(fd, head, HEAD_SIZE - 1, MSG_PEEK);
        char *found;

        if (n <= 0)
            return -1;
        head[n] = '\0';
        found = strstr(head, end);
        if (found != NULL) {
            int length = (int)(found - head) + (int)strlen(end);

            if (recv(fd, head, (size_t)length, 0) != length)
                return -1;
            head[length] = '\0';
            return length;
        }
        if (n == HEAD_SIZE - 1)
            return -1;
        usleep(50);
    }
}

/* Drops a chunked body.  Returns its bytes, or -1. */
static long long
drop_chunks(int fd)
{
    long long total = 0;

    for (;;) {
        long long size;

        if (take_until(fd, "\r\n") == -1)
            return -1;
        size = strtoll(head, NULL, 16);
        if (drop(fd, size + 2) == -1)
            return -1;
        if (size == 0)
            return total;
        total += size;
    }
}

/* Serves one request.  Returns 0, or -1 when the connection is over. */
static int
serve(int fd)
{
    char answer[256], body[64];
    long long total = 0;
    char *field;
    int chunked, length;

    if (take_until(fd, "\r\n\r\n") == -1)
        return -1;
    chunked = strcasestr(head, "\r\ntransfer-encoding: chunked") != NULL;
    field = strcasestr(head, "\r\ncontent-length:");
    if (field != NULL)
        total = strtoll(field + 17, NULL, 10);
    if (strcasestr(head, "\r\nexpect: 100-continue") != NULL)
        send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
    if (chunked)
        total = drop_chunks(fd);
    else if (drop(fd, total) == -1)
        total = -1;
    if (total == -1)
        return -1;
    snprintf(body, sizeof(body), "%lld\n", total);
    length = snprintf(answer, sizeof(answer),
        "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    return send(fd, answer, (size_t)length, MSG_NOSIGNAL) == length ? 0 : -1;
}

int
main(int argc, char **argv)
{
    int listener;

    if (argc != 2) {
        fprintf(stderr, "usage: sink PORT\n");
        return 2;
    }
    listener = listen_on(number(argv[1]), 0);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd == -1)
            continue;
        no_delay(fd);
        while (serve(fd) == 0)
            ;
        close(fd);
    }
}
