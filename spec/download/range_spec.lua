local headers = require "moonwire.headers"
local range = require "moonwire.download.range"

local function validator(fields)
    return range.validator(headers.new(fields))
end

describe("a strong validator", function()
    it("is one strong entity tag", function()
        assert.equal('"a"', validator { ETag = '"a"' })
        assert.equal('""', validator { ETag = '""' })
        for _, tag in ipairs { 'W/"a"', 'w/"a"', "a", '"a', '"a"b', '"a", "b"', '"a b"', "" } do
            assert.is_nil(validator { ETag = tag }, tag)
        end
        assert.is_nil(validator { { "ETag", '"a"' }, { "ETag", '"a"' } })
    end)

    it("is a date that is a minute before the answer's", function()
        local function dated(changed, answered, tag)
            return validator { ["Last-Modified"] = changed, Date = answered, ETag = tag }
        end
        local early = "Sun, 06 Nov 1994 08:49:37 GMT"
        local value, is_date = range.validator(headers.new {
            ["Last-Modified"] = early, Date = "Sun, 06 Nov 1994 08:50:37 GMT",
        })
        assert.equal(early, value)
        assert.is_true(is_date)
        assert.is_nil(dated(early, "Sun, 06 Nov 1994 08:50:36 GMT"))
        assert.is_nil(dated(early, nil))
        assert.is_nil(dated("yesterday", early))
        assert.is_nil(dated(early, "Sun, 06 Nov 1994 09:50:37 GMT", 'W/"a"'))
    end)
end)

describe("Content-Range", function()
    it("is understood in its three forms", function()
        assert.same({ 5, 9, 10 }, { range.parse "bytes 5-9/10" })
        assert.same({ 5, 9 }, { range.parse "Bytes 5-9/*" })
        assert.same({ nil, nil, 10 }, { range.parse "bytes */10" })
    end)

    it("is nothing else", function()
        for _, text in ipairs {
            "", "bytes", "bytes 5-9", "bytes 5-/10", "bytes -9/10", "bytes 9-5/10", "bytes 5-10/10",
            "bytes 5-9/x", "bytes 5--9/10", "bytes 5-9/10, 5-9/10", "bytes=5-9/10", "bytes x/10",
            "bytes 1000000000000000-1000000000000001/*", "bytes 5-9/1e3", "bytes 5-9/",
            "seconds 5-9/10",
        } do
            local first, _, total = range.parse(text)
            assert.is_nil(first, text)
            assert.is_nil(total, text)
        end
    end)
end)
