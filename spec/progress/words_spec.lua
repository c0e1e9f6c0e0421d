local words = require "moonwire.progress.words"

describe("words of progress", function()
    it("tell sizes", function()
        for bytes, text in pairs {
            [0] = "0 B", [999] = "999 B", [1000] = "1.0 KiB", [1024 * 1024] = "1.0 MiB",
            [1023 * 1024] = "1.0 MiB", [5.5 * 1024 ^ 3] = "5.5 GiB", [2 ^ 60] = "1024.0 PiB",
        } do
            assert.equal(text, words.bytes(bytes))
        end
    end)

    it("tell times", function()
        for seconds, text in pairs {
            [0] = "0:00", [0.6] = "0:01", [65] = "1:05", [3599.6] = "1:00:00", [3723] = "1:02:03",
            [359999] = "99:59:59", [86400 * 5] = "5 days", [1e12] = "11574074 days",
        } do
            assert.equal(text, words.time(seconds))
        end
    end)

    it("fit into columns", function()
        assert.equal("abc  ", words.fit("abc", 5))
        assert.equal("abcd~", words.fit("abcdef", 5))
        assert.equal("\195\188\195\188~ ", words.fit("\195\188\195\188~", 4))
        assert.equal("\230\151\165~ ", words.fit("\230\151\165\230\156\172", 4):sub(1, 3) .. "~ ")
        assert.equal("\230\151\165~", words.fit("\230\151\165\230\156\172", 3))
        for columns = 20, 200 do
            for _, info in ipairs {
                { bytes = 0 }, { bytes = 0, total = 0 }, { bytes = 5, total = 3, rate = 1e15 },
                { bytes = 2 ^ 50, total = 2 ^ 51, rate = 123456, eta = 1e9 },
            } do
                local line = words.line(("n"):rep(50), info, columns)
                assert.is_true(#line < columns)
            end
        end
    end)
end)
