local core = require "moonwire.core"
local headers = require "moonwire.headers"

local function listed(list)
    local out = {}
    for name, value in list:each() do
        out[#out + 1] = name .. "=" .. value
    end
    return table.concat(out, " ")
end

describe("headers.new", function()
    it("gives an empty list for nothing", function()
        assert.equal(0, headers.new():count())
    end)

    it("takes names in their order, so that the bytes are the same each time", function()
        assert.equal("A=1 B=2 C=3", listed(headers.new { C = "3", A = "1", B = "2" }))
    end)

    it("takes several values for a name", function()
        assert.equal("A=1 A=2", listed(headers.new { A = { "1", "2" } }))
    end)

    it("keeps the order of a list of pairs", function()
        local list = { { "C", "3" }, { "A", "1" }, { "C", { "4", "5" } } }
        assert.equal("C=3 A=1 C=4 C=5", listed(headers.new(list)))
    end)

    it("takes numbers as their strings", function()
        assert.equal("A=7", listed(headers.new { A = 7 }))
    end)

    it("copies a header list", function()
        local old = core.headers()
        old:add("A", "1")
        local new = headers.new(old)
        new:add("B", "2")
        assert.equal("A=1", listed(old))
        assert.equal("A=1 B=2", listed(new))
    end)

    it("knows a header list when it sees one", function()
        assert.is_true(headers.is(core.headers()))
        for _, value in ipairs { {}, "", 1, io.stdout, newproxy(false) } do
            assert.is_false(headers.is(value))
        end
    end)

    local function problem(value)
        local ok, message = pcall(headers.new, value)
        assert.is_false(ok)
        return message
    end

    it("names what has the wrong type", function()
        assert.matches("bad argument 'headers' %(.*got 5%)", problem(5))
        assert.matches("bad argument 'headers' %(.*got userdata%)", problem(io.stdout))
        assert.matches("headers%[\"A\"%].*got nil", problem { { "A" } })
        assert.matches("headers%[\"A\"%].*got true", problem { A = true })
        assert.matches("headers%[\"A\"%].*got table", problem { A = { {} } })
        assert.matches("string as name", problem { [false] = "x" })
        assert.matches("headers%[2%].*got string", problem { { "A", "1" }, "B" })
    end)

    it("blames the line that called it", function()
        for _, value in ipairs { 5, { A = true }, { A = "\n" }, { { "A" } } } do
            local line = debug.getinfo(1, "l").currentline + 1
            local _, message = pcall(function() headers.new(value) end)
            assert.matches("headers_spec.lua:" .. line .. ":", message, 1, true)
        end
    end)

    it("refuses bytes that would begin another line", function()
        for _, value in ipairs { "a\r\nB: 1", "a\nb", "a\rb", "a\0b", "\1", "\127" } do
            assert.matches('bad header "A"', problem { A = value })
        end
        for _, name in ipairs { "", "A B", "A:", "A\r\nB", "\195\164", "A\0" } do
            assert.matches("bad header", problem { [name] = "1" })
        end
    end)
end)
