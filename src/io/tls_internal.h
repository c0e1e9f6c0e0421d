/* tls_internal.h - what the TLS files share; nobody else includes it. */
#ifndef MW_IO_TLS_INTERNAL_H
#define MW_IO_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "io/tls.h"

struct mw_tls_ctx {
    int refs;
    SSL_CTX *ssl;       /* owned */
    BIO_METHOD *memory; /* owned: how bytes go through struct mw_tls */
    bool is_server;
    bool is_unverified;
    bool has_cert; /* shows a certificate where it is asked for one */
    size_t pin_count;
    unsigned char pins[MW_TLS_PINS_MAX][MW_TLS_PIN];
    char source[MW_TLS_DETAIL / 2];
    unsigned char *alpn; /* owned: what a server speaks, as on the wire */
    unsigned alpn_len;
};

/* Adds words, as printf does, as far as there is room. */
__attribute__((format(printf, 2, 3))) void mw_tls_say(
    char detail[MW_TLS_DETAIL], const char *format, ...);

/* The method of a BIO that moves bytes for the struct mw_tls in its data; NULL
 * when out of memory. */
BIO_METHOD *mw_tls_bio_method(void);

/* Says why a certificate was not accepted. */
void mw_tls_say_verify(struct mw_tls *tls, X509_STORE_CTX *store);

/* Whether the errors in OpenSSL's queue come of a failed allocation. */
bool mw_tls_has_run_out(void);

/* Says what the newest error in the queue is, and empties the queue; returns
 * MW_ETLS_ALERT when it is an alert of the peer's, else MW_ETLS. */
int mw_tls_say_error(struct mw_tls *tls);

/* MW_OK, or MW_ETLS_PIN with words. */
int mw_tls_check_pins(struct mw_tls *tls);

#endif
