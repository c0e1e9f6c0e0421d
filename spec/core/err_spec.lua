-- Error codes: each has a name, a kind that scripts know, and words.

local core = require "moonwire.core"

local KINDS = {
    resolve = true, connect = true, tls = true, timeout = true, protocol = true, closed = true,
    cancelled = true, limit = true, redirect = true, body = true, system = true,
}

describe("the error codes", function()
    it("have a name, a kind and words of their own", function()
        local seen, words = {}, {}
        for name, code in pairs(core.codes) do
            assert.is_true(code < 0)
            assert.is_nil(seen[code], name)
            seen[code] = true
            assert.equal(name, core.error_name(code))
            assert.is_true(KINDS[core.error_kind(code)], name)
            local text = core.error_text(code)
            assert.is_nil(words[text], name)
            words[text] = true
            assert.is_nil(text:find("[.\n]$"), name)
            assert.equal(0, core.error_errno(code))
        end
    end)

    it("are also fields where the loop needs them", function()
        for _, name in ipairs { "EAGAIN", "EOF", "ECLOSED", "ETIMEOUT", "ECANCELLED" } do
            assert.equal(core.codes[name], core[name])
        end
    end)

    it("have the kind of what they are about", function()
        for name, kind in pairs {
            EH1_LENGTH = "protocol", EH1_FRAMING = "protocol", EH1_HEAD_BYTES = "limit",
            EH1_CHUNK_OVERHEAD = "limit", EH1_TRUNCATED = "closed", EOF = "closed",
            EBODY_SHORT = "body", ENOTFOUND = "resolve", ETIMEOUT = "timeout",
            ECANCELLED = "cancelled", ENOMEM = "system",
        } do
            assert.equal(kind, core.error_kind(core.codes[name]))
        end
    end)

    it("answer for a number that is none of them", function()
        for _, code in ipairs { 0, 5, -999, -1000, -2147483647 } do
            assert.is_string(core.error_name(code))
            assert.is_string(core.error_text(code))
            assert.equal("system", core.error_kind(code))
        end
    end)
end)
