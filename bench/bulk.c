/* bulk.c - what one large body costs when nothing looks at it: the limits that
 * the kernel sets.
 *
 *   bulk HOW PORT PATH [FILE]
 *
 * Downloads: "discard" (MSG_TRUNC, nothing is copied), "save" (splice through a
 * pipe into FILE), "read" (recv into 256 KiB).  Uploads of FILE: "length"
 * (sendfile), "chunked" (sendfile behind chunk heads).  Prints n and secs. */
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "util.h"

enum {
    PIPE_SIZE = 1 << 20,
    READ_SIZE = 256 * 1024,
    CHUNK_SIZE = 256 * 1024
};

static char buffer[PIPE_SIZE]; /* as large as the largest recv */
static int fd;

static void
put(const char *data, size_t length, int flags)
{
    if (send(fd, data, length, MSG_NOSIGNAL | flags) != (ssize_t)length)
        die("send");
}

/* Takes the response's head off the socket; returns the body's length. */
static long long
take_head(void)
{
    for (;;) {
        ssize_t n = recv(fd, buffer, 8192, MSG_PEEK);
        char *end, *field;

        if (n <= 0)
            die("the response");
        buffer[n] = '\0';
        end = strstr(buffer, "\r\n\r\n");
        field = strcasestr(buffer, "\ncontent-length:");
        if (end == NULL)
            continue;
        if (strncmp(buffer, "HTTP/1.1 200", 12) != 0 || field == NULL) {
            fprintf(stderr, "not an answer with a length: %.40s\n", buffer);
            exit(1);
        }
        if (recv(fd, buffer, (size_t)(end + 4 - buffer), 0) <= 0)
            die("recv");
        return strtoll(field + 16, NULL, 10);
    }
}

static void
drop(long long left, int flags)
{
    size_t most = flags & MSG_TRUNC ? PIPE_SIZE : READ_SIZE;

    while (left > 0) {
        ssize_t n = recv(fd, buffer, most, flags);

        if (n <= 0)
            die("recv");
        left -= n;
    }
}

static void
save(long long left, const char *path)
{
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int ends[2];

    if (out == -1 || pipe2(ends, O_CLOEXEC) == -1)
        die(path);
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
    while (left > 0) {
        ssize_t n = splice(fd, NULL, ends[1], NULL, PIPE_SIZE, SPLICE_F_MOVE);

        if (n <= 0)
            die("splice");
        left -= n;
        while (n > 0) {
            ssize_t written =
                splice(ends[0], NULL, out, NULL, (size_t)n, SPLICE_F_MOVE);

            if (written <= 0)
                die("splice");
            n -= written;
        }
    }
    close(out);
}

static void
send_part(int in, size_t left)
{
    while (left > 0) {
        ssize_t n = sendfile(fd, in, NULL, left);

        if (n <= 0)
            die("sendfile");
        left -= (size_t)n;
    }
}

static void
upload(const char *target, const char *path, int chunked)
{
    int in = open(path, O_RDONLY | O_CLOEXEC);
    char head[1024], field[64] = "Transfer-Encoding: chunked";
    struct stat info;
    off_t left;

    if (in == -1 || fstat(in, &info) == -1)
        die(path);
    if (!chunked)
        snprintf(field, sizeof(field), "Content-Length: %lld",
            (long long)info.st_size);
    snprintf(head, sizeof(head), "PUT %.500s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n",
        target, field);
    put(head, strlen(head), MSG_MORE);
    for (left = info.st_size; left > 0;) {
        size_t size = chunked && left > CHUNK_SIZE ? CHUNK_SIZE : (size_t)left;

        if (chunked) {
            snprintf(head, sizeof(head), "%zx\r\n", size);
            put(head, strlen(head), MSG_MORE);
        }
        send_part(in, size);
        if (chunked)
            put("\r\n", 2, MSG_MORE);
        left -= (off_t)size;
    }
    if (chunked)
        put("0\r\n\r\n", 5, 0);
    close(in);
    drop(take_head(), 0);
}

int
main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    const char *path = argc > 4 ? argv[4] : NULL;
    double started = now_s();

    if (argc < 4 || (path == NULL && strchr("slc", how[0]) != NULL)) {
        fprintf(stderr, "usage: bulk HOW PORT PATH [FILE]\n");
        return 2;
    }
    fd = dial(number(argv[2]), 0);
    if (how[0] == 'l' || how[0] == 'c') {
        upload(argv[3], path, how[0] == 'c');
    } else {
        int length = snprintf(buffer, sizeof(buffer),
            "GET %.500s HTTP/1.1\r\nHost: x\r\n\r\n", argv[3]);

        put(buffer, (size_t)length, 0);
        if (how[0] == 's')
            save(take_head(), path);
        else
            drop(take_head(), how[0] == 'd' ? MSG_TRUNC : 0);
    }
    printf("n=1 secs=%.6f\n", now_s() - started);
    return 0;
}
