-- tools/deps, run with a PATH in which only stand-ins of apt, dpkg and sudo are to be found.

local tree = dofile("spec/support/tree.lua")

local tools = "cat chmod dirname env grep ls mkdir rm sed sh touch"

describe("tools/deps", function()
    local t

    local function stub(name, text)
        t:write("bin/" .. name, "#!/bin/sh\n" .. text)
        t:run("chmod +x bin/" .. name)
    end

    -- missing: what dpkg does not know; offered: what apt has, as name=version
    local function machine(missing, offered, user)
        stub("dpkg-query", ([[
            for p; do
                case $p in -* | *{*) continue ;; esac
                case " %s " in *" $p "*) ;; *) echo "ii $p" ;; esac
            done
        ]]):format(missing))
        stub("apt-cache", ([[
            for o in %s; do
                case $o in "$2="*) echo "  Candidate: ${o#*=}"; exit ;; esac
            done
            echo "  Candidate: (none)"
        ]]):format(offered))
        stub("apt-get", 'echo "apt-get $*" >>log\n')
        stub("dpkg", 'case "$2" in 9.[2-9]*) exit 0 ;; esac; exit 1\n')
        stub("id", "echo " .. (user or "0") .. "\n")
    end

    local function deps(groups)
        local status, output = t:run("PATH=$PWD/bin POLICY_RC_D=policy tools/deps "
            .. (groups or "build"))
        local _, log = t:run("cat log 2>/dev/null")
        return status, output, log
    end

    before_each(function()
        t = tree.new()
        t:copy("tools/deps")
        t:run("mkdir bin; for c in " .. tools .. "; do ln -s $(command -v $c) bin/; done")
        t:write("tools/llhttp", "#!/bin/sh\necho fetched >>log\n")
        t:run("chmod +x tools/llhttp")
        t:write(".deps/usr/include/llhttp.h", "")
    end)

    after_each(function()
        t:remove()
    end)

    it("does nothing when everything is there", function()
        machine("", "")
        local status, output, log = deps("build test check san")
        assert.equal(0, status)
        assert.equal("", output)
        assert.equal("", log)
    end)

    it("says what it installs, and installs only what is missing", function()
        machine("libev-dev zlib1g-dev", "libev-dev=4.33 zlib1g-dev=1.2")
        local status, output, log = deps("build test")
        assert.equal(0, status, output)
        assert.equal("tools/deps: installing libev-dev zlib1g-dev\n", output)
        assert.equal("apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends " ..
            "libev-dev zlib1g-dev\n", log)
    end)

    it("installs the benchmark's peers for the benchmark only", function()
        machine("lua-http strace", "lua-http=0.4 strace=6")
        assert.equal("", (select(2, deps("build test check"))))
        local status, output = deps("bench")
        assert.equal(0, status, output)
        assert.equal("tools/deps: installing strace lua-http\n", output)
    end)

    it("reads the lists first when they do not have a package", function()
        machine("libev-dev", "")
        local _, _, log = deps()
        assert.matches("^apt%-get %-q [^\n]* update\napt%-get [^\n]* libev%-dev\n$", log)
    end)

    it("reads the lists and tries again when the installation failed", function()
        machine("libev-dev", "libev-dev=4.33")
        stub("apt-get", 'echo "apt-get $*" >>log\ncase "$*" in *update) touch fresh ;; esac\n' ..
            "[ -f fresh ]\n")
        local status, _, log = deps()
        assert.equal(0, status)
        assert.matches("install [^\n]*\n[^\n]* update\n[^\n]* install ", log)
    end)

    it("names the packages when apt-get can't install them", function()
        machine("libev-dev", "libev-dev=4.33")
        stub("apt-get", "exit 100\n")
        local status, output = deps()
        assert.equal(1, status)
        assert.matches("apt-get could not install them", output, 1, true)
        assert.matches("\n    libev%-dev\n$", output)
    end)

    it("uses sudo where it is not root", function()
        machine("libev-dev", "libev-dev=4.33", "1000")
        stub("sudo", 'echo "sudo" >>log\nexec "$@"\n')
        local status, _, log = deps()
        assert.equal(0, status)
        assert.matches("^sudo\napt%-get .* install ", log)
    end)

    it("says which packages it wants where there is neither root nor sudo", function()
        machine("libev-dev zlib1g-dev", "libev-dev=4.33 zlib1g-dev=1.2", "1000")
        local status, output, log = deps()
        assert.equal(1, status)
        assert.matches("neither root nor sudo", output, 1, true)
        assert.matches("\n    libev%-dev zlib1g%-dev\n$", output)
        assert.equal("", log)
    end)

    it("says which packages it wants where there is no apt-get", function()
        machine("libev-dev", "")
        t:run("rm bin/apt-get")
        local status, output = deps()
        assert.equal(1, status)
        assert.matches("there is no apt-get here", output, 1, true)
        assert.matches("\n    libev%-dev\n$", output)
    end)

    it("takes OpenResty's LuaJIT where apt has it", function()
        machine("luajit libluajit-dev",
            "luajit2=2.1 libluajit2-5.1-dev=2.1 luajit=2.1 libluajit-5.1-dev=2.1")
        local _, output = deps()
        assert.equal("tools/deps: installing luajit2 libluajit2-5.1-dev\n", output)
    end)

    it("takes LuaJIT under its plain name elsewhere", function()
        machine("luajit libluajit-dev", "luajit=2.1 libluajit-5.1-dev=2.1")
        local _, output = deps()
        assert.equal("tools/deps: installing luajit libluajit-5.1-dev\n", output)
    end)

    it("installs the system's llhttp from 9.2 on", function()
        t:run("rm -r .deps")
        machine("libllhttp-dev", "libllhttp-dev=9.2.1")
        local _, output, log = deps()
        assert.equal("tools/deps: installing libllhttp-dev\n", output)
        assert.not_matches("fetched", log, 1, true)
    end)

    for _, offered in ipairs({ "", "libllhttp-dev=8.1.0" }) do
        it("fetches llhttp where apt offers [" .. offered .. "]", function()
            t:run("rm -r .deps")
            machine("libllhttp-dev", offered)
            local status, _, log = deps()
            assert.equal(0, status)
            assert.equal("fetched\n", log)
        end)
    end

    it("lets no server that it installs start, and leaves no trace of that", function()
        machine("caddy libev-dev", "caddy=2 libev-dev=4")
        stub("apt-get", 'sh policy || echo "start: $?" >>log\n')
        stub("systemctl", 'echo "systemctl $*" >>log\n')
        local status, output, log = deps("test")
        assert.equal(0, status, output)
        assert.equal("start: 101\nsystemctl disable caddy\n", log)
        assert.equal(1, (t:run("test -e policy")))
    end)

    it("keeps a policy that is there already", function()
        machine("caddy", "caddy=2")
        t:write("policy", "mine")
        assert.equal(0, (deps("test")))
        assert.equal("mine", select(2, t:run("cat policy")))
        machine("libev-dev", "libev-dev=4")
        t:run("rm policy log")
        stub("apt-get", 'test ! -e policy && echo "no policy" >>log\n')
        assert.equal("no policy\n", (select(3, deps("test"))))
    end)

    it("fetches undici where npm is, and goes on without it where that fails", function()
        machine("", "")
        stub("npm", "exit 1\n")
        t:write("tools/undici", "#!/bin/sh\necho undici >>log\nexit 1\n")
        t:run("chmod +x tools/undici")
        local status, output, log = deps("test")
        assert.equal("0 undici\n", status .. " " .. log)
        assert.equal("tools/deps: going on without undici\n", output)
        t:write(".deps/node/node_modules/undici/package.json", "{}")
        t:run("rm log")
        status, output, log = deps("test differential")
        assert.equal("0 ", status .. " " .. output .. log)
    end)

    it("explains its arguments", function()
        machine("", "")
        local status, output = deps("everything")
        assert.equal(2, status)
        assert.matches("usage: tools/deps", output, 1, true)
    end)
end)
