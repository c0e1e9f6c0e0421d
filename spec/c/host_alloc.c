/* host_alloc.c - a C program whose Lua state has an allocator of its own, which
 * counts, and fails on demand:  host_alloc count | host_alloc fail. */
#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>
#include <moonwire.h>
#include <moonwire/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM (16384 + 16) /* of the codec, with the head of a block */

static const char script[] =
    "local server = assert(require('moonwire.testing.server').start{}) "
    "local client = require('moonwire.http').client() "
    "local res, err = client:get(server.url .. '/bytes/300000') "
    "local text = res and res:text() "
    "client:close() server:close() "
    "return text and #text or tostring(err)";

struct memory {
    long blocks;    /* that are in use */
    size_t rooms;   /* blocks of ROOM bytes */
    long left;      /* successes before it fails, below 0: for ever */
    size_t refused; /* since then */
};

static void *
allocate(void *arg, void *block, size_t old_size, size_t size)
{
    struct memory *memory = arg;
    void *result;

    if (size == 0) {
        memory->blocks -= block != NULL;
        free(block);
        return NULL;
    }
    if (size > old_size && memory->left == 0) {
        memory->refused++;
        return NULL;
    }
    result = realloc(block, size);
    if (result == NULL)
        return NULL;
    if (size > old_size && memory->left > 0)
        memory->left--;
    memory->blocks += block == NULL;
    memory->rooms += size == ROOM;
    return result;
}

struct ending {
    int count;
    char result[64];
};

static void
on_end(void *arg, struct mw_context *ctx, const struct mw_outcome *outcome)
{
    struct ending *ending = arg;
    const char *result = outcome->message;

    (void)ctx;
    ending->count++;
    if (outcome->kind == NULL && outcome->count > 0)
        result = lua_tostring(outcome->L, outcome->first);
    snprintf(ending->result, sizeof(ending->result), "%s",
        result != NULL ? result : "nothing");
}

/* One life of a state; the callback comes as often as a task was started. */
static int
live(struct memory *memory, long left, struct ending *ending)
{
    lua_State *L = lua_newstate(allocate, memory);
    struct mw_context *ctx = NULL;
    int started = 0;
    int err;

    luaL_openlibs(L);
    if (luaL_dostring(L, "require 'ffi'") != 0) /* it loses two blocks itself */
        printf("no ffi\n");
    if (left >= 0) /* LuaJIT's compiler does not survive a lack of memory */
        luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    memory->left = left;
    err = mw_open(L, NULL, &ctx);
    if (err == MW_OK) {
        err = mw_spawn_string(
            ctx, script, strlen(script), "=script", on_end, ending, NULL);
        started = err == MW_OK;
    }
    if (err == MW_OK)
        err = mw_run(ctx);
    memory->left = -1; /* what must end needs some */
    if (mw_close(ctx) != MW_OK)
        ending->count = -1;
    lua_close(L);
    if (ending->count != started)
        printf("%d callbacks of %d\n", ending->count, started);
    return err;
}

int
main(int argc, char **argv)
{
    struct memory memory = {.left = -1};
    struct ending ending = {0};
    long lives = 0;
    long left = 1;
    int err;

    if (argc == 2 && strcmp(argv[1], "count") == 0) {
        err = live(&memory, -1, &ending);
        printf("%s: %s\n", err == MW_OK ? "fine" : mw_err_name(err),
            ending.result);
        printf("blocks left: %ld\n", memory.blocks);
        printf("rooms: %s\n", memory.rooms > 0 ? "some" : "none");
        return 0;
    }
    do {
        memory = (struct memory){.left = -1};
        ending = (struct ending){0};
        live(&memory, left, &ending);
        if (memory.blocks != 0)
            printf("after %ld: %ld blocks left\n", left, memory.blocks);
        left += 1 + left / 16;
        lives++;
    } while (memory.refused > 0);
    printf("%s, %s\n", ending.result, lives > 50 ? "many lives" : "few lives");
    return 0;
}
