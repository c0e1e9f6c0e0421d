local challenge = require "moonwire.auth.challenge"

-- Challenges in one line: "basic realm=x | negotiate 'abc=='".
local function shown(...)
    local out = {}
    for i, one in ipairs(challenge.list { ... }) do
        local params = {}
        for name, value in pairs(one.params) do
            params[#params + 1] = name .. "=" .. value
        end
        table.sort(params)
        table.insert(params, 1, one.scheme)
        params[#params + 1] = one.token68 and "'" .. one.token68 .. "'"
        out[i] = table.concat(params, " ")
    end
    return table.concat(out, " | ")
end

describe("a list of challenges", function()
    -- what is sent -> what is understood
    local CASES = {
        { 'Basic realm="simple"', "basic realm=simple" },
        { "Basic realm=simple", "basic realm=simple" },
        { 'BASIC REALM="Simple"', "basic realm=Simple" },
        { "Basic", "basic" },
        { "", "" },
        { ", ,\t,", "" },
        { "Basic, Digest", "basic | digest" },
        { 'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
            'newauth realm=apps title=Login to "apps" type=1 | basic realm=simple' },
        { 'Basic realm="a, b=c, Digest nonce=1"', "basic realm=a, b=c, Digest nonce=1" },
        { 'Basic realm = "x" ,\tcharset\t=\tUTF-8', "basic charset=UTF-8 realm=x" },
        { 'Digest ,, realm="x",,nonce="n",', "digest nonce=n realm=x" },
        { "Negotiate", "negotiate" },
        { "Negotiate abc/+-._~==", "negotiate 'abc/+-._~=='" },
        { 'Negotiate abc==, Basic realm="x"', "negotiate 'abc==' | basic realm=x" },
        { "NTLM a, b", "ntlm 'a' | b" },
        { 'A a="1" B b="2"', "a a=1 | b b=2" }, -- without the comma, too
        { 'Digest realm="a" nonce="b"', "digest nonce=b realm=a" },
        { 'Basic realm=""', "basic realm=" },
        { 'Basic realm="\\\\\\""', 'basic realm=\\"' },
        { 'Basic realm="\195\164"', "basic realm=\195\164" },
        { 'X-Y.z!#$ a-b.c=1', "x-y.z!#$ a-b.c=1" },
        -- what can't be read counts up to there
        { 'Basic realm="x", Digest realm="y', "basic realm=x" },
        { 'Basic realm="x\\', "" },
        { 'Basic realm="x"; a, Digest realm="y"', "" },
        { 'Basic realm="x", Digest realm=', "basic realm=x | digest 'realm='" },
        { 'Basic realm="x", Digest realm=, nonce="n"', "basic realm=x" },
        { 'Basic realm="x", Digest a=1, realm=, nonce="n"', "basic realm=x" },
        { 'realm="x", Basic realm="y"', "" },
        { '="x"', "" },
        { '"x"', "" },
        { 'Negotiate abc==, realm="x"', "" },
        { 'Digest realm="a", realm="b", Basic realm="x"', "basic realm=x" }, -- which of the two?
        { 'Digest realm="a", REALM="a"', "" },
    }

    for _, case in ipairs(CASES) do
        it("is understood: " .. case[1], function()
            assert.equal(case[2], shown(case[1]))
        end)
    end

    it("may come in several lines, each for itself", function()
        assert.equal("basic realm=x | digest realm=y",
            shown('Basic realm="x"', 'broken="', 'Digest realm="y"'))
    end)

    it("is understood wherever it is cut off, and whatever byte is wrong in it", function()
        for _, case in ipairs(CASES) do
            local text = case[1]
            for at = 0, #text do
                assert.is_string(shown(text:sub(1, at)))
                for _, byte in ipairs { "\0", '"', "\\", ",", "=", " ", "\255" } do
                    assert.is_string(shown(text:sub(1, at) .. byte .. text:sub(at + 2)))
                end
            end
        end
    end)

    it("is bounded, and read in a time that grows with its length", function()
        assert.equal(32, #challenge.list { ("Basic realm=x, "):rep(10000) })
        local many = {}
        for i = 1, 1000 do
            many[i] = "Basic realm=x"
        end
        assert.equal(32, #challenge.list(many))
        local started = os.clock()
        for _, text in ipairs {
            'Basic realm="' .. ("\\"):rep(1e6), 'Basic realm="' .. ("\\a"):rep(5e5) .. '"',
            "Basic " .. ("a"):rep(1e6) .. ";", "Basic " .. ("a="):rep(5e5), (","):rep(1e6),
            "Basic" .. (" "):rep(1e6) .. ";", "Basic a=" .. ("\t"):rep(1e6),
        } do
            shown(text)
        end
        assert.is_true(os.clock() - started < 2)
    end)
end)

describe("an Authentication-Info", function()
    it("is a list of parameters", function()
        assert.same({ nextnonce = "a b", qop = "auth", nc = "00000001" },
            challenge.params 'nextnonce="a b", qop=auth, nc=00000001')
        for _, text in ipairs { "", 'a="', "a", "abc==", 'a=1, a=2', "a=1, b", "Basic x=1" } do
            assert.same({}, challenge.params(text), text)
        end
    end)
end)
