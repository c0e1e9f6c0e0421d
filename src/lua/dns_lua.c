/* dns_lua.c - name lookups for Lua. */
#include "io/dns.h"

#include <string.h>

#include "core/err.h"
#include "lua/loop_lua.h"
#include "lua/util.h"

struct dns {
    const struct mwL_type *type;
    struct mw_dns *core; /* owned; NULL before it is made, after __gc */
};

static const struct mwL_type dns_type = {
    "moonwire.core.Dns",
    sizeof(struct dns),
};

/* A field of the options at index 2: seconds as milliseconds. */
static int
check_milliseconds(lua_State *L, const char *name)
{
    double seconds;

    lua_getfield(L, 2, name);
    seconds = lua_isnil(L, -1) ? 0 : luaL_checknumber(L, -1);
    luaL_argcheck(L, seconds >= 0 && seconds < 3600, 2, "bad timeout");
    lua_pop(L, 1);
    return (int)(seconds * 1000);
}

/* The list of servers as one string, left on the stack. */
static const char *
check_servers(lua_State *L)
{
    int list;

    lua_getfield(L, 2, "servers");
    if (lua_isnil(L, -1))
        return NULL;
    luaL_argcheck(L, lua_istable(L, -1), 2, "servers: a list expected");
    list = lua_gettop(L);
    lua_pushliteral(L, "");
    for (int i = 1; i <= (int)lua_objlen(L, list); i++) {
        lua_pushstring(L, i > 1 ? "," : "");
        lua_rawgeti(L, list, i);
        luaL_argcheck(L, lua_isstring(L, -1), 2, "servers: strings expected");
        lua_concat(L, 3);
    }
    return lua_tostring(L, -1);
}

/* loop:dns(options?) */
static int
l_loop_dns(lua_State *L)
{
    struct mw_loop *loop = mwL_check_loop(L, 1);
    struct mw_dns_options options = {0};
    struct dns *dns;

    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        options.timeout = check_milliseconds(L, "timeout");
        lua_getfield(L, 2, "tries");
        options.tries = (int)luaL_optinteger(L, -1, 0);
        options.servers = check_servers(L);
    }
    dns = mwL_new(L, &dns_type);
    mwL_share_loop(L, 1);
    dns->core = mw_dns_new(loop, &options);
    if (dns->core == NULL)
        return mwL_fail(L, MW_ENOMEM);
    return 1;
}

static struct dns *
check_dns(lua_State *L)
{
    return mwL_check(L, 1, &dns_type);
}

static int
push_code(lua_State *L, int code)
{
    lua_pushinteger(L, code);
    return 1;
}

static int
lookup(lua_State *L, enum mw_dns_family family)
{
    struct dns *dns = check_dns(L);
    struct mwL_thread *thread = mwL_check_thread(L, 2);
    size_t len;
    const char *host = luaL_checklstring(L, 3, &len);
    double seconds = mwL_check_seconds(L, 4);
    int err;

    if (dns->core == NULL || mw_dns_is_closed(dns->core))
        return push_code(L, MW_ECLOSED);
    mw_dns_answer_free(thread->answer);
    thread->answer = NULL;
    err = mw_dns_answer_at_once(host, len, family, &thread->answer);
    if (err != MW_EAGAIN)
        return push_code(L, err);
    if (mwL_check_can_wait(L, 2) == NULL)
        return push_code(L, MW_ECLOSED);
    mw_waiter_park(&thread->waiter, seconds);
    mw_dns_ask(dns->core, &thread->waiter, host, family, &thread->answer);
    return mwL_wait(L, thread, 2);
}

static int
l_dns_lookup(lua_State *L)
{
    return lookup(L, MW_DNS_BOTH);
}

static int
l_dns_lookup_ipv4(lua_State *L)
{
    return lookup(L, MW_DNS_IPV4);
}

static int
l_dns_lookup_ipv6(lua_State *L)
{
    return lookup(L, MW_DNS_IPV6);
}

static int
l_dns_take(lua_State *L)
{
    struct mwL_thread *thread = mwL_check_thread(L, 2);
    const struct mw_dns_answer *answer = thread->answer;
    size_t count = answer != NULL ? answer->count : 0;

    check_dns(L);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        const struct mw_dns_address *address = &answer->addresses[i];

        lua_createtable(L, 0, 3);
        lua_pushstring(L, address->is_ipv6 ? "ipv6" : "ipv4");
        lua_setfield(L, -2, "family");
        lua_pushstring(L, address->text);
        lua_setfield(L, -2, "address");
        if (address->ttl >= 0) {
            lua_pushinteger(L, address->ttl);
            lua_setfield(L, -2, "ttl");
        }
        lua_rawseti(L, -2, (int)i + 1);
    }
    mw_dns_answer_free(thread->answer);
    thread->answer = NULL;
    return 1;
}

static int
l_dns_close(lua_State *L)
{
    struct dns *dns = check_dns(L);

    if (dns->core != NULL)
        mw_dns_close(dns->core);
    return 0;
}

static int
l_dns_gc(lua_State *L)
{
    struct dns *dns = check_dns(L);

    mw_dns_free(dns->core);
    dns->core = NULL;
    return 0;
}

void
mwL_open_dns(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"lookup", l_dns_lookup},
        {"lookup_ipv4", l_dns_lookup_ipv4},
        {"lookup_ipv6", l_dns_lookup_ipv6},
        {"take", l_dns_take},
        {"close", l_dns_close},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {
        {"__gc", l_dns_gc},
        {NULL, NULL},
    };

    mwL_class(L, dns_type.name, methods, meta);
    mwL_add_method(L, MWL_LOOP, "dns", l_loop_dns);
}
