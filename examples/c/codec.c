/* codec.c - HTTP/1.1 without a socket, a loop or Lua: a request becomes bytes,
 * bytes become events.  Where the bytes come from is the program's business.
 *
 *   cc codec.c $(pkg-config --cflags --libs moonwire) -o codec && ./codec */
#include <moonwire/err.h>
#include <moonwire/h1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Content-Type: text/plain\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n"
                             "6\r\nHello \r\n6\r\nworld!\r\n0\r\n\r\n";

static struct mw_slice
slice(const char *text)
{
    return (struct mw_slice){text, strlen(text)};
}

/* Sends GET /hello; `memory` holds its head until the exchange is over. */
static int
send_request(struct mw_h1 *h1, char **memory)
{
    struct mw_h1_request_parts parts = {
        .method = slice("GET"), .target = slice("/hello")};
    struct mw_h1_request request;
    struct mw_slice out[MW_H1_SLICES];
    struct mw_headers headers;
    ptrdiff_t at;
    int count;
    int err;

    mw_headers_init(&headers);
    err = mw_headers_add(&headers, slice("Host"), slice("example.com"));
    parts.headers = &headers;
    *memory = malloc(mw_h1_request_size(&parts));
    if (err == MW_OK && *memory == NULL)
        err = MW_ENOMEM;
    if (err == MW_OK)
        err = mw_h1_request_build(&request, &parts, *memory, &at);
    mw_headers_deinit(&headers);
    if (err == MW_OK)
        err = mw_h1_send_request(h1, &request);
    if (err == MW_OK)
        err = mw_h1_send_end(h1, NULL);
    while (err == MW_OK && (count = mw_h1_output_borrow(h1, out)) > 0) {
        size_t sent = 0;

        for (int i = 0; i < count; i++) /* a program would write to a socket */
            sent += fwrite(out[i].data, 1, out[i].len, stdout);
        mw_h1_output_sent(h1, sent);
    }
    return err;
}

/* Takes events until the message ends; the answer comes in small pieces. */
static int
receive(struct mw_h1 *h1)
{
    size_t fed = 0;
    int event;

    while ((event = mw_h1_next(h1, 4096)) >= 0 && event != MW_H1_END) {
        struct mw_slice body = mw_h1_body_borrow(h1);

        if (event == MW_H1_NEED_DATA) {
            size_t len = sizeof(answer) - 1 - fed;

            len = len < 10 ? len : 10;
            mw_h1_feed(h1, answer + fed, len);
            fed += len;
        } else if (event == MW_H1_HEAD) {
            printf("status %d\n", mw_h1_head_borrow(h1).status);
        } else if (event == MW_H1_BODY) {
            printf("body \"%.*s\"\n", (int)body.len, body.data);
        }
    }
    return event;
}

int
main(void)
{
    struct mw_h1 *h1 = mw_h1_new(MW_H1_CLIENT, NULL, 0);
    char *memory = NULL;
    int err = h1 != NULL ? send_request(h1, &memory) : MW_ENOMEM;

    if (err == MW_OK)
        err = receive(h1);
    if (err < 0)
        printf("%s: %s\n", mw_err_name(err), mw_err_text(err));
    else
        printf("end, %s\n", mw_h1_reuse_name(mw_h1_reusable(h1)));
    mw_h1_free(h1);
    free(memory);
    return err < 0;
}
