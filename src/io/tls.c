/* tls.c - TLS sessions over a socket or over memory, in steps that never wait.
 *
 * OpenSSL reaches the bytes through a BIO of ours: so a send never raises
 * SIGPIPE, and the same session runs where there is no socket. */
#include "io/tls.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "io/tls_internal.h"

/* The plain text of one record; less makes more system calls, more is cut. */
#define RECORD 16384

/* What is kept for the peer in memory before it has to be taken. */
#define OUTPUT_MOST (64 * 1024)

/* -- how OpenSSL moves bytes ----------------------------------------------- */

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
    return mw_tcp_recv_now(tls->tcp, data, len, count);
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

/* -- steps ----------------------------------------------------------------- */

/* Before every call into OpenSSL: its queue is the whole thread's. */
static void
prepare(struct mw_tls *tls)
{
    ERR_clear_error();
    tls->transport = MW_OK;
}

static int
fail(struct mw_tls *tls, int err)
{
    tls->failed = err;
    return err;
}

/* What a call that gave `result` means. */
static int
judge(struct mw_tls *tls, int result)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        tls->wants_write = false;
        return MW_EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        tls->wants_write = true;
        return MW_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return fail(tls, MW_EOF);
    default:
        break;
    }
    if (tls->transport == MW_EOF) {
        ERR_clear_error();
        return fail(tls, tls->is_ready ? MW_ETLS_TRUNCATED : MW_EOF);
    }
    if (tls->transport != MW_OK) {
        ERR_clear_error();
        return fail(tls, tls->transport);
    }
    if (mw_tls_has_run_out()) {
        ERR_clear_error();
        return fail(tls, MW_ENOMEM);
    }
    if (SSL_get_verify_result(tls->ssl) != X509_V_OK && !tls->is_ready &&
        !tls->ctx->is_unverified) {
        ERR_clear_error();
        return fail(tls, MW_ETLS_CERTIFICATE);
    }
    return fail(tls, mw_tls_say_error(tls));
}

/* The same for what was to be sent: what has come can still be read. */
static int
judge_send(struct mw_tls *tls, int result)
{
    bool wanted_write = tls->wants_write; /* of recv */
    int failed = tls->failed;
    int err = judge(tls, result);

    tls->wants_write = wanted_write;
    if (tls->transport != MW_OK) {
        tls->failed = failed;
        tls->send_failed = err;
    }
    return err;
}

static int
check_open(const struct mw_tls *tls)
{
    if (tls->ssl == NULL)
        return MW_ECLOSED;
    return tls->failed;
}

/* The peer's end is not ours. */
static int
check_send(const struct mw_tls *tls)
{
    int err = check_open(tls);

    if (err != MW_OK && err != MW_EOF)
        return err;
    if (tls->send_failed != MW_OK)
        return tls->send_failed;
    return tls->is_ready ? MW_OK : MW_ESTATE;
}

/* Whom the certificate must be for. */
static int
set_host(struct mw_tls *tls)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);

    if (X509_VERIFY_PARAM_set1_ip_asc(param, tls->host))
        return MW_OK;
    if (mw_tls_has_run_out()) /* an address must not be taken for a name */
        return MW_ENOMEM;
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(
        param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (!X509_VERIFY_PARAM_set1_host(param, tls->host, 0) ||
        !SSL_set_tlsext_host_name(tls->ssl, tls->host))
        return mw_tls_has_run_out() ? MW_ENOMEM : MW_EINVAL;
    return MW_OK;
}

static int
attach(struct mw_tls *tls)
{
    BIO *bio = BIO_new(tls->ctx->memory);

    if (bio == NULL)
        return MW_ENOMEM;
    BIO_set_data(bio, tls);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_app_data(tls->ssl, tls);
    if (tls->host == NULL) {
        SSL_set_accept_state(tls->ssl);
        return MW_OK;
    }
    SSL_set_connect_state(tls->ssl);
    return set_host(tls);
}

static char *
copy_of(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);

    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

int
mw_tls_open(struct mw_tls *tls, struct mw_tls_ctx *ctx, struct mw_tcp *tcp,
    const char *host, SSL_SESSION *session)
{
    int err = MW_ENOMEM;

    assert(tls->ssl == NULL);
    if (ctx->is_server != (host == NULL))
        return MW_EINVAL;
    if (host != NULL && (host[0] == '\0' || host[0] == '.'))
        return MW_EINVAL; /* OpenSSL takes ".b" for each name below b */
    mw_tls_deinit(tls);
    ERR_clear_error();
    tls->ctx = mw_tls_ctx_ref(ctx);
    tls->tcp = tcp;
    tls->failed = tls->send_failed = MW_OK;
    tls->is_ready = tls->is_blocked = tls->wants_write = false;
    tls->host = host != NULL ? copy_of(host) : NULL;
    tls->ssl = SSL_new(ctx->ssl);
    if ((tls->host != NULL || host == NULL) && tls->ssl != NULL)
        err = attach(tls);
    if (err == MW_OK && session != NULL && !SSL_set_session(tls->ssl, session))
        ERR_clear_error(); /* then it begins afresh */
    if (err != MW_OK) {
        ERR_clear_error();
        mw_tls_deinit(tls);
    }
    return err;
}

static void
drop(struct mw_tls *tls)
{
    SSL_free(tls->ssl);
    tls->ssl = NULL;
    tls->tcp = NULL;
}

void
mw_tls_deinit(struct mw_tls *tls)
{
    drop(tls);
    SSL_SESSION_free(tls->session);
    tls->session = NULL;
    mw_tls_ctx_unref(tls->ctx);
    tls->ctx = NULL;
    free(tls->host);
    tls->host = NULL;
    mw_buf_deinit(&tls->in);
    mw_buf_deinit(&tls->out);
}

void
mw_tls_close(struct mw_tls *tls)
{
    if (tls->ssl == NULL)
        return;
    if (tls->is_ready && tls->send_failed == MW_OK &&
        (tls->failed == MW_OK || tls->failed == MW_EOF)) {
        prepare(tls);
        (void)SSL_shutdown(tls->ssl);
        ERR_clear_error();
    }
    drop(tls);
}

bool
mw_tls_is_closed(const struct mw_tls *tls)
{
    return tls->ssl == NULL;
}

int
mw_tls_handshake(struct mw_tls *tls)
{
    int err = check_open(tls);
    int result;

    if (err != MW_OK || tls->is_ready)
        return err;
    prepare(tls);
    result = SSL_do_handshake(tls->ssl);
    if (result != 1)
        return judge(tls, result);
    err = mw_tls_check_pins(tls);
    if (err != MW_OK)
        return fail(tls, err);
    tls->is_ready = true;
    if (tls->host != NULL && SSL_session_reused(tls->ssl) &&
        tls->session == NULL && SSL_version(tls->ssl) == TLS1_2_VERSION)
        tls->session = SSL_get1_session(tls->ssl); /* good for many uses */
    return MW_OK;
}

static int
read_all(struct mw_tls *tls, char *data, size_t len, size_t *count)
{
    int err = check_open(tls);
    size_t have = 0;

    assert(len > 0);
    if (err != MW_OK)
        return err;
    if (!tls->is_ready)
        return MW_ESTATE;
    while (have < len) {
        size_t got = 0;
        int result;

        prepare(tls);
        result = SSL_read_ex(tls->ssl, data + have, len - have, &got);
        if (result != 1) {
            err = judge(tls, result);
            tls->is_blocked = true;
            break;
        }
        tls->is_blocked = false;
        have += got;
    }
    if (have == 0)
        return err;
    *count = have; /* an error is sticky: the next call gives it */
    return MW_OK;
}

int
mw_tls_recv_now(struct mw_tls *tls, char *data, size_t len, size_t *count)
{
    int err;

    tls->must_look = true;
    err = read_all(tls, data, len, count);
    tls->must_look = false;
    return err;
}

int
mw_tls_recv(struct mw_tls *tls, char *data, size_t len, size_t *count)
{
    struct mw_loop *loop = tls->tcp != NULL ? tls->tcp->loop : NULL;
    int err;

    if (loop != NULL && !mw_loop_slice_left(loop))
        return MW_EAGAIN;
    err = read_all(tls, data, len, count);
    if (loop != NULL && err == MW_OK)
        mw_loop_slice_use(loop);
    return err;
}

/* One record's worth: the first slice as it lies, or several gathered. */
static const char *
gather(
    const struct iovec *slices, size_t slice_count, char *room, size_t *length)
{
    size_t len = 0;

    if (slice_count == 1 || slices[0].iov_len >= RECORD) {
        *length = slices[0].iov_len < RECORD ? slices[0].iov_len : RECORD;
        return slices[0].iov_base;
    }
    for (size_t i = 0; i < slice_count && len < RECORD; i++) {
        size_t part = slices[i].iov_len;

        if (part > RECORD - len)
            part = RECORD - len;
        memcpy(room + len, slices[i].iov_base, part);
        len += part;
    }
    *length = len;
    return room;
}

int
mw_tls_send_slices(struct mw_tls *tls, const struct iovec *slices,
    size_t slice_count, size_t *count)
{
    char room[RECORD];
    const char *data;
    size_t len;
    int err = check_send(tls);
    int result;

    if (err != MW_OK)
        return err;
    data = gather(slices, slice_count, room, &len);
    prepare(tls);
    result = SSL_write_ex(tls->ssl, data, len, count);
    if (result == 1)
        return MW_OK;
    return judge_send(tls, result);
}

int
mw_tls_shutdown(struct mw_tls *tls)
{
    int err = check_send(tls);
    int result;

    if (err != MW_OK)
        return err;
    prepare(tls);
    result = SSL_shutdown(tls->ssl);
    if (result >= 0)
        return MW_OK; /* 0: the peer has not said it as yet */
    return judge_send(tls, result);
}

bool
mw_tls_wants_write(const struct mw_tls *tls)
{
    return tls->wants_write;
}

bool
mw_tls_has_more(const struct mw_tls *tls)
{
    if (tls->ssl == NULL || tls->failed != MW_OK)
        return true;
    return tls->is_ready && !tls->is_blocked && SSL_has_pending(tls->ssl);
}

void
mw_tls_guard_again(struct mw_tls *tls)
{
    if (tls->tcp != NULL)
        mw_tcp_guard_again(tls->tcp);
}

bool
mw_tls_is_quiet(struct mw_tls *tls, double now)
{
    char byte;
    size_t got;
    int result;

    if (check_open(tls) != MW_OK || !tls->is_ready)
        return false;
    if (tls->tcp != NULL && !SSL_has_pending(tls->ssl) &&
        mw_tcp_is_quiet(tls->tcp, now))
        return true;
    prepare(tls);
    tls->must_look = true;
    result = SSL_peek_ex(tls->ssl, &byte, 1, &got);
    tls->must_look = false;
    if (result == 1) {
        tls->is_blocked = false;
        return false;
    }
    return judge(tls, result) == MW_EAGAIN;
}

/* -- memory ---------------------------------------------------------------- */

int
mw_tls_feed(struct mw_tls *tls, const char *data, size_t len)
{
    if (tls->ssl == NULL)
        return MW_ECLOSED;
    return mw_buf_append(&tls->in, data, len);
}

void
mw_tls_feed_eof(struct mw_tls *tls)
{
    tls->has_in_ended = true;
}

const char *
mw_tls_output_borrow(const struct mw_tls *tls, size_t *len)
{
    *len = mw_buf_len(&tls->out);
    return mw_buf_borrow(&tls->out);
}

void
mw_tls_output_sent(struct mw_tls *tls, size_t len)
{
    mw_buf_consume(&tls->out, len);
}

/* -- about it -------------------------------------------------------------- */

const char *
mw_tls_detail(const struct mw_tls *tls)
{
    return tls->detail;
}

bool
mw_tls_info(const struct mw_tls *tls, struct mw_tls_info *info)
{
    const unsigned char *alpn = NULL;
    unsigned len = 0;

    if (tls->ssl == NULL || !tls->is_ready)
        return false;
    SSL_get0_alpn_selected(tls->ssl, &alpn, &len);
    info->version = SSL_get_version(tls->ssl);
    info->cipher = SSL_get_cipher_name(tls->ssl);
    info->alpn = (const char *)alpn;
    info->alpn_len = len;
    info->is_resumed = SSL_session_reused(tls->ssl);
    return true;
}

SSL_SESSION *
mw_tls_session_take(struct mw_tls *tls)
{
    SSL_SESSION *session = tls->session;

    tls->session = NULL;
    return session;
}

void
mw_tls_session_free(SSL_SESSION *session)
{
    SSL_SESSION_free(session);
}
