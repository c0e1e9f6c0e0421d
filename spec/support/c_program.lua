-- Installs libmoonwire below a folder, from the build under test, and compiles programs against it.
local support = require "spec.support"

local c_program = {}

-- `make` with the variables of the build under test, so that it has nothing to compile.
local MAKE = os.getenv "MOONWIRE_MAKE" or "make"

--- The C compiler, with the flags of the build under test.
c_program.cc = os.getenv "MOONWIRE_CC" or "cc -g"

--- Runs `make <goals>` in the tree.
---@return string output
function c_program.make(goals)
    local code, out, err = support.run(("cd %s && %s --no-print-directory %s"):format(
        support.quote(support.root), MAKE, goals), { timeout = 300 })
    assert(code == 0, out .. err)
    return out
end

--- Runs a command with the installed library in its environment.
---@param prefix string
---@param command string
function c_program.run(prefix, command)
    return support.run(command, { timeout = 120, env = {
        PKG_CONFIG_PATH = prefix .. "/lib/pkgconfig",
        LD_LIBRARY_PATH = prefix .. "/lib",
        LUA_PATH = "/nowhere/?.lua", -- the library carries its modules
        LUA_CPATH = "/nowhere/?.so;;", -- lua-cjson is the system's
    } })
end

local LIBRARIES = {
    shared = "$(pkg-config --libs moonwire luajit)",
    static = "$(pkg-config --static --libs moonwire | sed s/-lmoonwire/-l:libmoonwire.a/)",
}

--- Compiles a program; warnings fail.
---@param prefix string
---@param source string from the root
---@param kind "shared"|"static"
---@param extra string? further arguments
---@return string program
function c_program.build(prefix, source, kind, extra)
    local program = ("%s/%s-%s"):format(prefix, source:match "([^/]+)%.c$", kind)
    local code, out, err = c_program.run(prefix, ("%s -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror "
        .. "$(pkg-config --cflags moonwire luajit) -o %s %s %s %s -lev -pthread"):format(
        c_program.cc, support.quote(program), support.quote(support.root .. "/" .. source),
        extra or "", LIBRARIES[kind]))
    assert(code == 0, out .. err)
    return program
end

return c_program
