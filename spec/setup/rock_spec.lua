-- The rock: `luarocks make` into a tree of its own, and a script run from there.

local tree = dofile("spec/support/tree.lua")

local script = [[
local http = require "moonwire.http"
local server = require("moonwire.testing.server").start()
local response = assert(http.get(server.url .. "/bytes/1000"))
print(response.status, #response:text())
print(package.searchpath("moonwire.core", package.cpath))
server:close()
]]

describe("the rock", function()
    local t

    local function luarocks(words)
        return ("cd %s && env -u LUA_PATH -u LUA_CPATH LUAROCKS_CONFIG=%s HOME=%s "
            .. "luarocks --lua-version=5.1 %s"):format(tree.quote(tree.root),
            tree.quote(t.path .. "/config.lua"), tree.quote(t.path), words)
    end

    setup(function()
        t = tree.new()
        local _, include = tree.run("pkg-config --variable=includedir luajit")
        -- rocks_servers is empty: everything has to come from the local rockspec
        t:write("config.lua", ('lua_interpreter = "luajit"\nrocks_servers = {}\n' ..
            'variables = { LUA_INCDIR = %q }\n'):format((include:gsub("\n", ""))))
        t:write("script.lua", script)
        local status, output = tree.run(luarocks("--tree " .. tree.quote(t.path .. "/tree") ..
            " make moonwire-scm-1.rockspec"))
        assert(status == 0, output)
    end)

    teardown(function()
        t:remove()
    end)

    local function run(command)
        local status, output = t:run("cd / && env -u LUA_INIT " .. command:gsub("@", t.path))
        assert.equal(0, status, output)
        assert.equal("200\t1000\n" .. t.path .. "/tree/lib/lua/5.1/moonwire/core.so\n", output)
    end

    it("passes luarocks lint", function()
        local status, output = tree.run(luarocks("lint moonwire-scm-1.rockspec"))
        assert.equal(0, status, output)
    end)

    it("brings a command that runs a script", function()
        run("env -u LUA_PATH -u LUA_CPATH @/tree/bin/moonwire @/script.lua")
    end)

    it("brings modules for plain luajit", function()
        run("LUA_PATH='@/tree/share/lua/5.1/?.lua;@/tree/share/lua/5.1/?/init.lua;;' "
            .. "LUA_CPATH='@/tree/lib/lua/5.1/?.so;;' luajit @/script.lua")
    end)

    it("is removed without a trace", function()
        local status, output = tree.run(luarocks("--tree " .. tree.quote(t.path .. "/tree") ..
            " remove moonwire"))
        assert.equal(0, status, output)
        local _, left = t:run("find tree -name '*moonwire*'")
        assert.equal("", left)
    end)
end)
