local arguments = require "moonwire.cli.arguments"

local KNOWN = {
    ["--name"] = { "name", arguments.text },
    ["--count"] = { "count", arguments.count(9) },
    ["--file"] = { "file", arguments.path },
    ["--header"] = { "headers", arguments.header },
    ["--one"] = { "one" },
    ["--two"] = { "two" },
}
local SHORT = { n = "--name", c = "--count", H = "--header", ["1"] = "--one", ["2"] = "--two" }

local function take(...)
    local options, args, i = {}, { ... }, 1
    while args[i] do
        local after, message = arguments.take(args, i, options, KNOWN, SHORT)
        if not after then
            return nil, message
        end
        i = after
    end
    return options
end

describe("the options of a subcommand", function()
    it("have their word behind them, with a space or without", function()
        for _, words in ipairs {
            { "--name", "x" }, { "--name=x" }, { "-n", "x" }, { "-nx" },
        } do
            assert.same({ name = "x" }, take(unpack(words)))
        end
        assert.same({ name = "" }, take "--name=")
        assert.same({ name = "--one" }, take("-n", "--one"))
        assert.same({ name = "a=b" }, take "--name=a=b")
    end)

    it("may be written together where they take no word, and one at the end that does", function()
        assert.same({ one = true, two = true }, take "-12")
        assert.same({ one = true, name = "x" }, take "-1nx")
        assert.same({ one = true, two = true, name = "x" }, take("-12n", "x"))
    end)

    it("are refused with a sentence", function()
        for expected, words in pairs {
            ["there is no option --nope"] = { "--nope" },
            ["there is no option --nope=1"] = { "--nope=1" },
            ["there is no option -1x"] = { "-1x" },
            ["--one takes no value, but here is '--one=1'"] = { "--one=1" },
            ["--name needs a value"] = { "--name" },
            ["-1n needs a value"] = { "-1n" },
            ["--count needs a whole number from 1 to 9, not '10'"] = { "-c10" },
            ["--file needs the name of a file, not ''"] = { "--file=" },
            ["--header needs 'Name: value', not 'a b: c'"] = { "-H", "a b: c" },
        } do
            local options, message = take(unpack(words))
            assert.is_nil(options)
            assert.equal(expected, message)
        end
    end)

    it("gather header fields", function()
        assert.same({ headers = { { "A", "b: c" }, { "D", "" } } }, take("-H", "A:  b: c ", "-HD:"))
    end)

    it("know times", function()
        for text, seconds in pairs {
            ["500ms"] = 0.5, ["10s"] = 10, ["2m"] = 120, ["1h"] = 3600, ["1.5s"] = 1.5, ["0s"] = 0,
        } do
            assert.equal(seconds, arguments.seconds(text))
        end
        for _, text in ipairs { "", "10", "s", "1d", "-1s", "1 s", "1s2", "1e3s", "ms" } do
            assert.is_nil(arguments.seconds(text))
        end
    end)
end)
