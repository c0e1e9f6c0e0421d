/* tls.c - TLS sessions over a socket or over memory, in steps that never wait.
 */
#include "io/tls.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "io/bulk.h"
#include "io/tls_internal.h"

/* The plain text of one record; less makes more system calls, more is cut. */
#define RECORD 16384

/* What is asked of the socket at once where much is read, and what is dropped
 * in one step. */
#define MUCH      (128 * 1024)
#define DROP_STEP (256 * 1024)

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
    tls->reads_much = false;
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

/* OpenSSL asks the socket for a record at a time, unless its buffer is larger.
 * It gives the buffer back whenever it is empty, and this counts from the next
 * one on. */
static void
read_much(struct mw_tls *tls, bool much)
{
    if (tls->reads_much == much)
        return;
    tls->reads_much = much;
    SSL_set_default_read_buffer_len(tls->ssl, much ? MUCH : 0);
}

/* Whether another SSL_read() could only say that there is nothing. */
static bool
is_drained(const struct mw_tls *tls)
{
    return tls->tcp != NULL && mw_tcp_check_recv(tls->tcp) == MW_EAGAIN &&
           !SSL_has_pending(tls->ssl);
}

/* Reads up to `len` bytes into `data`; unless they are kept, each record's into
 * its first RECORD bytes. */
static int
read_all(
    struct mw_tls *tls, char *data, size_t len, bool is_kept, size_t *count)
{
    int err = check_open(tls);
    size_t have = 0;

    assert(len > 0);
    if (err != MW_OK)
        return err;
    if (!tls->is_ready)
        return MW_ESTATE;
    read_much(tls, len >= MUCH);
    while (have < len) {
        size_t left = len - have;
        size_t got = 0;
        int result;

        if (!is_kept && left > RECORD)
            left = RECORD;
        prepare(tls);
        result =
            SSL_read_ex(tls->ssl, is_kept ? data + have : data, left, &got);
        if (result != 1) {
            err = judge(tls, result);
            tls->is_blocked = true;
            break;
        }
        tls->is_blocked = false;
        have += got;
        if (is_drained(tls)) {
            tls->is_blocked = true;
            tls->wants_write = false;
            break;
        }
    }
    if (have == 0)
        return err;
    *count = have; /* an error is sticky: the next call gives it */
    return MW_OK;
}

/* What is kept is wanted as soon as there is any. */
static void
hurry(struct mw_tls *tls)
{
    if (tls->tcp != NULL && !mw_tcp_is_closed(tls->tcp))
        mw_tcp_set_low(tls->tcp, 1);
}

int
mw_tls_recv_now(struct mw_tls *tls, char *data, size_t len, size_t *count)
{
    int err;

    hurry(tls);
    tls->must_look = true;
    err = read_all(tls, data, len, true, count);
    tls->must_look = false;
    return err;
}

static int
read_step(
    struct mw_tls *tls, char *data, size_t len, bool is_kept, size_t *count)
{
    struct mw_loop *loop = tls->tcp != NULL ? tls->tcp->loop : NULL;
    int err;

    if (loop != NULL && !mw_loop_slice_left(loop))
        return MW_EAGAIN;
    err = read_all(tls, data, len, is_kept, count);
    if (loop != NULL && err == MW_OK)
        mw_loop_slice_use_for(loop, *count);
    return err;
}

int
mw_tls_recv(struct mw_tls *tls, char *data, size_t len, size_t *count)
{
    hurry(tls);
    return read_step(tls, data, len, true, count);
}

/* Into room for one record, which the processor then has at hand. */
int
mw_tls_drop(struct mw_tls *tls, uint64_t len, size_t *count)
{
    size_t step = len < DROP_STEP ? (size_t)len : DROP_STEP;
    char room[RECORD];
    int err = read_step(tls, room, step, false, count);

    if (err == MW_OK && tls->tcp != NULL)
        mw_tcp_adapt(tls->tcp, len - *count, *count);
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
