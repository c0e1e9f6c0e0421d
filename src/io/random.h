/* random.h - bytes that nobody can foretell, from the kernel. */
#ifndef MW_IO_RANDOM_H
#define MW_IO_RANDOM_H

#include <stddef.h>

/* The most bytes that mw_random() gives at once: so many are never cut short
 * by a signal. */
#define MW_RANDOM_MOST 256

/* Fills `to` with `len` bytes, at most MW_RANDOM_MOST.  Returns MW_OK, or an
 * MW_E code where the kernel has none. */
int mw_random(void *to, size_t len);

#endif
