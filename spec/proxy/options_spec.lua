local options = require "moonwire.proxy.options"

local function environment(variables)
    return options.from_environment(function(name)
        return variables[name]
    end)
end

-- The label of the proxy for a URL's parts: "-" where there is none.
local function chosen(rules, scheme, host, port)
    if not rules then
        return "-"
    end
    local proxy, problem = options.choose(rules, scheme, host or "a.example", port or 80)
    return problem or proxy and proxy.label or "-"
end

describe("a proxy's URL", function()
    for text, label in pairs {
        ["http://p"] = "http://p:80", ["https://p"] = "https://p:443", ["socks5://p"] =
            "socks5://p:1080", ["socks5h://p/"] = "socks5h://p:1080", ["HTTP://P:3128"] =
            "http://p:3128", ["socks5://p:80"] = "socks5://p:80", ["https://p:80"] = "https://p:80",
        ["http://[::1]:81"] = "http://[::1]:81", ["http://10.0.0.1:81"] = "http://10.0.0.1:81",
        ["http://u:secret@p:81"] = "http://p:81",
    } do
        it(text .. " is " .. label, function()
            assert.equal(label, assert(options.parse(text)).label)
        end)
    end

    for text, words in pairs {
        ["p:3128"] = "socks5h://host:port expected", [""] = "expected", ["ftp://p"] = "expected",
        ["socks4://p"] = "expected", ["http://"] = "", ["http://p:0x"] = "",
        ["http://p:99999"] = "",
        ["http://p/path"] = "more behind the port", ["http://p?x"] = "more behind the port",
        ["http://p#x"] = "more behind the port", ["http://p q"] = "",
        ["socks5://:pw@p"] = "room for a user",
        ["socks5://u:" .. ("x"):rep(256) .. "@p"] = "room for a user",
        ["http://us\ter:secret@p"] = "",
    } do
        it(("%q is none, and why is said without secrets"):format(text), function()
            local proxy, problem = options.parse(text)
            assert.is_nil(proxy)
            assert.truthy(problem:find(words, 1, true), problem)
            assert.is_nil(problem:find("secret", 1, true))
        end)
    end

    it("has credentials that are decoded, and Basic for http", function()
        local proxy = options.parse "http://us%20er:p%3Aw@p"
        assert.equal("us er", proxy.user)
        assert.equal("p:w", proxy.password)
        assert.equal("Basic dXMgZXI6cDp3", proxy.headers:get "proxy-authorization")
        proxy = options.parse "socks5://u:p%C3%A9@p"
        assert.is_nil(proxy.headers)
        assert.equal("p\195\169", proxy.password)
        for _, text in ipairs { "http://@p", "http://:@p", "http://p" } do
            assert.is_nil(options.parse(text).headers)
        end
        assert.equal("Basic dTo=", options.parse("http://u@p").headers:get "proxy-authorization")
    end)

    it("is one secret with the same credentials, another with others", function()
        local seen = {}
        for _, text in ipairs { "http://p", "http://u@p", "http://u:@p", "http://u:v@p",
            "http://uv@p", "http://:uv@p", "http://q" } do
            local secret = options.parse(text).secret
            seen[secret] = (seen[secret] or "") .. text .. " "
        end
        assert.equal("http://p http://q ", seen[""])
        local count = 0
        for _ in pairs(seen) do
            count = count + 1
        end
        assert.equal(5, count) -- u and u: are the same
    end)
end)

describe("the option proxy", function()
    it("is one proxy for all", function()
        local rules = options.check("http://p:1", 1)
        assert.equal("http://p:1", chosen(rules, "http"))
        assert.equal("http://p:1", chosen(rules, "https"))
        assert.equal("http://p:1", chosen(rules, "http", "127.0.0.1")) -- it is what was said
    end)

    it("is one for each scheme, and none for some hosts", function()
        local rules = options.check({ url = "http://p:1", https = "socks5h://q:2",
            no_proxy = "b.example,10.0.0.0/8,c.example:81" }, 1)
        assert.equal("http://p:1", chosen(rules, "http"))
        assert.equal("socks5h://q:2", chosen(rules, "https"))
        assert.equal("-", chosen(rules, "http", "b.example"))
        assert.equal("-", chosen(rules, "https", "10.9.9.9"))
        assert.equal("-", chosen(rules, "https", "c.example", 81))
        assert.equal("socks5h://q:2", chosen(rules, "https", "c.example", 82))
        assert.equal("http://p:1", chosen(rules, "http", "localhost"))
        rules = options.check({ url = "http://p:1", http = false }, 1)
        assert.equal("-", chosen(rules, "http"))
        assert.equal("http://p:1", chosen(rules, "https"))
        assert.equal("-", chosen(options.check({ https = "http://p:1" }, 1), "http"))
    end)

    it("has headers, which may hold the credentials", function()
        local rules = options.check({ url = "http://u:p@p:1", headers = { ["X-A"] = "b" } }, 1)
        assert.equal("b", rules.http.headers:get "x-a")
        assert.equal("Basic dTpw", rules.http.headers:get "proxy-authorization")
        rules = options.check({ url = "http://u:p@p:1",
            headers = { ["Proxy-Authorization"] = "Bearer x" } }, 1)
        assert.same({ "Bearer x" }, rules.http.headers:get_all "proxy-authorization")
    end)

    for problem, value in pairs {
        ["bad argument 'proxy' (URL, table, \"environment\" or false expected, got true)"] = true,
        ["bad argument 'proxy' (URL, table, \"environment\" or false expected, got 7)"] = 7,
        ["bad argument 'proxy' (http://, https://, socks5:// or socks5h://host:port expected)"] =
            "p:3128",
        ["bad argument 'proxy.http' (http://, https://, socks5:// or socks5h://host:port expected)"]
            = { http = "x" },
        ["bad argument 'proxy.url' (string, such as \"http://host:3128\" expected, got false)"] =
            { url = false },
        ["bad argument 'proxy' (there is no url, http or https in it)"] = { no_proxy = "a" },
        ["unknown option 'proxy.uri' (known: headers http https no_proxy tls url)"] = { uri = "x" },
        ["bad argument 'proxy.no_proxy' (string expected, got table)"] =
            { url = "http://p", no_proxy = { "a" } },
        ["bad argument 'proxy.no_proxy' ('10.*' is none of: *, host, host:port, .domain, *.domain,"
            .. " address, network/bits)"] = { url = "http://p", no_proxy = "10.*" },
        ["bad argument 'proxy.tls' (table expected, got boolean)"] =
            { url = "https://p", tls = true },
        ["bad argument 'proxy.headers' (Host says where the request goes, and isn't the proxy's)"] =
            { url = "http://p", headers = { Host = "x" } },
        ["bad header \"content-length\": moonwire sets it itself; it comes from the body; a"
            .. " function's is given by body.generator"] =
            { url = "http://p", headers = { ["Content-Length"] = "3" } },
    } do
        it("is refused: " .. problem, function()
            local function level_two()
                options.check(value, 2)
            end
            local ok, got = pcall(function()
                level_two() -- the line that is named
            end)
            assert.is_false(ok)
            assert.equal(problem, (got:gsub("^.-:%d+: ", "")))
            assert.truthy(got:find("^spec/proxy/options_spec.lua:"), got)
        end)
    end
end)

describe("the environment", function()
    it("says nothing where nothing is set", function()
        assert.is_false(environment {})
        assert.is_false(environment { http_proxy = "", NO_PROXY = "a" })
    end)

    -- variables, the proxy for http, the proxy for https
    for _, case in ipairs {
        { { http_proxy = "http://p:1" }, "http://p:1", "-" },
        { { HTTP_PROXY = "http://p:1" }, "-", "-" }, -- CVE-2016-5386
        { { https_proxy = "http://p:1" }, "-", "http://p:1" },
        { { HTTPS_PROXY = "http://p:1" }, "-", "http://p:1" },
        { { https_proxy = "http://p:1", HTTPS_PROXY = "http://q:2" }, "-", "http://p:1" },
        { { https_proxy = "", HTTPS_PROXY = "http://q:2" }, "-", "http://q:2" },
        { { all_proxy = "socks5h://p" }, "socks5h://p:1080", "socks5h://p:1080" },
        { { ALL_PROXY = "socks5h://p" }, "socks5h://p:1080", "socks5h://p:1080" },
        { { ALL_PROXY = "http://p:1", http_proxy = "http://q:2" }, "http://q:2", "http://p:1" },
        { { http_proxy = "p:3128" }, "http://p:3128", "-" },
        { { http_proxy = "u:w@p" }, "http://p:80", "-" },
        { { HTTP_PROXY = "http://p:1", REQUEST_METHOD = "GET" }, "-", "-" },
    } do
        local names = {}
        for name, value in pairs(case[1]) do
            names[#names + 1] = name .. "=" .. value
        end
        table.sort(names)
        it(("with %s says %s and %s"):format(table.concat(names, " "), case[2], case[3]), function()
            local rules = environment(case[1])
            assert.equal(case[2], chosen(rules, "http"))
            assert.equal(case[3], chosen(rules, "https"))
        end)
    end

    it("spares this machine, and the hosts of no_proxy", function()
        for _, name in ipairs { "no_proxy", "NO_PROXY" } do
            local rules = environment { all_proxy = "http://p:1", [name] = "b.example, 10.*, .c" }
            for host, expected in pairs {
                ["a.example"] = "http://p:1", ["b.example"] = "-", ["x.c"] = "-", ["c"] =
                    "http://p:1", ["localhost"] = "-", ["127.0.0.2"] = "-", ["::1"] = "-",
                ["10.0.0.1"] = "http://p:1", -- what others don't understand either doesn't count
            } do
                assert.equal(expected, chosen(rules, "http", host), host)
            end
        end
        local rules = environment { all_proxy = "http://p:1", no_proxy = "a", NO_PROXY = "b" }
        assert.equal("-", chosen(rules, "http", "a"))
        assert.equal("http://p:1", chosen(rules, "http", "b"))
        assert.equal("-", chosen(environment { all_proxy = "http://p:1", no_proxy = "*" }, "http"))
    end)

    it("may be anything, and nothing is raised", function()
        local seed = 7
        local function random(most)
            seed = (seed * 16807) % 2147483647
            return seed % most + 1
        end
        local parts = { "http", "://", "socks5", "@", ":", "/", "*", ".", ",", "[", "]", "%", "%25",
            "10.0.0.1", "::1", "a", "-", " ", "\0", "\255", "8", "99999", "?", "#", "%zz" }
        local seen = 0
        for _ = 1, 3000 do
            local texts = {}
            for i = 1, 2 do
                local words = {}
                for j = 1, random(8) do
                    words[j] = parts[random(#parts)]
                end
                texts[i] = table.concat(words)
            end
            local rules = environment { all_proxy = texts[1], no_proxy = texts[2] }
            local label = chosen(rules, "http", "fe80::1%x.example")
            assert.equal("string", type(label))
            seen = seen + (label:find "^the environment's all_proxy is no proxy: " and 1 or 0)
        end
        assert.is_true(seen > 1000 and seen < 2900, seen)
    end)

    it("is told by name when it is wrong, and only for what it is for", function()
        local rules = environment { HTTPS_PROXY = "ftp://u:secret@p", http_proxy = "http://p:1" }
        assert.equal("http://p:1", chosen(rules, "http"))
        assert.equal("the environment's HTTPS_PROXY is no proxy: http://, https://, socks5:// or"
            .. " socks5h://host:port expected", chosen(rules, "https"))
        assert.equal("-", chosen(rules, "https", "localhost"))
        assert.truthy(chosen(environment { all_proxy = "http://p:x" }, "http")
            :find("^the environment's all_proxy is no proxy: "))
    end)
end)
