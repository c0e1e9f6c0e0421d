/* failing_alloc.c - linked into a moonwire.core of its own in front of what
 * asks for memory: one wanted allocation fails, or it and all that follow, of
 * the core's own, of uriparser's, libidn2's and zstd's in its name and, if
 * wanted, of Lua's and OpenSSL's. */
#define ZSTD_STATIC_LINKING_ONLY
#include <idn2.h>
#include <lauxlib.h>
#include <lua.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uriparser/Uri.h>
#include <zstd.h>

static struct {
    long left;       /* allocations until the one that fails; 0: none does */
    bool all;        /* that follow fail too */
    bool in_lua;     /* Lua's count as well */
    bool in_tls;     /* OpenSSL's count as well */
    long failed;     /* since it was armed */
    long live;       /* blocks that the core has not freed, since ever */
    lua_Alloc alloc; /* Lua's own, with its argument */
    void *alloc_arg;
} state;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

static bool
fails(void)
{
    if (state.left == 0)
        return false;
    if (state.left > 1) {
        state.left--;
        return false;
    }
    if (!state.all)
        state.left = 0;
    state.failed++;
    return true;
}

static void *
count(void *block)
{
    if (block != NULL)
        state.live++;
    return block;
}

/* Nobody shall lean on memory that happens to be zero. */
void *
__wrap_malloc(size_t size)
{
    void *block = fails() ? NULL : count(__real_malloc(size));

    if (block != NULL)
        memset(block, 0xA5, size);
    return block;
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : count(__real_calloc(n, size));
}

void *
__wrap_realloc(void *block, size_t size)
{
    if (fails())
        return NULL;
    return block == NULL ? count(__real_realloc(NULL, size))
                         : __real_realloc(block, size);
}

void
__wrap_free(void *block)
{
    if (block != NULL)
        state.live--;
    __real_free(block);
}

/* uriparser stands in a library of its own, and takes its memory from here. */
static void *
uri_malloc(UriMemoryManager *memory, size_t size)
{
    (void)memory;
    return __wrap_malloc(size);
}

static void *
uri_calloc(UriMemoryManager *memory, size_t n, size_t size)
{
    (void)memory;
    return __wrap_calloc(n, size);
}

static void *
uri_realloc(UriMemoryManager *memory, void *block, size_t size)
{
    (void)memory;
    return __wrap_realloc(block, size);
}

static void *
uri_reallocarray(UriMemoryManager *memory, void *block, size_t n, size_t size)
{
    return uriEmulateReallocarray(memory, block, n, size);
}

static void
uri_free(UriMemoryManager *memory, void *block)
{
    (void)memory;
    __wrap_free(block);
}

static UriMemoryManager uri_memory = {
    uri_malloc, uri_calloc, uri_realloc, uri_reallocarray, uri_free, NULL};

int __wrap_uriParseSingleUriExA(
    UriUriA *uri, const char *first, const char *after, const char **where);
int __wrap_uriAddBaseUriExA(UriUriA *to, const UriUriA *relative,
    const UriUriA *base, UriResolutionOptions options);
void __wrap_uriFreeUriMembersA(UriUriA *uri);

int
__wrap_uriParseSingleUriExA(
    UriUriA *uri, const char *first, const char *after, const char **where)
{
    return uriParseSingleUriExMmA(uri, first, after, where, &uri_memory);
}

int
__wrap_uriAddBaseUriExA(UriUriA *to, const UriUriA *relative,
    const UriUriA *base, UriResolutionOptions options)
{
    return uriAddBaseUriExMmA(to, relative, base, options, &uri_memory);
}

void
__wrap_uriFreeUriMembersA(UriUriA *uri)
{
    uriFreeUriMembersMmA(uri, &uri_memory);
}

/* libidn2 asks malloc itself: what it gives counts as one block. */
int __real_idn2_to_ascii_8z(const char *input, char **output, int flags);
void __real_idn2_free(void *block);
int __wrap_idn2_to_ascii_8z(const char *input, char **output, int flags);
void __wrap_idn2_free(void *block);

int
__wrap_idn2_to_ascii_8z(const char *input, char **output, int flags)
{
    int err =
        fails() ? IDN2_MALLOC : __real_idn2_to_ascii_8z(input, output, flags);

    if (err == IDN2_OK)
        state.live++;
    return err;
}

void
__wrap_idn2_free(void *block)
{
    if (block != NULL)
        state.live--;
    __real_idn2_free(block);
}

/* zstd takes its memory from here, as uriparser does. */
static void *
zstd_malloc(void *opaque, size_t size)
{
    (void)opaque;
    return __wrap_malloc(size);
}

static void
zstd_free(void *opaque, void *block)
{
    (void)opaque;
    __wrap_free(block);
}

static const ZSTD_customMem zstd_memory = {zstd_malloc, zstd_free, NULL};

ZSTD_DStream *__wrap_ZSTD_createDStream(void);
ZSTD_CStream *__wrap_ZSTD_createCStream(void);

ZSTD_DStream *
__wrap_ZSTD_createDStream(void)
{
    return ZSTD_createDStream_advanced(zstd_memory);
}

ZSTD_CStream *
__wrap_ZSTD_createCStream(void)
{
    return ZSTD_createCStream_advanced(zstd_memory);
}

/* OpenSSL keeps some for ever, so a first use comes before any counting. */
static void *
tls_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size == 0)
        return NULL;
    return state.in_tls ? __wrap_malloc(size) : count(__real_malloc(size));
}

static void
tls_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    __wrap_free(block);
}

static void *
tls_realloc(void *block, size_t size, const char *file, int line)
{
    if (size == 0) {
        tls_free(block, file, line);
        return NULL;
    }
    if (state.in_tls)
        return __wrap_realloc(block, size);
    return block == NULL ? count(__real_realloc(NULL, size))
                         : __real_realloc(block, size);
}

__attribute__((constructor)) static void
take_over_tls(void)
{
    (void)CRYPTO_set_mem_functions(tls_malloc, tls_realloc, tls_free);
}

static void *
lua_memory(void *arg, void *block, size_t old_size, size_t new_size)
{
    (void)arg;
    if (state.in_lua && new_size > old_size && fails())
        return NULL;
    return state.alloc(state.alloc_arg, block, old_size, new_size);
}

/* arm(n, all, in_lua, in_tls): the n-th allocation from now on fails; with
 * `all` those that follow too; with `in_lua` Lua's are counted as well, with
 * `in_tls` OpenSSL's. */
__attribute__((visibility("default"))) int failing_alloc_arm(lua_State *L);
int
failing_alloc_arm(lua_State *L)
{
    if (state.alloc == NULL) {
        state.alloc = lua_getallocf(L, &state.alloc_arg);
        lua_setallocf(L, lua_memory, NULL);
    }
    state.left = (long)luaL_checkinteger(L, 1);
    state.all = lua_toboolean(L, 2) != 0;
    state.in_lua = lua_toboolean(L, 3) != 0;
    state.in_tls = lua_toboolean(L, 4) != 0;
    state.failed = 0;
    return 0;
}

/* disarm() -> how many allocations failed */
__attribute__((visibility("default"))) int failing_alloc_disarm(lua_State *L);
int
failing_alloc_disarm(lua_State *L)
{
    state.left = 0;
    state.in_lua = state.in_tls = false;
    lua_pushinteger(L, state.failed);
    return 1;
}

/* live() -> how many blocks the core has */
__attribute__((visibility("default"))) int failing_alloc_live(lua_State *L);
int
failing_alloc_live(lua_State *L)
{
    lua_pushinteger(L, state.live);
    return 1;
}
