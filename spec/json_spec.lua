local errors = require "moonwire.error"
local json = require "moonwire.json"

describe("json", function()
    it("writes and reads values", function()
        local text = assert(json.encode { a = { 1, 2.5, "x", true } })
        assert.same({ a = { 1, 2.5, "x", true } }, json.decode(text))
    end)

    it("reads null as json.null", function()
        assert.equal(json.null, json.decode("[null]")[1])
        assert.equal(json.null, (json.decode "null"))
    end)

    it("reads false as false", function()
        local value, err = json.decode "false"
        assert.is_false(value)
        assert.is_nil(err)
    end)

    it("says what isn't JSON", function()
        for _, text in ipairs { "", "{", "[1,]", "nope", "{} x", ("["):rep(2000) } do
            local value, err = json.decode(text)
            assert.is_nil(value)
            assert.is_true(errors.is(err, "protocol"))
            assert.matches("not JSON", tostring(err))
        end
    end)

    it("says what can't be written", function()
        local text, err = json.encode { f = print }
        assert.is_nil(text)
        assert.is_true(errors.is(err, "body"))
    end)

    it("leaves the script's own settings alone", function()
        local cjson = require "cjson"
        cjson.decode_max_depth(3)
        local value = json.decode "[[[[[1]]]]]"
        cjson.decode_max_depth(1000)
        assert.equal(1, value[1][1][1][1][1])
    end)

    describe("without lua-cjson", function()
        local preload, loaded = package.preload["cjson.safe"], package.loaded["cjson.safe"]
        local own = package.loaded["moonwire.json"]

        before_each(function()
            package.loaded["cjson.safe"], package.loaded["moonwire.json"] = nil, nil
            package.preload["cjson.safe"] = function()
                error "not here"
            end
        end)

        after_each(function()
            package.preload["cjson.safe"], package.loaded["cjson.safe"] = preload, loaded
            package.loaded["moonwire.json"] = own
        end)

        it("can be required, and says what to install when it is used", function()
            local bare = require "moonwire.json"
            for _, call in ipairs { "encode", "decode" } do
                local value, err = bare[call] "{}"
                assert.is_nil(value)
                assert.equal("system", err.kind)
                assert.matches("apt%-get install lua%-cjson", tostring(err))
            end
        end)
    end)
end)
