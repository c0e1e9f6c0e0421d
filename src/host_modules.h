/* host_modules.h - the Lua modules that libmoonwire carries, compiled; the list
 * is written by tools/modules when it is built. */
#ifndef MW_HOST_MODULES_H
#define MW_HOST_MODULES_H

#include <stddef.h>

struct mw_host_module {
    const char *name; /* as require() knows it */
    const char *code; /* bytecode */
    size_t size;
};

extern const struct mw_host_module mw_host_modules[]; /* ends with name NULL */

#endif
