-- Where make looks for libraries, and what it says when one is missing: tools/needs, with real
-- compilers.

local tree = dofile("spec/support/tree.lua")

-- name, header, library, and a package of Debian, Fedora, Alpine and Homebrew each
local LIBRARIES = {
    { "LLHTTP", "llhttp.h", "-lllhttp", "libllhttp-dev", "llhttp-devel", "llhttp-dev", "llhttp" },
    { "LIBEV", "ev.h", "-lev", "libev-dev", "libev-devel", "libev-dev", "libev" },
    { "CARES", "ares.h", "-lcares", "libc-ares-dev", "c-ares-devel", "c-ares-dev", "c-ares" },
    { "URIPARSER", "uriparser/Uri.h", "-luriparser", "liburiparser-dev", "uriparser-devel",
        "uriparser-dev", "uriparser" },
    { "LIBIDN2", "idn2.h", "-lidn2", "libidn2-dev", "libidn2-devel", "libidn2-dev", "libidn2" },
    { "LIBPSL", "libpsl.h", "-lpsl", "libpsl-dev", "libpsl-devel", "libpsl-dev", "libpsl" },
    { "ZLIB", "zlib.h", "-lz", "zlib1g-dev", "zlib-devel", "zlib-dev", "zlib" },
    { "BROTLI", "brotli/decode.h", "-lbrotlidec", "libbrotli-dev", "brotli-devel", "brotli-dev",
        "brotli" },
    { "ZSTD", "zstd.h", "-lzstd", "libzstd-dev", "libzstd-devel", "zstd-dev", "zstd" },
    { "OPENSSL", "openssl/ssl.h", "-lssl", "libssl-dev", "openssl-devel", "openssl-dev",
        "openssl@3" },
    { "LIBEDIT", "histedit.h", "-ledit", "libedit-dev", "libedit-devel", "libedit-dev", "libedit" },
}

describe("make, looking for libraries,", function()
    local t

    setup(function()
        t = tree.new()
        t:copy("Makefile", "tools/needs", "src/moonwire.map", "src/editor.c")
        t:run("ln -s " .. tree.quote(tree.root .. "/.deps") .. " .deps")
        t:write("empty/include/nothing", "")
    end)

    teardown(function()
        t:remove()
    end)

    local function needs(words)
        return t:run("make build/needs.ok " .. words)
    end

    local function refuses(words, ...)
        local status, output = needs(words)
        assert.not_equal(0, status, output)
        for _, text in ipairs { ... } do
            assert.matches(text, output, 1, true)
        end
        assert.equal(1, select(2, output:gsub("moonwire needs", "")), output)
    end

    it("finds all of them here", function()
        local status, output = needs("")
        assert.equal(0, status, output)
    end)

    for _, library in ipairs(LIBRARIES) do
        local name, header, link, debian, fedora, alpine, homebrew = unpack(library)

        it("names the packages when the headers of " .. name .. " are missing", function()
            refuses(name .. "_DIR=empty", "moonwire needs ", header
                .. " in empty/include: install " .. debian .. " on Debian, " .. fedora
                .. " on Fedora, " .. alpine .. " on Alpine, " .. homebrew .. " with Homebrew")
        end)

        it("names the packages when the library of " .. name .. " is missing", function()
            refuses(name .. "_LIBDIR=empty", "there is no lib" .. link:sub(3) .. " in ",
                debian .. " on Debian")
            refuses(name .. "_LIBS=" .. link .. "-is-not-here", "not the library", debian)
        end)
    end

    it("refuses an OpenSSL before 3", function()
        t:write("old/include/openssl/ssl.h", "#define OPENSSL_VERSION_NUMBER 0x10101000L\n")
        refuses("OPENSSL_INCDIR=old/include", "OpenSSL 3 or later, and this one is older")
    end)

    it("takes headers and library from the folder that is named, with spaces in it", function()
        t:write("a prefix/include/zlib.h", "#warning moonwire's own zlib\n")
        t:write("empty.c", "int moonwire_zlib;\n")
        t:run("mkdir -p 'a prefix/lib' && cc -shared -fPIC -o 'a prefix/lib/libz.so' empty.c")
        t:write("src/core/one.c", "#include <zlib.h>\n#if !moonwire\nint mw_one;\n#endif\n"
            .. "extern int moonwire_zlib;\nint *mw_two(void);\nint *\nmw_two(void)\n{\n"
            .. "    return &moonwire_zlib;\n}\n")
        local status, output = t:run("make build/moonwire/core.so ZLIB_DIR='a prefix' "
            .. "OWN='-fPIC -Wsystem-headers'")
        assert.equal(0, status, output)
        assert.matches("moonwire's own zlib", output, 1, true)
        local _
        _, output = t:run("ldd build/moonwire/core.so")
        assert.matches(t.path .. "/a prefix/lib/libz.so", output, 1, true)
    end)

    it("refuses the headers of another Lua, and says why", function()
        t:write("lua/lua.h", '#define LUA_VERSION_NUM 504\n#define LUA_RELEASE "Lua 5.4.6"\n')
        refuses("LUA_INCDIR=lua", "moonwire needs LuaJIT 2.1, and these are the headers of "
            .. "Lua 5.4.6", "waits inside pcall", "libluajit-5.1-dev", "luajit-devel on Fedora",
            "LUA_INCDIR=")
    end)

    it("refuses an interpreter that is no LuaJIT", function()
        t:write("bin/lua", "#!/bin/sh\nexit 1\n")
        refuses("LUAJIT=bin/lua", "'bin/lua' isn't one: install luajit", "LUAJIT=/path")
    end)

    it("says that there is no compiler", function()
        refuses("CC=no-such-compiler", "moonwire needs a C compiler", "no-such-compiler")
    end)
end)
