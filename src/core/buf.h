/* buf.h - a growable byte buffer with a read cursor.  It never shrinks by
 * itself and never looks into the bytes. */
#ifndef MW_CORE_BUF_H
#define MW_CORE_BUF_H

#include <stddef.h>

struct mw_alloc;

/* Embedded in other structs; all zero is an empty buffer that owns nothing. */
struct mw_buf {
    char *data;                   /* owned */
    size_t head;                  /* first unread byte */
    size_t tail;                  /* behind the last byte */
    size_t size;                  /* allocated */
    const struct mw_alloc *alloc; /* lent: makes data; NULL: malloc */
};

void mw_buf_init(struct mw_buf *buf);
void mw_buf_deinit(struct mw_buf *buf); /* frees; then it is empty */

/* Makes room for `len` more bytes.  Returns MW_OK or MW_ENOMEM (the content is
 * then unchanged). */
int mw_buf_reserve(struct mw_buf *buf, size_t len);

/* The free room behind the content (see mw_buf_reserve) and its end moved. */
char *mw_buf_room_borrow(struct mw_buf *buf, size_t *len);
void mw_buf_commit(struct mw_buf *buf, size_t len);

/* Returns MW_OK or MW_ENOMEM; nothing is appended then. */
int mw_buf_append(struct mw_buf *buf, const void *data, size_t len);

/* The unread bytes; good until the next call that changes the buffer. */
const char *mw_buf_borrow(const struct mw_buf *buf);
size_t mw_buf_len(const struct mw_buf *buf);

/* Drops `len` (at most mw_buf_len) bytes from the front. */
void mw_buf_consume(struct mw_buf *buf, size_t len);
void mw_buf_clear(struct mw_buf *buf); /* keeps the memory */

#endif
