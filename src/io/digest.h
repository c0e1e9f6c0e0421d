/* digest.h - hashes of bytes, taken piece by piece, by OpenSSL. */
#ifndef MW_IO_DIGEST_H
#define MW_IO_DIGEST_H

#include <stddef.h>

#define MW_DIGEST_MAX 64 /* bytes of the longest */

struct evp_md_ctx_st;

/* One hash in the making.  Embedded; the field is private. */
struct mw_digest {
    struct evp_md_ctx_st *ctx; /* owned; NULL: closed */
};

/* Begins.  `name` is as RFC 7616 writes it: "MD5", "SHA-256", "SHA-512-256",
 * and "SHA-512".  MW_EINVAL: no such hash, or this OpenSSL has it not. */
int mw_digest_open(struct mw_digest *digest, const char *name);
void mw_digest_deinit(struct mw_digest *digest); /* all zero is harmless */

/* Each returns MW_OK or a code; MW_ECLOSED once it is closed. */
int mw_digest_add(struct mw_digest *digest, const void *data, size_t len);

/* Gives the hash and closes. */
int mw_digest_finish(
    struct mw_digest *digest, unsigned char to[MW_DIGEST_MAX], size_t *len);

#endif
