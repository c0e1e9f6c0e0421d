/* digest.c - see digest.h. */
#include "io/digest.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "core/err.h"
#include "io/tls_internal.h"

_Static_assert(MW_DIGEST_MAX == EVP_MAX_MD_SIZE, "as long as OpenSSL's");

/* OpenSSL knows them by other names. */
static const struct {
    const char *name;
    const char *openssl;
} known[] = {
    {"MD5", "MD5"},
    {"SHA-256", "SHA2-256"},
    {"SHA-512", "SHA2-512"},
    {"SHA-512-256", "SHA2-512/256"},
};

static int
fetch(const char *name, EVP_MD **md)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        bool has_run_out;

        if (strcmp(known[i].name, name) != 0)
            continue;
        *md = EVP_MD_fetch(NULL, known[i].openssl, NULL);
        if (*md != NULL)
            return MW_OK;
        has_run_out = mw_tls_has_run_out();
        ERR_clear_error();
        return has_run_out ? MW_ENOMEM : MW_EINVAL;
    }
    return MW_EINVAL;
}

int
mw_digest_open(struct mw_digest *digest, const char *name)
{
    EVP_MD *md = NULL;
    int err = fetch(name, &md);

    assert(digest->ctx == NULL);
    if (err != MW_OK)
        return err;
    digest->ctx = EVP_MD_CTX_new();
    if (digest->ctx == NULL || EVP_DigestInit_ex2(digest->ctx, md, NULL) != 1) {
        mw_digest_deinit(digest);
        ERR_clear_error();
        err = MW_ENOMEM;
    }
    EVP_MD_free(md); /* the context has a reference of its own */
    return err;
}

void
mw_digest_deinit(struct mw_digest *digest)
{
    EVP_MD_CTX_free(digest->ctx);
    digest->ctx = NULL;
}

int
mw_digest_add(struct mw_digest *digest, const void *data, size_t len)
{
    if (digest->ctx == NULL)
        return MW_ECLOSED;
    if (EVP_DigestUpdate(digest->ctx, data, len) != 1) {
        ERR_clear_error();
        return MW_ENOMEM;
    }
    return MW_OK;
}

int
mw_digest_finish(
    struct mw_digest *digest, unsigned char to[MW_DIGEST_MAX], size_t *len)
{
    unsigned int size = 0;
    int err = MW_OK;

    if (digest->ctx == NULL)
        return MW_ECLOSED;
    if (EVP_DigestFinal_ex(digest->ctx, to, &size) != 1) {
        ERR_clear_error();
        err = MW_ENOMEM;
    }
    mw_digest_deinit(digest);
    if (err == MW_OK)
        *len = size;
    return err;
}
