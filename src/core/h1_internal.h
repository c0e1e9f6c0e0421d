/* h1_internal.h - the inside of the HTTP/1.1 codec, shared by its own files
 * (h1_read.c, h1_parse.c, h1_fold.c, h1_head.c, h1_write.c, h1_build.c,
 * h1_past.c, h1_state.c) and by nobody else. */
#ifndef MW_CORE_H1_INTERNAL_H
#define MW_CORE_H1_INTERNAL_H

#include <llhttp.h>

#include "core/buf.h"
#include "core/h1.h"

/* What the reader waits for. */
enum rx_phase {
    RX_IDLE,      /* client: no request is out, so nothing may come */
    RX_START,     /* the first byte of a start line */
    RX_HEAD,      /* the rest of the head */
    RX_LENGTH,    /* body_left bytes */
    RX_CHUNKED,   /* a chunk, by way of llhttp */
    RX_TRAILER,   /* what follows the last chunk, by way of llhttp */
    RX_CLOSE,     /* body up to EOF */
    RX_ENDING,    /* the message is complete, nobody knows it yet */
    RX_DONE,      /* MW_H1_END was given */
    RX_UPGRADING, /* as RX_ENDING */
    RX_UPGRADED
};

/* Where the joining of folded lines stands; what is held back llhttp has not
 * seen yet. */
enum fold_phase {
    FOLD_LINE,  /* nothing is held back */
    FOLD_CR,    /* the CR of a field line is */
    FOLD_CRLF,  /* its CRLF is */
    FOLD_SPACE, /* spaces that begin a folded line are left out */
    FOLD_LAST   /* in the line that ends the fields */
};

enum tx_phase {
    TX_IDLE,
    TX_BODY, /* the head is queued, body and end may follow */
    TX_DONE, /* the end is queued */
    TX_ABORTED
};

/* Places in the order of sending. */
enum tx_slot {
    SLOT_HEAD,
    SLOT_SIZE, /* chunk size line */
    SLOT_BODY, /* data is NULL: it goes past the codec */
    SLOT_TAIL  /* CRLF behind a chunk, last chunk, trailers */
};

/* What the fields of a received head say about its message. */
struct head_facts {
    bool close;
    bool keep_alive;
    bool upgrade; /* Connection: upgrade */
    bool has_length;
    bool chunked; /* exactly one Transfer-Encoding: chunked */
    bool coded;   /* any Transfer-Encoding */
    uint64_t length;
    size_t hosts;
    int64_t ka_timeout; /* Keep-Alive: timeout=, or -1 */
    int64_t ka_max;
};

struct mw_h1 {
    const struct mw_alloc *alloc; /* lent; NULL: malloc */
    enum mw_h1_role role;
    unsigned compat;
    struct mw_h1_limits limits;
    int error; /* sticky */
    char detail[160];
    struct mw_h1_counts counts;
    struct mw_h1_counts earlier; /* of them, before this exchange */

    /* bytes to read */
    const char *in;     /* lent by feed, or in `room` */
    const char *in_end; /* behind the last one */
    char *room;         /* owned; NULL while nothing is received */
    size_t room_size;
    size_t room_next;     /* how much to reserve next time */
    unsigned small_reads; /* in a row */
    bool eof;

    /* the message that comes in */
    enum rx_phase rx;
    llhttp_t parser;
    const char *run;           /* where this run of the parser began */
    struct mw_headers *fields; /* &headers or &trailers */
    struct mw_headers headers; /* its block: the head as received */
    struct mw_headers trailers;
    struct mw_field field; /* under way */
    bool in_field;
    enum fold_phase fold;
    bool last_chunk;   /* its size line is read */
    bool blank_cr;     /* CR of an empty line was read */
    size_t blanks;     /* bytes of empty lines while idle */
    size_t head_bytes; /* of all heads in this exchange */
    size_t trailer_bytes;
    size_t informational;
    uint64_t overhead;     /* chunk framing */
    uint64_t body_in;      /* of this message */
    uint64_t body_left;    /* of it, or of the chunk */
    struct mw_slice piece; /* chunk data not yet given out */
    struct mw_slice body;  /* what MW_H1_BODY gave */
    enum mw_h1_framing rx_framing;
    struct head_facts facts;
    struct mw_slice start_words[2]; /* reason; or method, target */
    bool has_head;                  /* the head is whole and understood */
    int status;
    int minor;
    size_t known;                  /* bytes of the last head; 0: forgotten */
    bool is_known;                 /* the head is that one once more */
    struct head_facts known_facts; /* of the last head */

    /* the message that goes out */
    enum tx_phase tx;
    struct mw_slice out[MW_H1_SLICES];
    enum mw_h1_framing tx_framing;
    uint64_t tx_left;
    bool tx_close;   /* we said Connection: close */
    bool tx_drop;    /* answer to HEAD: the body is counted, not sent */
    bool tx_implied; /* no body: send_end() may be left out */
    bool is_head;    /* of the request, whichever side we are */
    bool is_connect;
    struct mw_slice offered; /* lent: protocols of the request's Upgrade */
    char size_line[24];
    struct mw_buf head; /* of a response */
    struct mw_buf tail; /* trailers */
};

enum {
    MW_H1_GO_ON = 1000, /* a step of mw_h1_next() that gave no event */
    IDLE_BLANKS = 4     /* bytes of empty lines tolerated while idle */
};

/* Lua numbers and JSON's hold no larger integer. */
#define MW_H1_LARGEST_LENGTH ((UINT64_C(1) << 53) - 1)

/* Makes the error sticky, with words for it, and returns it. */
int mw_h1_fail(struct mw_h1 *h1, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* h1_parse.c */
void mw_h1_parse_init(struct mw_h1 *h1);

/* Fields that the parser meets from now on go there. */
void mw_h1_parse_fields(struct mw_h1 *h1, struct mw_headers *fields);

/* Lets llhttp read bytes; *used is how many it took.  Returns MW_OK when it
 * took them all, 1 when a callback stopped it, else a code. */
int mw_h1_parse(struct mw_h1 *h1, const char *data, size_t len, size_t *used);

/* The same for bytes of fields, which are kept beside them. */
int mw_h1_parse_kept(
    struct mw_h1 *h1, const char *data, size_t len, size_t *used);

/* h1_fold.c: the same, and joins folded lines before llhttp sees them. */
int mw_h1_parse_folded(
    struct mw_h1 *h1, const char *data, size_t len, size_t *used);

/* h1_head.c: reads the head in h1->headers, decides the framing and moves on
 * to the next phase.  Returns the event, or a code. */
int mw_h1_head_finish(struct mw_h1 *h1);

/* h1_head.c: remembers the head of a response that is over, and takes what is
 * to be read for the same once more if it is, byte for byte: then it returns
 * the event, or a code; MW_H1_GO_ON otherwise. */
void mw_h1_head_remember(struct mw_h1 *h1);
int mw_h1_head_again(struct mw_h1 *h1);

/* h1_head.c: drops trailers that have no business there. */
void mw_h1_trailers_finish(struct mw_h1 *h1);

/* h1_head.c: fields that frame a message, authenticate or set a state, and so
 * may not stand behind it (RFC 9110 section 6.5.1). */
bool mw_h1_is_banned_trailer(struct mw_slice name);

/* h1_build.c: how a response will be framed towards this client. */
struct mw_h1_plan {
    enum mw_h1_framing said; /* in the head */
    enum mw_h1_framing framing;
    bool close;
    bool keep_alive; /* an HTTP/1.0 client wants to hear it */
    bool drop;
};

struct mw_h1_plan mw_h1_response_plan(
    const struct mw_h1 *h1, const struct mw_h1_response_parts *parts);
int mw_h1_response_check(const struct mw_h1 *h1,
    const struct mw_h1_response_parts *parts, ptrdiff_t *at);

/* The head takes that much at most; _write returns the place behind it. */
size_t mw_h1_response_size(const struct mw_h1_response_parts *parts);
char *mw_h1_response_write(const struct mw_h1_response_parts *parts,
    const struct mw_h1_plan *plan, char *to);

/* h1_write.c: queues a piece of the body; data is NULL when it goes past the
 * codec. */
int mw_h1_queue_body(struct mw_h1 *h1, const char *data, size_t len);

/* h1_state.c: gives the receive buffer back. */
void mw_h1_release_room(struct mw_h1 *h1);

#endif
