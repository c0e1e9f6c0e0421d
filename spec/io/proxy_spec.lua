-- Proxies of the environment, as a process of its own has it: the command and plain luajit take
-- them, a C program's contexts don't.

local forwarder = require "spec.support.forwarder"
local moonwire = require "moonwire"
local server = require "moonwire.testing.server"
local support = require "spec.support"

local GET = [[
    local http = require "moonwire.http"
    local function tell(url, opts)
        local response, err = http.get(url, opts)
        print(response and response.status .. " " .. #response:text() or err.kind)
    end
]]

-- What a script prints with these variables.
local function prints(program, variables, text)
    local code, out, err = support.run({ program, "-e", GET .. text }, {
        env = variables, timeout = 20,
    })
    assert.equal("", err)
    assert.equal(0, code)
    return out
end

local NOBODY = "http://me:secret@127.0.0.1:1" -- nobody listens there

describe("the environment's proxy", function()
    for _, program in ipairs { support.moonwire(), support.luajit() } do
        local name = program:match "[^/]+$"

        it("counts for a script of " .. name, function()
            local out = prints(program, { http_proxy = NOBODY, HTTPS_PROXY = "ftp://x" }, [[
                tell "http://a.test/"
                tell "https://a.test/"
                local _, err = http.get "http://a.test/"
                print(err.message)
                _, err = http.get "https://a.test/"
                print(err.message)
                tell("http://a.test:1/", {
                    proxy = false, resolve = { ["a.test:1"] = { "127.0.0.1" } },
                })
            ]])
            assert.equal("connect\nconnect\nthe proxy http://127.0.0.1:1: connecting to"
                .. " 127.0.0.1:1: connection refused\nthe environment's HTTPS_PROXY is no proxy:"
                .. " http://, https://, socks5:// or socks5h://host:port expected\nconnect\n", out)
        end)
    end

    it("is gone through, and spares this machine", function()
        support.in_loop(function()
            local s = assert(server.start())
            local proxy = forwarder.start(s.port)
            local out = support.temp_dir() .. "/out"
            local process = support.spawn_process({ support.moonwire(), "-e", GET .. ([[
                tell "http://a.test/x"
                tell "%s/bytes/10"
                tell("http://b.test:1/", { resolve = { ["b.test:1"] = { "127.0.0.1" } } })
                print "end"
            ]]):format(s.url) }, { output = out, env = {
                http_proxy = "http://me:secret@127.0.0.1:" .. proxy.port, no_proxy = "b.test",
            } })
            local text = ""
            for _ = 1, 500 do
                local file = io.open(out) -- the process may not have come so far
                text = file and file:read "*a" or text
                if file then
                    file:close()
                end
                if text:find "end\n" then
                    break
                end
                moonwire.sleep(0.02)
            end
            process:kill()
            assert.equal("200 7\n200 10\nconnect\nend\n", text)
            assert.equal(1, #proxy.heads)
            assert.truthy(proxy.heads[1]:find "^GET http://a.test/x HTTP/1.1\r\n")
            assert.truthy(proxy.heads[1]:find("\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n", 1,
                true))
            proxy:close()
            s:close()
        end)
    end)

    it("doesn't count by itself in a C program", function()
        local out = prints(support.luajit(), { http_proxy = NOBODY }, [[
            local function nothing() end
            assert(require("moonwire.host").open(nil, nothing, nothing, false))
            print(require("moonwire.backend").current().capabilities.environment)
        ]])
        assert.equal("false\n", out)
    end)
end)
