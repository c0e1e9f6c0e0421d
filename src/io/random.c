/* random.c - see random.h. */
#include "io/random.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

#include "core/err.h"

int
mw_random(void *to, size_t len)
{
    ssize_t got;

    assert(len <= MW_RANDOM_MOST);
    do
        got = getrandom(to, len, 0);
    while (got == -1 && errno == EINTR); /* early in the boot only */
    return got == -1 ? mw_err_from_errno(errno) : MW_OK;
}
