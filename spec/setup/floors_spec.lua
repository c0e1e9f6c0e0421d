-- tools/floors.lua, tried on small trees with one mistake each, and on moonwire itself.

local tree = dofile("spec/support/tree.lua")

describe("tools/floors.lua", function()
    local t

    before_each(function()
        t = tree.new()
    end)

    after_each(function()
        t:remove()
    end)

    local function floors(path)
        return tree.run(("luajit %s/tools/floors.lua %s"):format(tree.root, path or t.path))
    end

    it("finds nothing in moonwire", function()
        local status, output = floors(tree.root)
        assert.equal(0, status, output)
        assert.matches("every arrow points down", output, 1, true)
    end)

    it("fails where there is nothing to read", function()
        assert.equal(1, (floors()))
    end)

    it("passes what only points down", function()
        t:write("src/core/a.c", '#include "core/a.h"\n#include <llhttp.h>\n')
        t:write("src/io/b.c", '#include "core/err.h"\n#include <ev.h>\n#include <time.h>\n')
        t:write("src/lua/c.c", '#include "core/a.h"\n#include "io/b.h"\n#include <lua.h>\n')
        t:write("lua/moonwire/error.lua", 'local core = require "moonwire.core"\nreturn core\n')
        t:write("lua/moonwire/pool.lua", 'local errors = require "moonwire.error"\nreturn errors\n')
        t:write("lua/moonwire/json.lua", 'local ok, cjson = pcall(require, "cjson")\n' ..
            '-- require "moonwire.http" would point up, and ngx or coroutine.yield are no code\n' ..
            'return ok and cjson or [[ require "moonwire.pool" ]]\n')
        t:write("lua/moonwire/url.lua", "local each = pairs -- and pairs in words\n" ..
            "for k in each(t) do\n    if next(t) then\n        ipairs(t)\n    end\nend\n")
        t:write("examples/x.lua", 'local http = require "moonwire.http"\nprint(http)\n')
        local status, output = floors()
        assert.equal(0, status, output)
    end)

    -- { file, text, what is said }
    local mistakes = {
        { "src/core/a.c", "#include <lua.h>\n", "src/core/a.c:1: may not include <lua.h>" },
        { "src/core/a.c", "\n#include <ev.h>\n", "src/core/a.c:2: may not include <ev.h>" },
        { "src/core/a.c", "#include <openssl/ssl.h>\n", "may not include <openssl/ssl.h>" },
        { "src/core/a.c", "#include <sys/socket.h>\n", "may not include <sys/socket.h>" },
        { "src/core/a.h", "# include <time.h>\n", "may not include <time.h>" },
        { "src/core/a.c", '#include "io/tcp.h"\n', "does not point down" },
        { "src/io/a.c", "#include <lauxlib.h>\n", "may not include <lauxlib.h>" },
        { "src/io/a.c", "#include <llhttp.h>\n", "may not include <llhttp.h>" },
        { "src/io/a.c", '#include "core/h1.h"\n', "does not point down" },
        { "src/io/a.c", '#include "lua/util.h"\n', "does not point down" },
        { "src/lua/a.c", "int\nf(void)\n{\n    return socket(1);\n}\n", "a.c:4: calls socket()" },
        { "src/lua/a.c", "int x = recv (1);\n", "calls recv()" },
        { "src/lua/tcp_lua.c", "    return lua_yield(L, 0);\n", "yields from C" },
        { "src/core/a.c", "{\n" .. ("    x();\n"):rep(81) .. "}\n", "more than 80 lines" },
        { "src/core/a.c", ("int x;\n"):rep(601), "longer than 600 lines" },
        { "src/odd/a.c", "int x;\n", "on no floor" },
        { "lua/moonwire/odd.lua", "return {}\n", "moonwire.odd is on no floor" },
        { "lua/moonwire/url.lua", 'local x = require "moonwire.client"\nreturn x\n', "points up" },
        { "lua/moonwire/error.lua", "local x = require('moonwire.url')\nreturn x\n", "points up" },
        { "lua/moonwire/backend/ev.lua", 'local x = require "moonwire.task"\n', "points up" },
        { "lua/moonwire/connection.lua", 'local x = require "moonwire.pool"\n', "points up" },
        { "lua/moonwire/connection.lua", 'local x = require "moonwire.client"\n', "points up" },
        { "lua/moonwire/pool.lua", 'local x = require "moonwire.backend"\n', "may not require" },
        { "lua/moonwire/pool.lua", 'local x = require "moonwire.connection"\n', "may not require" },
        { "lua/moonwire/http.lua", 'local x = require "moonwire"\n', "points up" },
        { "lua/moonwire/url.lua", 'local x = require "socket.url"\n', "does not depend on" },
        { "lua/moonwire/http.lua", "local t = ngx.now()\n", "knows of ngx" },
        { "lua/moonwire/http.lua", "for k in pairs(t) do\nend\n", 'loops over "pairs"' },
        { "lua/moonwire/http.lua", "    for k in pairs{} do\n    end\n", 'loops over "pairs"' },
        { "lua/moonwire/http.lua", "for k in next, t do\nend\n", 'loops over "next"' },
        { "lua/moonwire/http.lua", "coroutine.yield(1)\n", "only backend/ and task do" },
        { "lua/moonwire/http.lua", "local codec = core.h1()\n", "holds a codec" },
        {
            "lua/moonwire/http.lua",
            'local function f()\n    local x = require "moonwire.url"\nend\n',
            "elsewhere than at the top",
        },
        {
            "lua/moonwire/http.lua", 'local function f() end\nlocal x = require "moonwire.url"\n',
            "elsewhere than at the top",
        },
        { "lua/moonwire/http.lua", "local x = require(name)\n", "elsewhere than at the top" },
        { "lua/moonwire/http.lua", 'local x = require "moonwire.http"\n', "in a cycle" },
        { "examples/x.lua", 'local c = require "moonwire.core"\n', "which is not public" },
    }
    for _, mistake in ipairs(mistakes) do
        local file, text, words = unpack(mistake)
        it(("fails on %s: %s"):format(file, words), function()
            t:write(file, text)
            local status, output = floors()
            assert.equal(1, status)
            assert.matches(words, output, 1, true)
            assert.matches("floors: 1 arrows or rules broken", output, 1, true)
        end)
    end

    it("lets backend/ngx.lua know ngx, and backend/ and task yield", function()
        t:write("lua/moonwire/backend/ngx.lua", "local t = ngx.now()\ncoroutine.yield(t)\n")
        t:write("lua/moonwire/task.lua", "coroutine.yield(1)\n")
        t:write("src/lua/loop_lua.c", "    return lua_yield(L, 0);\n")
        assert.equal(0, (floors()))
    end)
end)
