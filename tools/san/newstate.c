/* newstate.c - luaL_newstate() for `make check-san`: a Lua state whose memory
 * comes from malloc.  So the sanitizers see every userdata with its borders,
 * and leak detection finds what a userdata points to. */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>

static void *
allocate(void *unused, void *block, size_t old_size, size_t new_size)
{
    (void)unused;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, new_size);
}

static int
on_panic(lua_State *L)
{
    fprintf(stderr, "PANIC: %s\n", lua_tostring(L, -1));
    return 0;
}

/* It stands in the executable, so it comes before LuaJIT's own. */
__attribute__((visibility("default"))) lua_State *
luaL_newstate(void)
{
    lua_State *L = lua_newstate(allocate, NULL);

    if (L != NULL)
        lua_atpanic(L, on_panic);
    return L;
}
