/* guard_page.c - linked into a moonwire.core of its own in front of
 * mw_h1_feed(): every piece that a codec is lent ends right before a page that
 * can't be read, and is overwritten once the codec has asked for more.  So a
 * byte read too far, or too late, crashes or changes the events. */
#include "core/h1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What one codec reads from. */
struct lease {
    const struct mw_h1 *h1; /* NULL: free */
    char *base;             /* owned; kept for the next codec */
    size_t size;            /* what can be read; one page more is mapped */
    size_t used;            /* at its end */
};

enum {
    LEASES = 64
};

static struct lease leases[LEASES];
static unsigned oldest;

int __real_mw_h1_feed(struct mw_h1 *h1, const char *data, size_t len);
void __real_mw_h1_free(struct mw_h1 *h1);
int __wrap_mw_h1_feed(struct mw_h1 *h1, const char *data, size_t len);
void __wrap_mw_h1_free(struct mw_h1 *h1);

static void
give_up(const char *what)
{
    perror(what);
    abort();
}

/* Spoils what was lent. */
static void
release(struct lease *lease)
{
    if (lease->used > 0)
        memset(lease->base + lease->size - lease->used, 0xDD, lease->used);
    lease->used = 0;
    lease->h1 = NULL;
}

static struct lease *
find(const struct mw_h1 *h1)
{
    for (unsigned i = 0; i < LEASES; i++) {
        if (leases[i].h1 == h1)
            return &leases[i];
    }
    return NULL;
}

static void
reserve(struct lease *lease, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (len + page - 1) / page * page;

    release(lease);
    if (lease->size >= len)
        return;
    if (lease->base != NULL)
        munmap(lease->base, lease->size + page);
    lease->base = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (lease->base == MAP_FAILED)
        give_up("mmap");
    if (mprotect(lease->base + size, page, PROT_NONE) == -1)
        give_up("mprotect");
    lease->size = size;
}

int
__wrap_mw_h1_feed(struct mw_h1 *h1, const char *data, size_t len)
{
    struct lease *lease = find(h1);
    int err = __real_mw_h1_feed(h1, data, 0); /* is it the time for it? */
    char *copy;

    if (err != 0 || len == 0)
        return err;
    if (lease == NULL)
        lease = find(NULL);
    if (lease == NULL) /* that codec is forgotten, and was not freed yet */
        lease = &leases[oldest++ % LEASES];
    reserve(lease, len);
    lease->h1 = h1;
    lease->used = len;
    copy = lease->base + lease->size - len;
    memcpy(copy, data, len);
    return __real_mw_h1_feed(h1, copy, len);
}

void
__wrap_mw_h1_free(struct mw_h1 *h1)
{
    struct lease *lease = h1 != NULL ? find(h1) : NULL;

    __real_mw_h1_free(h1);
    if (lease != NULL)
        release(lease);
}

/* For the spec that shows that this works: reads the byte behind what a codec
 * was lent last.  It stands for a fault of the codec. */
__attribute__((visibility("default"))) int guard_page_overread(void *L);
int
guard_page_overread(void *L)
{
    (void)L;
    for (unsigned i = 0; i < LEASES; i++) {
        if (leases[i].h1 != NULL)
            return *(volatile char *)(leases[i].base + leases[i].size) & 0;
    }
    return 0;
}
