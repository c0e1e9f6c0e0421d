-- moonwire.resty inside nginx: the same calls as elsewhere, over nginx's cosockets and its pool.

local certs = require "spec.support.certs"
local nginx_lua = require "spec.support.nginx_lua"
local resty = require "moonwire.resty"
local serve = require "spec.support.serve"
local support = require "spec.support"

-- A location whose handler has `httpc`, `url` and `port` of the server behind it, and `say`.
local function location(name, code)
    return ([[
        location /%s {
            content_by_lua_block {
                local httpc = require("moonwire.resty").new()
                local url, port = ngx.var.arg_url, tonumber(ngx.var.arg_url:match "%%d+$")
                local say = ngx.say
                %s
            }
        }
    ]]):format(name, code)
end

local LOCATIONS = table.concat {
    location("once", [[
        local res, err = httpc:request_uri(url .. "/post", { method = "POST", body = "a=1" })
        say(res and res.status, " ", err, " ", res and #res.body > 0)
    ]]),
    location("steps", [[
        httpc:set_timeouts(1000, 2000, 3000)
        assert(httpc:connect { scheme = "http", host = "127.0.0.1", port = port, pool = "steps" })
        say(httpc:get_reused_times())
        local res, size = assert(httpc:request { path = "/bytes/100000" }), 0
        repeat
            local piece, err = res.body_reader(8192)
            assert(not err, err)
            size = size + #(piece or "")
        until not piece
        say(size, " ", (httpc:set_keepalive(10000, 5)))
    ]]),
    location("upload", [[
        local left = 3
        assert(httpc:connect("127.0.0.1", port))
        local res = assert(httpc:request { path = "/post", method = "POST", body = function()
            left = left - 1
            ngx.sleep(0.01)
            return left >= 0 and "piece" or nil
        end })
        say(res.status, " ", (res:read_body():find("piecepiecepiece", 1, true)) ~= nil)
        say((httpc:set_keepalive()))
    ]]),
    location("slow", [[
        httpc:set_timeout(50)
        say((select(2, httpc:request_uri(url .. "/delay/5"))))
        say((select(2, httpc:set_keepalive())))
        say((select(2, httpc:request_uri "http://127.0.0.1:1/")))
    ]]),
    location("unread", [[
        assert(httpc:connect { scheme = "http", host = "127.0.0.1", port = port })
        assert(httpc:request { path = "/bytes/1000000" })
        say((select(2, httpc:set_keepalive())))
    ]]),
    location("proxied", [[
        httpc:set_proxy_options { http_proxy = url }
        local res = assert(httpc:request_uri "http://far.test/get")
        say(res.status, " ", (res.body:find("far.test", 1, true)) ~= nil)
    ]]),
    location("tls", [[
        local place = {
            scheme = "https", host = "127.0.0.1", port = tonumber(ngx.var.arg_tls),
            ssl_server_name = "good.test",
        }
        for times = 0, 1 do
            assert(httpc:connect(place))
            say(httpc:get_reused_times(), " ", (httpc:request { path = "/" }:read_body()))
            assert(httpc:set_keepalive() == 1)
        end
        place.ssl_server_name = "other.test"
        local ok, problem, err = httpc:connect(place)
        say(ok, " ", err.kind)
        place.ssl_verify = false
        say(httpc:connect(place))
        httpc:close()
    ]]),
    location("post", [[
        assert(httpc:connect { scheme = "http", host = "127.0.0.1", port = port })
        local res = assert(httpc:proxy_request())
        assert(httpc:proxy_response(res))
        httpc:set_keepalive()
    ]]),
}

local TLS_SERVER = [[
    lua_ssl_trusted_certificate %s;
    server {
        listen 127.0.0.1:%d ssl;
        ssl_certificate %s;
        ssl_certificate_key %s;
        location / { return 200 "secret"; }
    }
]]

describe("moonwire.resty inside nginx", function()
    local nginx, process, url, tls_port

    setup(function()
        process, url = serve.start()
        local made = certs.new()
        made:root "root"
        made:issue("good", { by = "root", san = "DNS:good.test" })
        tls_port = support.free_port()
        nginx = nginx_lua.start(LOCATIONS, { http = TLS_SERVER:format(made:path "root.pem",
            tls_port, made:path "good.pem", made:path "good.key") })
    end)

    teardown(function()
        resty.close_idle()
        nginx:stop()
        process:kill()
    end)

    local function get(name, given)
        local res = assert(resty.new():request_uri(nginx.url .. "/" .. name .. "?url=" .. url
            .. "&tls=" .. tls_port, given))
        return res.body
    end

    it("answers in one call", function()
        assert.equal("200 nil true\n", get "once")
    end)

    it("reads in steps, and takes kept connections out of nginx's pool", function()
        assert.equal("0\n100000 1\n", get "steps")
        assert.equal("1\n100000 1\n", get "steps")
    end)

    it("sends a body that waits between its pieces", function()
        assert.equal("200 true\n1\n", get "upload")
    end)

    it("says timeout, closed and connection refused", function()
        assert.equal("timeout\nclosed\nconnection refused\n", get "slow")
    end)

    it("does not keep a connection with an unread body", function()
        assert.truthy(get "unread":find "^connection in dubious state")
    end)

    it("goes through a proxy", function()
        assert.equal("200 true\n", get "proxied")
    end)

    it("verifies certificates, and keeps what it has verified", function()
        assert.equal("0 secret\n1 secret\nnil tls\n1\n", get "tls")
    end)

    it("passes a request on and its answer back", function()
        local out = get("post", { method = "POST", body = "hello" })
        assert.truthy(out:find("hello", 1, true), out)
    end)

    it("logs nothing from warnings upwards", function()
        assert.same({}, nginx:log())
    end)
end)
