/* buf.c - a growable byte buffer with a read cursor. */
#include "core/buf.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/err.h"

enum {
    SMALLEST = 256
};

void
mw_buf_init(struct mw_buf *buf)
{
    *buf = (struct mw_buf){0};
}

void
mw_buf_deinit(struct mw_buf *buf)
{
    mw_alloc_free(buf->data);
    *buf = (struct mw_buf){.alloc = buf->alloc};
}

int
mw_buf_reserve(struct mw_buf *buf, size_t len)
{
    size_t used = buf->tail - buf->head;
    size_t size = buf->size > 0 ? buf->size : SMALLEST;
    char *data;

    if (len <= buf->size - buf->tail)
        return MW_OK;
    if (buf->head > 0 && len <= buf->size - used) {
        memmove(buf->data, buf->data + buf->head, used);
        buf->head = 0;
        buf->tail = used;
        return MW_OK;
    }
    if (len > SIZE_MAX / 4 - used)
        return MW_ENOMEM;
    while (size < used + len)
        size *= 2;
    data = mw_alloc_new(buf->alloc, size);
    if (data == NULL)
        return MW_ENOMEM;
    if (used > 0)
        memcpy(data, buf->data + buf->head, used);
    mw_alloc_free(buf->data);
    buf->data = data;
    buf->head = 0;
    buf->tail = used;
    buf->size = size;
    return MW_OK;
}

char *
mw_buf_room_borrow(struct mw_buf *buf, size_t *len)
{
    *len = buf->size - buf->tail;
    return buf->data + buf->tail;
}

void
mw_buf_commit(struct mw_buf *buf, size_t len)
{
    assert(len <= buf->size - buf->tail);
    buf->tail += len;
}

int
mw_buf_append(struct mw_buf *buf, const void *data, size_t len)
{
    int err = mw_buf_reserve(buf, len);

    if (err != MW_OK)
        return err;
    if (len > 0)
        memcpy(buf->data + buf->tail, data, len);
    buf->tail += len;
    return MW_OK;
}

const char *
mw_buf_borrow(const struct mw_buf *buf)
{
    return buf->data + buf->head;
}

size_t
mw_buf_len(const struct mw_buf *buf)
{
    return buf->tail - buf->head;
}

void
mw_buf_consume(struct mw_buf *buf, size_t len)
{
    assert(len <= buf->tail - buf->head);
    buf->head += len;
    if (buf->head == buf->tail)
        mw_buf_clear(buf);
}

void
mw_buf_clear(struct mw_buf *buf)
{
    buf->head = 0;
    buf->tail = 0;
}
