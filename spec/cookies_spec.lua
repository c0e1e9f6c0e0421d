local cookies = require "moonwire.cookies"
local headers = require "moonwire.headers"
local urls = require "moonwire.url"

local YEAR = 365 * 24 * 3600

describe("a cookie jar", function()
    local jar, time

    before_each(function()
        time = 1000000000
        jar = cookies.jar { now = function() return time end }
    end)

    -- Sets cookies from a URL; all must be taken.
    local function set(url, ...)
        for _, field in ipairs { ... } do
            assert(jar:set(url, field))
        end
    end

    local function refuses(url, field, why)
        local kept, problem = jar:set(url, field)
        assert.is_nil(kept, field)
        assert.matches(why, problem, 1, true)
    end

    it("sends back what was set, to that host only", function()
        set("http://www.example.com/", "a=1", "b=two words")
        assert.equal("a=1; b=two words", jar:header "http://www.example.com/")
        assert.equal("a=1; b=two words", jar:header "https://WWW.example.com.:8443/x?y")
        assert.is_nil(jar:header "http://example.com/")
        assert.is_nil(jar:header "http://a.www.example.com/")
        assert.is_nil(jar:header "http://other/")
    end)

    it("sends those of a domain to all below it, and to no neighbour", function()
        set("http://www.example.com/", "a=1; Domain=example.com", "b=2; Domain=.EXAMPLE.com.")
        for _, host in ipairs { "example.com", "www.example.com", "x.y.example.com" } do
            assert.equal("a=1; b=2", jar:header("http://" .. host .. "/"))
        end
        for _, host in ipairs { "badexample.com", "example.com.evil.com", "com", "example.org" } do
            assert.is_nil(jar:header("http://" .. host .. "/"))
        end
    end)

    it("takes no domain but that of the host", function()
        for _, domain in ipairs { "other.com", "a.www.example.com", "ww.example.com", "ample.com",
            "www.example.com:80", "me@example.com", "example.com/x", "..", "%65xample.com" } do
            refuses("http://www.example.com/", "a=1; Domain=" .. domain, "that of the host")
        end
        assert.same({}, jar:all())
    end)

    it("takes no public suffix, however it is written", function()
        for _, domain in ipairs { "co.uk", "CO.UK", ".co.uk", "co.uk.", ".Co.uK.", "uk" } do
            refuses("http://www.example.co.uk/", "a=1; Domain=" .. domain, "public suffix")
        end
        refuses("http://me.github.io/", "a=1; Domain=github.io", "public suffix")
        refuses("http://a.b/", "a=1; Domain=b", "public suffix")
        refuses("http://x.\229\133\172\229\143\184.cn/", "a=1; Domain=\229\133\172\229\143\184.cn",
            "public suffix")
        refuses("http://x.xn--55qx5d.cn/", "a=1; Domain=XN--55QX5D.cn", "public suffix")
        set("http://www.example.co.uk/", "a=1; Domain=example.co.uk")
    end)

    it("keeps a cookie of a host that is a public suffix for that host", function()
        for _, host in ipairs { "github.io", "localhost" } do
            set("http://" .. host .. "/", "a=1; Domain=" .. host)
            assert.equal("a=1", jar:header("http://" .. host .. "/"))
            assert.is_nil(jar:header("http://me." .. host .. "/"))
        end
    end)

    it("knows international names in both forms", function()
        set("http://www.b\195\188cher.de/", "a=1; Domain=B\195\156cher.de")
        assert.equal("a=1", jar:header "http://xn--bcher-kva.de/")
        assert.equal("xn--bcher-kva.de", jar:all()[1].domain)
    end)

    it("has no domains of addresses", function()
        set("http://127.0.0.1/", "a=1; Domain=127.0.0.1")
        refuses("http://127.0.0.1/", "b=1; Domain=0.0.1", "that of the host")
        refuses("http://127.0.0.1/", "b=1; Domain=.1", "that of the host")
        assert.equal("a=1", jar:header "http://127.0.0.1:82/")
    end)

    it("knows IPv6 addresses as URLs have them, with their zones", function()
        refuses("http://[::1]/", "a=1; Domain=[::1]", "that of the host")
        set("http://[::1]/", "a=1; Domain=::1", "b=2")
        set("http://[fe80::1%25eth0]/", "c=3")
        assert.equal("a=1; b=2", jar:header "http://[::1]:8080/")
        assert.equal("c=3", jar:header "http://[fe80::1%25eth0]/")
        assert.is_nil(jar:header "http://[fe80::1%25eth1]/")
    end)

    it("knows paths: the given one, or that of the request up to its last slash", function()
        set("http://h/dir/page?x=/y/", "a=1", "b=2; Path=relative", "c=3; Path=")
        set("http://h/dir/page", "d=4; Path=/", "e=5; Path=/dir/sub/", "f=6; Path=/di")
        assert.equal("a=1; b=2; c=3; d=4", jar:header "http://h/dir")
        assert.equal("e=5; a=1; b=2; c=3; d=4", jar:header "http://h/dir/sub/x")
        assert.equal("a=1; b=2; c=3; d=4", jar:header "http://h/dir/sub")
        assert.equal("d=4", jar:header "http://h/directory")
        assert.equal("f=6; d=4", jar:header "http://h/di")
        assert.equal("d=4", jar:header "http://h")
    end)

    it("replaces the same cookie in its place, and keeps those that differ apart", function()
        set("http://www.a.com/", "x=1", "y=2", "x=3", "x=4; Domain=www.a.com", "x=5; Path=/p")
        assert.equal("x=3; y=2; x=4", jar:header "http://www.a.com/")
        assert.equal("x=5; x=3; y=2; x=4", jar:header "http://www.a.com/p")
        assert.equal("x=4", jar:header "http://b.www.a.com/")
    end)

    it("lets cookies expire", function()
        set("http://h/", "a=1; Max-Age=10", "b=2; Expires=Sun, 09 Sep 2001 01:47:00 GMT", "c=3",
            "d=4; Max-Age=5; Expires=Wed, 01 Jan 2031 00:00:00 GMT",
            "e=5; Max-Age=x; Expires=never", "f=6; max-age=+9; EXPIRES=09-sep-01 1:46:41")
        assert.equal("a=1; b=2; c=3; d=4; e=5; f=6", jar:header "http://h/")
        time = time + 1
        assert.equal("a=1; b=2; c=3; d=4; e=5", jar:header "http://h/")
        time = time + 4
        assert.equal("a=1; b=2; c=3; e=5", jar:header "http://h/")
        time = time + 5
        assert.equal("b=2; c=3; e=5", jar:header "http://h/")
        time = time + 10
        assert.equal("c=3; e=5", jar:header "http://h/")
        assert.equal(2, #jar:all())
    end)

    it("drops a cookie that is set with a time gone by", function()
        set("http://h/", "a=1", "b=2", "c=3", "a=; Max-Age=0", "b=; Max-Age=-99999999999999999999",
            "c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "d=4; Max-Age=0")
        assert.is_nil(jar:header "http://h/")
        assert.same({}, jar:all())
    end)

    it("keeps none for more than 400 days", function()
        set("http://h/", "a=1; Max-Age=99999999999999999999", "b=2; Expires=1 jan 9999 0:0:0")
        for _, cookie in ipairs(jar:all()) do
            assert.equal(time + 400 * 24 * 3600, cookie.expires)
        end
        time = time + 2 * YEAR
        assert.same({}, jar:all())
    end)

    it("sends a Secure cookie with https only, and takes it from nowhere else", function()
        set("https://h/", "a=1; Secure", "b=2")
        assert.equal("a=1; b=2", jar:header "https://h/")
        assert.equal("b=2", jar:header "http://h/")
        refuses("http://h/", "c=3; Secure", "came without TLS")
    end)

    it("doesn't let http put a cookie in the way of a Secure one", function()
        set("https://www.a.com/login/in", "a=1; Secure; Domain=a.com; Path=/login")
        refuses("http://www.a.com/", "a=2; Path=/login", "a Secure cookie has that name")
        refuses("http://www.a.com/", "a=2; Path=/login/en", "a Secure cookie has that name")
        refuses("http://a.com/", "a=2; Domain=a.com; Path=/login", "a Secure cookie has that name")
        set("http://www.a.com/", "a=2; Path=/", "b=1; Path=/login")
        set("http://other.com/", "a=2; Path=/login")
        assert.equal("a=1; a=2", jar:header("https://www.a.com/login", { b = true }))
        set("https://www.a.com/", "a=3; Domain=a.com; Path=/login") -- https may
        assert.equal("a=3", jar:header("http://a.com/login"))
    end)

    it("holds a name to its promise", function()
        refuses("https://a.com/", "__Secure-a=1", "promises")
        refuses("https://a.com/", "__SECURE-a=1", "promises")
        refuses("https://a.com/", "__Host-a=1; Path=/", "promises")
        refuses("https://a.com/", "__host-a=1; Secure", "promises")
        refuses("https://a.com/", "__Host-a=1; Secure; Path=/x", "promises")
        refuses("https://a.com/", "__Host-a=1; Secure; Path=/; Domain=a.com", "promises")
        refuses("http://a.com/", "__Host-a=1; Secure; Path=/", "TLS")
        set("https://a.com/", "__Secure-a=1; Secure; Domain=a.com", "__Host-b=2; Secure; Path=/")
        assert.equal("__Secure-a=1; __Host-b=2", jar:header "https://a.com/")
    end)

    it("tells what else was said", function()
        set("https://h/", "a=1; HttpOnly; SameSite=strict; Secure", "b=2; samesite=NONE",
            "c=3; SameSite=Odd; SameSite=Lax; Unknown=x; ;=;")
        local all = jar:all()
        assert.same({ name = "a", value = "1", domain = "h", host_only = true, path = "/",
            secure = true, http_only = true, same_site = "Strict" }, all[1])
        assert.equal("None", all[2].same_site)
        assert.equal("Lax", all[3].same_site)
        assert.is_false(all[3].http_only)
    end)

    it("changes nothing in a value, and takes a field apart as servers mean it", function()
        set("http://h/", "a=%20%3B\"x\"=y, z", " b \t=\t 2\t ", "c=", "d=\195\169;Path", "e==;")
        assert.equal("a=%20%3B\"x\"=y, z; b=2; c=; d=\195\169; e==", jar:header "http://h/")
        assert.equal("%20%3B\"x\"=y, z", jar:get("http://h/", "a"))
        assert.equal("", jar:get("http://h/", "c"))
        assert.is_nil(jar:get("http://h/", "A"))
        for _, field in ipairs { "", "a", ";", "=1", " = ", "a; b=1", "=" } do
            refuses("http://h/", field, "name")
        end
    end)

    it("takes a cookie away by name", function()
        set("http://www.a.com/", "x=1", "x=2; Domain=a.com", "x=3; Path=/p", "y=4")
        set("http://a.com/", "x=5")
        assert.equal(3, jar:remove("http://www.a.com/", "x"))
        assert.equal("y=4", jar:header "http://www.a.com/p")
        assert.equal("x=5", jar:header "http://a.com/")
        assert.equal(0, jar:remove("http://www.a.com/", "x"))
        jar:clear()
        assert.same({}, jar:all())
        set("http://h/", "x=1")
        assert.equal("x=1", jar:header "http://h/")
    end)

    it("takes the fields of a response, and URLs taken apart", function()
        local place = assert(urls.parse "http://h/")
        local list = headers.new { { "Set-Cookie", "a=1" }, { "X", "y" }, { "set-cookie", "bad" },
            { "SET-COOKIE", "b=2" } }
        assert.equal(2, jar:receive(place, list))
        assert.equal("a=1; b=2", jar:header(place))
        assert.equal("b=2", jar:header(place, { a = true }))
    end)

    it("raises on wrong arguments", function()
        local wrong = {
            { "'url' (string expected, got nil)", jar.set, jar, nil, "a=1" },
            { "'url' (it has no scheme", jar.header, jar, "h/" },
            { "'url' (the scheme \"ftp\"", jar.get, jar, "ftp://h/", "a" },
            { "'value' (string expected", jar.set, jar, "http://h/" },
            { "'name' (string expected", jar.get, jar, "http://h/" },
            { "'name' (string expected", jar.remove, jar, "http://h/" },
            { "'path' (string expected", jar.save, jar },
            { "'path' (it is empty, or has a byte 0)", jar.save, jar, "a\0b" },
            { "'path' (it is empty, or has a byte 0)", jar.load, jar, "" },
            { "unknown option 'limit' (known: now)", cookies.jar, { limit = 1 } },
            { "'now' (function expected", cookies.jar, { now = 1 } },
            { "'opts' (table expected", cookies.jar, "x" },
        }
        for _, case in ipairs(wrong) do
            local ok, problem = pcall(case[2], unpack(case, 3, 5))
            assert.is_false(ok)
            assert.matches(case[1], problem, 1, true)
        end
    end)

    it("uses the system's clock by itself", function()
        local own = cookies.jar()
        assert(own:set("http://h/", "a=1; Max-Age=100"))
        assert.is_true(math.abs(own:all()[1].expires - os.time() - 100) < 5)
    end)

    it("never fails in another way, whatever it is given", function()
        math.randomseed(11)
        local pieces = { "a", "=", ";", " ", "\t", "Domain", "h.example.com", ".", "example.com",
            "Path", "/", "Max-Age", "-", "9", "Expires", "1 jan 2030 1:2:3", "Secure", "__Host-",
            "\"", "%", "\195\188", "\0", "\r\n", ",", ("x"):rep(2000), "SameSite", "[::1]" }
        local places = { "http://h.example.com/a/b", "https://h.example.com/", "http://127.0.0.1/",
            "https://[::1]/x" }
        for _ = 1, 2000 do
            local field = {}
            for i = 1, math.random(10) do
                field[i] = pieces[math.random(#pieces)]
            end
            local place = places[math.random(#places)]
            local kept, problem = jar:set(place, table.concat(field))
            assert.is_true(kept or type(problem) == "string")
            local sent = jar:header(place)
            if sent then
                assert.is_nil(sent:find "[%z\1-\31\127]")
                assert.is_true(#sent <= 8190)
            end
        end
    end)
end)

describe("a cookie jar without a list of public suffixes", function()
    local core = require "moonwire.core"
    local loaded, real = {}, core.public_suffixes

    setup(function()
        core.public_suffixes = function() end
        for name in pairs(package.loaded) do
            if name:find "^moonwire%.cookies" then
                loaded[name], package.loaded[name] = package.loaded[name], nil
            end
        end
    end)

    teardown(function()
        core.public_suffixes = real
        for name, module in pairs(loaded) do
            package.loaded[name] = module
        end
    end)

    it("takes names of two parts for one", function()
        local jar = require("moonwire.cookies").jar()
        assert.is_nil(jar:set("http://www.example.com/", "a=1; Domain=example.com"))
        assert.is_nil(jar:set("http://www.example.com/", "a=1; Domain=com"))
        assert(jar:set("http://example.com/", "a=1; Domain=example.com"))
        assert.is_nil(jar:header "http://www.example.com/")
        assert(jar:set("http://x.shop.example.com/", "a=1; Domain=shop.example.com"))
        assert.equal("a=1", jar:header "http://shop.example.com/")
    end)
end)
