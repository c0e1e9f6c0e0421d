-- Numeric addresses in one form, and which of two is tried first.
local core = require "moonwire.core"

describe("addresses", function()
    it("have one way of being written", function()
        local cases = {
            ["127.0.0.1"] = "127.0.0.1 ipv4",
            ["255.255.255.255"] = "255.255.255.255 ipv4",
            ["::1"] = "::1 ipv6",
            ["0:0:0:0:0:0:0:1"] = "::1 ipv6",
            ["2001:DB8:0:0::A"] = "2001:db8::a ipv6",
            ["::"] = ":: ipv6",
            ["64:ff9b::127.0.0.1"] = "64:ff9b::7f00:1 ipv6",
        }
        for text, expected in pairs(cases) do
            assert.equal(expected, table.concat({ core.parse_address(text) }, " "))
        end
    end)

    it("are IPv4 when they are IPv4 in the form of IPv6", function()
        for _, text in ipairs { "::ffff:127.0.0.1", "::FFFF:7f00:1", "0:0:0:0:0:ffff:127.0.0.1",
            "0000:0000:0000:0000:0000:ffff:7f00:0001" } do
            assert.equal("127.0.0.1 ipv4", table.concat({ core.parse_address(text) }, " "))
        end
    end)

    it("have a zone when they are link-local", function()
        assert.equal("fe80::1%lo ipv6", table.concat({ core.parse_address "FE80:0::1%lo" }, " "))
        assert.equal("fe80::1%lo ipv6", table.concat({ core.parse_address "fe80::1%1" }, " "))
        assert.equal("fe80::1 ipv6", table.concat({ core.parse_address "fe80::1" }, " "))
    end)

    it("are none when others would guess what is meant", function()
        for _, text in ipairs { "", "1", "127.1", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.01",
            "127.0.0.1.", " 127.0.0.1", "127.0.0.1\n", "127.0.0.1\0", "::1\0", "[::1]", "::1%lo",
            "2001:db8::1%lo", "127.0.0.1%lo", "::ffff:127.0.0.1%lo", "fe80::1%", "fe80::1%0",
            "fe80::1%nowhere", "fe80::1%%lo", "fe80::1%" .. ("x"):rep(16), "fe80::1%25lo\0",
            "1::2::3", "::ffff:127.1", "localhost", ("0"):rep(200) } do
            assert.is_nil((core.parse_address(text)), ("%q"):format(text))
        end
    end)
end)

describe("routes", function()
    -- RFC 6724 section 10.2: the first is better than the second; "-": there is no way
    local BETTER = {
        ["the scope of the source fits"] =
            { "2001:db8:1::1", "2001:db8:1::2", "198.51.100.121", "169.254.13.78" },
        ["the scope of the source fits, for IPv4"] =
            { "198.51.100.121", "198.51.100.117", "2001:db8:1::1", "fe80::1" },
        ["a zone is no part of it"] =
            { "fe80::1%lo", "fe80::2%lo", "2001:db8:1::1", "2001:db8:1::2" },
        ["IPv6 comes before IPv4"] =
            { "2001:db8:1::1", "2001:db8:1::2", "10.1.2.3", "10.1.2.4" },
        ["the smaller scope comes first"] =
            { "fe80::1", "fe80::2", "2001:db8:1::1", "2001:db8:1::2" },
        ["a label that fits comes first"] =
            { "2002:c633:6401::1", "2002:c633:6401::2", "2001:db8:1::1", "2002:c633:6401::2" },
        ["the higher precedence comes first"] =
            { "2001:db8:1::1", "2001:db8:1::2", "2002:c633:6401::1", "2002:c633:6401::2" },
        ["IPv4 comes before what can't be reached"] = { "10.1.2.3", "10.1.2.4", "2001:db8:1::1" },
        ["IPv4 comes before IPv6 from a unique local address"] =
            { "198.51.100.121", "10.1.2.4", "2001:db8:1::1", "fd00::2" },
        ["IPv4 comes before unique local addresses"] =
            { "198.51.100.121", "10.1.2.4", "fd00::1", "fd00::2" },
        ["IPv4 comes before Teredo"] =
            { "198.51.100.121", "10.1.2.4", "2001:0:c633::1", "2001:0:c633::2" },
        ["the longer common prefix comes first"] =
            { "2001:db8:1::1", "2001:db8:1::2", "2001:db8:3ffe::1", "2001:db8:3f44::2" },
        ["::1 comes before 127.0.0.1"] = { "::1", "::1", "127.0.0.1", "127.0.0.1" },
    }

    for why, case in pairs(BETTER) do
        it("are ordered: " .. why, function()
            local to, from, other, other_from = unpack(case, 1, 4)
            assert.is_true(core.is_better_route(to, from, other, other_from))
            assert.is_false(core.is_better_route(other, other_from, to, from))
            assert.is_false(core.is_better_route(to, from, to, from))
        end)
    end

    it("are equal where nothing tells them apart, so that they keep their order", function()
        for _, case in ipairs {
            { "192.0.2.1", "10.0.0.1", "198.51.100.1", "10.0.0.1" },
            { "2001:db8::1", "2001:db8::9", "2001:db8::2", "2001:db8::9" },
            { "192.0.2.1", nil, "198.51.100.1", nil },
        } do
            local to, from, other, other_from = unpack(case, 1, 4)
            assert.is_false(core.is_better_route(to, from, other, other_from))
            assert.is_false(core.is_better_route(other, other_from, to, from))
        end
    end)

    it("know what the system would send from", function()
        assert.equal("127.0.0.1", core.source_of "127.0.0.1")
        assert.equal("127.0.0.1", core.source_of "::ffff:127.0.0.1")
        local source, code = core.source_of "::1"
        assert.is_true(source == "::1" or core.error_name(code):find "^E" ~= nil)
    end)

    it("refuse what is no address", function()
        assert.error_matches(function() core.source_of "localhost" end, "not a numeric address")
        assert.error_matches(function()
            core.is_better_route("::1", "x", "::1", "::1")
        end, "not a numeric address")
        assert.error_matches(function()
            core.is_better_route("::1", "::1", "h", "::1")
        end, "not a numeric address")
    end)
end)
