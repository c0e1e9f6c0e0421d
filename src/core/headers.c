/* headers.c - an ordered list of header fields in one block of bytes. */
#include "core/headers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/err.h"

enum {
    SMALLEST_BLOCK = 512,
    SMALLEST_FIELDS = 16,
    LARGEST_BLOCK = 1 << 30 /* offsets are 32 bits wide */
};

/* RFC 9110 section 5.6.2: one bit for each of the first 128 bytes. */
static const uint32_t token_bits[4] = {
    0x00000000, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};

static bool
is_token(unsigned char c)
{
    return c < 128 && (token_bits[c / 32] >> (c % 32) & 1) != 0;
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool
mw_same_word(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (a[i] != b[i] && lower(a[i]) != lower(b[i]))
            return false;
    }
    return true;
}

int
mw_check_token(const char *data, size_t len, int code)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_token((unsigned char)data[i]))
            return code;
    }
    return len > 0 ? MW_OK : code;
}

int
mw_check_name(const char *data, size_t len)
{
    return mw_check_token(data, len, MW_ENAME);
}

int
mw_check_value(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return MW_EVALUE;
    }
    return MW_OK;
}

int
mw_check_target(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)data[i] <= ' ' || (unsigned char)data[i] >= 0x7f)
            return MW_ETARGET;
    }
    return len > 0 ? MW_OK : MW_ETARGET;
}

struct mw_slice
mw_trim(const char *data, size_t len)
{
    while (len > 0 && (data[0] == ' ' || data[0] == '\t')) {
        data++;
        len--;
    }
    while (len > 0 && (data[len - 1] == ' ' || data[len - 1] == '\t'))
        len--;
    return (struct mw_slice){data, len};
}

bool
mw_list_next(struct mw_slice *list, struct mw_slice *member)
{
    while (list->len > 0) {
        const char *comma = memchr(list->data, ',', list->len);
        size_t len = comma != NULL ? (size_t)(comma - list->data) : list->len;
        size_t step = comma != NULL ? len + 1 : len;

        *member = mw_trim(list->data, len);
        list->data += step;
        list->len -= step;
        if (member->len > 0)
            return true;
    }
    return false;
}

void
mw_headers_init(struct mw_headers *h)
{
    *h = (struct mw_headers){0};
}

void
mw_headers_deinit(struct mw_headers *h)
{
    if (!h->fixed) {
        mw_alloc_free(h->block);
        mw_alloc_free(h->fields);
    }
    *h = (struct mw_headers){.alloc = h->alloc};
}

void
mw_headers_clear(struct mw_headers *h)
{
    assert(!h->fixed);
    h->block_len = 0;
    h->count = 0;
    h->live = 0;
    h->received = false;
}

struct mw_slice
mw_headers_name(const struct mw_headers *h, size_t i)
{
    const struct mw_field *f = &h->fields[i];

    return (struct mw_slice){h->block + f->name, f->name_len};
}

struct mw_slice
mw_headers_value(const struct mw_headers *h, size_t i)
{
    const struct mw_field *f = &h->fields[i];

    return (struct mw_slice){h->block + f->value, f->value_len};
}

ptrdiff_t
mw_headers_find(
    const struct mw_headers *h, const char *name, size_t name_len, size_t from)
{
    for (size_t i = from; i < h->count; i++) {
        const struct mw_field *f = &h->fields[i];

        if (f->name_len == name_len &&
            mw_same_word(h->block + f->name, name, name_len))
            return (ptrdiff_t)i;
    }
    return -1;
}

/* Moves the block to memory of `size` bytes; leaves out what no field uses
 * when `pack` is set (then nothing else may be in it). */
static int
move_block(struct mw_headers *h, size_t size, bool pack)
{
    char *block = mw_alloc_new(h->alloc, size);
    size_t len = 0;

    if (block == NULL)
        return MW_ENOMEM;
    if (!pack) {
        len = h->block_len;
        if (len > 0)
            memcpy(block, h->block, len);
    }
    for (size_t i = 0; pack && i < h->count; i++) {
        struct mw_field *f = &h->fields[i];

        memcpy(block + len, h->block + f->name, f->name_len);
        f->name = (uint32_t)len;
        len += f->name_len;
        memcpy(block + len, h->block + f->value, f->value_len);
        f->value = (uint32_t)len;
        len += f->value_len;
    }
    mw_alloc_free(h->block);
    h->block = block;
    h->block_len = len;
    h->block_size = size;
    return MW_OK;
}

static int
reserve_block(struct mw_headers *h, size_t len, bool may_pack)
{
    bool pack = may_pack && h->block_len / 2 > h->live;
    size_t used = pack ? h->live : h->block_len;
    size_t size = SMALLEST_BLOCK;

    if (len <= h->block_size - h->block_len)
        return MW_OK;
    if (len > LARGEST_BLOCK - used)
        return MW_ENOMEM;
    while (size < used + len)
        size *= 2;
    return move_block(h, size, pack);
}

static int
reserve_field(struct mw_headers *h)
{
    size_t size = h->size > 0 ? h->size * 2 : SMALLEST_FIELDS;
    struct mw_field *fields;

    if (h->count < h->size)
        return MW_OK;
    fields = mw_alloc_resize(h->alloc, h->fields, size * sizeof(*fields));
    if (fields == NULL)
        return MW_ENOMEM;
    h->fields = fields;
    h->size = size;
    return MW_OK;
}

static uint32_t
append_bytes(struct mw_headers *h, struct mw_slice bytes)
{
    size_t at = h->block_len;

    if (bytes.len > 0)
        memcpy(h->block + at, bytes.data, bytes.len);
    h->block_len += bytes.len;
    return (uint32_t)at;
}

/* Puts a checked field behind the others, or in the place of field `i`. */
static int
put_field(struct mw_headers *h, struct mw_slice name, struct mw_slice value,
    ptrdiff_t i)
{
    struct mw_field *f;
    int err;

    if (name.len > LARGEST_BLOCK || value.len > LARGEST_BLOCK - name.len)
        return MW_ENOMEM;
    err = mw_headers_unfix(h);
    if (err == MW_OK)
        err = reserve_block(h, name.len + value.len, true);
    if (err == MW_OK && i < 0)
        err = reserve_field(h);
    if (err != MW_OK)
        return err;
    f = &h->fields[i < 0 ? h->count++ : (size_t)i];
    if (i >= 0)
        h->live -= f->name_len + f->value_len;
    *f = (struct mw_field){
        .name = append_bytes(h, name),
        .name_len = (uint32_t)name.len,
        .value = append_bytes(h, value),
        .value_len = (uint32_t)value.len,
    };
    h->live += name.len + value.len;
    return MW_OK;
}

static int
check_field(struct mw_slice name, struct mw_slice *value)
{
    *value = mw_trim(value->data, value->len);
    if (mw_check_name(name.data, name.len) != MW_OK)
        return MW_ENAME;
    return mw_check_value(value->data, value->len);
}

int
mw_headers_add(
    struct mw_headers *h, struct mw_slice name, struct mw_slice value)
{
    int err = check_field(name, &value);

    return err == MW_OK ? put_field(h, name, value, -1) : err;
}

int
mw_headers_set(
    struct mw_headers *h, struct mw_slice name, struct mw_slice value)
{
    ptrdiff_t first = mw_headers_find(h, name.data, name.len, 0);
    ptrdiff_t i;
    int err = check_field(name, &value);

    if (err == MW_OK)
        err = put_field(h, name, value, first);
    if (err != MW_OK || first < 0)
        return err;
    while (
        (i = mw_headers_find(h, name.data, name.len, (size_t)first + 1)) >= 0)
        mw_headers_drop_field(h, (size_t)i);
    return MW_OK;
}

size_t
mw_headers_remove(struct mw_headers *h, struct mw_slice name)
{
    ptrdiff_t i = mw_headers_find(h, name.data, name.len, 0);
    size_t removed = 0;

    while (i >= 0) {
        mw_headers_drop_field(h, (size_t)i);
        removed++;
        i = mw_headers_find(h, name.data, name.len, (size_t)i);
    }
    return removed;
}

int
mw_headers_append_raw(struct mw_headers *h, const char *data, size_t len)
{
    int err = reserve_block(h, len, false);

    if (err == MW_OK)
        append_bytes(h, (struct mw_slice){data, len});
    return err;
}

int
mw_headers_append_field(struct mw_headers *h, struct mw_field field)
{
    int err = reserve_field(h);

    if (err != MW_OK)
        return err;
    h->fields[h->count++] = field;
    h->live += field.name_len + field.value_len;
    return MW_OK;
}

void
mw_headers_drop_field(struct mw_headers *h, size_t i)
{
    struct mw_field *f = &h->fields[i];

    h->live -= f->name_len + f->value_len;
    h->count--;
    memmove(f, f + 1, (h->count - i) * sizeof(*f));
}

size_t
mw_headers_fixed_size(const struct mw_headers *h)
{
    return h->count * sizeof(*h->fields) + h->block_len;
}

void
mw_headers_copy_fixed(
    struct mw_headers *to, const struct mw_headers *h, char *memory)
{
    size_t fields = h->count * sizeof(*h->fields);

    if (fields > 0)
        memcpy(memory, h->fields, fields);
    if (h->block_len > 0)
        memcpy(memory + fields, h->block, h->block_len);
    *to = (struct mw_headers){
        .block = memory + fields,
        .fields = (struct mw_field *)(void *)memory,
        .block_len = h->block_len,
        .block_size = h->block_len,
        .count = h->count,
        .size = h->count,
        .live = h->live,
        .fixed = true,
        .received = h->received,
        .alloc = to->alloc,
    };
}

int
mw_headers_unfix(struct mw_headers *h)
{
    struct mw_headers heap = {
        .live = h->live, .received = h->received, .alloc = h->alloc};

    if (!h->fixed)
        return MW_OK;
    for (size_t i = 0; i < h->count; i++) {
        if (mw_headers_append_field(&heap, h->fields[i]) != MW_OK)
            goto fail;
    }
    if (mw_headers_append_raw(&heap, h->block, h->block_len) != MW_OK)
        goto fail;
    heap.live = h->live;
    *h = heap;
    return MW_OK;

fail:
    mw_headers_deinit(&heap);
    return MW_ENOMEM;
}

size_t
mw_headers_wire_size(const struct mw_headers *h)
{
    return h->live + h->count * 4; /* ": " and CRLF */
}

char *
mw_headers_wire_field(const struct mw_headers *h, size_t i, char *to)
{
    const struct mw_field *f = &h->fields[i];

    memcpy(to, h->block + f->name, f->name_len);
    to += f->name_len;
    *to++ = ':';
    *to++ = ' ';
    memcpy(to, h->block + f->value, f->value_len);
    to += f->value_len;
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

char *
mw_headers_wire_write(const struct mw_headers *h, char *to)
{
    for (size_t i = 0; i < h->count; i++)
        to = mw_headers_wire_field(h, i, to);
    return to;
}

int
mw_headers_check(const struct mw_headers *h, size_t *at)
{
    for (size_t i = 0; h->received && i < h->count; i++) {
        struct mw_slice value = mw_headers_value(h, i);
        int err = check_field(mw_headers_name(h, i), &value);

        if (err != MW_OK) {
            *at = i;
            return err;
        }
    }
    return MW_OK;
}
