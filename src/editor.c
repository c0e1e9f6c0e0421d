/* editor.c - moonwire.editor: the line editor of the command's prompt, over
 * libedit.  A module of its own, so that a script never loads it. */
#include <errno.h>
#include <histedit.h>
#include <lauxlib.h>
#include <locale.h>
#include <lua.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define HISTORY_LINES 1000
#define EDITOR        "moonwire.editor.Editor"

/* A signal handler has no argument of its own, so this much is global. */
static volatile sig_atomic_t interrupts;

__attribute__((visibility("default"))) int luaopen_moonwire_editor(
    lua_State *L);

static void
on_interrupt(int number)
{
    (void)number;
    interrupts++;
}

/* No SA_RESTART: a read at the prompt has to come back. */
static void
set_interrupt_handler(struct sigaction *old)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, old);
}

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

/* editor.open() -> editor on the terminal */
static int
l_open(lua_State *L)
{
    struct editor *ed = lua_newuserdata(L, sizeof(*ed));
    HistEvent event;

    setlocale(LC_CTYPE, ""); /* what a character is, for read_character() */
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
    set_interrupt_handler(&before);
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
move_history(lua_State *L, int operation)
{
    const char *path = luaL_checkstring(L, 2);
    HistEvent event;

    lua_pushboolean(
        L, history(check_editor(L)->history, &event, operation, path) != -1);
    return 1;
}

static int
l_editor_load(lua_State *L)
{
    return move_history(L, H_LOAD);
}

static int
l_editor_save(lua_State *L)
{
    return move_history(L, H_SAVE);
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

int
luaopen_moonwire_editor(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"open", l_open},
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
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}
