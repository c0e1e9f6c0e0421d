/* tls_words.c - what went wrong with TLS, in words a person can act on.  It
 * decides nothing but whether a pin fits. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "core/err.h"
#include "io/tls_internal.h"

#define NAMES_MOST 10 /* of a certificate that is for somebody else */

bool
mw_tls_has_run_out(void)
{
    return ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE ||
           ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
}

/* Control bytes of a peer's text have no place in a message. */
static void
say_text(char *detail, const unsigned char *text, int len)
{
    for (int i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] >= 0x7F)
            mw_tls_say(detail, "?");
        else
            mw_tls_say(detail, "%c", text[i]);
    }
}

static void
say_name(char *detail, const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long len;

    if (bio == NULL)
        return;
    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    len = BIO_get_mem_data(bio, &text);
    if (len == 0)
        mw_tls_say(detail, "(nameless)");
    say_text(detail, (const unsigned char *)text, len > 200 ? 200 : (int)len);
    BIO_free(bio);
}

static void
say_time(char *detail, const ASN1_TIME *when)
{
    struct tm tm;

    if (!ASN1_TIME_to_tm(when, &tm)) {
        mw_tls_say(detail, "(a time that can't be read)");
        return;
    }
    mw_tls_say(detail, "%04d-%02d-%02d %02d:%02d UTC", tm.tm_year + 1900,
        tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min);
}

static void
say_address(char *detail, const ASN1_OCTET_STRING *ip)
{
    const unsigned char *at = ASN1_STRING_get0_data(ip);
    int len = ASN1_STRING_length(ip);

    if (len == 4) {
        mw_tls_say(detail, "%d.%d.%d.%d", at[0], at[1], at[2], at[3]);
        return;
    }
    for (int i = 0; i + 1 < len; i += 2)
        mw_tls_say(detail, "%s%x", i > 0 ? ":" : "", at[i] << 8 | at[i + 1]);
}

/* The names a certificate is for. */
static void
say_names(char *detail, const X509 *cert)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int total = names != NULL ? sk_GENERAL_NAME_num(names) : 0;
    int count = 0;

    for (int i = 0; i < total; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type != GEN_DNS && name->type != GEN_IPADD)
            continue;
        if (++count > NAMES_MOST) {
            mw_tls_say(detail, " ...");
            break;
        }
        mw_tls_say(detail, count > 1 ? ", " : "");
        if (name->type == GEN_IPADD)
            say_address(detail, name->d.iPAddress);
        else
            say_text(detail, ASN1_STRING_get0_data(name->d.dNSName),
                ASN1_STRING_length(name->d.dNSName));
    }
    if (count == 0)
        mw_tls_say(detail, "nobody (it has no subjectAltName; its subject's "
                           "common name doesn't count)");
    GENERAL_NAMES_free(names);
}

static void
say_unknown_issuer(struct mw_tls *tls, const X509 *cert, int code)
{
    char *detail = tls->detail;

    if (code == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT) {
        mw_tls_say(detail, "it is self-signed (");
        say_name(detail, X509_get_subject_name(cert));
    } else if (code == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN) {
        mw_tls_say(detail, "its CA is not trusted (");
        say_name(detail, X509_get_subject_name(cert));
    } else {
        mw_tls_say(detail, "its issuer is unknown and was not sent along (");
        say_name(detail, X509_get_issuer_name(cert));
    }
    mw_tls_say(detail, "). Looked in %s", mw_tls_ctx_source(tls->ctx));
    if (!tls->ctx->is_server)
        mw_tls_say(
            detail, "; tls = { ca_file = ... } names what to trust instead");
}

void
mw_tls_say_verify(struct mw_tls *tls, X509_STORE_CTX *store)
{
    int code = X509_STORE_CTX_get_error(store);
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    char *detail = tls->detail;

    detail[0] = '\0';
    if (cert == NULL) {
        mw_tls_say(detail, "%s", X509_verify_cert_error_string(code));
        return;
    }
    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        mw_tls_say(detail, "it expired at ");
        say_time(detail, X509_get0_notAfter(cert));
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        mw_tls_say(detail, "it is not yet valid, only from ");
        say_time(detail, X509_get0_notBefore(cert));
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        mw_tls_say(detail, "it is not for %s but for ", tls->host);
        say_names(detail, cert);
        return;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        say_unknown_issuer(tls, cert, code);
        return;
    default: /* OpenSSL's enumeration, not ours */
        mw_tls_say(detail, "%s", X509_verify_cert_error_string(code));
        break;
    }
    mw_tls_say(detail, " (");
    say_name(detail, X509_get_subject_name(cert));
    mw_tls_say(detail, ")");
}

static bool
is_client_cert_alert(int reason)
{
    return reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED ||
           reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE ||
           reason == SSL_R_SSLV3_ALERT_BAD_CERTIFICATE ||
           reason == SSL_R_TLSV1_ALERT_UNKNOWN_CA;
}

/* Reasons above the alerts' are the library's own, of whatever part of it. */
static bool
is_alert(unsigned long code)
{
    int reason = ERR_GET_REASON(code);

    return ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
           reason <= SSL_AD_REASON_OFFSET + UINT8_MAX;
}

/* "tlsv1 alert protocol version" -> "protocol version". */
static const char *
alert_words(const char *reason)
{
    const char *at = strstr(reason, "alert ");

    return at != NULL ? at + strlen("alert ") : reason;
}

int
mw_tls_say_error(struct mw_tls *tls)
{
    unsigned long code = ERR_peek_last_error();
    int reason = ERR_GET_REASON(code);
    const char *words = code != 0 ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    tls->detail[0] = '\0';
    if (words == NULL)
        words = "an error without a name";
    if (is_alert(code)) {
        mw_tls_say(tls->detail, "alert \"%s\"", alert_words(words));
        if (reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION)
            mw_tls_say(tls->detail, " (no version of TLS is spoken by both)");
        else if (!tls->ctx->is_server && !tls->ctx->has_cert &&
                 is_client_cert_alert(reason))
            mw_tls_say(tls->detail, " (perhaps it wants a certificate: "
                                    "tls = { cert = ..., key = ... })");
        return MW_ETLS_ALERT;
    }
    if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
        reason == SSL_R_WRONG_VERSION_NUMBER)
        mw_tls_say(tls->detail, "what came is not TLS");
    else
        mw_tls_say(tls->detail, "%s", words);
    return MW_ETLS;
}

int
mw_tls_check_pins(struct mw_tls *tls)
{
    const struct mw_tls_ctx *ctx = tls->ctx;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned char text[MW_TLS_PIN * 2];
    unsigned int len = 0;
    X509_PUBKEY *key;
    unsigned char *der = NULL;
    int der_len;
    X509 *cert;

    if (ctx->pin_count == 0)
        return MW_OK;
    cert = SSL_get0_peer_certificate(tls->ssl);
    key = cert != NULL ? X509_get_X509_PUBKEY(cert) : NULL;
    der_len = key != NULL ? i2d_X509_PUBKEY(key, &der) : -1;
    if (der_len < 0 ||
        !EVP_Digest(der, (size_t)der_len, digest, &len, EVP_sha256(), NULL)) {
        OPENSSL_free(der);
        ERR_clear_error();
        return MW_ETLS_PIN;
    }
    OPENSSL_free(der);
    for (size_t i = 0; i < ctx->pin_count; i++) {
        if (memcmp(ctx->pins[i], digest, MW_TLS_PIN) == 0)
            return MW_OK;
    }
    EVP_EncodeBlock(text, digest, MW_TLS_PIN);
    tls->detail[0] = '\0';
    mw_tls_say(tls->detail, "it is sha256/%s", (const char *)text);
    return MW_ETLS_PIN;
}
