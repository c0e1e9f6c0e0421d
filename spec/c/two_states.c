/* two_states.c - two Lua states in two OS threads of one process, each with a
 * loop, sockets and waits of its own, at the same time. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>

static const char script[] =
    "local core = require 'moonwire.core'\n"
    "package.loaded['moonwire.core'] = nil\n"
    "assert(require('moonwire.core').state == core.state)\n"
    "local loop = core.loop()\n"
    "local main = loop:thread()\n"
    "local listener, rounds = loop:tcp(), 0\n"
    "assert(listener:listen('ipv4', '127.0.0.1', 0))\n"
    "local function spawn(f)\n"
    "    local thread\n"
    "    thread = loop:thread(coroutine.create(function() f(thread) end))\n"
    "    thread:wake(0)\n"
    "end\n"
    "local function echo(thread)\n"
    "    local tcp = loop:tcp()\n"
    "    while not listener:accept(tcp) do listener:wait(thread, 'read') end\n"
    "    while true do\n"
    "        local data, code = tcp:recv()\n"
    "        if data then\n"
    "            tcp:send(data)\n"
    "        elseif code == core.EAGAIN then\n"
    "            tcp:wait(thread, 'read')\n"
    "        else\n"
    "            return tcp:close()\n"
    "        end\n"
    "    end\n"
    "end\n"
    "local function ask(thread)\n"
    "    local tcp, _, port = loop:tcp(), listener:name()\n"
    "    if not tcp:connect('ipv4', '127.0.0.1', port) then\n"
    "        tcp:wait(thread, 'write')\n"
    "    end\n"
    "    for i = 1, 300 do\n"
    "        tcp:send('ping ' .. i)\n"
    "        assert(tcp:wait(thread, 'read', 5) == 0)\n"
    "        assert(tcp:recv() == 'ping ' .. i)\n"
    "        rounds = rounds + 1\n"
    "        if i % 50 == 0 then collectgarbage() end\n"
    "    end\n"
    "    tcp:close()\n"
    "    main:wake(0)\n"
    "end\n"
    "spawn(echo)\n"
    "spawn(ask)\n"
    "assert(main:wait(20) == 0)\n"
    "local dns = loop:dns()\n"
    "assert(dns:lookup(main, 'localhost', 1) == 0 and #dns:take(main) == 2)\n"
    "assert(rounds == 300)\n";

static void *
run(void *arg)
{
    int *ended_well = arg;
    lua_State *L = luaL_newstate();

    luaL_openlibs(L);
    if (luaL_dostring(L, script) == 0)
        *ended_well = 1;
    else
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    lua_close(L);
    return NULL;
}

int
main(void)
{
    pthread_t threads[2];
    int results[2] = {0, 0};

    for (int i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, run, &results[i]) != 0)
            return 2;
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("two states: %d ended well\n", results[0] + results[1]);
    return results[0] + results[1] == 2 ? 0 : 1;
}
