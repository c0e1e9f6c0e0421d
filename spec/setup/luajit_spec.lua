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

describe("the stock LuaJIT", function()
    it("passes the specs that lean on LuaJIT", function()
        if not is_openresty() then
            return pending("the LuaJIT of this run is the stock one already")
        end
        local status, output = tree.run("cd " .. tree.quote(tree.root) .. " && tools/luajit")
        if status ~= 0 then
            return pending("it can't be fetched here: " .. output)
        end
        local make = ("cd %s && make --no-print-directory LUA_DIR=.deps/luajit BUILD=build/stock ")
            :format(tree.quote(tree.root))
        status, output = tree.run(make .. "-j2 all wrapped")
        assert.equal(0, status, output)
        status, output = tree.run(make .. "run-specs SPEC='" .. SPECS .. "'")
        assert.equal(0, status, output)
        assert.matches("%d%d%d+ passed, 0 failed", output)
        local _
        _, output = tree.run("cd " .. tree.quote(tree.root) .. " && ldd build/stock/bin/moonwire")
        assert.matches("/.deps/luajit/lib/", output, 1, true)
    end)
end)

describe("the Lua from lua.org", function()
    it("is told that moonwire needs LuaJIT, whatever is required", function()
        if tree.run("command -v lua5.1") ~= 0 then
            return pending("there is no lua5.1 here")
        end
        for _, name in ipairs { "moonwire", "moonwire.http", "moonwire.request", "moonwire.net" } do
            local status, output = tree.run("lua5.1 -e 'require \"" .. name .. "\"'")
            assert.not_equal(0, status)
            assert.matches("moonwire needs LuaJIT 2.1, and this is another Lua", output, 1, true)
            assert.matches("run the script with luajit", output, 1, true)
        end
    end)
end)
