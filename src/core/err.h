/* err.h - the one list of error codes: code -> kind -> words.  It never keeps
 * state: an error is one negative int. */
#ifndef MW_CORE_ERR_H
#define MW_CORE_ERR_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* installed: part of the library's API   \
                                      */

/* X(name, kind, words).  `kind` is the err.kind a script sees (DESIGN.md,
 * Errors); the words finish the sentence "<what we did>: ...". */
#define MW_ERRORS(X)                                                           \
    X(EAGAIN, "system", "not ready yet")                                       \
    X(EOF, "closed", "the peer closed the connection")                         \
    X(ECLOSED, "closed", "it was closed on this side")                         \
    X(ETIMEOUT, "timeout", "timed out")                                        \
    X(ECANCELLED, "cancelled", "cancelled")                                    \
    X(ENOMEM, "system", "out of memory")                                       \
    X(EINVAL, "system", "invalid argument")                                    \
    X(EBUSY, "system", "another task already waits here")                      \
    X(ESTATE, "system", "not allowed in this state")                           \
    X(EDEADLOCK, "system", "nothing is left that could end this wait")         \
    /* names */                                                                \
    X(ENOTFOUND, "resolve", "no such host name")                               \
    X(ENODATA, "resolve", "the host name has no address")                      \
    X(EBADNAME, "resolve", "not a host name")                                  \
    X(ERESOLVE, "resolve", "the name servers gave no usable answer")           \
    /* TLS; the words behind them are those of mw_tls_detail() */              \
    X(ETLS, "tls", "TLS failed")                                               \
    X(ETLS_ALERT, "tls", "the peer refused TLS")                               \
    X(ETLS_CERTIFICATE, "tls", "the peer's certificate is not accepted")       \
    X(ETLS_PIN, "tls", "the peer's key is not among the pins")                 \
    X(ETLS_TRUNCATED, "closed",                                                \
        "the peer closed the connection without TLS's close_notify")           \
    /* HTTP/1.1, what a peer sent */                                           \
    X(EH1_SYNTAX, "protocol", "not valid HTTP/1.1 (RFC 9112 section 2.1)")     \
    X(EH1_VERSION, "protocol",                                                 \
        "not HTTP/1.0 or HTTP/1.1 (RFC 9112 section 2.3)")                     \
    X(EH1_STATUS, "protocol", "status code below 100 (RFC 9110 section 15)")   \
    X(EH1_FRAMING, "protocol",                                                 \
        "Content-Length together with Transfer-Encoding "                      \
        "(RFC 9112 section 6.3)")                                              \
    X(EH1_LENGTH, "protocol",                                                  \
        "invalid or repeated Content-Length (RFC 9112 section 6.3)")           \
    X(EH1_CODING, "protocol",                                                  \
        "a Transfer-Encoding other than one \"chunked\" on HTTP/1.1 "          \
        "(RFC 9112 section 6.1)")                                              \
    X(EH1_CHUNK, "protocol", "malformed chunk (RFC 9112 section 7.1)")         \
    X(EH1_HEADER, "protocol", "malformed header line (RFC 9112 section 5)")    \
    X(EH1_UPGRADE, "protocol",                                                 \
        "101 for an upgrade that was not asked for "                           \
        "(RFC 9110 section 7.8)")                                              \
    X(EH1_UNSOLICITED, "protocol",                                             \
        "bytes that answer no request (RFC 9112 section 9.2)")                 \
    X(EH1_TRUNCATED, "closed",                                                 \
        "the peer closed the connection in the middle of a message "           \
        "(RFC 9112 section 8)")                                                \
    /* limits on what a peer sent */                                           \
    X(EH1_HEAD_BYTES, "limit", "the header section is too large")              \
    X(EH1_HEADER_COUNT, "limit", "too many header fields")                     \
    X(EH1_CHUNK_OVERHEAD, "limit",                                             \
        "more chunk framing than body (chunk overhead)")                       \
    X(EH1_TRAILER, "limit", "the trailer section is too large")                \
    X(EH1_INFORMATIONAL, "limit", "too many 1xx responses")                    \
    X(EBODY_LIMIT, "limit", "the body is larger than max_body")                \
    /* content codings */                                                      \
    X(ECODING, "body", "the bytes are not what their coding says")             \
    X(ECODING_TRUNCATED, "body", "the coded bytes end too early")              \
    X(ECODING_LIMIT, "limit",                                                  \
        "they would take more memory or time than a body may")                 \
    /* what the caller wants to send */                                        \
    X(EMETHOD, "protocol", "the method is not a token (RFC 9110 section 9.1)") \
    X(ETARGET, "protocol",                                                     \
        "the request target has a byte outside 0x21-0x7E "                     \
        "(RFC 9112 section 3.2)")                                              \
    X(ENAME, "protocol",                                                       \
        "the header name is not a token (RFC 9110 section 5.1)")               \
    X(EVALUE, "protocol",                                                      \
        "the header value has a control byte such as CR, LF or NUL "           \
        "(RFC 9110 section 5.5)")                                              \
    X(EOWNED, "protocol", "this header is set by moonwire itself")             \
    X(EREASON, "protocol",                                                     \
        "the reason phrase has a control byte (RFC 9112 section 4)")           \
    X(EPROTOCOLS, "protocol",                                                  \
        "protocols to upgrade to are tokens (RFC 9110 section 7.8)")           \
    X(EBODY_LONG, "body", "the body is longer than its declared length")       \
    X(EBODY_SHORT, "body", "the body ended before its declared length")        \
    X(EBODY_NONE, "body", "this message has no body")

enum mw_err_index {
    MW_ERR_ZERO_,
#define MW_X(name, kind, words) MW_ERR_##name##_,
    MW_ERRORS(MW_X)
#undef MW_X
    MW_ERR_COUNT_
};

/* The codes: MW_OK is 0, each MW_E* is negative; a system error is
 * -(MW_ERR_SYSTEM_ + errno), made by mw_err_from_errno(). */
#define MW_ERR_SYSTEM_ 1000
enum mw_err {
    MW_OK = 0,
#define MW_X(name, kind, words) MW_##name = -(int)MW_ERR_##name##_,
    MW_ERRORS(MW_X)
#undef MW_X
};

/* Turns an errno into a code; EAGAIN, EWOULDBLOCK, EINTR and EINPROGRESS become
 * MW_EAGAIN, ENOMEM MW_ENOMEM, ETIMEDOUT stays a system error. */
int mw_err_from_errno(int system_errno);

/* The code of a system error that is known by its words alone, in letters of
 * either case ("connection refused"); 0 if they are none. */
int mw_err_from_text(const char *text);

/* The errno inside a code made by mw_err_from_errno(), else 0. */
int mw_err_errno(int code);

/* A short constant name, "EH1_LENGTH" or "ECONNREFUSED"; never NULL. */
const char *mw_err_name(int code);

/* The kind a script sees, "protocol" or "system"; never NULL. */
const char *mw_err_kind(int code);

/* One sentence part in lower case without a full stop; never NULL, static. */
const char *mw_err_text(int code);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
