/* tls_ctx.c - options made ready: which CAs are trusted, what is shown, which
 * versions are spoken.  Every file is read here, once. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "io/tls_internal.h"

/* 112 bits: RSA from 2048 on, no SHA-1 in a signature. */
#define SECURITY_LEVEL 2

/* Where systems keep their bundle when OpenSSL's own default has nothing. */
static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

void
mw_tls_say(char detail[MW_TLS_DETAIL], const char *format, ...)
{
    size_t at = strlen(detail);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(detail + at, MW_TLS_DETAIL - at, format, args);
    va_end(args);
}

/* The reason behind it all in OpenSSL's queue, which is emptied. */
static const char *
take_reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    if (code != 0 && ERR_SYSTEM_ERROR(code))
        return mw_err_text(mw_err_from_errno(ERR_GET_REASON(code)));
    if (ERR_GET_LIB(code) == ERR_LIB_PEM &&
        ERR_GET_REASON(code) == PEM_R_NO_START_LINE)
        return "no certificate in PEM form is in it";
    return reason != NULL ? reason : "it can't be read";
}

static int
refuse(char *detail, const char *what, const char *name)
{
    bool has_run_out = mw_tls_has_run_out();
    const char *reason = take_reason();

    if (has_run_out)
        return MW_ENOMEM;
    mw_tls_say(detail, "%s '%s': %s", what, name, reason);
    return MW_ETLS;
}

/* Whether the text just ended where the next certificate was looked for. */
static bool
is_end_of_pem(void)
{
    unsigned long code = ERR_peek_last_error();

    return ERR_GET_LIB(code) == ERR_LIB_PEM &&
           ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static bool
is_pem(const char *text)
{
    return strstr(text, "-----BEGIN") != NULL;
}

static const char *
shown(const char *text)
{
    return is_pem(text) ? "(PEM)" : text;
}

static BIO *
open_text(const char *text)
{
    return is_pem(text) ? BIO_new_mem_buf(text, -1) : BIO_new_file(text, "rb");
}

/* -- CAs ------------------------------------------------------------------- */

static int
add_pem(SSL_CTX *ssl, const char *pem, char *detail)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    int count = 0;
    X509 *cert;

    if (bio == NULL)
        return MW_ENOMEM;
    while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        int done = X509_STORE_add_cert(store, cert);

        X509_free(cert);
        if (!done)
            break;
        count++;
    }
    BIO_free(bio);
    if (!is_end_of_pem())
        return refuse(detail, "tls.ca", "(PEM)");
    ERR_clear_error();
    if (count > 0)
        return MW_OK;
    mw_tls_say(detail, "tls.ca holds no certificate in PEM form");
    return MW_ETLS;
}

static int
load_given(
    struct mw_tls_ctx *ctx, const struct mw_tls_options *options, char *detail)
{
    char *source = ctx->source;
    size_t room = sizeof(ctx->source);

    if (options->ca_file != NULL) {
        if (!SSL_CTX_load_verify_file(ctx->ssl, options->ca_file))
            return refuse(detail, "tls.ca_file", options->ca_file);
        (void)snprintf(source, room, "tls.ca_file '%s'", options->ca_file);
    }
    if (options->ca_path != NULL) {
        size_t at = strlen(source);

        if (access(options->ca_path, R_OK | X_OK) != 0 ||
            !SSL_CTX_load_verify_dir(ctx->ssl, options->ca_path)) {
            mw_tls_say(detail,
                "tls.ca_path '%s': not a folder that can be read",
                options->ca_path);
            return MW_ETLS;
        }
        (void)snprintf(source + at, room - at, "%stls.ca_path '%s'",
            at > 0 ? " and " : "", options->ca_path);
    }
    if (options->ca != NULL) {
        size_t at = strlen(source);

        (void)snprintf(
            source + at, room - at, "%stls.ca", at > 0 ? " and " : "");
        return add_pem(ctx->ssl, options->ca, detail);
    }
    return MW_OK;
}

static int
load_bundle(struct mw_tls_ctx *ctx)
{
    for (size_t i = 0; i < sizeof(bundles) / sizeof(bundles[0]); i++) {
        if (access(bundles[i], R_OK) == 0 &&
            SSL_CTX_load_verify_file(ctx->ssl, bundles[i])) {
            (void)snprintf(ctx->source, sizeof(ctx->source),
                "the system's CAs ('%s')", bundles[i]);
            return MW_OK;
        }
    }
    ERR_clear_error();
    (void)snprintf(ctx->source, sizeof(ctx->source),
        "nothing, since this system has no CAs where they usually are");
    return MW_OK;
}

/* What OpenSSL takes by default, and what SSL_CERT_FILE and SSL_CERT_DIR say:
 * a file they name must be there. */
static int
load_system(struct mw_tls_ctx *ctx, char *detail)
{
    const char *file = secure_getenv(X509_get_default_cert_file_env());
    const char *folder = secure_getenv(X509_get_default_cert_dir_env());
    const char *default_file = X509_get_default_cert_file();
    const char *default_folder = X509_get_default_cert_dir();

    if (file != NULL && !SSL_CTX_load_verify_file(ctx->ssl, file))
        return refuse(detail, X509_get_default_cert_file_env(), file);
    if (!SSL_CTX_set_default_verify_paths(ctx->ssl))
        return MW_ENOMEM;
    ERR_clear_error();
    if (file == NULL && folder == NULL && access(default_file, R_OK) != 0 &&
        access(default_folder, R_OK | X_OK) != 0)
        return load_bundle(ctx);
    (void)snprintf(ctx->source, sizeof(ctx->source), "%s'%s'%s and '%s'%s",
        file ? "" : "the system's CAs, ", file ? file : default_file,
        file ? " (SSL_CERT_FILE)" : "", folder ? folder : default_folder,
        folder ? " (SSL_CERT_DIR)" : "");
    return MW_OK;
}

/* -- the own certificate --------------------------------------------------- */

struct password {
    const char *text; /* NULL: there is none */
    bool was_missed;
};

/* Instead of OpenSSL's, which would ask at the terminal. */
static int
on_password(char *room, int size, int is_writing, void *arg)
{
    struct password *password = arg;
    size_t len;

    (void)is_writing;
    if (password == NULL)
        return -1;
    password->was_missed = password->text == NULL;
    if (password->was_missed)
        return -1;
    len = strlen(password->text);
    if (size < 0 || len > (size_t)size)
        return -1;
    memcpy(room, password->text, len);
    return (int)len;
}

static int
load_chain(SSL_CTX *ssl, BIO *bio)
{
    X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, on_password, NULL);
    int done;

    if (cert == NULL)
        return 0;
    done = SSL_CTX_use_certificate(ssl, cert);
    X509_free(cert);
    while (done &&
           (cert = PEM_read_bio_X509(bio, NULL, on_password, NULL)) != NULL) {
        done = SSL_CTX_add0_chain_cert(ssl, cert) != 0;
        if (!done)
            X509_free(cert);
    }
    done = done && is_end_of_pem();
    if (done)
        ERR_clear_error();
    return done;
}

static int
load_cert(SSL_CTX *ssl, const char *text, char *detail)
{
    BIO *bio = open_text(text);
    int done = bio != NULL && load_chain(ssl, bio);

    BIO_free(bio);
    return done ? MW_OK : refuse(detail, "tls.cert", shown(text));
}

/* Why a key can't be used; `where`: the option it was looked for in. */
static int
refuse_key(const char *where, const char *text, const struct password *password,
    char *detail)
{
    bool has_run_out = mw_tls_has_run_out();
    const char *reason = take_reason();

    if (has_run_out)
        return MW_ENOMEM;
    if (password->was_missed)
        mw_tls_say(detail,
            "%s '%s': the key is encrypted: tls.key_password opens it", where,
            shown(text));
    else if (password->text == NULL)
        mw_tls_say(detail,
            "%s '%s': no readable private key in PEM form is in it%s", where,
            shown(text),
            strcmp(where, "tls.cert") == 0 ? "; tls.key names its file" : "");
    else
        mw_tls_say(detail, "%s '%s': no private key that can be read (%s)",
            where, shown(text), reason);
    return MW_ETLS;
}

static int
load_key(SSL_CTX *ssl, const struct mw_tls_options *options, char *detail)
{
    struct password password = {options->key_password, false};
    const char *where = options->key ? "tls.key" : "tls.cert";
    const char *text = options->key ? options->key : options->cert;
    BIO *bio = open_text(text);
    EVP_PKEY *key = NULL;
    int done;

    if (bio == NULL)
        return refuse(detail, where, shown(text));
    key = PEM_read_bio_PrivateKey(bio, NULL, on_password, &password);
    BIO_free(bio);
    if (key == NULL)
        return refuse_key(where, text, &password, detail);
    done = SSL_CTX_use_PrivateKey(ssl, key);
    EVP_PKEY_free(key);
    if (!done || !SSL_CTX_check_private_key(ssl)) {
        if (mw_tls_has_run_out())
            return MW_ENOMEM;
        mw_tls_say(
            detail, "%s '%s' is not the key of tls.cert", where, shown(text));
        return MW_ETLS;
    }
    return MW_OK;
}

/* -- versions and ciphers -------------------------------------------------- */

static int
version_of(const char *text, int fallback)
{
    if (text == NULL)
        return fallback;
    if (strcmp(text, "1.2") == 0)
        return TLS1_2_VERSION;
    return strcmp(text, "1.3") == 0 ? TLS1_3_VERSION : -1;
}

static int
set_protocol(SSL_CTX *ssl, const struct mw_tls_options *options, char *detail)
{
    int min = version_of(options->min_version, TLS1_2_VERSION);
    int max = version_of(options->max_version, 0);

    if (min < 0 || max < 0 || (max != 0 && max < min)) {
        mw_tls_say(detail, "tls.min_version and tls.max_version are \"1.2\" or "
                           "\"1.3\", in this order");
        return MW_ETLS;
    }
    if (!SSL_CTX_set_min_proto_version(ssl, min) ||
        !SSL_CTX_set_max_proto_version(ssl, max))
        return MW_ENOMEM;
    SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_clear_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ssl, 1);
    if (options->ciphers != NULL &&
        !SSL_CTX_set_cipher_list(ssl, options->ciphers))
        return refuse(detail, "tls.ciphers", options->ciphers);
    if (options->suites != NULL &&
        !SSL_CTX_set_ciphersuites(ssl, options->suites))
        return refuse(detail, "tls.ciphers", options->suites);
    return MW_OK;
}

/* A server takes the first of its own protocols that the client offers. */
static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *offered, unsigned offered_len, void *arg)
{
    const struct mw_tls_ctx *ctx = arg;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_len, ctx->alpn, ctx->alpn_len,
            offered, offered_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int
set_alpn(
    struct mw_tls_ctx *ctx, const struct mw_tls_options *options, char *detail)
{
    const unsigned char *list = (const unsigned char *)options->alpn;
    unsigned len = (unsigned)options->alpn_len;

    if (list == NULL)
        return MW_OK;
    if (ctx->is_server) {
        ctx->alpn = malloc(len);
        if (ctx->alpn == NULL)
            return MW_ENOMEM;
        memcpy(ctx->alpn, list, len);
        ctx->alpn_len = len;
        SSL_CTX_set_alpn_select_cb(ctx->ssl, on_alpn, ctx);
    } else if (SSL_CTX_set_alpn_protos(ctx->ssl, list, len) != 0) {
        mw_tls_say(detail, "tls.alpn is not a list of protocols");
        return MW_ETLS;
    }
    return MW_OK;
}

/* -- sessions and checks --------------------------------------------------- */

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
    struct mw_tls *tls = SSL_get_app_data(ssl);

    SSL_SESSION_free(tls->session);
    tls->session = session;
    return 1; /* it is ours */
}

/* Only notes what it was that failed, while the chain is at hand. */
static int
on_verify(int is_ok, X509_STORE_CTX *store)
{
    SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());

    if (!is_ok)
        mw_tls_say_verify(SSL_get_app_data(ssl), store);
    return is_ok;
}

/* Who has to show a certificate, and what is kept of a session. */
static void
set_checks(struct mw_tls_ctx *ctx)
{
    int mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;

    if (ctx->is_unverified)
        mode = SSL_VERIFY_NONE;
    SSL_CTX_set_verify(ctx->ssl, mode, ctx->is_unverified ? NULL : on_verify);
    SSL_CTX_set_default_passwd_cb(ctx->ssl, on_password);
    /* any certificate that is trusted ends the chain, a root or not */
    X509_VERIFY_PARAM_set_flags(
        SSL_CTX_get0_param(ctx->ssl), X509_V_FLAG_PARTIAL_CHAIN);
    if (ctx->is_server) {
        static const unsigned char name[] = "moonwire";

        SSL_CTX_set_session_id_context(ctx->ssl, name, sizeof(name));
        SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_OFF);
        return;
    }
    SSL_CTX_set_session_cache_mode(
        ctx->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx->ssl, on_session);
}

static int
set_up(
    struct mw_tls_ctx *ctx, const struct mw_tls_options *options, char *detail)
{
    bool has_cas = options->ca_file || options->ca_path || options->ca;
    int err = set_protocol(ctx->ssl, options, detail);

    if (err == MW_OK)
        err = set_alpn(ctx, options, detail);
    if (err != MW_OK)
        return err;
    ctx->is_unverified = options->is_unverified || (ctx->is_server && !has_cas);
    ctx->has_cert = options->cert != NULL;
    ctx->pin_count = options->pin_count;
    if (options->pin_count > 0)
        memcpy(ctx->pins, options->pins, options->pin_count * MW_TLS_PIN);
    set_checks(ctx);
    if (has_cas)
        err = load_given(ctx, options, detail);
    else if (!ctx->is_unverified)
        err = load_system(ctx, detail);
    if (err == MW_OK && options->cert != NULL) {
        err = load_cert(ctx->ssl, options->cert, detail);
        if (err == MW_OK)
            err = load_key(ctx->ssl, options, detail);
    }
    return err;
}

int
mw_tls_ctx_new(const struct mw_tls_options *options, struct mw_tls_ctx **out,
    char detail[MW_TLS_DETAIL])
{
    struct mw_tls_ctx *ctx = calloc(1, sizeof(*ctx));
    int err = MW_ENOMEM;

    detail[0] = '\0';
    if (ctx == NULL)
        return MW_ENOMEM;
    ctx->refs = 1;
    ERR_clear_error();
    ctx->is_server = options->is_server;
    ctx->ssl =
        SSL_CTX_new(ctx->is_server ? TLS_server_method() : TLS_client_method());
    ctx->memory = mw_tls_bio_method();
    if (ctx->ssl != NULL && ctx->memory != NULL)
        err = set_up(ctx, options, detail);
    if (err != MW_OK) {
        ERR_clear_error();
        mw_tls_ctx_unref(ctx);
        return err;
    }
    *out = ctx;
    return MW_OK;
}

struct mw_tls_ctx *
mw_tls_ctx_ref(struct mw_tls_ctx *ctx)
{
    ctx->refs++;
    return ctx;
}

void
mw_tls_ctx_unref(struct mw_tls_ctx *ctx)
{
    if (ctx == NULL || --ctx->refs > 0)
        return;
    SSL_CTX_free(ctx->ssl);
    BIO_meth_free(ctx->memory);
    free(ctx->alpn);
    free(ctx);
}

const char *
mw_tls_ctx_source(const struct mw_tls_ctx *ctx)
{
    return ctx->source;
}
