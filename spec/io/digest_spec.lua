local core = require "moonwire.core"

describe("core.digest", function()
    -- of "abc": RFC 1321, and FIPS 180-4's examples
    local OF_ABC = {
        ["MD5"] = "900150983cd24fb0d6963f7d28e17f72",
        ["SHA-256"] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ["SHA-512-256"] = "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23",
        ["SHA-512"] = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            .. "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    }

    for name, expected in pairs(OF_ABC) do
        it("is " .. name .. ", whole and in pieces", function()
            assert.equal(expected, core.digest(name, "abc"):finish())
            assert.equal(expected, core.digest(name, "a", "", "bc"):finish())
            local digest = core.digest(name)
            digest:add "a"
            digest:add()
            digest:add("b", "c")
            assert.equal(expected, digest:finish())
        end)
    end

    it("gives nil and a code for what nobody has", function()
        for _, name in ipairs { "", "md5", "SHA-1", "SHA-256 ", "SHA2-256" } do
            local digest, code = core.digest(name, "abc")
            assert.is_nil(digest)
            assert.equal(core.codes.EINVAL, code)
        end
    end)

    it("raises on wrong arguments, and once it is finished", function()
        assert.has_error(function()
            core.digest()
        end)
        assert.has_error(function()
            core.digest("MD5", {})
        end)
        local digest = core.digest "MD5"
        assert.has_error(function()
            digest:add(nil)
        end)
        assert.has_error(function()
            digest.add("MD5", "abc")
        end)
        assert.equal("d41d8cd98f00b204e9800998ecf8427e", digest:finish())
        for _, call in ipairs { digest.add, digest.finish } do
            local ok, problem = pcall(call, digest, "abc")
            assert.is_false(ok)
            assert.is_truthy(problem:find "^digest: ", problem)
        end
    end)

    it("may be dropped unfinished", function()
        for _ = 1, 1000 do
            core.digest("SHA-256", "abc")
        end
        collectgarbage()
        assert.equal(OF_ABC.MD5, core.digest("MD5", "abc"):finish())
    end)
end)
