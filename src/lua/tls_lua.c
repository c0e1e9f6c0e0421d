/* tls_lua.c - TLS for Lua: contexts, sessions to resume, and the steps of one
 * end, named as those of a socket are. */
#include "io/tls.h"

#include <string.h>

#include "core/err.h"
#include "core/h1.h"
#include "io/bulk.h"
#include "lua/h1_lua.h"
#include "lua/loop_lua.h"
#include "lua/move_lua.h"
#include "lua/tcp_lua.h"
#include "lua/util.h"

/* What one recv() may take. */
#define RECV_MOST (64 * 1024)

struct context {
    const struct mwL_type *type;
    struct mw_tls_ctx *core; /* a reference; NULL after __gc */
};

struct session {
    const struct mwL_type *type;
    struct ssl_session_st *core; /* owned; NULL once it is used up */
};

/* Its environment keeps the socket. */
struct tls {
    const struct mwL_type *type;
    struct mw_tls core;
    struct mw_tcp *tcp; /* borrowed from the environment; NULL: memory */
};

static const struct mwL_type context_type = {
    "moonwire.core.TlsContext",
    sizeof(struct context),
};
static const struct mwL_type session_type = {
    "moonwire.core.TlsSession",
    sizeof(struct session),
};
static const struct mwL_type tls_type = {
    "moonwire.core.Tls",
    sizeof(struct tls),
};

static struct mw_tls *
check_tls(lua_State *L)
{
    struct tls *tls = mwL_check(L, 1, &tls_type);

    return &tls->core;
}

/* -- contexts -------------------------------------------------------------- */

/* The field stays alive: the table is argument 1 until the call is over. */
static const char *
text_field(lua_State *L, const char *name, size_t *len)
{
    const char *text;

    lua_getfield(L, 1, name);
    text = lua_isnil(L, -1) ? NULL : lua_tolstring(L, -1, len);
    lua_pop(L, 1);
    return text;
}

static int
l_core_tls_context(lua_State *L)
{
    struct mw_tls_options options = {0};
    char detail[MW_TLS_DETAIL];
    struct context *context;
    size_t len = 0;
    int err;

    luaL_checktype(L, 1, LUA_TTABLE);
    options.ca_file = text_field(L, "ca_file", NULL);
    options.ca_path = text_field(L, "ca_path", NULL);
    options.ca = text_field(L, "ca", NULL);
    options.cert = text_field(L, "cert", NULL);
    options.key = text_field(L, "key", NULL);
    options.key_password = text_field(L, "key_password", NULL);
    options.min_version = text_field(L, "min_version", NULL);
    options.max_version = text_field(L, "max_version", NULL);
    options.ciphers = text_field(L, "ciphers", NULL);
    options.suites = text_field(L, "suites", NULL);
    options.alpn = text_field(L, "alpn", &options.alpn_len);
    options.pins = text_field(L, "pins", &len);
    options.pin_count = len / MW_TLS_PIN;
    luaL_argcheck(
        L, options.pin_count <= MW_TLS_PINS_MAX, 1, "more than 16 pins");
    lua_getfield(L, 1, "unverified");
    options.is_unverified = lua_toboolean(L, -1);
    lua_getfield(L, 1, "server");
    options.is_server = lua_toboolean(L, -1);
    context = mwL_new(L, &context_type);
    err = mw_tls_ctx_new(&options, &context->core, detail);
    if (err == MW_OK)
        return 1;
    mwL_fail(L, err);
    lua_pushstring(L, detail);
    return 3;
}

static int
l_context_source(lua_State *L)
{
    struct context *context = mwL_check(L, 1, &context_type);

    lua_pushstring(L, mw_tls_ctx_source(context->core));
    return 1;
}

static int
l_context_gc(lua_State *L)
{
    struct context *context = mwL_check(L, 1, &context_type);

    mw_tls_ctx_unref(context->core);
    context->core = NULL;
    return 0;
}

static int
l_session_gc(lua_State *L)
{
    struct session *session = mwL_check(L, 1, &session_type);

    mw_tls_session_free(session->core);
    session->core = NULL;
    return 0;
}

/* -- one end --------------------------------------------------------------- */

/* core.tls(context, tcp or nil, host or nil, session or nil) -> tls */
static int
l_core_tls(lua_State *L)
{
    struct context *context = mwL_check(L, 1, &context_type);
    struct mw_tcp *tcp = lua_isnil(L, 2) ? NULL : mwL_check_tcp(L, 2);
    const char *host = luaL_optstring(L, 3, NULL);
    struct session *session =
        lua_isnoneornil(L, 4) ? NULL : mwL_check(L, 4, &session_type);
    struct tls *tls;
    int err;

    luaL_argcheck(L, context->core != NULL, 1, "it is collected already");
    tls = mwL_new(L, &tls_type);
    tls->core.in.alloc = tls->core.out.alloc = mwL_alloc(L);
    lua_createtable(L, 1, 0);
    lua_setfenv(L, -2);
    mwL_anchor(L, lua_gettop(L), 2, 1);
    tls->tcp = tcp;
    err = mw_tls_open(&tls->core, context->core, tcp, host,
        session != NULL ? session->core : NULL);
    if (session != NULL) {
        mw_tls_session_free(session->core);
        session->core = NULL;
    }
    return err == MW_OK ? 1 : mwL_fail(L, err);
}

/* -> true, or nil, code and which way to wait */
static int
l_tls_handshake(lua_State *L)
{
    struct mw_tls *tls = check_tls(L);
    int err = mw_tls_handshake(tls);

    if (err == MW_OK)
        return mwL_result(L, err);
    mwL_fail(L, err);
    lua_pushstring(L, mw_tls_wants_write(tls) ? "write" : "read");
    return 3;
}

typedef int receive_fn(struct mw_tls *, char *, size_t, size_t *);

static int
receive(lua_State *L, receive_fn *step)
{
    struct tls *tls = mwL_check(L, 1, &tls_type);
    lua_Number max = luaL_optnumber(L, 2, RECV_MOST);
    char memory[RECV_MOST / 4];
    char *room = memory;
    size_t count = 0;
    int err;

    luaL_argcheck(L, max >= 1, 2, "at least 1 byte expected");
    if (mw_tls_is_closed(&tls->core))
        return mwL_fail(L, MW_ECLOSED);
    if (max > RECV_MOST)
        max = RECV_MOST;
    if (tls->tcp != NULL)
        room = mw_loop_room_borrow(tls->tcp->loop, RECV_MOST);
    else if (max > (lua_Number)sizeof(memory))
        max = (lua_Number)sizeof(memory);
    if (room == NULL)
        return mwL_fail(L, MW_ENOMEM);
    err = step(&tls->core, room, (size_t)max, &count);
    if (err != MW_OK)
        return mwL_fail(L, err);
    lua_pushlstring(L, room, count);
    return 1;
}

static int
l_tls_recv(lua_State *L)
{
    return receive(L, mw_tls_recv);
}

static int
l_tls_recv_now(lua_State *L)
{
    return receive(L, mw_tls_recv_now);
}

static int
move_in(void *end, char *data, size_t len, size_t *count)
{
    return mw_tls_recv(end, data, len, count);
}

static int
move_out(
    void *end, const struct iovec *slices, size_t slice_count, size_t *count)
{
    return mw_tls_send_slices(end, slices, slice_count, count);
}

static bool
is_quiet(void *end, double now)
{
    return mw_tls_is_quiet(end, now);
}

static void
guard_again(void *end)
{
    mw_tls_guard_again(end);
}

static double
seen_at(void *end)
{
    (void)end;
    return mw_now();
}

static char *
room(void *end)
{
    const struct tls *tls = mw_container_of(end, struct tls, core);

    return tls->tcp == NULL || mw_tcp_is_closed(tls->tcp)
               ? NULL
               : mw_loop_room_borrow(tls->tcp->loop, MWL_ROOM);
}

static const struct mwL_mover mover = {
    move_in,
    move_out,
    is_quiet,
    guard_again,
    seen_at,
    room,
};

static int
l_tls_recv_into(lua_State *L)
{
    return mwL_recv_into(L, &mover, check_tls(L));
}

static int
l_tls_skip(lua_State *L)
{
    struct tls *tls = mwL_check(L, 1, &tls_type);
    struct mw_h1 *h1 = mwL_check_h1(L, 2);
    uint64_t past = mw_h1_past(h1);
    size_t count = 0;
    int err;

    if (past < MW_BULK_LEAST || tls->tcp == NULL)
        return mwL_recv_into(L, &mover, &tls->core);
    err = mw_tls_drop(&tls->core, past, &count);
    mw_h1_received_past(h1, count);
    return mwL_push_received(L, tls->tcp, err, count, false);
}

static int
l_tls_look(lua_State *L)
{
    struct tls *tls = mwL_check(L, 1, &tls_type);

    if (tls->tcp != NULL)
        mw_tcp_look(tls->tcp);
    return 0;
}

static int
l_tls_send(lua_State *L)
{
    return mwL_send(L, &mover, check_tls(L));
}

static int
l_tls_send_from(lua_State *L)
{
    return mwL_send_from(L, &mover, check_tls(L));
}

static int
l_tls_ask(lua_State *L)
{
    return mwL_ask(L, &mover, check_tls(L));
}

static int
l_tls_answer(lua_State *L)
{
    return mwL_answer(L, &mover, check_tls(L));
}

static int
l_tls_finish(lua_State *L)
{
    return mwL_finish(L, &mover, check_tls(L));
}

/* Not always for what the caller wants next: TLS may have to send before it
 * can receive, or have what it needs already. */
static int
l_tls_wait(lua_State *L)
{
    static const char *const names[] = {"read", "write", "both", NULL};
    struct tls *tls = mwL_check(L, 1, &tls_type);
    int direction = luaL_checkoption(L, 3, NULL, names);
    bool is_reader = direction != 1;
    bool is_writer = direction != 0;

    luaL_argcheck(L, tls->tcp != NULL, 1, "TLS in memory has nothing to wait");
    if (is_reader && mw_tls_has_more(&tls->core))
        return mwL_tcp_wait(L, tls->tcp, false, false);
    if (is_reader && !is_writer && mw_tls_wants_write(&tls->core) &&
        !mw_watch_is_busy(&tls->tcp->write))
        return mwL_tcp_wait(L, tls->tcp, false, true);
    return mwL_tcp_wait(L, tls->tcp, is_reader, is_writer);
}

static int
l_tls_is_quiet(lua_State *L)
{
    lua_pushboolean(L, mw_tls_is_quiet(check_tls(L), mw_now()));
    return 1;
}

static int
l_tls_guard(lua_State *L)
{
    struct tls *tls = mwL_check(L, 1, &tls_type);

    if (tls->tcp != NULL)
        mw_tcp_guard(tls->tcp, luaL_checknumber(L, 2));
    return 0;
}

static int
l_tls_shutdown(lua_State *L)
{
    return mwL_result(L, mw_tls_shutdown(check_tls(L)));
}

static int
l_tls_close(lua_State *L)
{
    struct tls *tls = mwL_check(L, 1, &tls_type);

    mw_tls_close(&tls->core);
    if (tls->tcp != NULL)
        mw_tcp_close(tls->tcp);
    return 0;
}

static int
l_tls_is_closed(lua_State *L)
{
    struct tls *tls = mwL_check(L, 1, &tls_type);

    lua_pushboolean(L, mw_tls_is_closed(&tls->core) ||
                           (tls->tcp != NULL && mw_tcp_is_closed(tls->tcp)));
    return 1;
}

typedef int address_fn(struct mw_tcp *, struct mw_address *);

static int
push_address(lua_State *L, address_fn *step)
{
    struct tls *tls = mwL_check(L, 1, &tls_type);
    struct mw_address address;
    int err = tls->tcp != NULL ? step(tls->tcp, &address) : MW_ESTATE;

    return mwL_push_address(L, err, &address);
}

static int
l_tls_peer(lua_State *L)
{
    return push_address(L, mw_tcp_peer);
}

static int
l_tls_name(lua_State *L)
{
    return push_address(L, mw_tcp_name);
}

static int
l_tls_fd(lua_State *L)
{
    struct tls *tls = mwL_check(L, 1, &tls_type);

    lua_pushinteger(L, tls->tcp != NULL ? tls->tcp->fd : -1);
    return 1;
}

/* -- memory ---------------------------------------------------------------- */

static int
l_tls_feed(lua_State *L)
{
    struct mw_tls *tls = check_tls(L);
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);

    return mwL_result(L, mw_tls_feed(tls, data, len));
}

static int
l_tls_feed_eof(lua_State *L)
{
    mw_tls_feed_eof(check_tls(L));
    return 0;
}

static int
l_tls_output(lua_State *L)
{
    size_t len;
    const char *data = mw_tls_output_borrow(check_tls(L), &len);

    lua_pushlstring(L, len > 0 ? data : "", len);
    return 1;
}

static int
l_tls_output_sent(lua_State *L)
{
    struct mw_tls *tls = check_tls(L);
    lua_Number count = luaL_checknumber(L, 2);
    size_t len;

    (void)mw_tls_output_borrow(tls, &len);
    luaL_argcheck(
        L, count >= 0 && count <= (lua_Number)len, 2, "more than there is");
    mw_tls_output_sent(tls, (size_t)count);
    return 0;
}

/* -- about it -------------------------------------------------------------- */

static int
l_tls_error_detail(lua_State *L)
{
    lua_pushstring(L, mw_tls_detail(check_tls(L)));
    return 1;
}

/* -> version, cipher, alpn or nil, whether it was resumed */
static int
l_tls_info(lua_State *L)
{
    struct mw_tls_info info;

    if (!mw_tls_info(check_tls(L), &info)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, info.version);
    lua_pushstring(L, info.cipher);
    if (info.alpn_len > 0)
        lua_pushlstring(L, info.alpn, info.alpn_len);
    else
        lua_pushnil(L);
    lua_pushboolean(L, info.is_resumed);
    return 4;
}

static int
l_tls_take_session(lua_State *L)
{
    struct mw_tls *tls = check_tls(L);
    struct session *session = mwL_new(L, &session_type);

    session->core = mw_tls_session_take(tls);
    if (session->core == NULL)
        lua_pushnil(L);
    return 1;
}

static int
l_tls_gc(lua_State *L)
{
    mw_tls_deinit(check_tls(L));
    return 0;
}

void
mwL_open_tls(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"handshake", l_tls_handshake},
        {"recv", l_tls_recv},
        {"recv_now", l_tls_recv_now},
        {"recv_into", l_tls_recv_into},
        {"skip", l_tls_skip},
        {"look", l_tls_look},
        {"send", l_tls_send},
        {"send_from", l_tls_send_from},
        {"wait", l_tls_wait},
        {"is_quiet", l_tls_is_quiet},
        {"guard", l_tls_guard},
        {"shutdown", l_tls_shutdown},
        {"close", l_tls_close},
        {"is_closed", l_tls_is_closed},
        {"peer", l_tls_peer},
        {"name", l_tls_name},
        {"fd", l_tls_fd},
        {"feed", l_tls_feed},
        {"feed_eof", l_tls_feed_eof},
        {"output", l_tls_output},
        {"output_sent", l_tls_output_sent},
        {"error_detail", l_tls_error_detail},
        {"info", l_tls_info},
        {"take_session", l_tls_take_session},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {{"__gc", l_tls_gc}, {NULL, NULL}};
    static const luaL_Reg context_methods[] = {
        {"source", l_context_source},
        {NULL, NULL},
    };
    static const luaL_Reg context_meta[] = {
        {"__gc", l_context_gc},
        {NULL, NULL},
    };
    static const luaL_Reg no_methods[] = {{NULL, NULL}};
    static const luaL_Reg session_meta[] = {
        {"__gc", l_session_gc},
        {NULL, NULL},
    };

    mwL_class(L, tls_type.name, methods, meta);
    mwL_add_steps(L, tls_type.name, l_tls_ask, l_tls_answer, l_tls_finish);
    mwL_class(L, context_type.name, context_methods, context_meta);
    mwL_class(L, session_type.name, no_methods, session_meta);
    lua_pushcfunction(L, l_core_tls_context);
    lua_setfield(L, -2, "tls_context");
    lua_pushcfunction(L, l_core_tls);
    lua_setfield(L, -2, "tls");
}
