/* tls_bio.c - how OpenSSL moves the bytes of a session: through a BIO of ours,
 * so that a send never raises SIGPIPE, and the same session runs where there is
 * no socket. */
#include <string.h>

#include "core/err.h"
#include "io/tls_internal.h"

/* What is kept for the peer in memory before it has to be taken. */
#define OUTPUT_MOST (64 * 1024)

static int
memory_recv(struct mw_tls *tls, char *data, size_t len, size_t *count)
{
    size_t have = mw_buf_len(&tls->in);

    if (have == 0)
        return tls->has_in_ended ? MW_EOF : MW_EAGAIN;
    if (len > have)
        len = have;
    memcpy(data, mw_buf_borrow(&tls->in), len);
    mw_buf_consume(&tls->in, len);
    *count = len;
    return MW_OK;
}

static int
memory_send(struct mw_tls *tls, const char *data, size_t len, size_t *count)
{
    if (mw_buf_len(&tls->out) >= OUTPUT_MOST)
        return MW_EAGAIN;
    *count = len;
    return mw_buf_append(&tls->out, data, len);
}

/* What a BIO's method says to a step's code: 1, 0 at the end, -1 for what fails
 * or has to wait.  To OpenSSL 3.2 and later a write that says 0 went well. */
static int
bio_result(int err)
{
    if (err == MW_OK)
        return 1;
    return err == MW_EOF ? 0 : -1;
}

/* A socket that was emptied is asked again only once there was an event. */
static int
socket_recv(struct mw_tls *tls, char *data, size_t len, size_t *count)
{
    if (tls->tcp->read.is_dry && !tls->must_look)
        return MW_EAGAIN;
    return mw_tcp_recv_raw(tls->tcp, data, len, count);
}

static int
on_read(BIO *bio, char *data, size_t len, size_t *count)
{
    struct mw_tls *tls = BIO_get_data(bio);
    int err;

    BIO_clear_retry_flags(bio);
    *count = 0;
    err = tls->tcp != NULL ? socket_recv(tls, data, len, count)
                           : memory_recv(tls, data, len, count);
    if (err == MW_EAGAIN)
        BIO_set_retry_read(bio);
    else if (err != MW_OK)
        tls->transport = err;
    return bio_result(err);
}

static int
on_write(BIO *bio, const char *data, size_t len, size_t *count)
{
    struct mw_tls *tls = BIO_get_data(bio);
    int err;

    BIO_clear_retry_flags(bio);
    *count = 0;
    err = tls->tcp != NULL ? mw_tcp_send(tls->tcp, data, len, count)
                           : memory_send(tls, data, len, count);
    if (err == MW_EAGAIN)
        BIO_set_retry_write(bio);
    else if (err != MW_OK)
        tls->transport = err;
    return bio_result(err);
}

static long
on_control(BIO *bio, int command, long number, void *pointer)
{
    struct mw_tls *tls = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF: /* it makes "no more" out of a read that gave nothing */
        return tls != NULL && tls->transport == MW_EOF;
    default: /* OpenSSL's list is open */
        return 0;
    }
}

static int
on_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *
mw_tls_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "moonwire");

    if (method == NULL)
        return NULL;
    if (BIO_meth_set_read_ex(method, on_read) &&
        BIO_meth_set_write_ex(method, on_write) &&
        BIO_meth_set_ctrl(method, on_control) &&
        BIO_meth_set_create(method, on_create))
        return method;
    BIO_meth_free(method);
    return NULL;
}
