local http = require "moonwire.http"
local moonwire = require "moonwire"
local support = require "spec.support"

describe("moonwire against httpbin", function()
    local url, process

    setup(function()
        local port, dir = support.free_port(), support.temp_dir()
        url = "http://127.0.0.1:" .. port
        process = support.spawn_process({
            "/usr/bin/python3", "-m", "gunicorn", "--bind", "127.0.0.1:" .. port,
            "--threads", "8", "--keep-alive", "30", "--worker-tmp-dir", dir, "httpbin:app",
        }, { output = dir .. "/output", cwd = dir })
        support.wait_port(port, 30)
    end)

    teardown(function()
        process:kill()
    end)

    -- Runs f(client) and leaves nothing open.
    local function with_client(f, opts)
        support.in_loop(function()
            local client = http.client(opts or { base_url = url, timeout = 20 })
            f(client)
            client:close()
        end)
    end

    it("gets, with a query and headers", function()
        with_client(function(client)
            local response = assert(client:get("get?a=1", {
                query = { b = "x y", c = { 1, 2 } }, headers = { ["X-Test"] = "yes" },
            }))
            local seen = assert(response:json())
            assert.same({ a = "1", b = "x y", c = { "1", "2" } }, seen.args)
            assert.equal("yes", seen.headers["X-Test"])
            assert.equal(url:match "//(.*)", seen.headers.Host)
            assert.is_truthy(seen.headers["User-Agent"]:find "^moonwire/")
        end)
    end)

    it("posts text, JSON and forms", function()
        with_client(function(client)
            assert.equal("plain text",
                assert(client:post("post", { body = "plain text" })):json().data)
            assert.same({ list = { 1, 2 }, name = "\195\188" },
                assert(client:post("post", { json = { list = { 1, 2 }, name = "\195\188" } }))
                    :json().json)
            assert.same({ a = "1 + 1 = 2 & more", b = { "x", "y" } },
                assert(client:post("post", { form = { a = "1 + 1 = 2 & more", b = { "x", "y" } } }))
                    :json().form)
        end)
    end)

    it("posts forms with files, whose names may be anything", function()
        with_client(function(client)
            local path = support.temp_dir() .. "/up load.json"
            local file = assert(io.open(path, "wb"))
            file:write "{}"
            file:close()
            local left = 2
            for _, stream in ipairs { false, true } do
                local seen = assert(assert(client:post("post", { multipart = {
                    { name = "a", value = "1\n2" },
                    { name = "b\"\r\n", value = "\195\188" },
                    { name = "many", value = 1 },
                    { name = "many", value = true },
                    { name = "file", file = path },
                    { name = "text", filename = "\230\150\135\".txt", body = stream and function()
                        left = left - 1
                        return left >= 0 and "piece " or nil
                    end or "whole" },
                } })):json())
                assert.equal("1\r\n2", seen.form.a)
                assert.same({ "1", "true" }, seen.form.many)
                assert.equal("\195\188", seen.form["b%22%0D%0A"] or seen.form["b\"\r\n"])
                assert.same({ file = "{}", text = stream and "piece piece " or "whole" },
                    seen.files)
                assert.equal(stream and "chunked" or nil, seen.headers["Transfer-Encoding"])
            end
            os.remove(path)
        end)
    end)

    it("puts, patches and deletes", function()
        with_client(function(client)
            for _, method in ipairs { "put", "patch", "delete" } do
                local seen = assert(client[method](client, method, { body = method })):json()
                assert.equal(method, seen.data)
            end
            assert.equal("", assert(client:post "post"):json().data)
        end)
    end)

    it("posts chunks from a function", function()
        with_client(function(client)
            local left = 4
            local seen = assert(client:post("post", { body = function()
                left = left - 1
                moonwire.sleep(0.01)
                return left >= 0 and "chunk " .. left .. ";" or nil
            end })):json()
            assert.equal("chunked", seen.headers["Transfer-Encoding"])
            assert.equal("chunk 3;chunk 2;chunk 1;chunk 0;", seen.data)
        end)
    end)

    it("gives statuses as they are", function()
        with_client(function(client)
            for _, status in ipairs { 200, 201, 204, 301, 304, 400, 404, 418, 500, 503 } do
                local response = assert(client:get("status/" .. status,
                    { redirect = false }))
                assert.equal(status, response.status)
                assert.equal(status < 300, response.ok)
                assert(response:discard())
            end
        end)
    end)

    it("gives headers, repeated ones too, as they are", function()
        with_client(function(client)
            local response = assert(client:get "response-headers?X-A=1&X-A=2&x-b=ok")
            assert.same({ "1", "2" }, response.headers:get_all "x-a")
            assert.equal("ok", response.headers["X-B"])
            assert(response:discard())
        end)
    end)

    it("takes off whatever coding it puts on", function()
        with_client(function(client)
            for path, word in pairs { gzip = "gzipped", deflate = "deflated", brotli = "brotli" } do
                local response = assert(client:get(path))
                assert.is_string(response.raw_headers["content-encoding"])
                local seen = assert(response:json())
                assert.is_true(seen[word])
                assert.equal("gzip, deflate, br, zstd", seen.headers["Accept-Encoding"])
            end
        end)
    end)

    it("reads a stream of JSON lines", function()
        with_client(function(client)
            local count = 0
            for line in assert(client:get "stream/20"):lines() do
                assert.is_truthy(line:find("\"id\": " .. count, 1, true))
                count = count + 1
            end
            assert.equal(20, count)
        end)
    end)

    it("reads bytes and ranges", function()
        with_client(function(client)
            assert.equal(5000, #assert(client:get "bytes/5000?seed=1"):text())
            assert.equal(1024, #assert(client:get "stream-bytes/1024?chunk_size=100"):text())
            local response = assert(client:get("range/100", {
                headers = { Range = "bytes=10-19" },
            }))
            assert.equal(206, response.status)
            assert.equal("klmnopqrst", response:text())
        end)
    end)

    it("downloads, and begins anew where its ETag is none", function()
        with_client(function(client)
            local dir = support.temp_dir()
            local function get(opts)
                return client:download("range/50000", dir .. "/file", opts)
            end
            local done = assert(get())
            assert.equal(50000, done.bytes)
            local file = assert(io.open(dir .. "/file"))
            assert.equal(("abcdefghijklmnopqrstuvwxyz"):rep(2000):sub(1, 50000), file:read "*a")
            file:close()
            local _, err = client:download("status/503", dir .. "/x", { retry = { base = 0 } })
            assert.equal(503, err.status)
            done, err = client:download("range/50000", dir .. "/y", {
                resume = true, max_body = 100,
            })
            assert.is_nil(done)
            assert.equal("limit", err.kind)
            done = assert(client:download("response-headers", dir .. "/", {
                query = { ["Content-Disposition"] = "attachment; filename*=UTF-8''%C3%BC.json" },
            }))
            assert.equal(dir .. "/\195\188.json", done.path)
        end)
    end)

    it("reads a drip as it comes", function()
        with_client(function(client)
            local response = assert(client:get "drip?duration=0.5&numbytes=5&delay=0")
            local pieces, start = 0, moonwire.now()
            for chunk in response:chunks() do
                pieces = pieces + #chunk
            end
            assert.equal(5, pieces)
            assert.is_true(moonwire.now() - start > 0.2)
        end)
    end)

    it("gives up on a delay when its time is over", function()
        with_client(function(client)
            local start = moonwire.now()
            local response, err = client:get("delay/5", { timeout = 0.3 })
            assert.is_nil(response)
            assert.equal("timeout", err.kind)
            assert.equal("headers", err.phase)
            assert.is_true(moonwire.now() - start < 2)
            response, err = client:get("delay/5", { timeout = { headers = 0.2 } })
            assert.is_nil(response)
            assert.equal("timeout", err.kind)
            assert.equal(0, client:stats().total)
        end)
    end)

    it("waits for several at once", function()
        with_client(function(client)
            local start = moonwire.now()
            moonwire.map({ 1, 1, 1, 1 }, function(seconds)
                assert(assert(client:get("delay/" .. seconds)):discard())
            end)
            assert.is_true(moonwire.now() - start < 3)
        end)
    end)

    it("sends the credentials of a URL, and hides them in what it says", function()
        with_client(function(client)
            local with = url:gsub("//", "//me:se%%20cret@")
            local response = assert(client:get(with .. "/basic-auth/me/se%20cret"))
            assert.equal(200, response.status)
            assert.is_true(response:json().authenticated)
            assert.is_nil(response.url:find("secret", 1, true))
            response = assert(client:get(url .. "/basic-auth/me/other"))
            assert.equal(401, response.status)
            assert(response:discard())
        end, {})
    end)

    it("keeps cookies in a jar, and drops those that httpbin deletes", function()
        with_client(function(client)
            local function seen(path, opts)
                return assert(client:get(path, opts)):json().cookies
            end
            assert.same({ a = "1", b = "x y" }, seen "cookies/set?a=1&b=x%20y")
            assert.same({ a = "1", b = "x y" }, seen "cookies")
            assert.same({ a = "0", b = "x y", c = "3" },
                seen("cookies", { cookies = { a = "0", c = "3" } }))
            assert.same({ b = "x y" }, seen "cookies/delete?a")
            assert.same({ b = "2" }, seen "cookies/set/b/2")
        end, { base_url = url, timeout = 20, cookies = true })
    end)

    it("says what is no JSON", function()
        with_client(function(client)
            local value, err = assert(client:get "html"):json()
            assert.is_nil(value)
            assert.equal("protocol", err.kind)
        end)
    end)
end)
