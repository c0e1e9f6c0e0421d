-- Clients with the loopback server, which is a process of its own, on the backend that this process
-- has: ev or ngx. Both have to do the same.
local auth = require "moonwire.auth"
local bodies = require "moonwire.body"
local caches = require "moonwire.cache"
local clients = require "moonwire.client"
local moonwire = require "moonwire"
local relayed = require "spec.support.relayed"

local place = ... ---@type spec.Place

local function with_client(f, opts)
    return function()
        relayed.run(function()
            local client = clients.new(opts)
            f(client, place.server)
            client:close()
        end)
    end
end

local function upload(client, url, body, opts)
    opts = opts or {}
    opts.body = body
    return assert(assert(client:put(url .. "/upload", opts)):json())
end

describe("a client", function()
    it("gets a page and its fields", with_client(function(client, url)
        local response = assert(client:get(url .. "/get", { query = { a = "1 2" } }))
        assert.equal(200, response.status)
        assert.equal("1 2", assert(response:json()).args.a)
        assert.is_true(response.ok)
    end))

    it("posts JSON and forms", with_client(function(client, url)
        local answer = assert(assert(client:post(url .. "/post", { json = { n = 7 } })):json())
        assert.equal(7, answer.json.n)
        answer = assert(assert(client:post(url .. "/post", { form = { a = "b c" } })):json())
        assert.equal("b c", answer.form.a)
    end))

    it("says who is asking", with_client(function(client, url)
        local function status(path, given)
            return assert(client:get(url .. path, { auth = given })).status
        end
        assert.equal(200, status("/basic-auth/me/secret", { "me", "secret" }))
        assert.equal(200, status("/digest-auth/auth/me/secret/SHA-256",
            auth.digest("me", "secret")))
        local refreshed
        assert.equal(200, status("/basic-auth/me/secret", function(_, response)
            moonwire.sleep(0.001)
            refreshed = response and response.status
            return response and { Authorization = "Basic bWU6c2VjcmV0" }
        end))
        assert.equal(401, refreshed)
        assert.equal(200, assert(client:get(url .. "/bearer", {
            auth = auth.bearer(function()
                return assert(client:get(url .. "/get?token=abc")):json().args.token
            end), timeout = 20,
        })).status)
    end))

    it("takes content codings off, and puts them on", with_client(function(client, url)
        for path, word in pairs { gzip = "gzipped", deflate = "deflated", brotli = "brotli",
            zstd = "zstd" } do
            assert.is_true(assert(assert(client:get(url .. "/" .. path)):json())[word])
            local lines = 0
            for _ in assert(client:get(url .. "/" .. path)):lines() do
                lines = lines + 1
            end
            assert.equal(1, lines)
        end
        for _, coding in ipairs { "gzip", "deflate", "br", "zstd" } do
            local answer = upload(client, url, ("x"):rep(100000), { compress = coding })
            assert.is_true(answer.bytes < 1000)
            local count = 0
            answer = upload(client, url, function()
                count = count + 1
                moonwire.sleep(0.001)
                return count <= 20 and ("y"):rep(1000) or nil
            end, { compress = coding })
            assert.is_true(answer.chunked and answer.bytes < 1000)
        end
    end))

    it("keeps responses, in memory and in a folder", function()
        local name = os.tmpname()
        os.remove(name)
        for _, cache in ipairs { caches.memory(), assert(caches.folder(name)) } do
            with_client(function(client, url)
                local text = assert(client:get(url .. "/cache/60")):text()
                local res = assert(client:get(url .. "/cache/60"))
                assert.equal("hit", res.from_cache)
                assert.equal(text, assert(res:text()))
                assert(client:get(url .. "/etag/a")):text()
                assert.equal("revalidated", assert(client:get(url .. "/etag/a")).from_cache)
                assert.equal(2, cache:stats().misses)
                cache:clear()
            end, { cache = cache })()
        end
        assert(os.remove(name)) -- it was emptied
    end)

    it("uploads a string, a function's chunks and a file", with_client(function(client, url)
        assert.equal(100000, upload(client, url, ("x"):rep(100000)).bytes)
        local count = 0
        local answer = upload(client, url, function()
            count = count + 1
            moonwire.sleep(0.001)
            return count <= 20 and ("y"):rep(1000) or nil
        end)
        assert.equal(20000, answer.bytes)
        assert.is_true(answer.chunked)
        local file = assert(io.open("README.md", "rb"))
        local length = file:seek "end"
        file:close()
        assert.equal(length, upload(client, url, bodies.file "README.md").bytes)
    end))

    it("streams much in both directions at once", with_client(function(client, url)
        local size, left = 4194304, 64
        local response = assert(client:post(url .. "/echo", {
            body = bodies.generator(function()
                left = left - 1
                return left >= 0 and ("z"):rep(65536) or nil
            end, { length = size }),
        }))
        local got = 0
        for chunk in response:chunks() do
            got = got + #chunk
        end
        assert.equal(size, got)
        assert.is_true(response.upload_complete)
    end))

    it("pipes one response's body into another request", with_client(function(client, url)
        local source = assert(client:get(url .. "/bytes/300000"))
        assert.equal(300000, upload(client, url, source).bytes)
    end))

    it("reads chunks, their trailers, and lines", with_client(function(client, url)
        local response = assert(client:get(url .. "/chunked"))
        assert.equal("piece 1\npiece 2\npiece 3\n", response:text())
        assert.equal("3", response.trailers:get "X-Pieces")
        local count = 0
        for _ in assert(client:get(url .. "/stream/20")):lines() do
            count = count + 1
        end
        assert.equal(20, count)
    end))

    it("has no body for HEAD, 204 and 304", with_client(function(client, url)
        assert.equal("", assert(client:head(url .. "/get")):text())
        assert.equal("", assert(client:get(url .. "/status/204")):text())
        assert.equal("", assert(client:get(url .. "/status/304")):text())
    end))

    it("passes other statuses on", with_client(function(client, url)
        local response = assert(client:get(url .. "/status/503"))
        assert.equal(503, response.status)
        assert.is_false(response.ok)
    end))

    it("ends at the total timeout, in the head and in the body", with_client(function(client, url)
        local response, err = client:get(url .. "/delay/5", { timeout = 0.1 })
        assert.is_nil(response)
        assert.equal("timeout", err.kind)
        assert.equal("headers", err.phase)
        response = assert(client:get(url .. "/drip?duration=20&numbytes=20", { timeout = 0.3 }))
        local text
        text, err = response:text()
        assert.is_nil(text)
        assert.equal("timeout", err.kind)
        assert.equal("body", err.phase)
    end))

    it("is cut short by a scope with a deadline", with_client(function(client, url)
        local seen
        local _, err = moonwire.timeout(0.1, function()
            local response, problem = client:get(url .. "/delay/5")
            seen = problem
            return response
        end)
        assert.equal("timeout", err.kind)
        assert.equal("cancelled", seen.kind)
    end))

    it("gathers, races and maps", with_client(function(client, url)
        local function status_of(code)
            return function()
                local response = assert(client:get(url .. "/status/" .. code))
                response:discard()
                return response.status
            end
        end
        local first, second, third = moonwire.gather(status_of(200), status_of(404),
            status_of(500))
        assert.same({ 200, 404, 500 }, { first, second, third })
        assert.equal(201, (moonwire.race(status_of(201), function()
            return assert(client:get(url .. "/delay/5")).status
        end)))
    end))

    it("ends the siblings of one that fails", with_client(function(client, url)
        local seen
        local ok, problem = pcall(moonwire.scope, function(s)
            s:spawn(function()
                seen = select(2, client:get(url .. "/delay/5"))
            end)
            moonwire.sleep(0.05)
            error("enough", 0)
        end)
        assert.is_false(ok)
        assert.matches("enough", tostring(problem))
        assert.equal("cancelled", seen.kind)
    end))

    it("says that nobody listens", with_client(function(client)
        local response, err = client:get "http://127.0.0.1:1/"
        assert.is_nil(response)
        assert.equal("connect", err.kind)
        assert.equal("ECONNREFUSED", err.code)
    end))

    it("takes no body that is too long", with_client(function(client, url)
        local text, err = assert(client:get(url .. "/bytes/5000", { max_body = 1000 })):text()
        assert.is_nil(text)
        assert.equal("limit", err.kind)
    end))

    it("saves a body to a file", with_client(function(client, url)
        local path = os.tmpname()
        assert(assert(client:get(url .. "/bytes/200000")):save(path))
        local file = assert(io.open(path, "rb"))
        local length = file:seek "end"
        file:close()
        os.remove(path)
        assert.equal(200000, length)
    end))

    it("waits inside a generator, and refuses to below a C call", with_client(
        function(client, url)
            local pages = coroutine.wrap(function()
                for code = 200, 202 do
                    coroutine.yield(assert(client:get(url .. "/status/" .. code)).status)
                end
            end)
            assert.same({ 200, 201, 202 }, { pages(), pages(), pages() })
            local ok, problem = pcall(string.gsub, "x", "x", function()
                client:get(url .. "/get")
            end)
            assert.is_false(ok)
            assert.is_string(tostring(problem))
            assert.equal(200, assert(client:get(url .. "/get")).status)
        end))
end)
