local address = require "moonwire.proxy.address"

local function hex(bytes)
    return bytes and (bytes:gsub(".", function(byte)
        return ("%02x"):format(byte:byte())
    end))
end

describe("the bytes of an address", function()
    for text, expected in pairs {
        ["1.2.3.255"] = "010203ff",
        ["::"] = ("00"):rep(16),
        ["::1"] = ("00"):rep(15) .. "01",
        ["1::"] = "0001" .. ("00"):rep(14),
        ["2001:db8::ff00:42:8329"] = "20010db8000000000000ff0000428329",
        ["1:2:3:4:5:6:7:8"] = "00010002000300040005000600070008",
        ["1:2:3:4:5:6:7::"] = "00010002000300040005000600070000",
        ["::2:3:4:5:6:7:8"] = "00000002000300040005000600070008",
        ["::1.2.3.4"] = ("00"):rep(12) .. "01020304",
        ["64:ff9b::1.2.3.4"] = "0064ff9b" .. ("00"):rep(8) .. "01020304",
        ["::ffff:1.2.3.4"] = "01020304",
        ["fe80::1%eth0"] = "fe80" .. ("00"):rep(13) .. "01",
    } do
        it("are those of " .. text, function()
            assert.equal(expected, hex(address.bytes(text)))
        end)
    end

    it("are none where it is no address", function()
        for _, text in ipairs {
            "", "a", "1.2.3", "1.2.3.4.5", "1:2", "[::1]", "%eth0", "a.example",
        } do
            assert.is_nil(address.bytes(text))
        end
    end)
end)
