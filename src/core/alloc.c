/* alloc.c - blocks with a small head in front, which says who made them. */
#include "core/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Not aligned for more than a pointer: LuaJIT's own allocator gives 8 bytes. */
struct head {
    const struct mw_alloc *alloc; /* NULL: malloc */
    size_t size;                  /* with the head */
};

static struct head *
resize(const struct mw_alloc *alloc, struct head *head, size_t size)
{
    if (size > SIZE_MAX - sizeof(*head))
        return NULL;
    size += sizeof(*head);
    if (alloc == NULL)
        head = realloc(head, size);
    else
        head = alloc->resize(
            alloc->arg, head, head != NULL ? head->size : 0, size);
    if (head != NULL)
        *head = (struct head){alloc, size};
    return head;
}

void *
mw_alloc_new(const struct mw_alloc *alloc, size_t size)
{
    struct head *head = resize(alloc, NULL, size);

    return head != NULL ? head + 1 : NULL;
}

void *
mw_alloc_zeroed(const struct mw_alloc *alloc, size_t size)
{
    void *block = mw_alloc_new(alloc, size);

    return block != NULL ? memset(block, 0, size) : NULL;
}

void *
mw_alloc_resize(const struct mw_alloc *alloc, void *block, size_t size)
{
    struct head *head = block != NULL ? (struct head *)block - 1 : NULL;

    head = resize(head != NULL ? head->alloc : alloc, head, size);
    return head != NULL ? head + 1 : NULL;
}

void
mw_alloc_free(void *block)
{
    struct head *head;

    if (block == NULL)
        return;
    head = (struct head *)block - 1;
    if (head->alloc == NULL)
        free(head);
    else
        head->alloc->resize(head->alloc->arg, head, head->size, 0);
}
