/* tcp_lua.c - sockets for Lua. */
#include "io/tcp.h"

#include "core/err.h"
#include "lua/loop_lua.h"
#include "lua/move_lua.h"
#include "lua/tcp_lua.h"
#include "lua/util.h"

/* What one recv() may take; the room is one per loop, not per socket. */
#define RECV_DEFAULT (64 * 1024)
#define RECV_MOST    (1024 * 1024)

#define BACKLOG_DEFAULT 128

struct tcp {
    const struct mwL_type *type;
    struct mw_tcp core;
};

static const struct mwL_type tcp_type = {
    MWL_TCP,
    sizeof(struct tcp),
};

static struct mw_tcp *
check_tcp(lua_State *L, int idx)
{
    struct tcp *tcp = mwL_check(L, idx, &tcp_type);

    return &tcp->core;
}

struct mw_tcp *
mwL_check_tcp(lua_State *L, int idx)
{
    return check_tcp(L, idx);
}

/* Arguments 2 to 4: family, address, port. */
static void
check_address(lua_State *L, struct mw_address *address)
{
    static const char *const names[] = {"ipv4", "ipv6", "unix", NULL};
    static const enum mw_family families[] = {MW_IPV4, MW_IPV6, MW_UNIX};
    enum mw_family family = families[luaL_checkoption(L, 2, NULL, names)];
    size_t len;
    const char *text = luaL_checklstring(L, 3, &len);
    lua_Number port = family == MW_UNIX ? 0 : luaL_checknumber(L, 4);

    luaL_argcheck(L, port >= 0 && port <= 65535 && port == (int)port, 4,
        "not a port (0 to 65535)");
    if (mw_address_set(address, family, text, len, (int)port) == MW_OK)
        return;
    luaL_argerror(L, 3,
        family == MW_UNIX ? "a socket's path has 1 to 107 bytes and no NUL"
                          : "not a numeric address of that family");
}

/* Argument 5: the address of this side, of the same family as the other. */
static void
check_source(lua_State *L, enum mw_family family, struct mw_address *from)
{
    size_t len;
    const char *text = luaL_checklstring(L, 5, &len);

    luaL_argcheck(L,
        family != MW_UNIX &&
            mw_address_set(from, family, text, len, 0) == MW_OK,
        5, "not a numeric address of the same family");
}

static int
l_loop_tcp(lua_State *L)
{
    struct mw_loop *loop = mwL_check_loop(L, 1);
    struct tcp *tcp = mwL_new(L, &tcp_type);

    mwL_share_loop(L, 1);
    mw_tcp_init(&tcp->core, loop);
    return 1;
}

/* loop:connect_now(family, address, port, from) -> a connected tcp; nil and the
 * code when it fails, or would have to wait: then it is given up. */
static int
l_loop_connect_now(lua_State *L)
{
    struct mw_loop *loop = mwL_check_loop(L, 1);
    struct mw_address address;
    struct mw_address from;
    struct tcp *tcp;
    int err;

    check_address(L, &address);
    if (!lua_isnoneornil(L, 5))
        check_source(L, address.family, &from);
    tcp = mwL_new(L, &tcp_type);
    mwL_share_loop(L, 1);
    mw_tcp_init(&tcp->core, loop);
    err = mw_tcp_connect(
        &tcp->core, &address, lua_isnoneornil(L, 5) ? NULL : &from);
    if (err == MW_OK)
        return 1;
    mw_tcp_close(&tcp->core);
    return mwL_fail(L, err);
}

static int
l_tcp_connect(lua_State *L)
{
    struct mw_tcp *tcp = check_tcp(L, 1);
    struct mw_address address;
    struct mw_address from;

    check_address(L, &address);
    if (lua_isnoneornil(L, 5))
        return mwL_result(L, mw_tcp_connect(tcp, &address, NULL));
    check_source(L, address.family, &from);
    return mwL_result(L, mw_tcp_connect(tcp, &address, &from));
}

static int
l_tcp_connect_result(lua_State *L)
{
    return mwL_result(L, mw_tcp_connect_result(check_tcp(L, 1)));
}

static int
l_tcp_listen(lua_State *L)
{
    struct mw_tcp *tcp = check_tcp(L, 1);
    int backlog = (int)luaL_optinteger(L, 5, BACKLOG_DEFAULT);
    struct mw_address address;

    check_address(L, &address);
    return mwL_result(L, mw_tcp_listen(tcp, &address, backlog));
}

static int
l_tcp_accept(lua_State *L)
{
    struct mw_tcp *tcp = check_tcp(L, 1);
    struct mw_tcp *into = check_tcp(L, 2);

    return mwL_result(L, mw_tcp_accept(tcp, into));
}

typedef int receive_fn(struct mw_tcp *, char *, size_t, size_t *);

static int
receive(lua_State *L, receive_fn *step)
{
    struct mw_tcp *tcp = check_tcp(L, 1);
    lua_Number max = luaL_optnumber(L, 2, RECV_DEFAULT);
    size_t count = 0;
    char *room;
    int err;

    luaL_argcheck(L, max >= 1, 2, "at least 1 byte expected");
    if (max > RECV_MOST)
        max = RECV_MOST;
    if (mw_tcp_is_closed(tcp))
        return mwL_fail(L, MW_ECLOSED);
    room = mw_loop_room_borrow(
        tcp->loop, max > RECV_DEFAULT ? (size_t)max : RECV_DEFAULT);
    if (room == NULL)
        return mwL_fail(L, MW_ENOMEM);
    err = step(tcp, room, (size_t)max, &count);
    if (err != MW_OK)
        return mwL_fail(L, err);
    lua_pushlstring(L, room, count);
    return 1;
}

static int
l_tcp_recv(lua_State *L)
{
    return receive(L, mw_tcp_recv);
}

static int
l_tcp_recv_now(lua_State *L)
{
    return receive(L, mw_tcp_recv_now);
}

static int
move_in(void *end, char *data, size_t len, size_t *count)
{
    return mw_tcp_recv(end, data, len, count);
}

static int
move_out(
    void *end, const struct iovec *slices, size_t slice_count, size_t *count)
{
    return mw_tcp_send_slices(end, slices, slice_count, count);
}

static bool
is_quiet(void *end, double now)
{
    return mw_tcp_is_quiet(end, now);
}

static void
guard_again(void *end)
{
    mw_tcp_guard_again(end);
}

static double
seen_at(void *end)
{
    const struct mw_tcp *tcp = end;

    return tcp->read.is_dry ? tcp->dry_at : mw_now();
}

static char *
room(void *end)
{
    const struct mw_tcp *tcp = end;

    return mw_tcp_is_closed(tcp) ? NULL
                                 : mw_loop_room_borrow(tcp->loop, MWL_ROOM);
}

const struct mwL_mover mwL_tcp_mover = {
    move_in,
    move_out,
    is_quiet,
    guard_again,
    seen_at,
    room,
};

static int
l_tcp_recv_into(lua_State *L)
{
    return mwL_recv_into(L, &mwL_tcp_mover, check_tcp(L, 1));
}

static int
l_tcp_send(lua_State *L)
{
    return mwL_send(L, &mwL_tcp_mover, check_tcp(L, 1));
}

static int
l_tcp_send_from(lua_State *L)
{
    return mwL_send_from(L, &mwL_tcp_mover, check_tcp(L, 1));
}

static int
l_tcp_ask(lua_State *L)
{
    return mwL_ask(L, &mwL_tcp_mover, check_tcp(L, 1));
}

static int
l_tcp_answer(lua_State *L)
{
    return mwL_answer(L, &mwL_tcp_mover, check_tcp(L, 1));
}

static int
l_tcp_finish(lua_State *L)
{
    return mwL_finish(L, &mwL_tcp_mover, check_tcp(L, 1));
}

int
mwL_tcp_wait(lua_State *L, struct mw_tcp *tcp, bool is_reader, bool is_writer)
{
    double seconds = mwL_check_seconds(L, 4);
    struct mwL_thread *thread = mwL_check_thread(L, 2);

    if (mw_tcp_is_closed(tcp)) {
        lua_pushinteger(L, MW_ECLOSED);
        return 1;
    }
    if ((is_reader && mw_watch_is_busy(&tcp->read)) ||
        (is_writer && mw_watch_is_busy(&tcp->write)))
        return luaL_error(L, "another task already waits here");
    luaL_argcheck(
        L, thread->waiter.loop == tcp->loop, 2, "a thread of another loop");
    mwL_ensure_can_wait(L, thread, 2);
    if (lua_isnoneornil(L, 5))
        mw_waiter_park(&thread->waiter, seconds);
    else
        mw_waiter_park_until(&thread->waiter, luaL_checknumber(L, 5) + seconds);
    if (is_reader)
        mw_waiter_watch(&thread->waiter, &tcp->read);
    if (is_writer)
        mw_waiter_watch(&thread->waiter, &tcp->write);
    if (!is_reader && !is_writer)
        (void)mw_waiter_end(&thread->waiter, MW_OK);
    return mwL_wait(L, thread, 2);
}

static int
l_tcp_wait(lua_State *L)
{
    static const char *const names[] = {"read", "write", "both", NULL};
    struct mw_tcp *tcp = check_tcp(L, 1);
    int direction = luaL_checkoption(L, 3, NULL, names);

    return mwL_tcp_wait(L, tcp, direction != 1, direction != 0);
}

static int
l_tcp_is_quiet(lua_State *L)
{
    lua_pushboolean(L, mw_tcp_is_quiet(check_tcp(L, 1), mw_now()));
    return 1;
}

static int
l_tcp_guard(lua_State *L)
{
    mw_tcp_guard(check_tcp(L, 1), luaL_checknumber(L, 2));
    return 0;
}

static int
l_tcp_shutdown(lua_State *L)
{
    return mwL_result(L, mw_tcp_shutdown(check_tcp(L, 1)));
}

static int
l_tcp_close(lua_State *L)
{
    mw_tcp_close(check_tcp(L, 1));
    return 0;
}

static int
l_tcp_is_closed(lua_State *L)
{
    lua_pushboolean(L, mw_tcp_is_closed(check_tcp(L, 1)));
    return 1;
}

int
mwL_push_address(lua_State *L, int err, const struct mw_address *address)
{
    if (err != MW_OK)
        return mwL_fail(L, err);
    lua_pushstring(L, address->text);
    lua_pushinteger(L, address->port);
    switch (address->family) {
    case MW_IPV4:
        lua_pushliteral(L, "ipv4");
        break;
    case MW_IPV6:
        lua_pushliteral(L, "ipv6");
        break;
    case MW_UNIX:
        lua_pushliteral(L, "unix");
        break;
    }
    return 3;
}

static int
l_tcp_peer(lua_State *L)
{
    struct mw_address address;
    int err = mw_tcp_peer(check_tcp(L, 1), &address);

    return mwL_push_address(L, err, &address);
}

static int
l_tcp_name(lua_State *L)
{
    struct mw_address address;
    int err = mw_tcp_name(check_tcp(L, 1), &address);

    return mwL_push_address(L, err, &address);
}

static int
l_tcp_fd(lua_State *L)
{
    lua_pushinteger(L, check_tcp(L, 1)->fd);
    return 1;
}

static int
l_tcp_gc(lua_State *L)
{
    mw_tcp_deinit(check_tcp(L, 1));
    return 0;
}

void
mwL_open_tcp(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"connect", l_tcp_connect},
        {"connect_result", l_tcp_connect_result},
        {"listen", l_tcp_listen},
        {"accept", l_tcp_accept},
        {"recv", l_tcp_recv},
        {"recv_now", l_tcp_recv_now},
        {"recv_into", l_tcp_recv_into},
        {"send", l_tcp_send},
        {"send_from", l_tcp_send_from},
        {"wait", l_tcp_wait},
        {"is_quiet", l_tcp_is_quiet},
        {"guard", l_tcp_guard},
        {"shutdown", l_tcp_shutdown},
        {"close", l_tcp_close},
        {"is_closed", l_tcp_is_closed},
        {"peer", l_tcp_peer},
        {"name", l_tcp_name},
        {"fd", l_tcp_fd},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {
        {"__gc", l_tcp_gc},
        {NULL, NULL},
    };

    mwL_class(L, tcp_type.name, methods, meta);
    mwL_add_steps(L, tcp_type.name, l_tcp_ask, l_tcp_answer, l_tcp_finish);
    mwL_add_bulk(L);
    mwL_add_method(L, MWL_LOOP, "tcp", l_loop_tcp);
    mwL_add_ask_codes(L);
    mwL_add_method(L, MWL_LOOP, "connect_now", l_loop_connect_now);
}
