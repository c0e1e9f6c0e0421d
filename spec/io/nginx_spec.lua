local http = require "moonwire.http"
local moonwire = require "moonwire"
local nginx = require "spec.support.nginx"
local support = require "spec.support"

local SANITIZED = os.getenv "MOONWIRE_SAN" ~= nil
local BIG = (SANITIZED and 64 or 1024) * 1024 * 1024
local PEAK = 32 * 1024 -- KiB

local LOCATIONS = [[
client_max_body_size 0;
location / { }
location = /hello { default_type text/plain; return 200 "hello\n"; }
location = /close { keepalive_timeout 0; return 200 "bye\n"; }
location = /empty { return 204; }
location = /teapot { return 418 "short and stout\n"; }
location = /moved { return 302 /hello; }
location = /chunked { chunked_transfer_encoding on; ssi on; ssi_types *; alias %(dir)/www/page; }
location = /short { limit_rate 1k; alias %(dir)/www/page; }
location /kept/ { keepalive_requests 2; return 200 "kept\n"; }
location /dav/ { dav_methods PUT DELETE; create_full_put_path on; client_body_buffer_size 64k; }
location /small-only/ { dav_methods PUT; client_max_body_size 1k; }
location = /echo { return 200 "$request_method $http_x_test $content_length"; }
]]

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

local function read(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read "*a"
    file:close()
    return text
end

-- Makes a file of so many bytes that takes no room on the disk.
local function write_sparse(path, bytes)
    local file = assert(io.open(path, "wb"))
    file:seek("set", bytes - 1)
    file:write "\0"
    file:close()
end

describe("moonwire against nginx", function()
    local server

    setup(function()
        server = nginx.start(LOCATIONS)
        write(server.www .. "/page", ("<p>page</p>\n"):rep(2000))
        write(server.www .. "/small", "small file\n")
    end)

    teardown(function()
        server.process:kill()
    end)

    -- Runs f(client) and leaves nothing open.
    local function with_client(f, opts)
        support.in_loop(function()
            local client = http.client(opts)
            f(client)
            client:close()
        end)
    end

    it("keeps a connection", function()
        with_client(function(client)
            for i = 1, 5 do
                local response = assert(client:get(server.url .. "/hello"))
                assert.equal(200, response.status)
                assert.equal("OK", response.reason)
                assert.equal("text/plain", response.headers["content-type"])
                assert.equal("hello\n", response:text())
                assert.equal(i > 1, response.timing.reused)
            end
            assert.equal(1, client:stats().opened)
        end)
    end)

    it("lets a connection go that the server ends", function()
        with_client(function(client)
            for _ = 1, 2 do
                local response = assert(client:get(server.url .. "/close"))
                assert.equal("close", response.headers:get "Connection")
                assert.equal("bye\n", response:text())
            end
            assert.equal(2, client:stats().opened)
            assert.equal(0, client:stats().total)
            for _ = 1, 4 do
                assert.equal("kept\n", assert(client:get(server.url .. "/kept/")):text())
            end
            assert.equal(4, client:stats().opened)
        end)
    end)

    it("reads chunked bodies, whole, in chunks and line by line", function()
        with_client(function(client)
            local page = read(server.www .. "/page")
            local response = assert(client:get(server.url .. "/chunked"))
            assert.equal("chunked", response.headers:get "transfer-encoding")
            assert.equal(page, response:text())
            local chunks = {}
            for chunk in assert(client:get(server.url .. "/chunked")):chunks() do
                chunks[#chunks + 1] = chunk
            end
            assert.equal(page, table.concat(chunks))
            local lines = 0
            for line in assert(client:get(server.url .. "/chunked")):lines() do
                assert.equal("<p>page</p>", line)
                lines = lines + 1
            end
            assert.equal(2000, lines)
            assert.equal(1, client:stats().opened)
        end)
    end)

    it("knows that HEAD, 204 and 304 have no body", function()
        with_client(function(client)
            local response = assert(client:head(server.url .. "/page"))
            assert.equal("24000", response.headers["content-length"])
            assert.equal("", response:text())
            response = assert(client:get(server.url .. "/empty"))
            assert.equal(204, response.status)
            assert.equal("", response:text())
            response = assert(client:get(server.url .. "/small"))
            local tag = response.headers["etag"]
            assert(response:discard())
            response = assert(client:get(server.url .. "/small", {
                headers = { ["If-None-Match"] = tag },
            }))
            assert.equal(304, response.status)
            assert.equal("", response:text())
            assert.equal(1, client:stats().opened)
        end)
    end)

    it("hands on statuses as they are, and follows redirects", function()
        with_client(function(client)
            local response = assert(client:get(server.url .. "/teapot"))
            assert.equal(418, response.status)
            assert.is_false(response.ok)
            assert.equal("short and stout\n", response:text())
            response = assert(client:get(server.url .. "/moved"))
            assert.equal(server.url .. "/hello", response.url)
            response = assert(client:get(server.url .. "/moved", { redirect = false }))
            assert.equal(302, response.status)
            assert.equal(server.url .. "/hello", response.headers["location"])
            assert(response:discard())
            response = assert(client:get(server.url .. "/nowhere"))
            assert.equal(404, response.status)
            assert(response:discard())
        end)
    end)

    it("reads a part of a file", function()
        with_client(function(client)
            local response = assert(client:get(server.url .. "/small", {
                headers = { Range = "bytes=6-9" },
            }))
            assert.equal(206, response.status)
            assert.equal("file", response:text())
        end)
    end)

    it("sends a body from a string, a file and a generator", function()
        local path = support.temp_dir() .. "/upload"
        write(path, ("line\n"):rep(100000))
        with_client(function(client)
            local response = assert(client:put(server.url .. "/dav/a/string", { body = "text" }))
            assert.equal(201, response.status)
            assert(response:discard())
            local file = assert(io.open(path, "rb"))
            response = assert(client:put(server.url .. "/dav/a/file", { body = file }))
            assert.equal(201, response.status)
            assert(response:discard())
            file:close()
            local left = 5
            response = assert(client:put(server.url .. "/dav/a/generated", {
                body = function()
                    left = left - 1
                    moonwire.sleep(0.005)
                    return left >= 0 and "piece " .. left .. "\n" or nil
                end,
            }))
            assert.equal(201, response.status)
            assert(response:discard())
            assert.equal("text", read(server.www .. "/dav/a/string"))
            assert.equal(("line\n"):rep(100000), read(server.www .. "/dav/a/file"))
            assert.equal("piece 4\npiece 3\npiece 2\npiece 1\npiece 0\n",
                read(server.www .. "/dav/a/generated"))
            assert.equal(204, assert(client:delete(server.url .. "/dav/a/string")).status)
            assert.equal(1, client:stats().opened)
        end)
    end)

    it("gets the answer to an upload that the server does not want", function()
        with_client(function(client)
            local sent = 0
            local response = assert(client:put(server.url .. "/small-only/x", {
                body = function()
                    sent = sent + 65536
                    return sent <= 256 * 1024 * 1024 and ("x"):rep(65536) or nil
                end,
            }))
            assert.equal(413, response.status)
            assert.is_false(response.upload_complete)
            assert.is_true(sent < 256 * 1024 * 1024)
            assert.is_truthy(response:text():find "413")
            assert.equal(0, client:stats().total)
        end)
    end)

    it("leaves a body early without harm to the next request", function()
        with_client(function(client)
            local response = assert(client:get(server.url .. "/short"))
            assert.is_string(response:read(10))
            response:close()
            moonwire.sleep(0.1) -- a rest that comes soon would be dropped
            assert.equal(0, client:stats().total)
            assert.equal("hello\n", assert(client:get(server.url .. "/hello")):text())
        end)
    end)

    it("stops at the deadline in the middle of a body", function()
        with_client(function(client)
            local response = assert(client:get(server.url .. "/short", { timeout = 0.3 }))
            local text, err = response:text()
            assert.is_nil(text)
            assert.equal("timeout", err.kind)
            assert.equal("body", err.phase)
            assert.equal(0, client:stats().total)
        end)
    end)

    it("serves many requests side by side within its limits", function()
        with_client(function(client)
            local urls = {}
            for i = 1, 200 do
                urls[i] = server.url .. "/echo?" .. i
            end
            moonwire.map(urls, function(url)
                local response = assert(client:get(url, { headers = { ["X-Test"] = "yes" } }))
                assert.equal("GET yes ", response:text())
            end, { concurrency = 50 })
            local stats = client:stats()
            assert.is_true(stats.opened <= 8)
            assert.equal(0, stats.active + stats.waiting)
        end, { pool = { max_per_origin = 8 } })
    end)

    it("gives the same status through the command and through plain luajit", function()
        local code = ('print(require("moonwire.http").get("%s/hello").status)'):format(server.url)
        local env = { LUA_PATH = package.path, LUA_CPATH = package.cpath }
        local status, out, err = support.run({ support.luajit(), "-e", code }, { env = env })
        assert.equal("0 200\n", status .. " " .. out .. err)
        status, out, err = support.run({ support.moonwire(), "-e", code })
        assert.equal("0 200\n", status .. " " .. out .. err)
    end)

    describe("with " .. BIG / 1024 / 1024 .. " MiB in one body", function()
        local function transfer(mode, url, more)
            local code, out, err = support.run({
                support.luajit(), "spec/support/transfer.lua", mode, url, more,
            }, { timeout = 300, env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } })
            assert.equal("0 ", code .. " " .. err)
            local status, bytes, peak = out:match "^(%d+) (%d+) (%d+)\n$"
            if not SANITIZED then
                assert.is_true(tonumber(peak) < PEAK, peak .. " KiB resident")
            end
            return tonumber(status), tonumber(bytes)
        end

        setup(function()
            write_sparse(server.www .. "/big", BIG)
        end)

        for _, mode in ipairs { "discard", "read" } do
            it("receives it (" .. mode .. ") in little memory", function()
                assert.same({ 200, BIG }, { transfer(mode, server.url .. "/big") })
            end)
        end

        it("saves it to a file in little memory", function()
            local path = server.dir .. "/saved"
            assert.same({ 200, BIG }, { transfer("save", server.url .. "/big", path) })
            os.remove(path)
        end)

        it("sends it from a generator in little memory", function()
            assert.same({ 201, BIG },
                { transfer("put-generator", server.url .. "/dav/generated", ("%d"):format(BIG)) })
            local file = assert(io.open(server.www .. "/dav/generated"))
            assert.equal(BIG, file:seek "end")
            file:close()
            os.remove(server.www .. "/dav/generated")
        end)

        it("sends it from a file in little memory", function()
            assert.same({ 201, BIG },
                { transfer("put-file", server.url .. "/dav/file", server.www .. "/big") })
            local file = assert(io.open(server.www .. "/dav/file"))
            assert.equal(BIG, file:seek "end")
            file:close()
            os.remove(server.www .. "/dav/file")
        end)
    end)
end)
