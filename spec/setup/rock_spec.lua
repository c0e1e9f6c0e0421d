-- The rock, as docs/embedding.md has it: its commands are run in a checkout whose path has spaces,
-- in a home of their own, with git reading the checkout in place of the project's address.

local tree = dofile("spec/support/tree.lua")

local URL = "https://github.com/moonwire/moonwire.git"
local NAMES = { "scm", "0.1.0" }

local script = [[
local http = require "moonwire.http"
local server = require("moonwire.testing.server").start()
local response = assert(http.get(server.url .. "/bytes/1000"))
print(response.status, #response:text())
print(package.searchpath("moonwire.core", package.cpath))
server:close()
]]

local function read(path)
    local file = assert(io.open(tree.root .. "/" .. path))
    local text = file:read "*a"
    file:close()
    return text
end

-- The shell blocks of the section, in their order.
local function blocks()
    local section = read("docs/embedding.md"):match "## LuaRocks and plain LuaJIT\n(.*)"
    section = section:match "^(.-)\n## " or section
    local list = {}
    for block in section:gmatch "```sh\n(.-)```" do
        list[#list + 1] = block
    end
    return list
end

local function rockspec(name)
    local values = {}
    local chunk = assert(loadstring(read("moonwire-" .. name .. "-1.rockspec")))
    setfenv(chunk, values)()
    return values
end

describe("the rock", function()
    local t, checkout, documented

    local function sh(command, config)
        return tree.run(([[
            cd %s && unset LUA_PATH LUA_CPATH LUA_INIT && export MAKEFLAGS=-j2 HOME=%s CFLAGS=-O0
            export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=%s.insteadOf
            export GIT_CONFIG_VALUE_0=%s LUAROCKS_CONFIG=%s
            (set -e
            %s
            )]]):format(tree.quote(checkout), tree.quote(t.path .. "/a home"),
            tree.quote("url.file://" .. checkout), URL,
            config or tree.quote(t.path .. "/a home/.luarocks/config-5.1.lua"), command))
    end

    local function succeed(command)
        local status, output = sh(command)
        assert.equal(0, status, output)
        return output
    end

    setup(function()
        t = tree.new()
        checkout = t.path .. "/a checkout"
        documented = blocks()
        t:write("a home/script.lua", script)
        t:write("plain.lua", "rocks_servers = {}\n")
        local status, output = tree.run(("cd %s && mkdir %s && tar -c --exclude=./build "
            .. "--exclude=./.deps --exclude=./.git . | tar -x -C %s && ln -s %s %s"):format(
            tree.quote(tree.root), tree.quote(checkout), tree.quote(checkout),
            tree.quote(tree.root .. "/.deps"),
            tree.quote(checkout .. "/.deps")))
        assert(status == 0, output)
        succeed("printf 'build/\\n.deps\\n' >.gitignore && git init -q && git add -A && "
            .. "git -c user.name=a -c user.email=a@localhost commit -qm all && git tag v0.1.0")
        -- no server is asked, whatever happens; and LuaJIT's headers may stand elsewhere
        succeed(documented[2])
        succeed([[{ echo 'rocks_servers = {}'
            echo 'variables.CFLAGS = "-O0 -DMOONWIRE_MARK"'
            echo "variables.LUA_INCDIR = '$(pkg-config --variable=includedir luajit)'"
        } >>~/.luarocks/config-5.1.lua]])
    end)

    teardown(function()
        t:remove()
    end)

    it("is one of two that differ in version and source only, and tell the version", function()
        local scm, release = rockspec "scm", rockspec "0.1.0"
        local version = dofile(tree.root .. "/lua/moonwire/version.lua")
        assert.equal(version .. "-1", release.version)
        assert.equal("v" .. version, release.source.tag)
        assert.equal(version, read("CHANGELOG.md"):match "\n## (%d+%.%d+%.%d+)")
        assert.equal("scm-1", scm.version)
        assert.equal(scm.source.url, release.source.url)
        assert.equal("lua == 5.1", release.dependencies[1])
        scm.version, scm.source, release.version, release.source = nil, nil, nil, nil
        assert.same(scm, release)
    end)

    it("passes luarocks lint", function()
        for _, name in ipairs(NAMES) do
            succeed("luarocks lint moonwire-" .. name .. "-1.rockspec")
        end
    end)

    it("isn't needed with plain LuaJIT: make install, run, uninstall", function()
        assert.matches("\n0.1.0\n", succeed(documented[1]), 1, true)
        assert.equal("", succeed("find ~/moonwire -name 'moonwire*' ! -path ~/moonwire"))
    end)

    it("is made, runs, is tested and removed, in folders with spaces", function()
        local run = ([[
            "$HOME/rocks/bin/moonwire" "$HOME/script.lua"
            luajit "$HOME/script.lua"
            luarocks --lua-version 5.1 remove]])
        local changed, count = documented[3]:gsub("luarocks %-%-lua%-version 5.1 remove", run)
        assert.equal(1, count)
        local output = succeed(changed)
        local answer = "200\t1000\n" .. t.path .. "/a home/rocks/lib/lua/5.1/moonwire/core.so\n"
        assert.matches("\n" .. answer .. answer, output, 1, true)
        assert.equal(2, select(2, output:gsub("%f[^\n]0%.1%.0\n", "")))
        assert.matches("%d+ passed, 0 failed\n", output)
        assert.matches("-O0 -DMOONWIRE_MARK", succeed("cat build/rock/compile.flags"), 1, true)
        assert.equal("", succeed("find ~/rocks -name '*moonwire*'"))
    end)

    it("is packed with its sources, built from them alone, and removed", function()
        local output = succeed(documented[4])
        assert.matches("\n0.1.0\n", output, 1, true)
        assert.equal("", succeed("find ~/rocks -name '*moonwire*'"))
    end)

    it("ends with the package to install when a library isn't where it was said to be", function()
        local status, output = sh("luarocks --lua-version 5.1 --tree ~/rocks make "
            .. "moonwire-scm-1.rockspec OPENSSL_DIR=/nowhere")
        assert.not_equal(0, status)
        assert.matches("moonwire needs OpenSSL 3 or later, and there is no openssl/ssl.h in "
            .. "/nowhere/include: install libssl-dev on Debian", output, 1, true)
    end)

    it("is refused for a Lua that is no LuaJIT", function()
        local plain = tree.quote(t.path .. "/plain.lua")
        local make = "luarocks --lua-version %s --tree ~/rocks make %s moonwire-scm-1.rockspec"
        local status, output = sh(make:format("5.1", ""), plain)
        assert.not_equal(0, status)
        assert.matches("luajit >= 2.1.0beta3 (not installed)", output, 1, true)
        status, output = sh(make:format("5.1", "--deps-mode none"), plain)
        assert.not_equal(0, status)
        assert.matches("moonwire needs LuaJIT 2.1", output, 1, true)
    end)
end)
