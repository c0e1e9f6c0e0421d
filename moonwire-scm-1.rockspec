rockspec_format = "3.0"
package = "moonwire"
version = "scm-1"
source = {
    url = "git+https://github.com/moonwire/moonwire.git",
}
description = {
    summary = "A Lua-scriptable HTTP client runtime",
    detailed = [[
        HTTP/1.1 with keep-alive, TLS that verifies, streaming both ways, deadlines that cancel and
        structured concurrency, in scripts that read like blocking code. A C core (libev, llhttp,
        OpenSSL) for LuaJIT.
    ]],
    license = "unreleased", -- a license comes with the first release
    labels = { "http", "network", "async" },
}
dependencies = {
    "lua == 5.1",
    "luajit >= 2.1.0beta3",
}
build = {
    type = "make",
    build_variables = {
        BUILD = "build/rock",
        CC = "$(CC)",
        CFLAGS = "$(CFLAGS)",
        LUA_INCDIR = "$(LUA_INCDIR)",
    },
    install_variables = {
        BUILD = "build/rock",
        CC = "$(CC)",
        CFLAGS = "$(CFLAGS)",
        LUA_INCDIR = "$(LUA_INCDIR)",
        BINDIR = "$(BINDIR)",
        LUADIR = "$(LUADIR)",
        LIBDIR = "$(LIBDIR)",
    },
    copy_directories = {},
}
deploy = {
    wrap_bin_scripts = false, -- bin/moonwire is a program
}
test = {
    type = "command",
    command = "make test",
}
