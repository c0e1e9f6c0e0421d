-- What moonwire.resty keeps alive, for whom, and for how long.

local certs = require "spec.support.certs"
local moonwire = require "moonwire"
local resty = require "moonwire.resty"
local with = require "spec.support.resty"

local place = with.place

local function get(httpc, s, options)
    assert(httpc:connect(place(s, options)))
    local times = httpc:get_reused_times()
    assert(assert(httpc:request { path = "/get" }):read_body())
    return times
end

local function get_and_keep(httpc, s, options, ...)
    local times = get(httpc, s, options)
    assert.equal(1, (httpc:set_keepalive(...)))
    return times
end

describe("moonwire.resty: set_keepalive", function()
    it("without a connection says so", function()
        with.mock(function(httpc, s)
            for _, method in ipairs { "set_keepalive", "close", "get_reused_times" } do
                local ok, problem = httpc[method](httpc)
                assert.is_nil(ok)
                assert.equal("not initialized", problem)
            end
            get_and_keep(httpc, s)
            for _, method in ipairs { "set_keepalive", "close", "get_reused_times" } do
                local ok, problem = httpc[method](httpc)
                assert.is_nil(ok)
                assert.equal("closed", problem)
            end
        end)
    end)

    it("keeps a connection that no request went over", function()
        with.mock(function(httpc, s)
            assert(httpc:connect(place(s)))
            assert.equal(1, (httpc:set_keepalive()))
            assert.equal(1, get(httpc, s))
            assert.equal(1, s.connections)
        end)
    end)

    it("closes one that has to be closed, and gives 2", function()
        with.mock(function(httpc, s)
            s:on("/last", function(_, respond)
                respond(200, "x", nil, { close = true })
            end)
            for _, given in ipairs {
                { path = "/last" }, { path = "/get", headers = { Connection = "close" } },
            } do
                assert(httpc:connect(place(s)))
                assert(assert(httpc:request(given)):read_body())
                local ok, problem = httpc:set_keepalive()
                assert.equal(2, ok)
                assert.equal("connection must be closed", problem)
            end
            assert.equal(0, get(httpc, s))
        end)
    end)

    it("closes one whose response was not read to its end", function()
        with.mock(function(httpc, s)
            s:on("/long", with.two_pieces(s))
            assert(httpc:connect(place(s)))
            local res = assert(httpc:request { path = "/long" })
            assert.equal("one", (res.body_reader(10)))
            local ok, problem = httpc:set_keepalive()
            assert.is_nil(ok)
            assert.truthy(problem:find "^connection in dubious state")
            assert.equal("closed", (select(2, res.body_reader(10))))
            assert.equal(0, get(httpc, s))
        end)
    end)

    it("keeps no more than pool_size, those that were used last", function()
        with.mock(function(_, s)
            local all = {}
            for i = 1, 4 do
                all[i] = resty.new()
                get(all[i], s)
            end
            for i = 1, 4 do
                assert.equal(1, (all[i]:set_keepalive(nil, 2)))
            end
            local reused = {}
            for i = 1, 4 do
                reused[i] = get(all[i], s)
            end
            assert.same({ 1, 1, 0, 0 }, reused)
            for i = 1, 4 do
                all[i]:close()
            end
        end)
    end)

    it("keeps 30 where nobody says", function()
        with.mock(function(_, s)
            local all = {}
            for i = 1, 31 do
                all[i] = resty.new()
                get(all[i], s)
            end
            for i = 1, 31 do
                assert.equal(1, (all[i]:set_keepalive()))
            end
            local reused = 0
            for i = 1, 31 do
                reused = reused + get(all[i], s)
            end
            assert.equal(30, reused)
            for i = 1, 31 do
                all[i]:close()
            end
        end)
    end)

    it("closes what was idle for its milliseconds, and nothing before", function()
        with.mock(function(httpc, s, m)
            get_and_keep(httpc, s, nil, 2000)
            moonwire.sleep(1.9)
            assert.equal(1, get_and_keep(httpc, s, nil, 1000))
            moonwire.sleep(1.1)
            assert.equal(1, m:stats().tcp) -- the server's listener
            assert.equal(0, get_and_keep(httpc, s, nil, 0))
            moonwire.sleep(86400)
            assert.equal(1, get_and_keep(httpc, s))
            moonwire.sleep(59)
            assert.equal(2, get_and_keep(httpc, s))
            moonwire.sleep(61)
            assert.equal(0, get(httpc, s))
        end)
    end)

    it("closes what was idle for too long while the program was busy", function()
        with.real(function(httpc, s)
            get_and_keep(httpc, s, nil, 50)
            os.execute "sleep 0.1" -- nobody could have closed it
            assert.equal(0, get(httpc, s))
        end)
    end)

    it("closes each at its own time, whatever was kept after it", function()
        with.mock(function(one, s)
            local two = resty.new()
            get(one, s)
            get(two, s)
            assert.equal(1, (one:set_keepalive(5000)))
            assert.equal(1, (two:set_keepalive(1000)))
            moonwire.sleep(2)
            assert.equal(1, get(one, s))
            assert.equal(0, get(two, s))
            two:close()
        end)
    end)

    it("goes by what the server says if that is less", function()
        with.mock(function(httpc)
            with.peer(function(stream)
                while stream:read_until "\r\n\r\n" do
                    stream:write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                        .. "Keep-Alive: timeout=5\r\n\r\nx")
                end
            end, function(port)
                local url = "http://127.0.0.1:" .. port .. "/"
                for _, case in ipairs { { 3, 1 }, { 4.5, 0 } } do
                    assert(httpc:request_uri(url))
                    moonwire.sleep(case[1])
                    assert(httpc:connect { scheme = "http", host = "127.0.0.1", port = port })
                    assert.equal(case[2], (httpc:get_reused_times()))
                    httpc:close()
                end
            end)
        end)
    end)
end)

describe("moonwire.resty: kept connections", function()
    it("are dropped at once when the server closes them", function()
        with.mock(function(httpc, s, m)
            get_and_keep(httpc, s)
            moonwire.sleep(2)
            assert.equal(1, m:stats().tcp)
            assert.equal(0, get(httpc, s))
        end, { idle_timeout = 1 })
    end)

    it("that are closed while the request is on its way are replaced", function()
        local served = {}
        with.mock(function(httpc)
            with.peer(function(stream, number)
                for i = 1, 2 do
                    if not stream:read_until "\r\n\r\n" or number == 1 and i == 2 then
                        return -- the first one answers once
                    end
                    served[#served + 1] = number
                    stream:write "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
                end
            end, function(port)
                local url = "http://127.0.0.1:" .. port .. "/"
                for _ = 1, 2 do
                    assert.equal("x", assert(httpc:request_uri(url)).body)
                end
            end)
        end)
        assert.same({ 1, 2 }, served)
    end)

    it("are not replaced where the request may have been acted on", function()
        with.mock(function(httpc)
            with.peer(function(stream)
                assert(stream:read_until "\r\n\r\n")
                stream:write "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
                stream:read_until "\r\n\r\n"
            end, function(port)
                local url = "http://127.0.0.1:" .. port .. "/"
                assert(httpc:request_uri(url))
                local res, err = httpc:request_uri(url, { method = "POST", body = "pay" })
                assert.is_nil(res)
                assert.equal("closed", err)
            end)
        end)
    end)

    it("are not shared by those who want different ones", function()
        with.mock(function(httpc, s)
            for _, options in ipairs { {}, { pool = "mine" }, { pool = "yours" } } do
                assert.equal(0, get_and_keep(httpc, s, options))
            end
            for _, options in ipairs { {}, { pool = "mine" }, { pool = "yours" } } do
                assert.equal(1, get_and_keep(httpc, s, options))
            end
            assert.equal(0, get(httpc, s, { host = "localhost" }))
        end)
    end)

    it("are not shared by those who want different TLS", function()
        local made = certs.new()
        made:root "root"
        made:issue("good", { by = "root", san = "DNS:localhost,DNS:a.test,IP:127.0.0.1" })
        local trust = made:path "root.pem"
        with.mock(function(httpc, s)
            local kinds = {
                { ssl_trusted_certificate = trust }, { ssl_verify = false },
                { ssl_verify = false, ssl_server_name = "a.test" },
                { ssl_trusted_certificate = trust, ssl_server_name = "a.test" },
                { ssl_trusted_certificate = trust, pool = "mine" },
                { ssl_verify = false, ssl_client_cert = made:path "good.pem",
                    ssl_client_priv_key = made:path "good.key" },
            }
            for times = 0, 1 do
                for _, options in ipairs(kinds) do
                    assert.equal(times, get_and_keep(httpc, s, options))
                end
            end
        end, { tls = { cert = made:path "good.pem", key = made:path "good.key" } })
    end)

    it("that nobody has verified are not given to who wants that, whatever their pool", function()
        local made = certs.new()
        made:root "root"
        made:issue("good", { by = "root", san = "IP:127.0.0.1" })
        with.mock(function(httpc, s)
            get_and_keep(httpc, s, { pool = "one", ssl_verify = false })
            local ok, problem = httpc:connect(place(s, { pool = "one" })) -- verified: not that one
            assert.is_nil(ok)
            assert.truthy(problem:find("certificate", 1, true))
        end, { tls = { cert = made:path "good.pem", key = made:path "good.key" } })
    end)
end)
