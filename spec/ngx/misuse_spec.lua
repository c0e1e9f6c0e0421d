-- What a script may get wrong inside nginx, or its configuration may lack: told clearly, and the
-- next request is unharmed.
local handlers = require "spec.support.nginx_handlers"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local support = require "spec.support"

describe("inside nginx", function()
    local nginx

    setup(function()
        nginx = handlers.start({
            resolver = [[
                local _, err = http.get "http://service.example/"
                say(err.kind, err.phase, err)
                say(select(2, require("moonwire.net").resolve "service.example"))]],
            addresses = [[
                local port = upstream:match "%d+$"
                local url = "http://service.example:" .. port .. "/get"
                local resolve = { ["service.example:" .. port] = { "127.0.0.1" } }
                say(http.get(url, { resolve = resolve }).status)
                say(http.get("http://localhost:" .. port .. "/get").status)
                local asked
                local function on_resolve(host, addresses)
                    asked = host .. " " .. addresses[1].address
                    return nil, "not there"
                end
                say(select(2, http.get(upstream, { on_resolve = on_resolve })).kind, asked)
                say(select(2, http.get(url, { on_resolve = on_resolve })))
                local opts = { on_resolve = on_resolve, resolve = resolve }
                say(select(2, http.get(url, opts)).kind)]],
            keep = [[
                local net = require "moonwire.net"
                local port = tonumber(upstream:match "%d+$")
                package.loaded.kept = assert(net.connect("127.0.0.1", port))
                say(package.loaded.kept:write "GET /get HTTP/1.1\r\n")
                moonwire.sleep(tonumber(ngx.var.arg_for or 0))
                say(package.loaded.kept:write "Host: x\r\n\r\n")]],
            use_kept = [[
                local stream = package.loaded.kept
                local _, err = stream:write "Host: x\r\n\r\n"
                say(err.kind)
                _, err = stream:read()
                say(err and err.kind)
                say(http.get(upstream .. "/get").status)]],
            twice = [[
                for name in pairs(package.loaded) do
                    if name:find "^moonwire" then
                        package.loaded[name] = nil
                    end
                end
                local again = require "moonwire.http"
                say(again ~= http, again.get(upstream .. "/get").status)
                say(http.get(upstream .. "/get").status)
                say(moonwire.timeout(0.01, require("moonwire").sleep, 5))]],
            transcript = [[
                local trace = require "moonwire.trace"
                trace.enable()
                local client = http.client()
                say(client:get(upstream .. "/get", { headers = { Cookie = "secret" } }).status)
                trace.disable()]],
            host = [[
                local _, err = require("moonwire.net").listen("127.0.0.1", 0)
                say(err)
                say(select(2, moonwire.on_signal("INT", print)))
                say(select(2, pcall(require("moonwire.testing.mock").new)))]],
            older = [[
                -- as if this were an older nginx
                local tcp, backend = ngx.socket.tcp, require("moonwire.backend").current()
                local function without(...)
                    local hidden = { ... }
                    backend.has_learnt = false
                    ngx.socket.tcp = function()
                        local sock = tcp()
                        local methods = {}
                        for name, method in pairs(getmetatable(sock).__index) do
                            methods[name] = method
                        end
                        for _, name in ipairs(hidden) do
                            methods[name] = nil
                        end
                        return setmetatable(sock, { __index = methods })
                    end
                end
                without "bind"
                say(select(2, http.get(upstream, { local_address = "127.0.0.1" })))
                say(http.get(upstream .. "/get").status)
                without "receiveany"
                say(select(2, pcall(http.get, upstream)))
                without()
                say(http.get(upstream .. "/get").status)
                ngx.socket.tcp = tcp]],
            uncaught = [[
                moonwire.spawn(function() error "nobody sees this" end)
                moonwire.sleep(0.01)
                say "on"]],
        }, { main = "error_log stderr info;" })
    end)

    teardown(function()
        nginx:finish "nobody sees this"
    end)

    it("a name without a resolver is an error that says what to write into nginx.conf", function()
        local text = nginx:ask "resolver"
        assert.matches("^resolve | resolve | connecting to service.example:80: ", text)
        assert.matches("name a DNS server in nginx.conf: resolver ", text, 1, true)
        assert.matches("\nlooking up service.example: nginx looks a name up while it connects, and "
            .. "shows no address. Give the addresses with resolve", text, 1, true)
    end)

    it("addresses may be given, and are shown to on_resolve; a name's can't be", function()
        local text = nginx:ask "addresses"
        assert.matches("^200\n200\nresolve | 127.0.0.1 127.0.0.1\non_resolve can't be asked about "
            .. "service.example: [^\n]*\nresolve\n$", text)
    end)

    it("a stream of another request is closed, and says so", function()
        assert.equal("true\ntrue\n", (nginx:ask "keep"))
        assert.equal("closed\nnil\n200\n", (nginx:ask "use_kept")) -- it went with its request
        support.in_loop(function()
            moonwire.scope(function(s)
                local holder = s:spawn(http.get, nginx.url .. "/keep?for=0.5", { close = true })
                moonwire.sleep(0.2)
                local res = assert(http.get(nginx.url .. "/use_kept", { close = true }))
                assert.equal("closed\nclosed\n200\n", res:text())
                holder:join():close()
            end)
            http.close_idle()
        end)
    end)

    it("modules that are loaded anew go on with the same backend", function()
        assert.equal("true | 200\n200\nnil | timed out after 0.01 s: sleeping: cancelled\n",
            (nginx:ask "twice"):gsub("timed out after 0.01 s\n",
                "timed out after 0.01 s: sleeping: cancelled\n"))
    end)

    it("cosockets are asked what they can do", function()
        local text = nginx:ask "older"
        assert.matches("its cosockets have no bind(): leave local_address out", text, 1, true)
        assert.matches("\n200\nthe cosockets of this nginx have no receiveany(): moonwire needs a "
            .. "Lua module of version 0.10.14 or later\n200\n", text, 1, true)
    end)

    it("what isn't there is said at once", function()
        local text = nginx:ask "host"
        assert.matches("inside nginx only nginx can: write a `server` into nginx.conf", text, 1,
            true)
        assert.matches("inside nginx signals are nginx's own", text, 1, true)
        assert.matches("moonwire's own loops and its mock can't run inside nginx", text, 1, true)
    end)

    it("the transcript goes to the log, and errors of nobody's", function()
        assert.equal("200\n", (nginx:ask "transcript"))
        assert.equal("on\n", (nginx:ask "uncaught"))
        local file = assert(io.open(nginx.dir .. "/output"))
        local log = file:read "*a"
        file:close()
        assert.matches("%[info%].* > GET /get HTTP/1.1", log)
        assert.matches("Cookie: <redacted>", log, 1, true)
        assert.matches("%[error%].*uncaught error in a background task: .*nobody sees this", log)
    end)

    it("a table that is only called ngx makes no nginx", function()
        local code, out, err = support.run({
            support.luajit(), "-e", "ngx = { get_phase = function() end }"
                .. " print(require('moonwire.backend').default().name)",
        })
        assert.equal("", err)
        assert.equal(0, code)
        assert.equal("ev\n", out)
    end)
end)
