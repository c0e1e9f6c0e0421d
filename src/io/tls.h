/* tls.h - TLS over a socket, or over bytes in memory (a tunnel, a mock): steps
 * that never wait.  It never looks a name up, and asks nobody anything. */
#ifndef MW_IO_TLS_H
#define MW_IO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/buf.h"
#include "io/tcp.h"

#define MW_TLS_DETAIL   1024 /* bytes of words on an error, NUL included */
#define MW_TLS_PIN      32 /* bytes of a pin: SHA-256 of a public key's info */
#define MW_TLS_PINS_MAX 16

struct ssl_st;
struct ssl_session_st;

/* What a side trusts and shows; NULL and 0 are the strict defaults.  Texts are
 * borrowed for the call.  `cert` and `key` are paths, or PEM themselves. */
struct mw_tls_options {
    bool is_server;      /* `cert` is a must; with CAs, so is a client's */
    bool is_unverified;  /* takes any certificate */
    const char *ca_file; /* these three stand in for the system's CAs */
    const char *ca_path;
    const char *ca;   /* PEM */
    const char *cert; /* with the certificates that lead to its CA */
    const char *key;  /* NULL: it is in `cert` */
    const char *key_password;
    const char *min_version; /* "1.2" or "1.3" */
    const char *max_version;
    const char *ciphers; /* of TLS 1.2, as OpenSSL writes them */
    const char *suites;  /* of TLS 1.3 */
    const char *alpn;    /* as it goes over the wire */
    size_t alpn_len;
    const char *pins; /* MW_TLS_PIN bytes each */
    size_t pin_count;
};

/* Options made ready for any number of sessions; counted. */
struct mw_tls_ctx;

/* Returns MW_OK and a context with one reference, or a code and words on what
 * is wrong with the options. */
int mw_tls_ctx_new(const struct mw_tls_options *options,
    struct mw_tls_ctx **ctx, char detail[MW_TLS_DETAIL]);
struct mw_tls_ctx *mw_tls_ctx_ref(struct mw_tls_ctx *ctx);
void mw_tls_ctx_unref(struct mw_tls_ctx *ctx); /* NULL is allowed */

/* Where it looks for CAs, for people: "the system's CAs (/etc/ssl/certs)". */
const char *mw_tls_ctx_source(const struct mw_tls_ctx *ctx);

/* One end of a connection.  Embedded; fields are private. */
struct mw_tls {
    struct mw_tls_ctx *ctx; /* a reference; NULL before open, after deinit */
    struct ssl_st *ssl;     /* owned; NULL: closed */
    struct mw_tcp *tcp;     /* borrowed as long as it is open; NULL: memory */
    struct mw_buf in;       /* memory: from the peer, to be fed */
    struct mw_buf out;      /* memory: for the peer, to be taken */
    bool has_in_ended;
    bool is_ready;    /* the handshake is over */
    bool is_blocked;  /* all that is here has been read */
    bool wants_write; /* the last handshake or recv has to send first */
    bool must_look;   /* at the socket, though it was empty a moment ago */
    bool reads_much;  /* several records at once */
    int transport;    /* the code the socket gave last, below 0 */
    int failed;       /* sticky */
    int send_failed;  /* sticky too, but what has come can still be read */
    struct ssl_session_st *session; /* owned: the newest ticket */
    char *host; /* owned: whom the certificate must name; NULL: a server */
    char detail[MW_TLS_DETAIL];
};

/* Begins; nothing is sent as yet.  `host` is a name or a numeric address: the
 * certificate must be for it, and a name goes into the handshake (SNI); it is
 * NULL where the context is a server's, and only there.  `session` (NULL: none)
 * is used up.  The socket must outlive the calls. */
int mw_tls_open(struct mw_tls *tls, struct mw_tls_ctx *ctx, struct mw_tcp *tcp,
    const char *host, struct ssl_session_st *session);
void mw_tls_deinit(struct mw_tls *tls); /* all zero is harmless */

/* Says goodbye if that is possible at once.  Does not close the socket. */
void mw_tls_close(struct mw_tls *tls);
bool mw_tls_is_closed(const struct mw_tls *tls);

/* Each returns MW_OK or a code; MW_EAGAIN asks for reading, for writing where
 * mw_tls_wants_write() says so.  Errors are sticky. */
int mw_tls_handshake(struct mw_tls *tls);

/* Receives 1 to len bytes, as much as is here; MW_EOF is an orderly end, a
 * socket that just ends MW_ETLS_TRUNCATED. */
int mw_tls_recv(struct mw_tls *tls, char *data, size_t len, size_t *count);
int mw_tls_recv_now(struct mw_tls *tls, char *data, size_t len, size_t *count);

/* Receives bytes and drops them, a step's worth of `len`. */
int mw_tls_drop(struct mw_tls *tls, uint64_t len, size_t *count);

/* Sends at least 1 byte.  After MW_EAGAIN the next call must begin with the
 * same bytes. */
int mw_tls_send_slices(struct mw_tls *tls, const struct iovec *slices,
    size_t slice_count, size_t *count);

/* No more will be sent: close_notify. */
int mw_tls_shutdown(struct mw_tls *tls);

bool mw_tls_wants_write(const struct mw_tls *tls);

/* Whether a recv may give something although the socket has nothing. */
bool mw_tls_has_more(const struct mw_tls *tls);

/* True when there is nothing to read but TLS's own talk, not even an end: as
 * mw_tcp_is_quiet(). */
bool mw_tls_is_quiet(struct mw_tls *tls, double now);

/* Of the socket, if there is one: as mw_tcp_guard_again(). */
void mw_tls_guard_again(struct mw_tls *tls);

/* Memory: bytes from the peer, their end, and bytes for the peer. */
int mw_tls_feed(struct mw_tls *tls, const char *data, size_t len);
void mw_tls_feed_eof(struct mw_tls *tls);
const char *mw_tls_output_borrow(const struct mw_tls *tls, size_t *len);
void mw_tls_output_sent(struct mw_tls *tls, size_t len);

/* Words on the last error; "" for none. */
const char *mw_tls_detail(const struct mw_tls *tls);

struct mw_tls_info {
    const char *version; /* "TLSv1.3" */
    const char *cipher;
    const char *alpn; /* not terminated; NULL: none */
    size_t alpn_len;
    bool is_resumed;
};

/* Borrowed texts; false before the handshake is over. */
bool mw_tls_info(const struct mw_tls *tls, struct mw_tls_info *info);

/* The newest session, which the caller owns; NULL for none since the last.  It
 * outlives mw_tls_close(). */
struct ssl_session_st *mw_tls_session_take(struct mw_tls *tls);
void mw_tls_session_free(struct ssl_session_st *session); /* NULL is allowed */

#endif
