local no_proxy = require "moonwire.proxy.no_proxy"

-- list, host, port, whether it is in the list
local CASES = {
    { "*", "any.example", 80, true },
    { "a, *", "::1", 80, true },
    { "", "a.example", 80, false },
    { " , ,", "a.example", 80, false },
    -- names
    { "example.com", "example.com", 80, true },
    { "example.com", "EXAMPLE.com.", 80, true },
    { "Example.COM.", "example.com", 80, true },
    { "example.com", "www.example.com", 80, true },
    { "example.com", "a.b.example.com", 443, true },
    { "example.com", "badexample.com", 80, false },
    { "example.com", "example.com.evil.org", 80, false },
    { "example.com", "com", 80, false },
    { ".example.com", "example.com", 80, false },
    { ".example.com", "www.example.com", 80, true },
    { "*.example.com", "example.com", 80, false },
    { "*.example.com", "www.example.com", 80, true },
    { "a.example  ,\tb.example", "b.example", 80, true },
    { "ex-ample.com", "exxample.com", 80, false }, -- no pattern of Lua's
    { "e.a", "exa", 80, false },
    { "bücher.example", "xn--bcher-kva.example", 80, true },
    { ".BÜCHER.example:80", "a.xn--bcher-kva.example", 80, true },
    -- ports
    { "example.com:8080", "example.com", 8080, true },
    { "example.com:8080", "example.com", 80, false },
    { "example.com:8080", "www.example.com", 8080, true },
    { ".example.com:8080", "www.example.com", 8080, true },
    { ".example.com:8080", "www.example.com", 8081, false },
    { "10.0.0.1:81", "10.0.0.1", 81, true },
    { "10.0.0.1:81", "10.0.0.1", 80, false },
    { "[fd00::1]:81", "fd00::1", 81, true },
    { "[fd00::1]:81", "fd00::1", 82, false },
    -- addresses
    { "10.0.0.1", "10.0.0.1", 80, true },
    { "10.0.0.1", "10.0.0.10", 80, false },
    { "0.0.1", "10.0.0.1", 80, false },
    { ".0.0.1", "10.0.0.1", 80, false },
    { "fd00::1", "fd00:0:0::1", 80, true },
    { "[fd00::1]", "FD00::1", 80, true },
    { "fd00::1", "fd00::2", 80, false },
    { "::ffff:10.0.0.1", "10.0.0.1", 80, true },
    { "10.0.0.1", "::ffff:10.0.0.1", 80, true },
    { "10.0.0.1", "::ffff:a00:1", 80, true },
    { "::1.2.3.4", "::102:304", 80, true },
    -- networks
    { "10.0.0.0/8", "10.255.1.2", 80, true },
    { "10.0.0.0/8", "11.0.0.0", 80, false },
    { "10.1.0.0/15", "10.0.9.9", 80, true },
    { "10.2.0.0/15", "10.1.9.9", 80, false },
    { "192.168.1.129/25", "192.168.1.200", 80, true },
    { "192.168.1.129/25", "192.168.1.100", 80, false },
    { "10.0.0.1/32", "10.0.0.1", 80, true },
    { "10.0.0.1/32", "10.0.0.2", 80, false },
    { "0.0.0.0/0", "8.8.8.8", 80, true },
    { "0.0.0.0/0", "2001:db8::1", 80, false },
    { "0.0.0.0/0", "a.example", 80, false },
    { "fd00::/8", "fdff::1", 80, true },
    { "fd00::/8", "fe00::1", 80, false },
    { "::/0", "2001:db8::1", 80, true },
    { "::/0", "10.0.0.1", 80, false },
    { "::ffff:10.0.0.0/104", "10.1.2.3", 80, true },
    { "10.0.0.0/8", "::ffff:10.1.2.3", 80, true },
    -- a zone names no host (Go CVE-2025-22870)
    { "*.example.com", "fe80::1%25.example.com", 80, false },
    { "example.com", "fe80::1%.example.com", 80, false },
    { "example.com", "::1%.example.com", 80, false },
    { "fe80::1", "fe80::1%eth0", 80, true },
    { "fe80::/10", "fe80::1%eth0", 80, true },
}

local WRONG = {
    "10.*", "a.*.example", "10.0.0.0/33", "fd00::/129", "example.com/8", "::ffff:10.0.0.0/8",
    "\255.example", "a@bü.example/", "[::1", "a:b:80", "a b", "10.0.0.0/", ":80", "*.",
}

describe("the list of hosts without a proxy", function()
    for _, case in ipairs(CASES) do
        it(("%q %s %s:%d"):format(case[1], case[4] and "has" or "hasn't", case[2], case[3]),
            function()
                local exceptions = no_proxy.parse(case[1])
                assert.equal(case[4], exceptions:has(case[2], case[3]))
            end)
    end

    for _, word in ipairs(WRONG) do
        it(("says that it can't understand %q, and takes the others"):format(word), function()
            local exceptions, problem = no_proxy.parse("a.example, " .. word .. ", b.example")
            assert.truthy(problem:find("'" .. word .. "'", 1, true), problem)
            assert.is_true(exceptions:has("a.example", 80))
            assert.is_true(exceptions:has("b.example", 80))
            assert.is_false(exceptions:has("c.example", 80))
        end)
    end

    it("is understood where nothing is wrong with it", function()
        for _, case in ipairs(CASES) do
            assert.is_nil((select(2, no_proxy.parse(case[1]))), case[1])
        end
    end)
end)

describe("this machine's own addresses", function()
    for host, is_local in pairs {
        ["localhost"] = true, ["LOCALHOST."] = true, ["a.localhost"] = true,
        ["notlocalhost"] = false, ["localhost.example"] = false, ["127.0.0.1"] = true,
        ["127.9.9.9"] = true, ["128.0.0.1"] = false, ["::1"] = true, ["::1%lo"] = true,
        ["::2"] = false, ["::ffff:127.0.0.1"] = true, ["10.0.0.1"] = false, ["::"] = false,
        ["0:0:0:0:0:0:0:1"] = true,
    } do
        it((is_local and "has " or "hasn't ") .. host, function()
            assert.equal(is_local, no_proxy.is_local(host))
        end)
    end
end)
