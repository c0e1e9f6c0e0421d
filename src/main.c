/* main.c - the `moonwire` command: a Lua state, the paths, SIGINT.  What the
 * arguments mean is said in lua/moonwire/cli.lua; nothing is decided here. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <lualib.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_INTERRUPTED 130
#define INPUT_CHUNK      65536

/* A signal handler has no argument of its own, so this much is global.  Only
 * the command has signal handlers; the library has none. */
static volatile sig_atomic_t interrupts;
static struct sigaction loop_action; /* what the loop does on SIGINT */

/* -- SIGINT ---------------------------------------------------------------- */

static void
on_script_interrupt(int number)
{
    interrupts++;
    if (interrupts > 1)
        _exit(EXIT_INTERRUPTED);
    if (loop_action.sa_handler != SIG_DFL && loop_action.sa_handler != SIG_IGN)
        loop_action.sa_handler(number);
}

/* host.guard(): from here on the first SIGINT goes to the loop as before, and a
 * second one ends the process, even inside `while true do end`. */
static int
l_host_guard(lua_State *L)
{
    struct sigaction action;
    struct sigaction old;

    (void)L;
    interrupts = 0;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_script_interrupt;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &old);
    if (old.sa_handler != on_script_interrupt)
        loop_action = old;
    return 0;
}

/* host.is_interruptible(): false where whoever started us ignores SIGINT, as a
 * shell does for what runs behind its back; then so do we. */
static int
l_host_is_interruptible(lua_State *L)
{
    struct sigaction action;

    sigaction(SIGINT, NULL, &action);
    lua_pushboolean(L, action.sa_handler != SIG_IGN);
    return 1;
}

/* -- the host table and the paths -------------------------------------------
 */

/* host.is_terminal(fd) -> whether a person is there; without fd: at stdin */
static int
l_host_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_optinteger(L, 1, STDIN_FILENO)));
    return 1;
}

/* host.ignore_broken_pipes(): writing to one is an error from here on and no
 * longer the end. */
static int
l_host_ignore_broken_pipes(lua_State *L)
{
    (void)L;
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

/* host.read_input() -> bytes; false: none have come so far; nil: the end, or
 * with a message */
static int
l_host_read_input(lua_State *L)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char bytes[INPUT_CHUNK];
    ssize_t got;

    if (poll(&input, 1, 0) == 0) {
        lua_pushboolean(L, 0);
        return 1;
    }
    got = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (got > 0) {
        lua_pushlstring(L, bytes, (size_t)got);
        return 1;
    }
    if (got == -1 && (errno == EAGAIN || errno == EINTR)) {
        lua_pushboolean(L, 0);
        return 1;
    }
    lua_pushnil(L);
    if (got == 0)
        return 1;
    lua_pushfstring(L, "standard input: %s", strerror(errno));
    return 2;
}

static void
push_host(lua_State *L)
{
    static const luaL_Reg host[] = {
        {"guard", l_host_guard},
        {"ignore_broken_pipes", l_host_ignore_broken_pipes},
        {"is_interruptible", l_host_is_interruptible},
        {"is_terminal", l_host_is_terminal},
        {"read_input", l_host_read_input},
        {NULL, NULL},
    };

    lua_newtable(L);
    luaL_register(L, NULL, host);
}

/* Puts `entries` before what package[field] says already. */
static void
prepend_path(lua_State *L, const char *field, const char *entries)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, field);
    lua_pushfstring(L, "%s;%s", entries, lua_tostring(L, -1));
    lua_setfield(L, -3, field);
    lua_pop(L, 2);
}

/* Cuts the last part off a path; false when there is none. */
static int
cut_last(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL || slash == path)
        return 0;
    *slash = '\0';
    return 1;
}

/* The modules lie beside the command: <prefix>/share/lua/5.1 when installed,
 * <root>/lua when <root>/build/bin/moonwire (or build/<kind>/bin) runs. */
static void
set_paths(lua_State *L)
{
    char base[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", base, sizeof(base) - 1);
    const char *probe;

    if (length <= 0)
        return;
    base[length] = '\0';
    if (!cut_last(base) || !cut_last(base)) /* "/moonwire", then "/bin" */
        return;
    probe = lua_pushfstring(L, "%s/moonwire/core.so", base);
    if (access(probe, F_OK) == -1) {
        prepend_path(L, "path",
            lua_pushfstring(L,
                "%s/share/lua/5.1/?.lua;%s/share/lua/5.1/?/init.lua", base,
                base));
        prepend_path(
            L, "cpath", lua_pushfstring(L, "%s/lib/lua/5.1/?.so", base));
        return;
    }
    prepend_path(L, "cpath", lua_pushfstring(L, "%s/?.so", base));
    while (cut_last(base)) {
        probe = lua_pushfstring(L, "%s/lua/moonwire/cli.lua", base);
        if (access(probe, F_OK) == 0) {
            prepend_path(L, "path",
                lua_pushfstring(
                    L, "%s/lua/?.lua;%s/lua/?/init.lua", base, base));
            return;
        }
    }
}

/* -- start and end ------------------------------------------------------------
 */

/* Whoever started us may have closed some of the first three: nothing else may
 * get their numbers, or what is printed would go to a server. */
static void
fill_standard_files(void)
{
    int fd = open("/dev/null", O_RDONLY);

    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDONLY);
    if (fd > STDERR_FILENO)
        close(fd);
}

/* Replaces the error on the top by its words and where it came from. */
static int
add_traceback(lua_State *L)
{
    lua_getglobal(L, "debug");
    lua_getfield(L, -1, "traceback");
    lua_getglobal(L, "tostring");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    lua_pushinteger(L, 2);
    lua_call(L, 2, 1);
    return 1;
}

/* (argc, argv) -> exit code.  cli.main() gives the code, or the name of a
 * module whose main() is to go on with what else it gave. */
static int
run(lua_State *L)
{
    int argc = (int)lua_tointeger(L, 1);
    char **argv = lua_touserdata(L, 2);
    int first;

    luaL_openlibs(L);
    set_paths(L);
    lua_settop(L, 0);
    push_host(L); /* stays at 1 */
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moonwire.cli");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "main");
    lua_pushvalue(L, 1);
    lua_createtable(L, argc, 1);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i);
    }
    first = lua_gettop(L) - 2;
    lua_call(L, 2, 2);
    if (lua_type(L, first) == LUA_TSTRING) { /* go on in that module */
        lua_getglobal(L, "require");
        lua_pushvalue(L, first);
        lua_call(L, 1, 1);
        lua_getfield(L, -1, "main");
        lua_pushvalue(L, 1);
        lua_pushvalue(L, first + 1);
        lua_call(L, 2, 1);
        return 1;
    }
    lua_pushvalue(L, first);
    return 1;
}

int
main(int argc, char **argv)
{
    lua_State *L;
    int status = EXIT_FAILURE;

    fill_standard_files();
    L = luaL_newstate();
    if (L == NULL) {
        fputs("moonwire: out of memory\n", stderr);
        return EXIT_FAILURE;
    }
    lua_pushcfunction(L, add_traceback);
    lua_pushcfunction(L, run);
    lua_pushinteger(L, argc);
    lua_pushlightuserdata(L, argv);
    if (lua_pcall(L, 2, 1, 1) == 0)
        status = (int)lua_tointeger(L, -1);
    else
        fprintf(stderr, "moonwire: %s\n", lua_tostring(L, -1));
    lua_close(L);
    return status;
}
