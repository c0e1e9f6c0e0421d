/* h1.h - HTTP/1.1 codec, client and server role: bytes in, events out; a head
 * and body pieces in, bytes out.  It never sees a socket, a clock or a Lua
 * state. */
#ifndef MW_CORE_H1_H
#define MW_CORE_H1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "headers.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* installed: part of the library's API   \
                                      */

enum mw_h1_role {
    MW_H1_CLIENT,
    MW_H1_SERVER
};

enum mw_h1_event {
    MW_H1_NEED_DATA,     /* feed, feed_eof or reserve/commit */
    MW_H1_HEAD,          /* mw_h1_head_borrow() */
    MW_H1_INFORMATIONAL, /* the same; a final head follows */
    MW_H1_BODY,          /* mw_h1_body_borrow() */
    MW_H1_END,           /* mw_h1_trailers_borrow() */
    MW_H1_UPGRADED       /* mw_h1_leftover_borrow(); no more events */
};

enum mw_h1_framing {
    MW_H1_NONE,
    MW_H1_LENGTH,
    MW_H1_CHUNKED,
    MW_H1_CLOSE /* the body ends with the connection */
};

/* Why a connection can't carry another exchange. */
enum mw_h1_reuse {
    MW_H1_REUSABLE,
    MW_H1_CLOSE_HEADER,
    MW_H1_UNREAD_BODY,
    MW_H1_UNSOLICITED,
    MW_H1_NOT_SELF_DELIMITED,
    MW_H1_INCOMPLETE,
    MW_H1_WAS_UPGRADED,
    MW_H1_BROKEN,
    MW_H1_AT_EOF,
    MW_H1_HTTP_1_0
};

/* What is taken from a peer although it is wrong, and refused otherwise. */
enum mw_h1_compat {
    MW_H1_OBS_FOLD = 1 /* a field over several lines (RFC 9112 section 5.2):
                          they are joined by one space, but never in a field
                          that frames the message or steers the connection */
};

/* What a peer may make us hold or chew.  0 stands for the default. */
struct mw_h1_limits {
    size_t head_bytes;     /* 64 KiB: start line, fields and all 1xx heads of
                              one exchange */
    size_t header_count;   /* 256 fields in one head */
    size_t chunk_overhead; /* 16 KiB of chunk framing, if it is also more than
                              half of the body so far */
    size_t trailer_bytes;  /* 16 KiB */
    size_t trailer_count;  /* 64 fields */
    size_t informational;  /* 32 heads with a 1xx status before the final one */
};

/* The head of a received message; good until the next call of mw_h1_next().
 * `headers` is NULL, and the rest is 0, as long as there is none. */
struct mw_h1_head {
    int status;             /* client; else 0 */
    int minor;              /* HTTP/1.minor: 0 or 1 */
    struct mw_slice reason; /* client */
    struct mw_slice method; /* server */
    struct mw_slice target; /* server; as received */
    const struct mw_headers *headers;
};

/* A request head, checked and serialised; it never changes, so any number of
 * codecs may send it. */
struct mw_h1_request {
    const char *bytes; /* owned by whoever made it */
    size_t len;
    enum mw_h1_framing framing; /* never MW_H1_CLOSE */
    uint64_t length;            /* of the body, with MW_H1_LENGTH */
    bool is_head;
    bool is_connect;
    bool close;
    struct mw_slice upgrade; /* the protocols it offers; len 0: none */
};

/* What a request head is made of. */
struct mw_h1_request_parts {
    struct mw_slice method;
    struct mw_slice target;
    const struct mw_headers *headers; /* NULL: none */
    enum mw_h1_framing framing;
    uint64_t length;
    bool close;              /* say Connection: close */
    bool trailers;           /* say TE: trailers */
    bool expect;             /* say Expect: 100-continue; with a body only */
    struct mw_slice upgrade; /* protocols to offer, a list; len 0: none */
};

/* What a response head is made of. */
struct mw_h1_response_parts {
    int status;
    struct mw_slice reason;
    const struct mw_headers *headers; /* NULL: none */
    enum mw_h1_framing framing;
    uint64_t length;
    bool close;
};

/* How many slices mw_h1_output_borrow() gives at most: head, chunk size, body
 * piece, what ends it. */
enum {
    MW_H1_SLICES = 4
};

struct mw_h1;

/* Returns a codec that the caller owns, or NULL when out of memory.  `limits`
 * is copied; NULL stands for the defaults.  `compat` is made of enum
 * mw_h1_compat; 0 is strict. */
struct mw_h1 *mw_h1_new(
    enum mw_h1_role role, const struct mw_h1_limits *limits, unsigned compat);

/* The same with memory from `alloc` (moonwire/alloc.h), which is lent until
 * mw_h1_free(); NULL is malloc. */
struct mw_h1 *mw_h1_new_with(const struct mw_alloc *alloc, enum mw_h1_role role,
    const struct mw_h1_limits *limits, unsigned compat);
void mw_h1_free(struct mw_h1 *h1); /* NULL is allowed */

/* Reading -----------------------------------------------------------------*/

/* Lends bytes to the codec.  Returns MW_OK, or MW_ESTATE while earlier bytes
 * are unread.  They must stay where they are until mw_h1_next() has returned
 * MW_H1_NEED_DATA. */
int mw_h1_feed(struct mw_h1 *h1, const char *data, size_t len);

/* What is unread of bytes that were lent moves to memory of the codec's own, or
 * is forgotten: the codec then fails.  They need not stay any longer.  Without
 * memory the first does as the second. */
void mw_h1_own_input(struct mw_h1 *h1);
void mw_h1_lose_input(struct mw_h1 *h1);

/* No more bytes will come. */
void mw_h1_feed_eof(struct mw_h1 *h1);

/* Room in the codec's own buffer to receive into (16 KiB, more when reads fill
 * it, 512 KiB at most).  Returns MW_OK, MW_ESTATE while earlier bytes are
 * unread, or MW_ENOMEM.  Each success is followed by one mw_h1_commit() with
 * the number of bytes that came; with 0 the memory is given back, so that a
 * connection that waits holds none. */
int mw_h1_reserve(struct mw_h1 *h1, char **room, size_t *len);
void mw_h1_commit(struct mw_h1 *h1, size_t len);

/* Takes the next event out of the bytes.  Returns an mw_h1_event, or an MW_E
 * code below 0 and then that same code for ever: MW_EOF when the peer closed
 * between messages.  A body piece has at most `max` bytes. */
int mw_h1_next(struct mw_h1 *h1, size_t max);

/* How many bytes of the body the caller may receive itself, past the codec, in
 * place of feeding them: what is left of it, of the chunk but for its last
 * byte, UINT64_MAX where the body ends with the connection.  0 while earlier
 * bytes are unread, and outside of a body.  The second says that so many came.
 */
uint64_t mw_h1_past(const struct mw_h1 *h1);
void mw_h1_received_past(struct mw_h1 *h1, size_t len);

/* Good until the next call of mw_h1_next(). */
struct mw_slice mw_h1_body_borrow(const struct mw_h1 *h1);
struct mw_h1_head mw_h1_head_borrow(const struct mw_h1 *h1);

/* Whether it is, byte for byte, the head of the exchange before: then it was
 * not parsed again. */
bool mw_h1_head_is_known(const struct mw_h1 *h1);

/* The trailers, without fields that have no business there; NULL when there
 * were none.  Good until mw_h1_restart(). */
const struct mw_headers *mw_h1_trailers_borrow(const struct mw_h1 *h1);

/* Bytes behind the message. */
struct mw_slice mw_h1_leftover_borrow(const struct mw_h1 *h1);

/* More words on the error: which rule, where; "" when there is no error. */
const char *mw_h1_error_detail(const struct mw_h1 *h1);

/* The received message's framing and, with MW_H1_LENGTH, its length. */
enum mw_h1_framing mw_h1_framing(const struct mw_h1 *h1, uint64_t *length);

/* From the Keep-Alive field: -1 where absent. */
void mw_h1_keep_alive(const struct mw_h1 *h1, int64_t *timeout, int64_t *max);

/* Writing -----------------------------------------------------------------*/

/* How many bytes a request head takes at most, and the head itself, written to
 * `memory` of that size and described in *request.  Fails with MW_EMETHOD,
 * MW_ETARGET, MW_ENAME, MW_EVALUE, MW_EOWNED, MW_EPROTOCOLS (the upgrade),
 * MW_EBODY_NONE or MW_EINVAL (the framing); `at` is then the index of the field
 * that is wrong, or -1 (no or a second Host: MW_EOWNED with -1 or its index).
 */
size_t mw_h1_request_size(const struct mw_h1_request_parts *parts);
int mw_h1_request_build(struct mw_h1_request *request,
    const struct mw_h1_request_parts *parts, char *memory, ptrdiff_t *at);

/* Begins an exchange.  The head is lent until the next one begins.  MW_ESTATE
 * when an exchange is under way or the codec can't be used any more. */
int mw_h1_send_request(struct mw_h1 *h1, const struct mw_h1_request *request);

/* Sends an informational or the final response; a response that can't have a
 * body gets none.  MW_ESTATE before the request's head is in or after a final
 * response, else as mw_h1_request_build(). */
int mw_h1_send_response(
    struct mw_h1 *h1, const struct mw_h1_response_parts *parts, ptrdiff_t *at);

/* Sends a piece of the body, which is lent until it is sent: only when the
 * piece before has been sent (MW_ESTATE).  MW_EBODY_LONG, MW_EBODY_NONE. */
int mw_h1_send_body(struct mw_h1 *h1, const char *data, size_t len);

/* The same for a piece whose bytes the caller sends itself, past the codec,
 * when mw_h1_output_past() says so. */
int mw_h1_send_past(struct mw_h1 *h1, size_t len);

/* Ends the message; trailers (NULL: none) with MW_H1_CHUNKED only (MW_EINVAL).
 * MW_EBODY_SHORT when bytes are missing. */
int mw_h1_send_end(struct mw_h1 *h1, const struct mw_headers *trailers);

/* Gives the message up: nothing more is sent, the codec can't be reused. */
void mw_h1_send_abort(struct mw_h1 *h1);

/* What is to be sent, in order: returns how many slices, 0 when there is
 * nothing, or nothing before bytes that go past the codec; good until the next
 * call of a send function or mw_h1_output_sent(), which says how many bytes of
 * them went. */
int mw_h1_output_borrow(
    const struct mw_h1 *h1, struct mw_slice slices[MW_H1_SLICES]);
void mw_h1_output_sent(struct mw_h1 *h1, size_t len);
bool mw_h1_has_output(const struct mw_h1 *h1);

/* How many bytes the caller has to send itself now, 0 before it is their turn;
 * mw_h1_output_sent() says how many of them went. */
size_t mw_h1_output_past(const struct mw_h1 *h1);

/* The exchange ------------------------------------------------------------*/

/* Whether another exchange may follow (RFC 9112 section 9.3), and if not,
 * why. */
enum mw_h1_reuse mw_h1_reusable(const struct mw_h1 *h1);
const char *mw_h1_reuse_name(enum mw_h1_reuse reuse);

/* Readies a reusable codec for the next exchange; MW_ESTATE otherwise.  In the
 * server role, bytes behind the message stay in line. */
int mw_h1_restart(struct mw_h1 *h1);

/* The same where it is reusable; returns what mw_h1_reusable() has said. */
enum mw_h1_reuse mw_h1_finish(struct mw_h1 *h1);

/* A client's codec goes over to another connection: its counts begin anew, its
 * memory and the last head stay.  MW_ESTATE unless it is between exchanges and
 * has nothing to read. */
int mw_h1_move(struct mw_h1 *h1);

bool mw_h1_is_sent(const struct mw_h1 *h1);     /* to its last byte */
bool mw_h1_is_received(const struct mw_h1 *h1); /* MW_H1_END was given */

struct mw_h1_counts {
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t body_in;
    uint64_t body_out; /* of bytes_out */
};

/* Over all exchanges of this codec. */
struct mw_h1_counts mw_h1_counts(const struct mw_h1 *h1);

/* Of a client's exchange: from mw_h1_send_request() on until mw_h1_restart().
 * All zero where no request is out. */
struct mw_h1_counts mw_h1_exchange_counts(const struct mw_h1 *h1);

/* The same of the last exchange, also when it is over: until the next
 * mw_h1_send_request(), or mw_h1_move(). */
struct mw_h1_counts mw_h1_last_counts(const struct mw_h1 *h1);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
