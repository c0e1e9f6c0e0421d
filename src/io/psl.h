/* psl.h - the list of public suffixes ("com", "co.uk", "github.io"), below
 * which anybody may have a name, by way of libpsl. */
#ifndef MW_IO_PSL_H
#define MW_IO_PSL_H

struct mw_psl;

/* The newest list there is: that of the system's package or the one built into
 * libpsl.  Reads a small file.  The caller owns it; NULL when there is none, or
 * no memory for it. */
struct mw_psl *mw_psl_new(void);
void mw_psl_free(struct mw_psl *psl); /* NULL is allowed */

/* The part of `name` that somebody registered, "example.co.uk" of
 * "www.example.co.uk": a pointer into it, or NULL when the name is a public
 * suffix itself.  It is a host name in lower case, no numeric address, without
 * a dot at its end.  A name of one part is a public suffix. */
const char *mw_psl_registered(const struct mw_psl *psl, const char *name);

#endif
