/* input.h - what the fuzz targets share: input to take choices from, ways to
 * cut it, and memory that ends at an unmapped page. */
#ifndef SPEC_FUZZ_INPUT_H
#define SPEC_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/headers.h"

/* Prints the place and the rule that does not hold, and aborts. */
#define must(rule)                                                             \
    do {                                                                       \
        if (!(rule))                                                           \
            fuzz_fail(__FILE__, __LINE__, #rule);                              \
    } while (0)

_Noreturn void fuzz_fail(const char *file, int line, const char *rule);

/* Choices are taken from the input until it has none left; then they are 0. */
struct choices {
    const uint8_t *data;
    size_t len;
};

unsigned take_byte(struct choices *from);
size_t take_number(struct choices *from, size_t most);
struct mw_slice take_text(struct choices *from, size_t most);

/* Bytes for a codec to read. */
struct lease {
    char *base; /* owned; NULL before the first use */
    size_t size;
    size_t used;
};

/* Copies `text` (not empty) right before a page that can't be read, and spoils
 * what was lent before. */
const char *lease_bytes(struct lease *lease, struct mw_slice text);

/* Says how long the next piece is that a codec is lent: at least 1, at most
 * `left`; and how many bytes of a body are read at once. */
struct cutter {
    size_t (*cut)(struct cutter *self, size_t left);
    struct choices from;
    size_t max;
    bool goes_past; /* body bytes are received past the codec where they may */
};

size_t cut_nothing(struct cutter *self, size_t left);
size_t cut_each_byte(struct cutter *self, size_t left);
size_t cut_as_chosen(struct cutter *self, size_t left);

/* libFuzzer calls it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif
