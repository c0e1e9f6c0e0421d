local date = require "moonwire.date"

describe("date", function()
    it("reads the three forms of an HTTP-date", function()
        for _, text in ipairs { "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994" } do
            assert.equal(784111777, date.parse(text, 784111777), text)
        end
    end)

    it("takes a year of two digits for one that is at most 50 years ahead", function()
        local now = date.seconds(2026, 6, 1, 0, 0, 0)
        assert.equal(date.seconds(2076, 1, 1, 0, 0, 0),
            date.parse("Wednesday, 01-Jan-76 00:00:00 GMT", now))
        assert.equal(date.seconds(1977, 1, 1, 0, 0, 0),
            date.parse("Saturday, 01-Jan-77 00:00:00 GMT", now))
    end)

    it("agrees with the system about every day of 400 years", function()
        for day = -100000, 46096, 37 do
            local t = os.date("!*t", day * 86400 + 12345)
            assert.equal(day * 86400 + 12345,
                date.seconds(t.year, t.month, t.day, t.hour, t.min, t.sec))
        end
    end)

    it("takes nothing else", function()
        for _, text in ipairs { "", "0", "Sun, 06 Nov 1994 08:49:37",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
            "Wed, 29 Feb 1900 00:00:00 GMT", "Sun, 06 Nov 1994 08:49:37 GMT " } do
            assert.is_nil(date.parse(text), text)
        end
    end)

    it("writes what it reads", function()
        assert.equal("Sun, 06 Nov 1994 08:49:37 GMT", date.format(784111777))
        assert.equal(784111777, date.parse(date.format(784111777)))
    end)
end)
