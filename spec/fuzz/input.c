/* input.c - see input.h. */
#include "fuzz/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void
fuzz_fail(const char *file, int line, const char *rule)
{
    fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, rule);
    abort();
}

unsigned
take_byte(struct choices *from)
{
    if (from->len == 0)
        return 0;
    from->len--;
    return *from->data++;
}

size_t
take_number(struct choices *from, size_t most)
{
    size_t number = take_byte(from);

    if (most > 255)
        number = number << 8 | take_byte(from);
    return number % (most + 1);
}

struct mw_slice
take_text(struct choices *from, size_t most)
{
    size_t len = take_number(from, most);
    struct mw_slice text = {(const char *)from->data, len};

    if (text.len > from->len)
        text.len = from->len;
    from->data += text.len;
    from->len -= text.len;
    return text;
}

const char *
lease_bytes(struct lease *lease, struct mw_slice text)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *end;

    if (lease->size < text.len) {
        if (lease->base != NULL)
            munmap(lease->base, lease->size + page);
        lease->size = (text.len / (64 * page) + 1) * 64 * page;
        lease->base = mmap(NULL, lease->size + page, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(lease->base != MAP_FAILED);
        must(mprotect(lease->base + lease->size, page, PROT_NONE) == 0);
        lease->used = 0;
    }
    end = lease->base + lease->size;
    memset(end - lease->used, 0xDD, lease->used);
    lease->used = text.len;
    return memcpy(end - text.len, text.data, text.len);
}

size_t
cut_nothing(struct cutter *self, size_t left)
{
    (void)self;
    return left;
}

size_t
cut_each_byte(struct cutter *self, size_t left)
{
    (void)self;
    return left > 0;
}

size_t
cut_as_chosen(struct cutter *self, size_t left)
{
    size_t len = take_byte(&self->from);

    return len == 0 || len > left ? left : len;
}
