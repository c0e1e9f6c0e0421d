/* headers.h - an ordered list of header fields: one block of bytes, offsets
 * into it, names compared without case.  It also holds the one checker for
 * strings that go to the wire; it never sends anything. */
#ifndef MW_CORE_HEADERS_H
#define MW_CORE_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* installed: part of the library's API   \
                                      */

struct mw_alloc;

/* Bytes that belong to somebody else. */
struct mw_slice {
    const char *data; /* borrowed */
    size_t len;
};

/* Where one field stands in the block. */
struct mw_field {
    uint32_t name;
    uint32_t name_len;
    uint32_t value;
    uint32_t value_len;
};

/* Embedded in other structs; all zero is an empty list that owns nothing. */
struct mw_headers {
    char *block;             /* owned, or borrowed when `fixed` */
    struct mw_field *fields; /* the same */
    size_t block_len;
    size_t block_size;
    size_t count;
    size_t size;   /* fields there is room for */
    size_t live;   /* bytes of the block that fields still use */
    bool fixed;    /* block and fields stand in memory of somebody else */
    bool received; /* a peer's bytes: to be checked before they are sent */
    const struct mw_alloc *alloc; /* lent: makes both; NULL: malloc */
};

/* Each returns MW_OK, or the code that names what is wrong. */
int mw_check_token(const char *data, size_t len, int code);
int mw_check_name(const char *data, size_t len);   /* MW_ENAME */
int mw_check_value(const char *data, size_t len);  /* MW_EVALUE */
int mw_check_target(const char *data, size_t len); /* MW_ETARGET */

/* Cuts spaces and tabs off both ends. */
struct mw_slice mw_trim(const char *data, size_t len);

/* Compares `len` bytes without case. */
bool mw_same_word(const char *a, const char *b, size_t len);

/* The same for a whole word; a literal's length is known when it compiles. */
static inline bool
mw_is_word(struct mw_slice word, const char *other)
{
    return word.len == strlen(other) &&
           mw_same_word(word.data, other, word.len);
}

/* The next member of a comma list: cuts it off *list, trims it.  Returns false
 * at the end of the list; empty members are left out. */
bool mw_list_next(struct mw_slice *list, struct mw_slice *member);

void mw_headers_init(struct mw_headers *h);
void mw_headers_deinit(struct mw_headers *h); /* twice is harmless */
void mw_headers_clear(struct mw_headers *h);  /* keeps the memory */

struct mw_slice mw_headers_name(const struct mw_headers *h, size_t i);
struct mw_slice mw_headers_value(const struct mw_headers *h, size_t i);

/* The index of the first field of that name from `from` on, or -1. */
ptrdiff_t mw_headers_find(
    const struct mw_headers *h, const char *name, size_t name_len, size_t from);

/* Checks both, trims the value and appends.  Returns MW_OK, MW_ENAME,
 * MW_EVALUE or MW_ENOMEM; nothing has changed on failure. */
int mw_headers_add(
    struct mw_headers *h, struct mw_slice name, struct mw_slice value);

/* As add, but takes the place of the first field of that name; the others of
 * that name go. */
int mw_headers_set(
    struct mw_headers *h, struct mw_slice name, struct mw_slice value);

/* Returns how many fields went. */
size_t mw_headers_remove(struct mw_headers *h, struct mw_slice name);

/* For a parser: bytes as they came, and where a field stands in them (no check
 * is made).  Both return MW_OK or MW_ENOMEM. */
int mw_headers_append_raw(struct mw_headers *h, const char *data, size_t len);
int mw_headers_append_field(struct mw_headers *h, struct mw_field field);
void mw_headers_drop_field(struct mw_headers *h, size_t i);

/* A copy in memory of the caller: how much it takes, and the copy itself,
 * which is good as long as that memory is; `to` is an empty list before.
 * mw_headers_unfix() moves it to the heap, so that it may change (MW_OK or
 * MW_ENOMEM). */
size_t mw_headers_fixed_size(const struct mw_headers *h);
void mw_headers_copy_fixed(
    struct mw_headers *to, const struct mw_headers *h, char *memory);
int mw_headers_unfix(struct mw_headers *h);

/* The fields as they are sent, each line with its CRLF: how long they are, and
 * the text itself (returns the place behind it). */
size_t mw_headers_wire_size(const struct mw_headers *h);
char *mw_headers_wire_write(const struct mw_headers *h, char *to);
char *mw_headers_wire_field(const struct mw_headers *h, size_t i, char *to);

/* Checks received fields before they are sent on: MW_OK, MW_ENAME, MW_EVALUE;
 * `at` is then the field. */
int mw_headers_check(const struct mw_headers *h, size_t *at);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
