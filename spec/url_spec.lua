local url = require "moonwire.url"

describe("url.parse", function()
    local function fields(text, ...)
        local parts = assert(url.parse(text))
        local list = {}
        for i, name in ipairs { ... } do
            list[i] = parts[name] == nil and "-" or tostring(parts[name])
        end
        return table.concat(list, " ")
    end

    it("gives the parts of a URL", function()
        local parts = assert(url.parse("http://me:secret@example.com:8080/a/b?x=1&y#top"))
        assert.same({
            scheme = "http", userinfo = "me:secret", host = "example.com", host_kind = "name",
            port = 8080, path = "/a/b", query = "x=1&y", fragment = "top",
            peer = "example.com", origin = "http://example.com:8080",
            authority = "example.com:8080",
            target = "/a/b?x=1&y", href = "http://example.com:8080/a/b?x=1&y",
        }, parts)
    end)

    local targets = {
        -- url, origin, authority, target
        { "http://example.com", "http://example.com:80", "example.com", "/" },
        { "HTTP://Example.COM:80/A", "http://example.com:80", "example.com", "/A" },
        { "https://example.com:443/", "https://example.com:443", "example.com", "/" },
        { "https://example.com:80/", "https://example.com:80", "example.com:80", "/" },
        { "http://h:/", "http://h:80", "h", "/" },
        { "http://h:0080/", "http://h:80", "h", "/" },
        { "http://h?x", "http://h:80", "h", "/?x" },
        { "http://h#x", "http://h:80", "h", "/" },
        { "http://h/?", "http://h:80", "h", "/?" },
        { "http://@h/", "http://h:80", "h", "/" },
        { "http://h/a@b@c?@", "http://h:80", "h", "/a@b@c?@" },
        { "http://a_b.c-d/", "http://a_b.c-d:80", "a_b.c-d", "/" },
        { "http://example.com./a", "http://example.com:80", "example.com.", "/a" },
        { "http://127.0.0.1:81/", "http://127.0.0.1:81", "127.0.0.1:81", "/" },
        { "http://[::1]:8080/a", "http://[::1]:8080", "[::1]:8080", "/a" },
        { "http://[::FFFF:1.2.3.4]/", "http://[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]", "/" },
        { "http://[fe80::1%25eth0]/", "http://[fe80::1%25eth0]:80", "[fe80::1]", "/" },
        -- dot segments (RFC 3986 section 5.2.4)
        { "http://h/a/b/c/./../../g", "http://h:80", "h", "/a/g" },
        { "http://h/../../a/..", "http://h:80", "h", "/" },
        { "http://h/a/b/..", "http://h:80", "h", "/a/" },
        { "http://h/a/b/.", "http://h:80", "h", "/a/b/" },
        { "http://h/.", "http://h:80", "h", "/" },
        { "http://h/...", "http://h:80", "h", "/..." },
        { "http://h/.a/..b", "http://h:80", "h", "/.a/..b" },
        { "http://h//a//../b", "http://h:80", "h", "//a/b" },
        { "http://h/a?b/../c", "http://h:80", "h", "/a?b/../c" },
        -- what is escaped stays; what may not stand there is escaped
        { "http://h/%E2%82%AC%2f%2e%2e/a", "http://h:80", "h", "/%E2%82%AC%2f%2e%2e/a" },
        { "http://h/stra\195\159e?q=\195\188", "http://h:80", "h", "/stra%C3%9Fe?q=%C3%BC" },
        { "http://h/\255", "http://h:80", "h", "/%FF" },
        { "http://h/[1]?x[]=1&y={z}|w^`\"<>", "http://h:80", "h",
            "/%5B1%5D?x%5B%5D=1&y=%7Bz%7D%7Cw%5E%60%22%3C%3E" },
    }
    for _, case in ipairs(targets) do
        it("reads " .. case[1], function()
            assert.equal(table.concat(case, " ", 2),
                fields(case[1], "origin", "authority", "target"))
        end)
    end

    it("leaves dot segments where they are wanted", function()
        assert.equal("/a/../b/./%2e%2e?x", url.parse("http://h/a/../b/./%2e%2e?x", true).target)
    end)

    it("keeps the zone for connecting and out of the Host field", function()
        assert.equal("fe80::1%eth0 ipv6 eth0",
            fields("http://[fe80::1%25eth0]/", "host", "host_kind", "zone"))
    end)

    -- UTS 46, non-transitional: lower case, and a sharp s stays one
    local international = {
        { "http://B\195\156cher.DE:81/\195\188", "http://xn--bcher-kva.de:81",
            "xn--bcher-kva.de:81", "/%C3%BC" },
        { "http://fa\195\159.de", "http://xn--fa-hia.de:80", "xn--fa-hia.de", "/" },
        { "http://\195\188.example./", "http://xn--tda.example:80", "xn--tda.example.", "/" },
        { "https://\230\151\165\230\156\172.jp", "https://xn--wgv71a.jp:443",
            "xn--wgv71a.jp", "/" },
        { "http://a\227\128\130FOO.\195\169/", "http://a.foo.xn--9ca:80", "a.foo.xn--9ca", "/" },
        { "http://u:p@\195\169.fr/", "http://xn--9ca.fr:80", "xn--9ca.fr", "/" },
        { "http://XN--9CA.fr/", "http://xn--9ca.fr:80", "xn--9ca.fr", "/" },
    }
    for _, case in ipairs(international) do
        it("gives the xn-- form of " .. case[1], function()
            assert.equal(table.concat(case, " ", 2),
                fields(case[1], "origin", "authority", "target"))
        end)
    end

    it("keeps the dot of the DNS root for the lookup alone", function()
        assert.equal("example.com. example.com http://example.com:80",
            fields("http://example.com./", "host", "peer", "origin"))
    end)

    it("says what kind of host it is", function()
        assert.equal("name", fields("http://a1.b/", "host_kind"))
        assert.equal("ipv4", fields("http://10.0.0.1/", "host_kind"))
        assert.equal("ipv6", fields("http://[::]/", "host_kind"))
    end)

    it("leaves credentials out of what is fit for a log", function()
        assert.equal("http://h:81/x", fields("http://me:secret@h:81/x#y", "href"))
    end)

    local refused = {
        { "", "empty" },
        { "example.com/path", "did you mean http://example.com/path?" },
        { "//example.com/", "did you mean http://example.com/?" },
        { "localhost:8080/x", "did you mean http://localhost:8080/x?" },
        { "me:secret@host:80/", "scheme" },
        { "ftp://h/", "\"ftp\" is not http or https" },
        { "httpx://h/", "not http or https" },
        { "mailto:a@b", "not http or https" },
        { "http:/path", "no \"//\"" },
        { "http:path", "no \"//\"" },
        { "http://", "no host" },
        { "http:///path", "no host" },
        { "http://?x", "no host" },
        { "http://:80/", "no host" },
        { "http://u:p@/", "no host" },
        { "http://a b/", "byte 9 is a space" },
        { "http://h/a b", "byte 11 is a space" },
        { " http://h/", "byte 1 is a space" },
        { "http://h\\@evil/", "backslash" },
        { "http://h/\r\nX: y", "0x0d" },
        { "http://h/\n", "0x0a" },
        { "http://h/\t", "0x09" },
        { "http://h/\0", "0x00" },
        { "http://h/\127", "0x7f" },
        { "http://a@b@c/", "two '@'" },
        { "http://a@b#@c/", nil }, -- the second '@' is in the fragment
        { "http://h%2fx/", "percent-encoded" },
        { "http://h%40x/", "percent-encoded" },
        { "http://b\252cher.de/", "no form in ASCII: string encoding error" },
        { "http://\226\152\131.net/", "no form in ASCII" }, -- a snowman
        { "http://xn--a.\195\188/", "no form in ASCII" },
        { "http://-\195\188/", "no form in ASCII" },
        { "http://a\226\128\141b/", "no form in ASCII" }, -- a zero width joiner
        { "http://a\239\188\143b/", "'/'" }, -- a full-width slash
        { "http://\226\132\128.de/", "'/'" }, -- one character that means "a/c"
        { "http://a\239\188\160b/", "'@'" }, -- a full-width at sign
        { "http://\194\173/", "no name that could exist" }, -- a soft hyphen, which is nothing
        { "http://\195\188..de/", "0 bytes between its dots" },
        { "http://\195\188%2f/", "no form in ASCII" },
        { "http://\239\188\145.0.0.1/", "IPv4 address in digits of another script" },
        { "http://\239\188\145\239\188\146.1/", "four decimal parts" }, -- "12" full-width
        { "http://" .. ("\195\188"):rep(60) .. "/", "no form in ASCII" }, -- too long a label
        { "http://" .. ("\195\188."):rep(40) .. "/", "no form in ASCII" },
        { "http://" .. ("\195\188"):rep(600) .. "/", "no name that could exist" },
        { "http://a!b/", "'!'" },
        { "http://a;b/", "';'" },
        { "http://a..b/", "0 bytes between its dots" },
        { "http://.a/", "0 bytes between its dots" },
        { "http://./", "no name that could exist" },
        { "http://" .. ("a"):rep(64) .. "/", "64 bytes between its dots" },
        { "http://" .. ("a."):rep(130) .. "b/", "no name that could exist" },
        { "http://h:65536/", "above 65535" },
        { "http://h:99999999999999999999/", "above 65535" },
        { "http://h:0/", "no port 0" },
        { "http://h:8a/", "not a number" },
        { "http://h:-1/", "not a number" },
        { "http://::1:80/", "brackets" },
        { "http://[::1/", "']'" },
        { "http://[::1]x/", "between ']' and the port" },
        { "http://[]/", "not an IPv6 address" },
        { "http://[zz]/", "not an IPv6 address" },
        { "http://[v1.a]/", "not an IPv6 address" },
        { "http://[1::2::3]/", "not an IPv6 address" },
        { "http://[::1%25]/", "zone" },
        { "http://[::1%25a/b]/", "']'" },
        { "http://[::1%25a%41]/", "zone" },
        { "http://127.1/", "four decimal parts" },
        { "http://0x7f.1/", "four decimal parts" },
        { "http://017700000001/", "four decimal parts" },
        { "http://0x7f000001/", "four decimal parts" },
        { "http://256.1.1.1/", "four decimal parts" },
        { "http://1.2.3.4.5/", "four decimal parts" },
        { "http://010.0.0.1/", "four decimal parts" },
        { "http://127.0.0.1./", "dot behind" },
        { "http://h/%zz", "without two hex digits" },
        { "http://h/%4", "without two hex digits" },
        { "http://h/" .. ("x"):rep(65536), "longer than 65536" },
    }
    for _, case in ipairs(refused) do
        local shown = case[1]:sub(1, 40):gsub("[%z\1-\31\127]", "?")
        it((case[2] and "refuses " or "takes ") .. shown, function()
            local parts, message = url.parse(case[1])
            if not case[2] then
                return assert.is_table(parts)
            end
            assert.is_nil(parts)
            assert.is_truthy(message:find(case[2], 1, true), message)
            assert.is_nil(message:find("secret", 1, true))
        end)
    end

    it("reads very long URLs", function()
        local long = ("a/"):rep(32000)
        assert.equal("/" .. long, fields("http://h/" .. long, "path"))
        assert.equal("/?" .. ("%C3%BC"):rep(20000),
            fields("http://h/?" .. ("\195\188"):rep(20000), "target"))
        assert.equal("/", fields("http://h/" .. ("a/../"):rep(10000), "path"))
    end)

    it("never fails in another way, whatever it is given", function()
        math.randomseed(7)
        local pieces = { "http", "://", "/", "?", "#", "@", ":", "[", "]", "%41", "%", "..", ".",
            "h", "1", "::", "\195\188", " ", "\\", "-", "0x", "25" }
        for _ = 1, 20000 do
            local text = math.random(3) == 1 and "" or "http://"
            for _ = 1, math.random(8) do
                text = text .. pieces[math.random(#pieces)]
            end
            local parts, message = url.parse(text)
            if parts then
                assert.is_nil(parts.target:find("[^\33-\126]"), text)
                assert.is_nil(parts.authority:find("[^%w%.%-_:%[%]]"), text)
                local again = assert(url.parse(parts.href), text)
                assert.equal(parts.href, again.href)
            else
                assert.is_true(type(message) == "string" and #message > 0 and #message < 192)
            end
        end
    end)

    it("raises on what is no string", function()
        assert.has_error(function() url.parse() end,
            "bad argument 'url' (string expected, got nil)")
    end)
end)

describe("url.resolve", function()
    -- RFC 3986 section 5.4
    local base = "http://a/b/c/d;p?q"
    local examples = {
        ["g:h"] = "g:h", ["g"] = "http://a/b/c/g", ["./g"] = "http://a/b/c/g",
        ["g/"] = "http://a/b/c/g/", ["/g"] = "http://a/g", ["//g"] = "http://g",
        ["?y"] = "http://a/b/c/d;p?y", ["g?y"] = "http://a/b/c/g?y",
        ["#s"] = "http://a/b/c/d;p?q#s", ["g#s"] = "http://a/b/c/g#s",
        ["g?y#s"] = "http://a/b/c/g?y#s", [";x"] = "http://a/b/c/;x",
        ["g;x"] = "http://a/b/c/g;x", ["g;x?y#s"] = "http://a/b/c/g;x?y#s",
        [""] = "http://a/b/c/d;p?q", ["."] = "http://a/b/c/", ["./"] = "http://a/b/c/",
        [".."] = "http://a/b/", ["../"] = "http://a/b/", ["../g"] = "http://a/b/g",
        ["../.."] = "http://a/", ["../../"] = "http://a/", ["../../g"] = "http://a/g",
        ["../../../g"] = "http://a/g", ["../../../../g"] = "http://a/g",
        ["/./g"] = "http://a/g", ["/../g"] = "http://a/g", ["g."] = "http://a/b/c/g.",
        [".g"] = "http://a/b/c/.g", ["g.."] = "http://a/b/c/g..", ["..g"] = "http://a/b/c/..g",
        ["./../g"] = "http://a/b/g", ["./g/."] = "http://a/b/c/g/",
        ["g/./h"] = "http://a/b/c/g/h", ["g/../h"] = "http://a/b/c/h",
        ["g;x=1/./y"] = "http://a/b/c/g;x=1/y", ["g;x=1/../y"] = "http://a/b/c/y",
        ["g?y/./x"] = "http://a/b/c/g?y/./x", ["g?y/../x"] = "http://a/b/c/g?y/../x",
        ["g#s/./x"] = "http://a/b/c/g#s/./x", ["http:g"] = "http:g",
    }
    for reference, expected in pairs(examples) do
        it(("resolves %q"):format(reference), function()
            assert.equal(expected, url.resolve(base, reference))
        end)
    end

    it("escapes what may not stand in a URL", function()
        assert.equal("http://h:81/a/%C3%A9?%5B1%5D",
            url.resolve("http://h:81/a/b?c#d", "\195\169?[1]"))
    end)

    it("reads hosts in other scripts than ASCII", function()
        assert.equal("http://xn--9ca.fr:81/x", url.resolve("http://a/", "//\195\169.fr:81/x"))
        assert.equal("http://u@xn--9ca.fr/?\37C3%A9",
            url.resolve("http://a/b", "http://u@\195\169.fr/?\195\169"))
        assert.equal("http://xn--bcher-kva.de/b", url.resolve("http://b\195\188cher.de/a", "b"))
        local none, message = url.resolve("http://a/", "//\226\152\131/")
        assert.is_nil(none)
        assert.matches("no form in ASCII", message, 1, true)
    end)

    it("refuses bad references and bases", function()
        for _, case in ipairs {
            { base, "a b" }, { base, "/\r\nX: y" }, { base, "http://[/" }, { "b/c", "x" },
            { "", "x" },
            { base, ("x"):rep(70000) },
        } do
            local result, message = url.resolve(case[1], case[2])
            assert.is_nil(result)
            assert.is_string(message)
        end
        assert.has_error(function() url.resolve(base) end)
        assert.has_error(function() url.resolve(nil, "x") end)
    end)
end)

describe("url.query", function()
    it("encodes names in a stable order, arrays by repetition", function()
        assert.equal("a=1&b=1&b=2&b=x+y&c=true&d=1.5&e=12345678901234&%C3%A9%26=%3D%2B",
            url.query { ["\195\169&"] = "=+", b = { 1, 2, "x y" }, a = 1, c = true, d = 1.5,
                e = 12345678901234, none = {} })
    end)

    it("writes a list of pairs as it stands", function()
        assert.equal("b=1&a=2&b=3", url.query { { "b", "1" }, { "a", 2 }, { "b", { 3 } } })
    end)

    it("keeps what a form keeps and escapes the rest", function()
        assert.equal("x=aZ09*-._%7E%0D%0A%25", url.query { x = "aZ09*-._~\r\n%" })
        assert.equal("", url.query {})
    end)

    it("raises on what has no form", function()
        assert.has_error(function() url.query "a=b" end)
        assert.has_error(function() url.query { a = print } end)
        assert.has_error(function() url.query { a = { {} } } end)
        assert.has_error(function() url.query { "a" } end)
        assert.has_error(function() url.query { [true] = 1 } end)
        assert.has_error(function() url.query { { 1, 2 } } end)
    end)
end)

describe("url.escape and url.unescape", function()
    it("go there and back", function()
        local all = {}
        for byte = 0, 255 do
            all[#all + 1] = string.char(byte)
        end
        local text = table.concat(all)
        assert.equal(text, url.unescape(url.escape(text)))
        assert.equal("a%2Fb%20%C3%BC~", url.escape("a/b \195\188~"))
        assert.equal("100%", url.unescape("100%"))
    end)
end)
