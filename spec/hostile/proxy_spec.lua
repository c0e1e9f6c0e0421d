-- Proxies that lie about CONNECT, and hosts that only look like those without a proxy: row 39.
local clients = require "moonwire.client"
local kit = require "spec.support.mock_client"
local mock = require "moonwire.testing.mock"
local proxies = require "spec.support.proxies"

local OK = kit.OK

-- How the proxy's answer is sent: whole, in pieces, or cut in two after so many bytes.
local function deliver(peer, bytes, how)
    if how.cut then
        peer:send(bytes:sub(1, how.cut))
        peer:after(0.001, function()
            peer:send(bytes:sub(how.cut + 1))
        end)
    elseif how.size then
        peer:send_pieces(bytes, how.size)
    else
        peer:send(bytes)
    end
end

-- Asks https://h/ through a proxy that gives this answer to CONNECT, and what the origin would say
-- to all that follows. `look(response, err, heads)` judges.
local function try(answer, how, look)
    local m = mock.new()
    m:hosts { proxy = { "10.0.0.1" } }
    m:run(function()
        local client = clients.new { proxy = "http://u:hunter2@proxy", timeout = 5 }
        client.supply.tls.secure = function()
            return true
        end
        local kept, heads = nil, {}
        m:listen_at("10.0.0.1", 80, function(peer)
            local buffer = ""
            kept = peer
            peer:on_data(function(data)
                buffer = buffer .. data
                local stop = select(2, buffer:find("\r\n\r\n", 1, true))
                if stop then
                    heads[#heads + 1] = buffer:sub(1, stop)
                    buffer = buffer:sub(stop + 1)
                    deliver(peer, #heads == 1 and answer or OK, #heads == 1 and how or {})
                end
            end)
        end)
        local response, err = client:get "https://h/"
        look(response, err, heads)
        client:close()
        m:advance(1) -- the proxy has said all of it
        assert.is_true(kept:is_closed())
        assert.equal(0, client:stats().total)
        assert.equal(0, m:stats().watchers)
    end)
end

local function each_way(answer, look, cut_to)
    try(answer, {}, look)
    try(answer, { size = 1 }, look)
    for cut = 1, (cut_to or #answer) - 1 do
        try(answer, { cut = cut }, look)
    end
end

local function tunnels(sentence, answer)
    it("row 39: " .. sentence, function()
        each_way(answer, function(response, err, heads)
            assert.is_nil(err)
            assert.equal("ok", response:text())
            assert.equal(200, response.status)
            assert.truthy(heads[1]:find "^CONNECT h:443 HTTP/1.1\r\n")
            assert.truthy(heads[2]:find "^GET / HTTP/1.1\r\n")
            assert.is_nil(heads[2]:find "roxy%-Auth")
        end)
    end)
end

local function fails(sentence, answer, words, more)
    it("row 39: " .. sentence, function()
        each_way(answer, function(response, err, heads)
            assert.is_nil(response)
            assert.equal("connect", err.kind)
            assert.equal("connect", err.phase)
            assert.equal("https://h/", err.url)
            assert.truthy(err.message:find(words, 1, true), err.message)
            assert.is_nil(tostring(err):find "hunter2")
            assert.equal(1, #heads) -- the origin's request was not shown to the proxy
            if more then
                more(err)
            end
        end)
    end)
end

describe("a proxy for https", function()
    local C = "HTTP/1.1 200 Connection established\r\n"
    tunnels("200 with Content-Length is a tunnel: the length is ignored",
        C .. "Content-Length: 1000\r\n\r\n")
    tunnels("200 with Transfer-Encoding is a tunnel: it is ignored",
        C .. "Transfer-Encoding: chunked\r\n\r\n")
    tunnels("200 with Connection: close is a tunnel", C .. "Connection: close\r\n\r\n")
    tunnels("HTTP/1.0 200 is a tunnel", "HTTP/1.0 200 OK\r\nProxy-agent: x\r\n\r\n")
    tunnels("any 2xx is a tunnel", "HTTP/1.1 299 Fine\r\n\r\n")
    tunnels("204 is a tunnel", "HTTP/1.1 204 No Content\r\n\r\n")
    tunnels("100, 103, then 200 is a tunnel", "HTTP/1.1 100 Continue\r\n\r\n"
        .. "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" .. C .. "\r\n")

    local WHO = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
    fails("407 with a body is an error, and its body is nobody's response",
        WHO .. "Content-Length: 5\r\n\r\nlogin", "answered 407 Who: it doesn't take this user",
        function(err)
            assert.equal(407, err.status)
        end)
    fails("407 with a body in chunks is an error", WHO .. "Transfer-Encoding: chunked\r\n\r\n"
        .. "5\r\nlogin\r\n0\r\n\r\n", "answered 407 Who")
    fails("407 with a body up to the end is an error", WHO .. "\r\nlogin", "answered 407 Who")
    fails("407 that poses as the origin's response is an error",
        WHO .. "Content-Length: 0\r\n\r\n" .. OK, "answered 407 Who")
    fails("a redirect by the proxy is an error (it could lead anywhere)",
        "HTTP/1.1 302 Found\r\nLocation: https://evil/\r\nContent-Length: 0\r\n\r\n",
        "answered 302 Found")
    fails("101 is an error", "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "has not connected to h:443")
    fails("what isn't HTTP is an error", "SSH-2.0-OpenSSH_9.2\r\n", "has not connected to h:443")
    fails("200 with Transfer-Encoding and a length is an error, as from anybody",
        C .. "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "has not connected to")
    fails("two lengths with 502 are an error",
        "HTTP/1.1 502 No\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "has not connected to")

    it("row 39: bytes behind 200 that come before we have said anything are an error", function()
        for _, early in ipairs { "x", OK, "\22\3\3\0\1" } do
            local answer = C .. "\r\n" .. early
            try(answer, {}, function(response, err, heads)
                assert.is_nil(response)
                assert.equal("connect", err.kind)
                assert.truthy(err.message:find("sent bytes behind its answer to CONNECT h:443", 1,
                    true), err.message)
                assert.equal(1, #heads)
            end)
        end
    end)

    it("row 39: 1xx without end, or a head without end, is an error", function()
        for _, unit in ipairs {
            "HTTP/1.1 100 Continue\r\n\r\n", "X: " .. ("y"):rep(1000) .. "\r\n",
        } do
            try((unit:find "^X" and C or "") .. unit:rep(200), {}, function(response, err, heads)
                assert.is_nil(response)
                assert.equal("connect", err.kind)
                assert.equal(1, #heads)
            end)
        end
    end)

    it("row 39: an answer that ends at any byte is an error", function()
        for cut = 0, #C do
            local m = mock.new()
            m:hosts { proxy = { "10.0.0.1" } }
            m:listen_at("10.0.0.1", 80, {
                { expect = "\r\n\r\n" }, { send = (C .. "\r\n"):sub(1, cut) }, { eof = true },
            })
            m:run(function()
                local client = clients.new { proxy = "http://proxy" }
                local err = kit.fails("connect", "connect", client:get "https://h/")
                assert.truthy(err.message:find("^the proxy http://proxy:80 has not connected to"
                    .. " h:443: the peer closed the connection"), err.message)
                client:close()
            end)
        end
    end)
end)

describe("hosts that look like those without a proxy", function()
    local function is_proxied(url, list)
        local proxied
        proxies.run({ proxy = { url = "http://proxy", no_proxy = list } }, function(client, m)
            local log = proxies.http(m, "10.0.0.1", 80)
            local response, err = client:get(url)
            proxied = #log.heads > 0
            assert.equal(proxied, response ~= nil)
            if err then -- it was dialed for
                assert.equal("https://", err.url:match "^https://")
            end
        end)
        return proxied
    end

    it("row 39: a zone is no part of a name", function()
        assert.is_true(is_proxied("https://[fe80::1%25a.example.com]/", "*.example.com"))
        assert.is_true(is_proxied("https://[fe80::1%25a.example.com]/", "example.com"))
        assert.is_true(is_proxied("https://[fe80::1%25example.com]/", "example.com"))
        assert.is_false(is_proxied("https://[fe80::1%25a.example.com]/", "fe80::/16"))
    end)

    it("row 39: an IPv4 address is one, however it is written", function()
        assert.is_false(is_proxied("https://[::ffff:10.1.2.3]/", "10.0.0.0/8"))
        assert.is_false(is_proxied("https://[::ffff:a01:203]/", "10.1.2.3"))
        assert.is_true(is_proxied("https://[::ffff:11.1.2.3]/", "10.0.0.0/8"))
    end)
end)
