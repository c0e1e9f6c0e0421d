local secrets = require "moonwire.secrets"
local serve = require "spec.support.serve"
local support = require "spec.support"

describe("secrets", function()
    it("are told by the names of headers and of query fields", function()
        assert.is_true(secrets.is_header "SET-COOKIE")
        assert.is_false(secrets.is_header "Location")
        assert.equal("<redacted>", secrets.shown("authorization", "Basic x"))
        assert.equal("/x", secrets.shown("Location", "/x"))
        assert.equal("http://h/x?token=redacted",
            secrets.shown("Location", "http://me:pw@h/x?token=1"))
        assert.equal("GET /x?key=redacted HTTP/1.1", secrets.line "GET /x?key=1 HTTP/1.1")
        assert.equal("HTTP/1.1 200 OK", secrets.line "HTTP/1.1 200 OK")
        assert.equal("http://h/x?token=redacted&a=1&API%5Fkey=redacted#f",
            secrets.url "http://u:p@h/x?token=1&a=1&API%5Fkey=2" .. "#f")
        assert.equal("http://h/?a=redacted", secrets.url("http://h/?a=1", { a = true }))
    end)

    it("are in no transcript, archive, recording or error", function()
        local process, url = serve.start()
        local har, tape = os.tmpname(), os.tmpname()
        local code, out, err = support.run({ support.moonwire(), "-v", "--har", har, "-e", [[
            local http = require "moonwire.http"
            local testing = require "moonwire.testing"
            local url, tape = os.getenv "SERVER", os.getenv "TAPE"
            local with_user = url:gsub("//", "//me:TOPSECRET@")
            local opts = {
                headers = { Authorization = "Bearer TOPSECRET", Cookie = "a=TOPSECRET",
                    ["Proxy-Authorization"] = "TOPSECRET" },
                retry = { attempts = 2, base = 0 },
            }
            testing.with(testing.cassette(tape, { mode = "record" }), function()
                http.get(url .. "/delay/0?token=TOPSECRET", opts):text()
                http.get(with_user .. "/redirect/1"):text()
                http.get(with_user .. "/status/503", { retry = { attempts = 2, base = 0 } })
                local auth = require "moonwire.auth"
                local client = http.client { cookies = true, auth = auth.digest("me", "TOPSECRET") }
                client:get(url .. "/digest-auth/auth/me/other"):text()
                client:get(url .. "/headers", { auth = auth.bearer "TOPSECRET" }):discard()
                client:get(url .. "/cookies/set?token=TOPSECRET", { redirect = false }):discard()
                client:get(url .. "/uuid", { cookies = { b = "TOPSECRET" } }):discard()
                client:close()
            end)
            for _, proxy in ipairs { "http://me:TOPSECRET@127.0.0.1:1",
                "socks5://me:TOPSECRET@127.0.0.1:1", (url:gsub("//", "//me:TOPSECRET@")) } do
                local client = http.client { proxy = proxy }
                print(select(2, client:get("https://h.test/")))
                print(client:metrics(), next(client:stats().origins))
                client:close()
            end
            for _, where in ipairs { "http://me:TOPSECRET@127.0.0.1:1/?key=TOPSECRET",
                with_user .. "/delay/1?token=TOPSECRET" } do
                opts.timeout = 0.05
                print(select(2, http.get(where, opts)))
            end
            print(http.client():metrics(), require("moonwire.pool").new():stats().total)
        ]] }, { env = { SERVER = url, TAPE = tape } })
        process:kill()
        assert.equal(0, code, err)
        local text = out .. err
        for _, path in ipairs { har, tape } do
            local file = assert(io.open(path))
            local content = file:read "*a"
            file:close()
            os.remove(path)
            assert.is_true(#content > 500)
            -- the server shows what it was asked: that is a body, and bodies are recorded
            text = text .. content:gsub('"text":"[^\n]-[^\\]"', ""):gsub('"body": "[^\n]*', "")
        end
        assert.is_true(#text > 5000)
        assert.is_nil(text:find "TOPSECRET", text)
        assert.is_nil(text:find "bWU6VE9QU0VDUkVU") -- of base64
    end)
end)
