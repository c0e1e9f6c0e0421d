-- The LuaJIT that is not this machine's: the stock one beside OpenResty's branch, with the part of
-- the specs that leans on it most; and the Lua that is none. `make test LUA_DIR=.deps/luajit
-- BUILD=build/stock` runs all specs with it.

local tree = dofile("spec/support/tree.lua")

local SPECS = "spec/core/h1_spec.lua spec/core/headers_spec.lua spec/backend_spec.lua "
    .. "spec/connection_spec.lua spec/client_spec.lua spec/task_spec.lua spec/scope_spec.lua "
    .. "spec/generator_spec.lua spec/outside_task_spec.lua"

local function is_openresty()
    return (pcall(require, "table.isarray"))
end

-- the compiler begins anew behind a function with "..." and then gives up on the outer loop
local LOOPS = [[
    local each, counted = pairs, 0
    local inner = { 1, 2, 3, 4, 5 }
    local outer = { a = inner, b = inner, c = inner, d = inner, e = inner }
    local function pause(...)
        for _ = 1, 100 do end
    end
    for _ = 1, 100000 do
        pause()
        for _, list in each(outer) do
            for _ in each(list) do end
            counted = counted + 1
        end
    end
    print(counted)]]

describe("a loop over a table, written as moonwire's are", function()
    local function count(luajit, script)
        return (select(2, tree.run(tree.quote(luajit) .. " -e " .. tree.quote(script))))
    end

    it("goes to the end of the table with each LuaJIT that is here", function()
        assert.equal("500000\n", count(os.getenv "MOONWIRE_LUAJIT" or "luajit", LOOPS))
        local stock = tree.root .. "/.deps/luajit/bin/luajit"
        if tree.run("test -x " .. tree.quote(stock)) == 0 then
            assert.equal("500000\n", count(stock, LOOPS))
        end
    end)
end)

-- the stock one runs all specs where it is the one of this run
local beside = is_openresty() and describe or function() end

beside("the stock LuaJIT", function()
    it("passes the specs that lean on LuaJIT", function()
        local status, output = tree.run("cd " .. tree.quote(tree.root) .. " && tools/luajit")
        assert.equal(0, status, output)
        -- with its own command, without the sanitizers of this run, and soon compiled
        local make = ("cd %s && env -u MOONWIRE -u MOONWIRE_SAN make --no-print-directory "
            .. "LUA_DIR=.deps/luajit BUILD=build/stock CFLAGS=-O0 "):format(tree.quote(tree.root))
        status, output = tree.run(make .. "-j2 build/stock/moonwire/core.so "
            .. "build/stock/bin/moonwire")
        assert.equal(0, status, output)
        status, output = tree.run(make .. "run-specs SPEC='" .. SPECS .. "'")
        assert.equal(0, status, output)
        assert.matches("%d%d%d+ passed, 0 failed", output)
        local _
        _, output = tree.run("cd " .. tree.quote(tree.root) .. " && ldd build/stock/bin/moonwire")
        assert.matches("/.deps/luajit/lib/", output, 1, true)
    end)
end)

-- luarocks brings it along on Debian
local where_it_is = tree.run("command -v lua5.1") == 0 and describe or function() end

where_it_is("the Lua from lua.org", function()
    it("is told that moonwire needs LuaJIT, whatever is required", function()
        for _, name in ipairs { "moonwire", "moonwire.http", "moonwire.request", "moonwire.net" } do
            local status, output = tree.run("lua5.1 -e 'require \"" .. name .. "\"'")
            assert.not_equal(0, status)
            assert.matches("moonwire needs LuaJIT 2.1, and this is another Lua", output, 1, true)
            assert.matches("run the script with luajit", output, 1, true)
        end
    end)
end)
