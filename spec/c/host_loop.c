/* host_loop.c - a host program with an ev_loop of its own: it runs the loop,
 * and moonwire's threads run inside. */
#include <ev.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

static const char script[] =
    "local core = require 'moonwire.core'\n"
    "io.stdout:setvbuf('line')\n"
    "local loop = core.loop(host)\n"
    "local main = loop:thread()\n"
    "local function spawn(f, code)\n"
    "    local thread\n"
    "    thread = loop:thread(coroutine.create(function(c) f(thread, c) end))\n"
    "    thread:wake(code or 0)\n"
    "    return thread\n"
    "end\n"
    "spawn(function(thread, code)\n"
    "    print('resumed by the host: ' .. code)\n"
    "    print('slept: ' .. core.error_name(thread:wait(0.01)))\n"
    "    local listener, a, b = loop:tcp(), loop:tcp(), loop:tcp()\n"
    "    listener:listen('ipv4', '127.0.0.1', 0)\n"
    "    local _, port = listener:name()\n"
    "    if not a:connect('ipv4', '127.0.0.1', port) then\n"
    "        a:wait(thread, 'write', 60)\n"
    "    end\n"
    "    listener:wait(thread, 'read', 60)\n"
    "    listener:accept(b)\n"
    "    listener:close()\n"
    "    spawn(function(other)\n"
    "        b:wait(other, 'read', 60)\n"
    "        b:send((b:recv()))\n"
    "    end)\n"
    "    a:send('hello')\n"
    "    a:wait(thread, 'read', 60)\n"
    "    print('echoed: ' .. a:recv())\n"
    "    kept = { a, b } -- open, but nobody waits: they hold up nobody\n"
    "end, 1)\n"
    "local sleeper = spawn(function(thread)\n"
    "    print('woken by the host: ' .. thread:wait(60))\n"
    "end)\n"
    "function on_timer(count)\n"
    "    collectgarbage()\n"
    "    if count == 1 then\n"
    "        assert(sleeper:wake(7))\n"
    "    elseif count == 2 then\n"
    "        local code = main:wait(0.01)\n"
    "        print('waited in place: ' .. core.error_name(code))\n"
    "    elseif count == 3 then\n"
    "        spawn(function(thread) thread:wait(60) end)\n"
    "        main:wait(0)\n"
    "        assert(loop:stats().threads == 1)\n"
    "        loop:close()\n"
    "        assert(loop:stats().threads == 0)\n"
    "        print('closed inside a callback')\n"
    "    end\n"
    "end\n";

static int count;

static void
on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
    lua_State *L = timer->data;

    (void)ev;
    (void)events;
    lua_getglobal(L, "on_timer");
    lua_pushinteger(L, ++count);
    if (lua_pcall(L, 1, 0, 0) != 0)
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
}

static void
start_timer(struct ev_loop *ev, ev_timer *timer, double after)
{
    ev_now_update(ev);
    ev_timer_set(timer, after, 0.);
    ev_timer_start(ev, timer);
}

int
main(void)
{
    struct ev_loop *ev = ev_loop_new(0);
    lua_State *L = luaL_newstate();
    ev_timer timers[3];

    luaL_openlibs(L);
    lua_pushlightuserdata(L, ev);
    lua_setglobal(L, "host");
    if (luaL_dostring(L, script) != 0) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        return 1;
    }
    for (int i = 0; i < 3; i++) {
        ev_timer_init(&timers[i], on_timer, 0., 0.);
        timers[i].data = L;
    }
    start_timer(ev, &timers[0], 0.15);
    start_timer(ev, &timers[1], 0.2);
    ev_run(ev, 0);
    printf("the host's loop ended by itself\n");
    fflush(stdout);
    start_timer(ev, &timers[2], 0.);
    ev_run(ev, 0);
    lua_close(L);
    ev_loop_destroy(ev);
    return 0;
}
