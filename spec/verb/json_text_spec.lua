local json_text = require "moonwire.verb.json_text"

local function show(text, size, many, paint)
    local printer, out = json_text.printer(paint, many), {}
    for at = 1, #text, size do
        out[#out + 1] = printer:feed(text:sub(at, at + size - 1))
    end
    local rest, whole = printer:finish()
    return table.concat(out) .. rest, whole
end

local DOCUMENT = [[{"z":1,"a":[true,false ,null, -0.5e+10,12345678901234567890],"e":{},"l":[ ],]]
    .. [=["s":"a\"b\\ \u00e9 / é","n":{"x":[[1],[2,{"y":""}]]}}]=]
local SHOWN = [[
{
  "z": 1,
  "a": [
    true,
    false,
    null,
    -0.5e+10,
    12345678901234567890
  ],
  "e": {},
  "l": [],
  "s": "a\"b\\ \u00e9 / é",
  "n": {
    "x": [
      [
        1
      ],
      [
        2,
        {
          "y": ""
        }
      ]
    ]
  }
}]]

describe("JSON for a person", function()
    it("is cut into lines; order, numbers and escapes stay, in whatever pieces it comes", function()
        for _, size in ipairs { 1, 2, 3, 7, 50, 1000 } do
            local text, whole = show(DOCUMENT, size)
            assert.equal(SHOWN, text)
            assert.is_true(whole)
        end
    end)

    it("is in colours by what its parts are", function()
        local text = show('{"k":["s",1,null]}', 3, false, function(kind, words)
            return "<" .. kind .. " " .. words .. ">"
        end)
        assert.equal('{\n  <key "k">: [\n    <string "s">,\n    <number 1>,\n    <literal null>\n'
            .. "  ]\n}", text)
    end)

    it("may be several values, one behind the other", function()
        assert.equal('{\n  "a": 1\n}\n2\n"x"', (show('{"a":1}\n2 "x"', 2, true)))
        local _, whole = show("1 2", 10)
        assert.is_false(whole)
    end)

    it("comes out as it went in where it is none, without what a terminal acts on", function()
        assert.equal("[\n  1, oops \239\191\189[1m]", (show("[1, oops \27[1m]", 1000)
            :gsub(",\n  ", ", ")))
        for _, size in ipairs { 1, 4, 1000 } do
            assert.equal("<html>\nnot JSON\n", (show("<html>\r\nnot JSON\n", size)))
            local text, whole = show('{"a": "never ends', size)
            assert.equal('{\n  "a": "never ends', text)
            assert.is_false(whole)
        end
    end)

    it("never sends a control character on out of a string", function()
        assert.equal('"\239\191\189"', (show('"\194\155"', 100)))
        assert.equal('"\239\191\189[2J"', (show('"\27[2J"', 100)))
    end)

    it("costs no more than it has bytes, however deep it is", function()
        local text = show(("["):rep(100000), 4096)
        assert.is_true(#text < 100000 + 1000 * 150)
        assert.equal(("["):rep(100000), (text:gsub("%s", "")))
        local deep = ("["):rep(900) .. ("]"):rep(900)
        local shown, whole = show(deep, 4096)
        assert.is_true(whole)
        assert.is_true(#shown < 900 * 2 * 140)
    end)

    it("doesn't wait for ever for the end of a string", function()
        local printer = json_text.printer()
        local shown = 0
        printer:feed '"'
        for _ = 1, 40 do
            shown = shown + #printer:feed(("x"):rep(65536))
        end
        assert.is_true(shown > 1024 * 1024)
    end)
end)

describe("what is JSON", function()
    it("goes by RFC 8259", function()
        for _, text in ipairs { "0", "-1", "1.5", "1e5", "1E+5", "-0.0e-0", '""', '"\\u00Ff"',
            "null", " true ", "[]", "{}", '[1,"a",{"b":[null]}]', "\t[\n1 ]\r\n" } do
            assert.is_true(json_text.is_json(text), text)
        end
        for _, text in ipairs { "", " ", "01", "-", "1.", ".5", "+1", "0x10", "NaN", "Infinity",
            "1e", "tru", "True", "'a'", '"', '"a', '"\\x"', '"\\u12"', '"a\nb"', '"\1"', "[1,]",
            "[,1]", "[1 2]", "[", "]", "{", '{"a"}', '{"a":}', '{"a":1,}', "{1:2}", '{"a" 1}',
            "[}", "1 2", '{"a":1}}', "nul", "1a", "--1", "[1]x", '{"a"::1}', '{,"a":1}' } do
            assert.is_false(json_text.is_json(text), text)
        end
    end)

    it("is what quote makes of any text", function()
        for _, text in ipairs { "", "plain", 'a"b\\c', "\n\r\t\b\f\0\1\31", "é/" } do
            local quoted = json_text.quote(text)
            assert.is_true(json_text.is_json(quoted))
            assert.equal(text, require("moonwire.json").decode(quoted))
        end
    end)
end)
