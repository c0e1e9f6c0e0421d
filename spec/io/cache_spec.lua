-- A cache with nginx, which knows of Expires, ETag, Last-Modified and Vary.
local caches = require "moonwire.cache"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local nginx = require "spec.support.nginx"
local support = require "spec.support"

local LOCATIONS = [[
location / { }
location /hour/ { alias %(dir)/www/; expires 1h; }
location /old/ { alias %(dir)/www/; expires -1; }
location /never/ { alias %(dir)/www/; add_header Cache-Control no-store; }
location /second/ { alias %(dir)/www/; add_header Cache-Control max-age=1; }
location /packed/ { alias %(dir)/www/; expires 1h; gzip on; gzip_min_length 1; gzip_types *;
    gzip_vary on; gzip_http_version 1.0; gzip_proxied any; }
location /dav/ { alias %(dir)/www/; dav_methods PUT DELETE; expires 1h; }
]]

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

describe("a cache with nginx", function()
    local server

    setup(function()
        server = nginx.start(LOCATIONS)
        os.execute("chmod -R a+rwX " .. support.quote(server.dir))
    end)

    teardown(function()
        server.process:kill()
    end)

    -- The text, how it came, and how many requests nginx has seen for it.
    local function with_client(f, cache)
        support.in_loop(function()
            local client = http.client { cache = cache or true, base_url = server.url }
            f(function(path, opts)
                local before = client:stats().requests
                local res = assert(client:get(path, opts))
                local text = assert(res:text())
                return { text, tostring(res.from_cache), client:stats().requests - before }, res
            end, client)
            client:close()
        end)
    end

    it("goes by Expires and max-age", function()
        write(server.www .. "/page", "one")
        with_client(function(get)
            assert.same({ "one", "nil", 1 }, get "/hour/page")
            assert.same({ "one", "hit", 0 }, get "/hour/page")
            assert.same({ "one", "nil", 1 }, get "/never/page")
            assert.same({ "one", "nil", 1 }, get "/never/page")
            assert.same({ "one", "nil", 1 }, get "/second/page")
            assert.same({ "one", "hit", 0 }, get "/second/page")
            moonwire.sleep(1.1)
            assert.same({ "one", "revalidated", 1 }, get "/second/page")
        end)
    end)

    it("asks by ETag, and takes what is new", function()
        write(server.www .. "/page", "one")
        with_client(function(get)
            get "/old/page"
            local got, res = get "/old/page"
            assert.same({ "one", "revalidated", 1 }, got)
            assert.equal("3", res.headers:get "content-length")
            write(server.www .. "/page", "another")
            assert.same({ "another", "nil", 1 }, get "/old/page")
            assert.same({ "another", "revalidated", 1 }, get "/old/page")
        end)
    end)

    it("keeps a packed body as it came, and apart from the plain one", function()
        write(server.www .. "/long", ("many words "):rep(1000))
        with_client(function(get)
            local packed = { headers = { ["Accept-Encoding"] = "gzip" }, cache = false }
            local sent = get("/packed/long", packed)[1]
            packed.cache = nil
            assert.same({ sent, "nil", 1 }, get("/packed/long", packed))
            assert.same({ sent, "hit", 0 }, get("/packed/long", packed))
            local plain = { headers = { ["Accept-Encoding"] = "identity" } }
            assert.same({ ("many words "):rep(1000), "nil", 1 }, get("/packed/long", plain))
            assert.same({ ("many words "):rep(1000), "hit", 0 }, get("/packed/long", plain))
            assert.same({ sent, "hit", 0 }, get("/packed/long", packed))
        end)
    end)

    it("saves a kept body to a file, too", function()
        local text = ("0123456789"):rep(100000)
        write(server.www .. "/large", text)
        with_client(function(_, client)
            local path = support.temp_dir() .. "/saved"
            for _, how in ipairs { "nil", "hit" } do
                local res = assert(client:get "/hour/large")
                assert.equal(how, tostring(res.from_cache))
                assert(res:save(path))
                local file = assert(io.open(path, "rb"))
                assert.equal(text, file:read "*a")
                file:close()
            end
        end)
    end)

    it("forgets what it changes itself", function()
        with_client(function(get, client)
            assert.equal(201, assert(client:put("/dav/new", { body = "one" })).status)
            get "/dav/new"
            assert.same({ "one", "hit", 0 }, get "/dav/new")
            assert.equal(204, assert(client:put("/dav/new", { body = "two" })).status)
            assert.same({ "two", "nil", 1 }, get "/dav/new")
            assert.equal(204, assert(client:delete "/dav/new").status)
            assert.equal(404, select(2, get "/dav/new").status)
        end)
    end)

    it("in a folder outlasts the client, and survives what happens to its files", function()
        write(server.www .. "/page", "one")
        local path = support.temp_dir() .. "/cache"
        local function open()
            return assert(caches.folder(path, { max_bytes = 1e6 }))
        end
        with_client(function(get)
            assert.same({ "one", "nil", 1 }, get "/hour/page")
        end, open())
        with_client(function(get)
            assert.same({ "one", "hit", 0 }, get "/hour/page")
            for _, word in ipairs { "echo x >", "truncate -s -1", "truncate -s 0", "rm" } do
                os.execute("cd " .. path .. " && for f in *; do " .. word .. " $f; done")
                assert.same({ "one", "nil", 1 }, get "/hour/page", word)
                assert.same({ "one", "hit", 0 }, get "/hour/page", word)
            end
            os.execute("rm -r " .. path)
            assert.same({ "one", "nil", 1 }, get "/hour/page")
            assert.same({ "one", "nil", 1 }, get "/hour/page")
        end, open())
    end)
end)
