/* psl.c - the list of public suffixes, by way of libpsl. */
#include "io/psl.h"

#include <libpsl.h>

struct mw_psl *
mw_psl_new(void)
{
    return (struct mw_psl *)psl_latest(NULL);
}

void
mw_psl_free(struct mw_psl *psl)
{
    psl_free((psl_ctx_t *)psl);
}

const char *
mw_psl_registered(const struct mw_psl *psl, const char *name)
{
    return psl_registrable_domain((const psl_ctx_t *)psl, name);
}
