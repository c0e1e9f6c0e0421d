local clean = require "moonwire.verb.clean"

local BAD = "\239\191\189"

describe("a text for the terminal", function()
    it("stays as it is where nothing in it acts on one", function()
        for _, text in ipairs {
            "", "plain\ttext\n", "é ü ß", "日本語", "😀", "\240\144\128\128", "\244\143\191\191",
            "\226\128\139", "\194\160",
        } do
            assert.equal(text, clean.text(text))
            assert.is_true(clean.is_clean(text))
        end
    end)

    it("has line ends in one form", function()
        assert.equal("a\nb\n", clean.text "a\r\nb\r\n")
        assert.is_true(clean.is_clean "a\r\nb")
        assert.equal("a" .. BAD .. "b", clean.text "a\rb")
    end)

    it("loses controls and what turns the direction of writing", function()
        for _, bytes in ipairs {
            "\27", "\0", "\7", "\8", "\127", "\194\155", "\194\128", "\226\128\174", "\226\128\142",
            "\226\129\166", "\226\128\170",
        } do
            assert.equal("a" .. BAD .. "b", clean.text("a" .. bytes .. "b"))
            assert.is_false(clean.is_clean(bytes))
        end
    end)

    it("loses what is no UTF-8", function()
        for _, bytes in ipairs { "\128", "\255", "\233", "\192\175", "\193\129" } do
            local shown = clean.text("a" .. bytes .. "b")
            assert.equal("ab", (shown:gsub(BAD, "")))
            assert.is_true(#shown > 2)
        end
        -- forms that are too long, surrogates, beyond the last character: one for each sequence
        for _, bytes in ipairs { "\224\128\175", "\237\160\128", "\240\128\128\175",
            "\244\144\128\128" } do
            assert.equal(BAD, clean.text(bytes))
        end
        assert.equal(BAD .. "é", clean.text "\195é")
    end)

    it("is the same in whatever pieces it comes", function()
        local text = "a\r\nb é \27[31m 日本 😀 \226\128\174 \195 \r \240\159 x\r"
        for size = 1, 7 do
            local cleaner, out = clean.new(), {}
            for at = 1, #text, size do
                out[#out + 1] = cleaner:feed(text:sub(at, at + size - 1))
            end
            out[#out + 1] = cleaner:finish()
            assert.equal(clean.text(text), table.concat(out))
        end
    end)
end)
