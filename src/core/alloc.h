/* alloc.h - where memory comes from: malloc, or what a host gave its Lua state.
 * A block remembers that, so whoever frees it need not know. */
#ifndef MW_CORE_ALLOC_H
#define MW_CORE_ALLOC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* installed: part of the library's API   \
                                      */

/* `resize` is called as a lua_Alloc is: block NULL makes one, size 0 frees it.
 * It must outlive all that was made with it. */
struct mw_alloc {
    void *(*resize)(void *arg, void *block, size_t old_size, size_t size);
    void *arg;
};

/* Each returns a block of `size` bytes, or NULL when out of memory.  `alloc`
 * NULL is malloc.  It is aligned for pointers and numbers of 8 bytes.  A block
 * that is resized stays with what made it. */
void *mw_alloc_new(const struct mw_alloc *alloc, size_t size);
void *mw_alloc_zeroed(const struct mw_alloc *alloc, size_t size);
void *mw_alloc_resize(const struct mw_alloc *alloc, void *block, size_t size);
void mw_alloc_free(void *block); /* NULL is allowed */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
