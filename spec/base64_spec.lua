local base64 = require "moonwire.base64"

describe("base64", function()
    it("is that of RFC 4648 section 10", function()
        for text, coded in pairs { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v",
            foob = "Zm9vYg==", fooba = "Zm9vYmE=", foobar = "Zm9vYmFy" } do
            assert.equal(coded, base64.encode(text))
            assert.equal(text, base64.decode(coded))
        end
    end)

    it("keeps every byte", function()
        local bytes = {}
        for byte = 0, 255 do
            bytes[byte + 1] = string.char(byte)
        end
        local text = table.concat(bytes)
        assert.equal(text, base64.decode(base64.encode(text)))
    end)

    it("takes nothing else", function()
        for _, text in ipairs { "Z", "Zg", "Zg=", "Zg==\n", "Zm9v!", "Z===", "====", "Zg==Zg==" } do
            assert.is_nil(base64.decode(text), text)
        end
    end)
end)
