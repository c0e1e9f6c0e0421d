/* main.c - the `moonwire` command: a Lua state, the paths, the terminal.  What
 * the arguments mean is said in lua/moonwire/cli.lua; nothing is decided here.
 */
#include <errno.h>
#include <histedit.h>
#include <lauxlib.h>
#include <limits.h>
#include <locale.h>
#include <lua.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define EXIT_INTERRUPTED 130
#define HISTORY_LINES    1000
#define EDITOR           "moonwire.command.Editor"

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

static void
on_prompt_interrupt(int number)
{
    (void)number;
    interrupts++;
}

/* No SA_RESTART: a read at the prompt has to come back. */
static void
set_interrupt_handler(void (*handler)(int), struct sigaction *old)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, old);
}

/* host.guard(): from here on the first SIGINT goes to the loop as before, and a
 * second one ends the process, even inside `while true do end`. */
static int
l_host_guard(lua_State *L)
{
    struct sigaction old;

    (void)L;
    interrupts = 0;
    set_interrupt_handler(on_script_interrupt, &old);
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

/* -- the line editor --------------------------------------------------------
 */

struct editor {
    EditLine *edit;   /* owned */
    History *history; /* owned */
    char prompt[16];
};

static char *
get_prompt(EditLine *edit)
{
    struct editor *ed;

    el_get(edit, EL_CLIENTDATA, &ed);
    return ed->prompt;
}

/* Reads one character for libedit: 1, or 0 at EOF and after SIGINT. */
static int
read_character(EditLine *edit, wchar_t *out)
{
    mbstate_t state;
    char byte;

    (void)edit;
    memset(&state, 0, sizeof(state));
    for (;;) {
        ssize_t n = interrupts > 0 ? 0 : read(STDIN_FILENO, &byte, 1);

        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        switch (mbrtowc(out, &byte, 1, &state)) {
        case (size_t)-2: /* more bytes of this character follow */
            continue;
        case (size_t)-1: /* not a character of this locale: drop it */
            memset(&state, 0, sizeof(state));
            continue;
        default:
            return 1;
        }
    }
}

/* host.editor() -> editor on the terminal */
static int
l_host_editor(lua_State *L)
{
    struct editor *ed = lua_newuserdata(L, sizeof(*ed));
    HistEvent event;

    memset(ed, 0, sizeof(*ed));
    luaL_getmetatable(L, EDITOR);
    lua_setmetatable(L, -2); /* from here on __gc may run */
    ed->edit = el_init("moonwire", stdin, stdout, stderr);
    ed->history = history_init();
    if (ed->edit == NULL || ed->history == NULL)
        return luaL_error(L, "the line editor can't be started");
    history(ed->history, &event, H_SETSIZE, HISTORY_LINES);
    history(ed->history, &event, H_SETUNIQUE, 1);
    el_set(ed->edit, EL_CLIENTDATA, ed);
    el_set(ed->edit, EL_PROMPT, get_prompt);
    el_set(ed->edit, EL_EDITOR, "emacs");
    el_set(ed->edit, EL_HIST, history, ed->history);
    el_set(ed->edit, EL_GETCFN, read_character);
    el_source(ed->edit, NULL); /* the user's ~/.editrc, if any */
    return 1;
}

static struct editor *
check_editor(lua_State *L)
{
    struct editor *ed = luaL_checkudata(L, 1, EDITOR);

    luaL_argcheck(L, ed->edit != NULL, 1, "the editor is closed");
    return ed;
}

/* editor:read(prompt) -> line | nil at EOF | nil, "interrupted" */
static int
l_editor_read(lua_State *L)
{
    struct editor *ed = check_editor(L);
    struct sigaction before;
    const char *line;
    int length = 0;

    snprintf(ed->prompt, sizeof(ed->prompt), "%s", luaL_checkstring(L, 2));
    interrupts = 0;
    set_interrupt_handler(on_prompt_interrupt, &before);
    line = el_gets(ed->edit, &length);
    sigaction(SIGINT, &before, NULL);
    if (interrupts > 0) {
        el_reset(ed->edit);
        putchar('\n');
        lua_pushnil(L);
        lua_pushliteral(L, "interrupted");
        return 2;
    }
    if (line == NULL || length <= 0)
        return 0;
    if (line[length - 1] == '\n')
        length--;
    lua_pushlstring(L, line, (size_t)length);
    return 1;
}

/* editor:add(line): the line is in the history */
static int
l_editor_add(lua_State *L)
{
    HistEvent event;

    history(check_editor(L)->history, &event, H_ENTER, luaL_checkstring(L, 2));
    return 0;
}

/* editor:load(path), editor:save(path) -> whether it could */
static int
l_editor_load(lua_State *L)
{
    const char *path = luaL_checkstring(L, 2);
    HistEvent event;

    lua_pushboolean(
        L, history(check_editor(L)->history, &event, H_LOAD, path) != -1);
    return 1;
}

static int
l_editor_save(lua_State *L)
{
    const char *path = luaL_checkstring(L, 2);
    HistEvent event;

    lua_pushboolean(
        L, history(check_editor(L)->history, &event, H_SAVE, path) != -1);
    return 1;
}

static int
l_editor_gc(lua_State *L)
{
    struct editor *ed = lua_touserdata(L, 1);

    if (ed->edit != NULL)
        el_end(ed->edit);
    if (ed->history != NULL)
        history_end(ed->history);
    memset(ed, 0, sizeof(*ed));
    return 0;
}

/* -- the host table and the paths -------------------------------------------
 */

/* host.is_terminal() -> whether a person sits at stdin */
static int
l_host_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty(STDIN_FILENO));
    return 1;
}

static void
push_host(lua_State *L)
{
    static const luaL_Reg host[] = {
        {"editor", l_host_editor},
        {"guard", l_host_guard},
        {"is_interruptible", l_host_is_interruptible},
        {"is_terminal", l_host_is_terminal},
        {NULL, NULL},
    };
    static const luaL_Reg methods[] = {
        {"add", l_editor_add},
        {"load", l_editor_load},
        {"read", l_editor_read},
        {"save", l_editor_save},
        {"close", l_editor_gc},
        {"__gc", l_editor_gc},
        {NULL, NULL},
    };

    luaL_newmetatable(L, EDITOR);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    luaL_register(L, NULL, methods);
    lua_pop(L, 1);
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
    lua_State *L = luaL_newstate();
    int status = EXIT_FAILURE;

    if (L == NULL) {
        fputs("moonwire: out of memory\n", stderr);
        return EXIT_FAILURE;
    }
    setlocale(LC_CTYPE, "");
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
