-- The command itself, in pipes and with files, against a server in a process of its own.
local certs = require "spec.support.certs"
local json = require "moonwire.json"
local serve = require "spec.support.serve"
local support = require "spec.support"

local moonwire = support.moonwire()
local _ -- what a spec doesn't look at

local function read(path)
    local file = io.open(path, "rb")
    local text = file and file:read "*a"
    if file then
        file:close()
    end
    return text
end

local function names_in(folder)
    local _, out = support.run("ls -A " .. support.quote(folder))
    return out
end

describe("moonwire get and its siblings", function()
    local process, server, folder

    setup(function()
        process, server = serve.program { moonwire,
            support.root .. "/spec/support/verb_server.lua" }
    end)

    before_each(function()
        folder = support.temp_dir()
    end)

    teardown(function()
        process:kill()
    end)

    -- code, stdout, stderr of `moonwire VERB URL ...`; the URL is a path on the server
    local function run(verb, path, ...)
        return support.run { moonwire, verb, server .. path, ... }
    end

    -- The same in a line of the shell, where $M is the command and $S the server.
    local function shell(line, stdin)
        return support.run("cd " .. support.quote(folder) .. " || exit; " .. line,
            { env = { M = moonwire, S = server }, stdin = stdin })
    end

    it("write the body as it is, and nothing else, into a pipe", function()
        local code, out, err = run("get", "/binary")
        assert.equal("", err)
        assert.equal("\137PNG\r\n\0\255 and more", out)
        assert.equal(0, code)
        _, out = run("get", "/evil")
        assert.equal("a\27]0;title\7b\r\nc\194\155d é", out)
        _, out = run("get", "/error")
        assert.equal('{"why":"because"}', out)
        _, out = run("get", "/bytes/3000000")
        assert.equal(3000000, #out)
    end)

    it("send their method, header fields and query", function()
        for _, verb in ipairs { "get", "post", "put", "patch", "delete", "options" } do
            local code, out, err = run(verb, "/anything?a=1", "-H", "X-One: b c", "--query",
                "d=e&f", "-u", "me:secret")
            assert.equal("", err)
            assert.equal(0, code)
            local got = assert(json.decode(out))
            assert.equal(verb:upper(), got.method)
            assert.same({ a = "1", d = "e&f" }, got.args)
            assert.equal("b c", got.headers["X-One"])
            assert.equal("Basic bWU6c2VjcmV0", got.headers["Authorization"])
        end
    end)

    it("write the head with -i, and always that of a HEAD", function()
        local _, out = run("get", "/unnamed", "-i")
        assert.equal("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
            .. "Content-Length: 10\r\n\r\njust text\n", out)
        _, out = run("head", "/bytes/7")
        assert.equal("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
            .. "Content-Length: 7\r\n\r\n", out)
    end)

    it("say who is asking", function()
        local code, out = run("get", "/digest-auth/auth/me/secret", "-u", "me:secret", "--digest",
            "-f")
        assert.equal(0, code)
        assert.is_true(json.decode(out).authenticated)
        code = run("get", "/digest-auth/auth/me/secret", "-u", "me:other", "--digest", "-f")
        assert.equal(4, code)
        _, out = run("get", "/bearer", "--bearer", "abc")
        assert.equal("abc", json.decode(out).token)
        _, out = shell "echo def >token; $M get $S/bearer --bearer @token"
        assert.equal("def", json.decode(out).token)
        code = shell "$M get $S/bearer --bearer @no"
        assert.equal(2, code)
        local problem
        code, _, problem = shell ">empty; $M get $S/bearer --bearer @empty"
        assert.equal(2, code)
        assert.truthy(problem:find("^moonwire: get: %-%-user and %-%-bearer: 'token' "), problem)
        local path = folder .. "/netrc"
        local file = assert(io.open(path, "w"))
        file:write "machine 127.0.0.1 login me password secret\n"
        file:close()
        os.execute("chmod 600 " .. path)
        code = support.run({ moonwire, "get", "-nf", server .. "/basic-auth/me/secret" },
            { env = { NETRC = path } })
        assert.equal(0, code)
        local err
        code, _, err = support.run({ moonwire, "get", "-n", server }, { env = { NETRC = "/no" } })
        assert.equal(2, code)
        assert.truthy(err:find("/no", 1, true))
    end)

    it("keep cookies in a file", function()
        local code, out, err = shell "$M get $S/cookies/set?session=42 --cookies jar"
        assert.equal("", err)
        assert.equal(0, code)
        assert.equal("42", json.decode(out).cookies.session)
        _, out = shell "$M get $S/cookies --cookies jar"
        assert.equal("42", json.decode(out).cookies.session)
        _, out = shell "$M get $S/cookies"
        assert.is_nil(json.decode(out).cookies.session)
        code, _, err = shell "$M get $S/cookies --cookies no/jar"
        assert.equal(1, code)
        assert.truthy(err:find("no/jar", 1, true), err)
        code, _, err = shell "$M get $S/cookies --cookies ."
        assert.equal(2, code)
        assert.truthy(err:find("^moonwire: get: "), err)
    end)

    it("go through a proxy, or the environment's", function()
        local env = { http_proxy = server }
        local _, out = support.run { moonwire, "get", "http://api.test/get", "--proxy", server }
        assert.equal("http://api.test/get", json.decode(out).url)
        _, out = support.run({ moonwire, "get", "http://api.test/get" }, { env = env })
        assert.equal("http://api.test/get", json.decode(out).url)
    end)

    it("send JSON, forms, files, and what comes by standard input", function()
        local function post(words, stdin)
            local code, out, err = shell("$M post $S/anything " .. words, stdin)
            assert.equal("", err)
            assert.equal(0, code)
            return assert(json.decode(out))
        end
        local got = post "--json name=moon --json 'n:=[1,2]' --json 'a[b]=c'"
        assert.equal('{"name":"moon","n":[1,2],"a":{"b":"c"}}', got.data)
        assert.equal("application/json", got.headers["Content-Type"])
        assert.same({ a = "1", b = "x y" }, post("--form a=1 --form 'b=x y'").form)
        got = post("--form a=1 --form f=@file", shell "echo content >file" and nil)
        assert.same({ a = "1" }, got.form)
        assert.same({ f = "content\n" }, got.files)
        assert.equal("content\n", post("--body @file").data)
        assert.equal('{"x": 1}', post("--json @-", '{"x": 1}').data)
        assert.equal("in\n", post("--body @-", "in\n").data)
        got = post("--body @-", ("x"):rep(300000))
        assert.equal(300000, #got.data)
        assert.equal("chunked", got.headers["Transfer-Encoding"])
    end)

    it("send standard input as it comes, and go on meanwhile", function()
        local code, out, err = shell("(echo one; sleep 0.3; echo two) | $M post $S/echo --body @-")
        assert.equal("", err)
        assert.equal("one\ntwo\n", out)
        assert.equal(0, code)
        code, _, err = shell("mkfifo p; sleep 5 >p & pid=$!; $M post $S/post --body @- "
            .. "--timeout 200ms <p; code=$?; kill $pid; exit $code")
        assert.equal(1, code)
        assert.truthy(err:find("timeout.total = 0.2 s", 1, true), err)
    end)

    it("give pieces on as they come", function()
        local _, out = shell "timeout 0.5 $M get $S/ticks | cat"
        assert.equal("tick 1\n", out)
    end)

    it("follow redirects unless they shall not", function()
        local code, out = run("get", "/redirect/2", "-L")
        assert.equal(0, code)
        assert.equal("GET", json.decode(out).method)
        code, out = run("get", "/redirect/2", "--no-redirect", "-i")
        assert.equal(0, code)
        assert.truthy(out:find "^HTTP/1.1 302 Found\r\n")
    end)

    it("unpack what was packed, unless they shall not", function()
        local _, out = run("get", "/gzip", "--compressed")
        assert.is_true(json.decode(out).gzipped)
        _, out = run("get", "/gzip", "--raw")
        assert.equal("\31\139", out:sub(1, 2))
        _, out = run("get", "/headers", "--raw")
        assert.falsy(out:lower():find("accept-encoding", 1, true))
    end)

    it("say in a sentence what failed, and exit 1", function()
        local code, out, err = support.run { moonwire, "get", "127.0.0.1:1/x" }
        assert.equal(1, code)
        assert.equal("", out)
        assert.equal("moonwire: get: connecting to 127.0.0.1:1: connection refused "
            .. "(http://127.0.0.1:1/x, phase connect)\n", err)
        code, out, err = run("get", "/broken")
        assert.equal(1, code)
        assert.equal("the first part", out)
        assert.truthy(err:find("^moonwire: get: the peer closed [^\n]* was complete [^\n]*\n$"))
        code, _, err = run("get", "/delay/5?token=abc", "--timeout", "100ms")
        assert.equal(1, code)
        assert.truthy(err:find("timeout.total = 0.1 s", 1, true), err)
        assert.falsy(err:find("abc", 1, true))
        for before, expected in pairs { [""] = true, ["https://"] = false } do
            code, _, err = support.run { moonwire, "get",
                before .. "0.0.0.0:" .. server:match "%d+$" }
            assert.equal(1, code)
            assert.truthy(err:find("what came is not TLS", 1, true), err)
            assert.equal(expected, err:find("is it http://?", 1, true) ~= nil)
        end
        code, _, err = run("post", "/post", "--body", "@" .. folder .. "/no")
        assert.equal(1, code)
        assert.truthy(err:find("No such file", 1, true), err)
    end)

    it("exit 2 for wrong usage, before anything is sent", function()
        for _, words in ipairs { {}, { "--nope" }, { "-o", folder }, { "-o", folder .. "/a/b" },
            { "-H", "Content-Length: 5" }, { "-H", "X: a\nb" }, { "--ca", folder .. "/no" },
            { "--json", "a" }, { "--form", "f=@" }, { "--unix-socket", ("x"):rep(200) } } do
            local url = #words > 0 and "http://127.0.0.1:1/" or nil
            local code, out, err = support.run { moonwire, "post", url, unpack(words) }
            assert.equal("", out)
            assert.truthy(err:find("^moonwire: post: %S[^\n]*\n"), err)
            assert.falsy(err:find("traceback", 1, true), err)
            assert.falsy(err:find("refused", 1, true), err)
            assert.equal(2, code)
        end
        local code = run("head", "/get", "-o", folder .. "/x")
        assert.equal(2, code)
    end)

    it("show how they are used", function()
        for _, verb in ipairs { "get", "head", "post", "put", "patch", "delete", "options" } do
            local code, out, err = support.run { moonwire, verb, "--help" }
            assert.equal("", err)
            assert.equal(0, code)
            assert.truthy(out:find("^usage: moonwire " .. verb .. " URL %[options%]\n"))
        end
    end)

    it("leave a script of that name to be run by its path", function()
        local _, out = shell "echo 'print(...)' >get && $M ./get x"
        assert.equal("x\n", out)
    end)

    describe("with --fail", function()
        it("exit 4 or 5 and write nothing of the body", function()
            for status, expected in pairs { [404] = 4, [500] = 5, [599] = 5, [200] = 0 } do
                local code, out, err = run("get", "/status/" .. status, "--fail")
                assert.equal(expected, code)
                assert.equal("", out)
                assert.equal(expected > 0, err:find("the server answered " .. status, 1, true)
                    ~= nil)
            end
            local code, out, err = run("get", "/error?token=x", "-f")
            assert.equal(5, code)
            assert.equal("", out)
            assert.equal(("moonwire: get: the server answered 500 Internal Server Error "
                .. "(%s/error?token=redacted)\n"):format(server), err)
            code, out = run("get", "/error")
            assert.equal(0, code)
            assert.equal('{"why":"because"}', out)
        end)
    end)

    describe("with -o", function()
        it("save the body once it is whole", function()
            local code, out, err = shell "$M get $S/bytes/3000000 -o x"
            assert.equal("", out .. err)
            assert.equal(0, code)
            assert.equal(3000000, #read(folder .. "/x"))
            assert.equal("x\n", names_in(folder))
        end)

        it("leave what is there alone when it breaks off, or is an error", function()
            shell "echo old >x"
            local code, out, err = shell "$M get $S/broken -o x"
            assert.equal(1, code)
            assert.equal("", out)
            assert.truthy(err:find("was complete", 1, true))
            code, _, err = shell "$M get $S/error -o x"
            assert.equal(5, code)
            assert.truthy(err:find("the server answered 500", 1, true))
            assert.equal("old\n", read(folder .. "/x"))
            assert.equal("x\n", names_in(folder))
        end)

        it("write into what is no file, and never in its place", function()
            local code, out = shell "mkfifo p; cat p & $M get $S/unnamed -o p; wait; test -p p"
            assert.equal(0, code)
            assert.equal("just text\n", out)
            -- links and devices of the spec's own: what goes wrong must not hit those in /dev
            code, out = shell "ln -s /proc/self/fd/1 l; $M get $S/unnamed -o l | cat; test -L l"
            assert.equal(0, code)
            assert.equal("just text\n", out)
            code = shell "echo old >t; ln -s t m; $M get $S/unnamed -o m; test -L m"
            assert.equal(0, code)
            assert.equal("just text\n", read(folder .. "/t"))
            code, out = shell "ln -s gone n; $M get $S/unnamed -o n; test -L n && cat gone"
            assert.equal(0, code)
            assert.equal("just text\n", out)
            code, out = shell "ls -A"
            assert.equal(0, code)
            assert.equal("gone\nl\nm\nn\np\nt\n", out)
            local problem
            code, _, problem = shell "ln -s /dev/full f; $M get $S/unnamed -o f"
            assert.equal(1, code)
            assert.truthy(problem:find "^moonwire: get: .*saved as f: No space left on device")
        end)

        it("write the head to standard output with -i, and the body with -", function()
            local _, out = shell "$M get $S/unnamed -i -o x"
            assert.truthy(out:find "^HTTP/1.1 200 OK\r\n.*\r\n\r\n$")
            _, out = shell "$M get $S/binary -o -"
            assert.equal("\137PNG\r\n\0\255 and more", out)
        end)
    end)

    describe("a reader that has enough", function()
        it("ends them quietly, whether SIGPIPE is ignored or not", function()
            for _, before in ipairs { "", "trap '' PIPE; " } do
                local _, out, err = shell(before
                    .. "{ $M get $S/bytes/50000000; echo $? >code; } | head -c 3 | wc -c")
                assert.equal("", err)
                assert.equal("3", out:match "%d+")
                assert.equal("141\n", read(folder .. "/code"))
            end
        end)

        it("is no disk that is full", function()
            local code, _, err = shell "$M get $S/bytes/50000000 >/dev/full"
            assert.equal(1, code)
            assert.equal("moonwire: get: can't write to standard output: "
                .. "No space left on device\n", err)
        end)

        it("is no output that is closed, whose number nothing else gets", function()
            local code, _, err = shell "$M get $S/get <&- >&-"
            assert.equal(1, code)
            assert.equal("moonwire: get: can't write to standard output: "
                .. "Bad file descriptor\n", err)
        end)
    end)

    it("end at Ctrl-C with 130 and without half a file", function()
        for _, words in ipairs { "", " -o x", " >y" } do
            local _, out, err = shell(([[
                env --default-signal=INT $M get "$S/broken?hang=1"%s & pid=$!
                sleep 0.2; kill -INT $pid; wait $pid; echo "exit $?"]]):format(words))
            assert.equal("", err)
            assert.equal("exit 130\n", out:match "exit.*")
        end
        assert.equal("y\n", names_in(folder))
    end)

    it("repeat what fails in passing with --retry", function()
        local code, out = run("get", "/flaky", "--retry", "5", "-f")
        assert.equal(0, code)
        assert.equal("at last\n", out)
    end)

    it("write a transcript and an archive, without secrets", function()
        local code, out, err = shell "$M get $S/unnamed -v --har h --bearer xyzzy"
        assert.equal(0, code)
        assert.equal("just text\n", out)
        assert.truthy(err:find("\n> GET /unnamed HTTP/1.1\n", 1, true))
        assert.truthy(err:find("\n< HTTP/1.1 200 OK\n", 1, true))
        local archive = read(folder .. "/h")
        assert.equal("just text\n",
            json.decode(archive).log.entries[1].response.content.text)
        assert.falsy((err .. archive):find("xyzzy", 1, true))
        local problem
        code, _, problem = shell "$M get $S/unnamed --har no/h"
        assert.equal(1, code)
        assert.truthy(problem:find("the archive can't be written", 1, true))
    end)

    it("reach a unix socket", function()
        local path = folder .. "/socket"
        local peer = serve.program { "python3", "-uc", [[
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print("ready")
c, _ = s.accept()
head = c.recv(65536)
c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head) + head)
]], path }
        local code, out, err = support.run { moonwire, "get", "--unix-socket", path, "/version" }
        assert.equal("", err)
        assert.equal(0, code)
        assert.truthy(out:find("^GET /version HTTP/1.1\r\nHost: localhost\r\n"))
        peer:kill()
    end)

    it("verify certificates, unless they shall not", function()
        local made = certs.new()
        made:root "root"
        made:issue("leaf", { by = "root", san = "IP:127.0.0.1" })
        local tls_server, url = serve.program { moonwire, "-e", ([[
            local start = require("moonwire.testing.server").start
            local tls = { cert = %q, key = %q }
            local plain = start({ tls = tls })
            tls.ca_file = %q
            print(plain.port .. "/" .. start({ tls = tls }).port)
            io.flush()
            require("moonwire").sleep(60)
        ]]):format(made:path "leaf.pem", made:path "leaf.key", made:path "root.pem") }
        local plain, strict = url:match "(%d+)/(%d+)"
        local function get(port, ...)
            return support.run { moonwire, "get", "https://127.0.0.1:" .. port .. "/get", ... }
        end
        local code, out, err
        code, _, err = get(plain)
        assert.equal(1, code)
        assert.truthy(err:find("certificate is not accepted", 1, true), err)
        code, out, err = get(plain, "-k")
        assert.equal(0, code)
        assert.equal("GET", json.decode(out).method)
        assert.equal("moonwire: get: -k: no certificate is verified\n", err)
        code, _, err = get(plain, "--ca", made:path "root.pem")
        assert.equal("", err)
        assert.equal(0, code)
        code = get(strict, "--ca", made:path "root.pem")
        assert.equal(1, code)
        code, _, err = get(strict, "--ca", made:path "root.pem", "--cert", made:path "leaf.pem",
            "--key", made:path "leaf.key")
        assert.equal("", err)
        assert.equal(0, code)
        tls_server:kill()
    end)
end)
