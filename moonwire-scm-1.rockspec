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
-- Named, so that LuaRocks passes OPENSSL_DIR=/folder and its like on. The Makefile looks for all of
-- them itself, with pkg-config too, and names the package of one that is missing.
external_dependencies = {
    LLHTTP = {}, LIBEV = {}, CARES = {}, URIPARSER = {}, LIBIDN2 = {}, LIBPSL = {},
    ZLIB = {}, BROTLI = {}, ZSTD = {}, OPENSSL = {}, LIBEDIT = {},
}
build = {
    type = "make",
    build_target = "lua", -- header and libraries for C programs are no part of a rock
    install_target = "install-lua",
    variables = {
        BUILD = "build/rock",
        CC = "$(CC)",
        CFLAGS = "$(CFLAGS)",
        LUAJIT = "$(LUA)",
        LUA_DIR = "$(LUA_DIR)",
        LUA_INCDIR = "$(LUA_INCDIR)",
        LLHTTP_DIR = "$(LLHTTP_DIR)",
        LLHTTP_INCDIR = "$(LLHTTP_INCDIR)",
        LLHTTP_LIBDIR = "$(LLHTTP_LIBDIR)",
        LIBEV_DIR = "$(LIBEV_DIR)",
        LIBEV_INCDIR = "$(LIBEV_INCDIR)",
        LIBEV_LIBDIR = "$(LIBEV_LIBDIR)",
        CARES_DIR = "$(CARES_DIR)",
        CARES_INCDIR = "$(CARES_INCDIR)",
        CARES_LIBDIR = "$(CARES_LIBDIR)",
        URIPARSER_DIR = "$(URIPARSER_DIR)",
        URIPARSER_INCDIR = "$(URIPARSER_INCDIR)",
        URIPARSER_LIBDIR = "$(URIPARSER_LIBDIR)",
        LIBIDN2_DIR = "$(LIBIDN2_DIR)",
        LIBIDN2_INCDIR = "$(LIBIDN2_INCDIR)",
        LIBIDN2_LIBDIR = "$(LIBIDN2_LIBDIR)",
        LIBPSL_DIR = "$(LIBPSL_DIR)",
        LIBPSL_INCDIR = "$(LIBPSL_INCDIR)",
        LIBPSL_LIBDIR = "$(LIBPSL_LIBDIR)",
        ZLIB_DIR = "$(ZLIB_DIR)",
        ZLIB_INCDIR = "$(ZLIB_INCDIR)",
        ZLIB_LIBDIR = "$(ZLIB_LIBDIR)",
        BROTLI_DIR = "$(BROTLI_DIR)",
        BROTLI_INCDIR = "$(BROTLI_INCDIR)",
        BROTLI_LIBDIR = "$(BROTLI_LIBDIR)",
        ZSTD_DIR = "$(ZSTD_DIR)",
        ZSTD_INCDIR = "$(ZSTD_INCDIR)",
        ZSTD_LIBDIR = "$(ZSTD_LIBDIR)",
        OPENSSL_DIR = "$(OPENSSL_DIR)",
        OPENSSL_INCDIR = "$(OPENSSL_INCDIR)",
        OPENSSL_LIBDIR = "$(OPENSSL_LIBDIR)",
        LIBEDIT_DIR = "$(LIBEDIT_DIR)",
        LIBEDIT_INCDIR = "$(LIBEDIT_INCDIR)",
        LIBEDIT_LIBDIR = "$(LIBEDIT_LIBDIR)",
    },
    install_variables = {
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
